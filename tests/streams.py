"""Streams of events as a client has them: over real HTTP, out of a process of its own."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlsplit

from django.db import connection

from cmphone.embedded import redis_url
from cmphone.management.commands.serve_demo import make_events_command, run_children, wait_until_ready
from tests.bench.serving import HOST, find_free_ports

PATH = "/api/v1/events"
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Told:
    """An event as it came."""

    id: int | None
    name: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Process:
    """The process that tells events of the test database."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"


def name_services() -> dict[str, str]:
    """Return the variables by which a process of its own finds this run's test database and Valkey."""
    values = connection.settings_dict
    return {
        "CMPHONE_DATABASE_URL": f"postgresql://{values['USER']}@/{values['NAME']}?host={quote(str(values['HOST']))}",
        "CMPHONE_REDIS_URL": redis_url(),
    }


@contextlib.contextmanager
def tell_events(*, pages_port: int | None = None, port: int | None = None, **environ: str) -> Iterator[Process]:
    """Let a process tell the events of this run's test database as long as the block runs.

    `pages_port`: pages are at another port, and no proxy makes one address of both.
    """
    port = port or find_free_ports(1)[0]
    environ = {
        **name_services(),
        "CMPHONE_PORTS": f"{pages_port},{port}" if pages_port else "",
        **environ,
    }
    with run_children({"events": make_events_command(HOST, port)}, environ) as children:
        process = Process(port, children["events"])
        wait_until_ready(process.address, children, name="events")
        yield process


def ask(address: str, path: str = PATH, *, method: str = "GET", **headers: str) -> HTTPResponse:
    """Return the answer with its head read; who asks closes it."""
    opened = HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_SECONDS)
    opened.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = opened.getresponse()
    if opened.sock is not None:
        # It stays open for as long as the response reads from it.
        opened.sock.close()
    return response


@dataclass
class Listener:
    """A client that listens, in a thread of its own, until the stream ends."""

    address: str
    headers: dict[str, str]
    events: list[Told] = field(default_factory=list)
    comments: int = 0
    fields: list[str] = field(default_factory=list)
    is_over: bool = False
    _news: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._connection = HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        self._connection.request("GET", PATH, headers=self.headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        lines: dict[str, str] = {}
        with contextlib.suppress(OSError, HTTPException, ValueError):
            while line := self.response.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if line == "\n":
                    if "data" in lines:
                        number = int(lines["id"]) if "id" in lines else None
                        self._add(Told(number, lines["event"], json.loads(lines["data"])))
                    lines = {}
                elif name:
                    lines[name] = value
                    self.fields.append(name)
                else:
                    self.comments += 1
        with self._news:
            self.is_over = True
            self._news.notify_all()

    def _add(self, told: Told) -> None:
        with self._news:
            self.events.append(told)
            self._news.notify_all()

    def wait(self, is_there: "Callable[[Listener], bool]", seconds: float = PATIENCE_SECONDS) -> None:
        """Return when that is so."""
        with self._news:
            assert self._news.wait_for(lambda: is_there(self), seconds), self.events[-3:]

    def wait_for(self, name: str) -> Told:
        """Return the first event of this name."""
        self.wait(lambda _: any(each.name == name for each in self.events))
        return next(each for each in self.events if each.name == name)

    def wait_for_number(self, number: int) -> None:
        """Return when the event of this number is there, or a later one."""
        self.wait_for_number_within(number, seconds=PATIENCE_SECONDS)

    def wait_for_number_within(self, number: int, *, seconds: float) -> None:
        """Likewise, where it has to be there sooner."""
        self.wait(lambda _: self.last >= number, seconds)

    def wait_for_end(self) -> None:
        """Return when the stream has ended."""
        self.wait(lambda _: self.is_over)

    @property
    def last(self) -> int:
        """The Last-Event-ID; -1: none yet."""
        return next((each.id for each in reversed(self.events) if each.id is not None), -1)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the events of calls."""
        return [each.data["number"] for each in self.events if each.name.startswith("call.")]

    def close(self) -> None:
        """Hang up."""
        # Shut down first: another thread waits in it.
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(2)
        self._thread.join(10)
        self._connection.close()


@contextlib.contextmanager
def listening(process: Process, headers: dict[str, str], last: int | None = None) -> Iterator[Listener]:
    """A client that listens as long as the block runs, and has been greeted."""
    begin = {"Last-Event-ID": str(last)} if last is not None else {}
    listener = Listener(process.address, {**headers, **begin})
    try:
        listener.wait(lambda _: bool(listener.events))
        yield listener
    finally:
        listener.close()


def wait_until(is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Return when that is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
