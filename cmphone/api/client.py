"""A client of the REST API over real HTTP, as a CM/Phone client is one.  Knows nothing of the server's inside."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT_SECONDS = 10


class ClientError(Exception):
    """The server refused, or could not be reached; the message says which and what to do."""


class Client:
    """One client, logged in or not.  Answers are in `language`."""

    def __init__(self, server: str, *, language: str = "en") -> None:
        self.server = server.rstrip("/")
        self.headers = {"Accept": "application/json", "Accept-Language": language}

    def log_in(self, *, username: str, password: str, client_id: str) -> dict[str, Any]:
        """Take a seat, and return what the server tells at log-in.  Raises ClientError."""
        credentials = {"username": username, "password": password, "client_id": client_id, "client_version": "terminal"}
        session = self._call("POST", "/api/v1/sessions", credentials)
        self.headers["Authorization"] = f"Bearer {session['token']}"
        return session

    def look_up(self, number: str) -> dict[str, Any]:
        """Return who has the number.  Raises ClientError."""
        return self._call("GET", "/api/v1/lookup?" + urllib.parse.urlencode({"number": number}))

    def log_out(self) -> None:
        """Give the seat back.  Raises ClientError."""
        self._call("DELETE", "/api/v1/sessions/current")

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        headers = self.headers | ({"Content-Type": "application/json"} if data else {})
        request = urllib.request.Request(self.server + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ClientError(_describe_refusal(error)) from error
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise ClientError(f"No server answers at {self.server} ({reason}).") from error
        try:
            return dict(json.loads(text)) if text else {}
        except ValueError as error:
            raise ClientError(f"What answers at {self.server} is not cmphone.") from error


def _describe_refusal(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read())
        details = "".join(f"\n  {each['pointer']}: {each['detail']}" for each in problem["errors"])
        sentences = dict.fromkeys([problem["title"], problem["detail"]])
        return " ".join(sentences) + details
    except (ValueError, KeyError, TypeError):
        return f"The server answered {error.code} {error.reason}; is it cmphone?"
