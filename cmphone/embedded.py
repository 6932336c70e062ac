"""The embedded PostgreSQL and Valkey: where they are, and keeping them running while somebody needs them.

They stand in where CMPHONE_DATABASE_URL or CMPHONE_REDIS_URL names no service of the site's own.  Importing
this module starts nothing and needs no Django: settings.py asks here for the addresses.  How one server is
made, started and stopped belongs to embedded_servers.py; docs/operations.md describes the whole from outside.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from cmphone.embedded_place import EmbeddedError, Place, can_reach, make_private, make_public
from cmphone.embedded_servers import Server, make_postgres, make_valkey
from cmphone.environment import read_text

CHECKOUT = Path(__file__).resolve().parent.parent
# The kernel takes 108 bytes on Linux and 104 on macOS, the closing NUL included.
LONGEST_SOCKET_PATH = 99


def var_folder() -> Path:
    """Return the folder of everything made while running: CMPHONE_VAR, or `var/` of the checkout."""
    # Resolved, as two spellings of one folder must not become two places.
    return Path(read_text("CMPHONE_VAR", "") or CHECKOUT / "var").resolve()


def database_url() -> str:
    """Return CMPHONE_DATABASE_URL, or the address of the embedded PostgreSQL, running or not."""
    own = read_text("CMPHONE_DATABASE_URL", "")
    return own or f"postgresql://cmphone@/cmphone?host={quote(str(find_place().sockets))}"


def redis_url() -> str:
    """Return CMPHONE_REDIS_URL, or the address of the embedded Valkey, running or not."""
    own = read_text("CMPHONE_REDIS_URL", "")
    return own or f"unix://{quote(str(find_place().valkey_socket))}?db=0"


def celery_url(url: str) -> str:
    """Return the Redis URL `url` as Celery spells it, which differs for a Unix socket."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    query = re.sub(r"\bdb=", "virtual_host=", parts.query)
    return f"redis+socket://{parts.netloc}{parts.path}" + (f"?{query}" if query else "")


def find_place() -> Place:
    """Return where the embedded services belong for this account; looks at folders, changes nothing."""
    var = var_folder()
    uid, gid, data = (os.geteuid(), os.getegid(), var) if os.geteuid() else _find_place_as_root(var)
    place = Place(var=var, data=data, sockets=data / "run", uid=uid, gid=gid)
    if len(os.fsencode(place.postgres_socket)) <= LONGEST_SOCKET_PATH:
        return place
    # Safe in a folder everybody can write to: make_private looks whose it is.
    short = Path(f"/tmp/cmphone-{uid}-{_hash(var)}")  # noqa: S108
    return Place(var=var, data=data, sockets=short, uid=uid, gid=gid)


def _find_place_as_root(var: Path) -> tuple[int, int, Path]:
    """Return the account the servers run as, for they refuse to be root, and a data folder it can reach."""
    for folder in (var / "postgres", var / "valkey"):
        # An ordinary user's data stays his: he will want to go on with it.
        if folder.exists() and (owner := folder.stat()).st_uid:
            return owner.st_uid, owner.st_gid, var
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedError(
            "The embedded services do not run as root, and there is no account `nobody` to run them as.\n"
            "Start as an ordinary user, or set CMPHONE_DATABASE_URL and CMPHONE_REDIS_URL."
        ) from error
    if can_reach(var, nobody.pw_uid, nobody.pw_gid):
        return nobody.pw_uid, nobody.pw_gid, var
    parent = Path("/var/lib" if os.access("/var/lib", os.W_OK) else "/var/tmp")  # noqa: S108 (owner is checked)
    return nobody.pw_uid, nobody.pw_gid, parent / f"cmphone-{_hash(var)}"


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


@contextlib.contextmanager
def hold_services(*, durable: bool = True) -> Iterator[dict[str, str]]:
    """Keep the embedded services running while the block runs; safe to nest, and to share between processes.

    Gives the variables by which a child process finds the services without counting as a user of them.  A
    service which the site has of its own is left alone and not among them.  The servers stop when the last
    user leaves.  Not `durable` is for data nobody will miss after a power failure.

    Raises EmbeddedError when a service cannot be had.
    """
    addresses = {"CMPHONE_DATABASE_URL": database_url(), "CMPHONE_REDIS_URL": redis_url()}
    wanted = {name: address for name, address in addresses.items() if not read_text(name, "")}
    if not wanted:
        yield {}
        return
    place = find_place()
    servers = {
        "CMPHONE_DATABASE_URL": make_postgres(place, durable),
        "CMPHONE_REDIS_URL": make_valkey(place, durable),
    }
    hold = None
    try:
        try:
            hold = _take_hold(place)
            with _lock_starting(place):
                _make_data_folders(place, list(servers.values()))
                for name in wanted:
                    servers[name].ensure_running()
        except OSError as error:
            raise EmbeddedError(
                f"{place.var} cannot be used: {error}.\n"
                "Go on as the user who started first, or keep data of your own with CMPHONE_VAR=/another/folder."
            ) from error
        yield wanted
    finally:
        if hold is not None:
            _release(hold, place, list(servers.values()))


def _take_hold(place: Place) -> int:
    """Count as a user of the services from now on; return the lock that says so."""
    make_public(place.var / "log")
    hold = _open_lock(place, "services")
    fcntl.flock(hold, fcntl.LOCK_SH)
    return hold


def _release(hold: int, place: Place, servers: list[Server]) -> None:
    """Let go of the services, and stop them when nobody else holds them."""
    lock = place.var / "services.lock"
    # Without var/ there is nothing to lock, and nobody who starts anew meanwhile.
    with _lock_starting(place) if place.var.exists() else contextlib.nullcontext():
        try:
            # Refused while anybody else has his share.
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        finally:
            held = os.fstat(hold)
            os.close(hold)
        # Another file of that name: var/ was deleted, and the servers that run now are newer, and others'.
        if not lock.exists() or os.path.samestat(held, lock.stat()):
            for server in servers:
                server.stop()


@contextlib.contextmanager
def _lock_starting(place: Place) -> Iterator[None]:
    """Let one process at a time start or stop servers."""
    lock = _open_lock(place, "starting")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _open_lock(place: Place, name: str) -> int:
    # For reading: root may have made it, and an ordinary user goes on.
    return os.open(place.var / f"{name}.lock", os.O_RDONLY | os.O_CREAT, 0o644)


def _make_data_folders(place: Place, servers: list[Server]) -> None:
    if place.data != place.var:
        note = place.var / "services-are-elsewhere"
        if place.data.exists() and not note.exists():
            # var/ was deleted, which means to begin anew here as it does where the data is inside.
            for server in servers:
                server.stop()
            old = place.data.with_name(f"{place.data.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            place.data.rename(old)
        make_public(place.data)
        if place.data.lstat().st_uid != os.geteuid():
            raise EmbeddedError(f"{place.data} belongs to somebody else.  Look what it is, and remove it.")
        note.write_text(f"The servers' account cannot reach this folder.  Their data is in {place.data}\n")
    elif not can_reach(place.data, place.uid, place.gid):
        raise EmbeddedError(
            f"{place.data} was made for the account {place.uid}, which can no longer reach it.\n"
            "Let others pass through the folders above (chmod o+x), or delete it to begin anew."
        )
    make_private(place.sockets, place)
