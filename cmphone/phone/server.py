"""One request to the server, and the two ways in which it may fail: for good, and for the moment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 10


class Refused(Exception):
    """The server does not do this, and asking again changes nothing: `status`, and `slug`, by which to decide."""

    def __init__(self, message: str, *, status: int, slug: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.slug = slug
        self.reason = reason


class TryLater(Exception):
    """Nobody answers, or not now.  `retry_after`: the seconds that the server asks to wait; None: it did not say."""

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Answer:
    """An answer that is no error: 2xx, or 304 to a request with an ETag."""

    status: int
    etag: str
    body: bytes

    @property
    def json(self) -> Any:
        """What it says.  Raises TryLater where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            # A page of some network in between, such as that of a hotel.
            raise TryLater("What answers is not cmphone.") from error


class Server:
    """Where requests go.  A connection for each: two threads ask, and a telephone does not ring often."""

    def __init__(self, url: str, *, language: str = "en") -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(url)
        self.url = url.rstrip("/")
        # The one of titles and details of errors.
        self.language = language
        self._connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._folder = parts.hostname, parts.port, parts.path.rstrip("/")

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        token: str = "",
        etag: str = "",
    ) -> Answer:
        """Send one request, and return its answer.  Raises Refused and TryLater."""
        headers = {"Accept": "*/*", "Accept-Language": self.language}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if etag:
            headers["If-None-Match"] = etag
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode() if body is not None else None
        # http.client follows no redirect: the token goes to this server and to no other.
        connection = self._connect(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, self._folder + path, data, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise TryLater(f"No server answers at {self.url} ({error}).") from error
        finally:
            connection.close()
        if response.status < 300 or response.status == 304:
            return Answer(response.status, response.headers.get("ETag", ""), content)
        raise _read_problem(response.status, content, response.headers.get("Retry-After"))


def _read_problem(status: int, content: bytes, retry_after: str | None) -> Refused | TryLater:
    """Return what an answer that is an error means.  All of them have the same form (RFC 9457)."""
    try:
        problem = json.loads(content)
        slug = problem["type"].rpartition("/")[2]
        # Often one and the same sentence.
        message = " ".join(dict.fromkeys([problem["title"], problem["detail"]]))
        message += "".join(f"\n  {each['pointer']}: {each['detail']}" for each in problem["errors"])
        if status >= 500:
            message += f" (request {problem['request_id']})"
    except (ValueError, KeyError, TypeError, AttributeError):
        # Of a proxy in between, most often.
        problem, slug, message = {}, "", f"The server answered {status}; is it cmphone?"
    seconds = int(retry_after) if retry_after and retry_after.isdecimal() else None
    if status >= 500 or status == 429 or slug == "no-free-license":
        return TryLater(message, retry_after=seconds)
    return Refused(message, status=status, slug=slug, reason=problem.get("reason", ""))
