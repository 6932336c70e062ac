"""How one embedded server, PostgreSQL or Valkey, is made, started and stopped.

Who needs a server and for how long is the business of embedded.py, and so is the lock that lets one process
at a time be in here.  Where a server lives says embedded_place.py.  Nothing listens on TCP.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmphone.embedded_place import (
    EmbeddedError,
    Place,
    find_postgres_binaries,
    find_postgres_major,
    find_valkey_binary,
    make_private,
)

# A program that is not seen for so long after its start has ended.
STARTING_SECONDS = 1.0
# A server that was killed may have much to recover before it answers, one with much to write long to stop.
START_SECONDS = 120.0
STOP_SECONDS = 60.0
# One that takes a call and says nothing for that long hangs, and is given that long to end by itself.
ANSWER_SECONDS = 10.0
HANGING_SECONDS = 5.0
LARGEST_LOG = 5_000_000


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
        missing_since: float | None = None
        while not self.ready.match(self.ask()):
            # The shell's job is not known by its command line before the server's program runs in it.
            missing_since = None if self.find_processes() else missing_since or time.monotonic()
            if missing_since and time.monotonic() - missing_since > STARTING_SECONDS:
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


def _count_megabytes() -> int:
    """Return how much memory the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000


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
        major = find_postgres_major(binaries)
        if not folder.exists():
            _create_database(place, binaries, major, log, durable)
        _refuse_other_major(folder, major)
        for file in (folder / "postmaster.pid", place.sockets / f"{place.postgres_socket.name}.lock"):
            _remove_misleading(file)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(place.sockets),
            "unix_socket_permissions": "0700",
            # The index of a million numbers with its contacts; taken as it is needed, and never most of the memory.
            "shared_buffers": f"{min(512, _count_megabytes() // 4)}MB",
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
        binary = find_valkey_binary(place)
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
