"""Receivers of webhooks: a real HTTP server on this machine, which answers as it is told and keeps what it got."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    """Answers with `answers`, one after the other, and then with 204.  An answer: a status, and headers."""

    port: int
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    # Set: answer; not set: hang.
    may_answer: threading.Event = field(default_factory=threading.Event)
    arrivals: "Queue[Request]" = field(default_factory=Queue)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self) -> Request:
        """Return the next request, when it has come in."""
        return self.arrivals.get(timeout=PATIENCE_SECONDS)


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that is there until the end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(self.path, dict(self.headers), body)
            found.requests.append(request)
            found.arrivals.put(request)
            found.may_answer.wait(PATIENCE_SECONDS)
            status, headers = found.answers.pop(0) if found.answers else (204, {})
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

        def do_GET(self) -> None:
            found.requests.append(Request(self.path, dict(self.headers), b""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        # Those that hang end with their answer.
        daemon_threads = True
        block_on_close = False
        request_queue_size = 100

    with Server(("127.0.0.1", 0), Handler) as server:
        found = Receiver(server.server_address[1])
        found.may_answer.set()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield found
        finally:
            found.may_answer.set()
            server.shutdown()
