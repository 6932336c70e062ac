"""A seat: taken with a log-in, kept by heartbeats, lost when the server says so, and given back."""

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

from cmphone.phone import VERSION
from cmphone.phone.server import Answer, Refused, Server, TryLater

SESSIONS = "/api/v1/sessions"
CURRENT = f"{SESSIONS}/current"
LONGEST_WAIT_SECONDS = 30.0


class SessionEnded(Exception):
    """The server has ended the session otherwise than by time: whoever is not the user does not log in again.

    `reason`: ended-by-administrator, ended-by-user, replaced; empty: it does not know the token at all.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Backoff:
    """How long to wait before the next try: 1, 2, 4 … 30 seconds, or what the server asks for."""

    def __init__(self) -> None:
        self._seconds = 1.0

    def next(self, later: TryLater) -> float:
        """Return the seconds to wait after this failure."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, LONGEST_WAIT_SECONDS)
        # A server that comes back is not to meet all of its clients in the same second.
        return max(later.retry_after or 0, seconds) * random.uniform(1, 1.25)  # noqa: S311 (no secret)


class Session:
    """The session of one user at one client.  Two threads may use it: the heartbeat's, and that of whoever works."""

    def __init__(self, server: Server, *, username: str, password: str, client_id: str, line: str = "") -> None:
        self.server = server
        # Kept as long as the program runs, for the log-in after a time-out, and written nowhere.
        self._log_in_with = {
            "username": username,
            "password": password,
            "client_id": client_id,
            "client_version": VERSION,
            "line": line,
        }
        self._token = ""
        self._logging_in = threading.Lock()
        self._is_over = threading.Event()
        self.user: dict[str, str] = {}
        self.heartbeat_seconds = 60

    def log_in(self) -> dict[str, Any]:
        """Take a seat, or the one that this client holds, and return what the server tells at log-in.

        Raises TryLater where every seat is taken, and Refused.
        """
        told: dict[str, Any] = self.server.send("POST", SESSIONS, self._log_in_with).json
        self._token = told["token"]
        self.user = told["user"]
        self.heartbeat_seconds = told["heartbeat_seconds"]
        self.server.language = self.user["language"]
        return told

    def request(self, method: str, path: str, body: Mapping[str, object] | None = None, *, etag: str = "") -> Answer:
        """Send a request of this session; one that has timed out is renewed once.

        Raises SessionEnded, Refused and TryLater.
        """
        token = self._token
        try:
            return self.server.send(method, path, body, token=token, etag=etag)
        except Refused as refused:
            if refused.status != 401:
                raise
            with self._logging_in:
                # Otherwise the other thread has logged in meanwhile.
                if self._token == token:
                    if refused.reason != "timed-out":
                        raise SessionEnded(str(refused), reason=refused.reason) from refused
                    self._log_in_again()
        try:
            return self.server.send(method, path, body, token=self._token, etag=etag)
        except Refused as refused:
            if refused.status == 401:
                raise SessionEnded(str(refused), reason=refused.reason) from refused
            raise

    def _log_in_again(self) -> None:
        try:
            self.log_in()
        except Refused as refused:
            # Once: a wrong password that is sent again and again locks its user out.
            raise SessionEnded(str(refused), reason=refused.reason) from refused

    def keep_alive(self, tell: Callable[[object], None]) -> None:
        """Show signs of life until the session is over, and tell what comes of each: its answer, or its error.

        For a thread of its own, so that a seat is kept while the user is asked something, too.
        """
        backoff, wait = Backoff(), float(self.heartbeat_seconds)
        while not self._is_over.wait(wait):
            try:
                tell(self.request("PUT", CURRENT).json)
                backoff, wait = Backoff(), float(self.heartbeat_seconds)
            except TryLater as later:
                tell(later)
                wait = min(backoff.next(later), max(self.heartbeat_seconds, later.retry_after or 0))
            except SessionEnded as ended:
                tell(ended)
                return

    def log_out(self) -> None:
        """Give the seat back.  Raises SessionEnded, Refused and TryLater; then it times out."""
        self._is_over.set()
        self.server.send("DELETE", CURRENT, token=self._token)

    def stop(self) -> None:
        """Show no more signs of life."""
        self._is_over.set()
