"""The reference client, run in this process against a server that serves the test database."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import quote

from django.db import connection
from django.utils import translation

from cmphone.embedded import redis_url
from cmphone.management.commands.serve_demo import make_web_command, run_children, wait_until_ready
from cmphone.phone.console import Console
from cmphone.phone.server import Refused, Server
from cmphone.phone.session import Session, SessionEnded
from tests.bench.serving import HOST
from tests.make import PASSWORD

PATIENCE_SECONDS = 30.0


@dataclass
class Phone:
    """A client in a thread of its own.  It ends when its test hangs it up."""

    url: str
    folder: Path
    username: str = "agent1"
    password: str = PASSWORD
    client_id: str = "phone-1"
    shown: list[str] = field(default_factory=list)
    went_well: bool | None = None
    _typed: "SimpleQueue[str | None]" = field(default_factory=SimpleQueue)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def _live(self) -> None:
        session = Session(Server(self.url), username=self.username, password=self.password, client_id=self.client_id)
        console = Console(session, folder=self.folder, say=self._show)
        with translation.override("en"):
            try:
                console.log_in(patiently=True)
                self.went_well = console.run(iter(self._typed.get, None), echo=True)
            except (Refused, SessionEnded) as error:
                self._show(str(error))
                self.went_well = False

    def _show(self, line: str) -> None:
        with self._news:
            self.shown.append(line)
            self._news.notify_all()

    def type(self, line: str, *, until: str) -> list[str]:
        """Type a command, and return what is shown after it, up to a line that holds `until`."""
        before = len(self.shown)
        self._typed.put(line)
        return self.wait_for(until, after=before)

    def wait_for(self, text: str, *, after: int = 0) -> list[str]:
        """Return what is shown from there on, up to a line that holds the text."""
        with self._news:

            def is_there() -> bool:
                return any(text in line for line in self.shown[after:])

            assert self._news.wait_for(is_there, PATIENCE_SECONDS), f"{text!r} is not in {self.shown[after:]}"
            lines = self.shown[after:]
        return lines[: next(place for place, line in enumerate(lines) if text in line) + 1]

    def hang_up(self) -> bool:
        """End the input, and return whether all went well."""
        self._typed.put(None)
        return self.wait_for_end()

    def wait_for_end(self) -> bool:
        """Return whether all went well, once the client has ended by itself."""
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), self.shown
        assert self.went_well is not None
        return self.went_well


@contextlib.contextmanager
def serve(port: int) -> Iterator[str]:
    """Serve the test database in a process of its own as long as the block runs, and tell its address."""
    values = connection.settings_dict
    environ = {
        "CMPHONE_DATABASE_URL": f"postgresql://{values['USER']}@/{values['NAME']}?host={quote(str(values['HOST']))}",
        "CMPHONE_REDIS_URL": redis_url(),
    }
    address = f"http://{HOST}:{port}"
    with run_children({"web": make_web_command(HOST, port)}, environ) as children:
        wait_until_ready(address, children)
        yield address
