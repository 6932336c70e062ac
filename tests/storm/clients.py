"""`python -m tests.storm.clients ADDRESS KIND CLIENT_ID…`: clients in a process of their own, one thread each.

It says `ready`, begins when it reads a line, and in the end says as JSON what became of each client.  A client of
the kind `rush` claims one seat, once.  One of the kind `restless` claims, renews, shows signs of life and logs out,
until it reads another line; it repeats a call until that is answered, and notes every answer that must not be.
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from tests.storm.site import PASSWORD, SEATS, USERNAMES

ANSWER_SECONDS = 10.0
# A web server that was killed, and a database that recovers, are back sooner.
PATIENCE_SECONDS = 40.0


@dataclass(frozen=True)
class Answer:
    """`was_repeated`: an earlier try was not answered, and may or may not have done its work."""

    status: int
    body: dict[str, Any]
    was_repeated: bool = False


def ask(address: str, method: str, path: str, *, token: str = "", body: object = None) -> Answer:
    """Ask the server once, over a connection of its own.  Raises OSError or HTTPException."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = HTTPConnection(urlsplit(address).netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    return Answer(response.status, json.loads(text) if text else {})


def claim(address: str, client_id: str) -> Answer:
    """Ask once for a seat for a client, which always belongs to the same user."""
    username = USERNAMES[int(client_id) % len(USERNAMES)]
    return ask(
        address,
        "POST",
        "/api/v1/sessions",
        body={"username": username, "password": PASSWORD, "client_id": client_id},
    )


@dataclass
class RestlessClient:
    """A client that knows what it may rely on: an answer that was given holds, whatever is killed."""

    address: str
    client_id: str
    token: str | None = None
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def live(self, stop: threading.Event) -> dict[str, object]:
        """Use the server until `stop`, then say what is so: the token, if the client holds a seat."""
        while not stop.is_set():
            if self.token is None:
                self._claim()
            else:
                random.choice([self._claim, self._show_life, self._show_life, self._log_out])()
            time.sleep(random.uniform(0, 0.05))
        return {"client_id": self.client_id, "token": self.token, "faults": self.faults, "counts": self.counts}

    def _claim(self) -> None:
        answer = self._repeat("POST")
        match answer.status:
            # A seat that is held is renewed, and so is one that was given by a try whose answer was lost.
            case 200 if self.token or answer.was_repeated:
                self.token = answer.body["token"]
            case 201 if not self.token:
                self.token = answer.body["token"]
            case 409 if not self.token and (answer.body["licensed"], answer.body["in_use"]) == (SEATS, SEATS):
                pass
            case _:
                self._complain("claim", answer)

    def _show_life(self) -> None:
        answer = self._repeat("PUT")
        if answer.status != 200:
            self._complain("sign of life", answer)

    def _log_out(self) -> None:
        answer = self._repeat("DELETE")
        if answer.status != 204 and not (answer.status == 401 and answer.was_repeated):
            self._complain("log-out", answer)
        self.token = None

    def _repeat(self, method: str) -> Answer:
        """Ask until there is an answer."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        was_repeated = False
        while True:
            try:
                if method == "POST":
                    answer = claim(self.address, self.client_id)
                else:
                    answer = ask(self.address, method, "/api/v1/sessions/current", token=self.token or "")
            except (OSError, HTTPException):
                self.counts["no answer"] += 1
                answer = Answer(0, {})
            else:
                self.counts[f"{method} {answer.status}"] += 1
                if answer.status != 503:
                    return Answer(answer.status, answer.body, was_repeated)
            was_repeated = True
            if time.monotonic() > give_up_at:
                return answer
            time.sleep(random.uniform(0.02, 0.1))

    def _complain(self, what: str, answer: Answer) -> None:
        held = "with" if self.token else "without"
        self.faults.append(f"{what} {held} a seat, {answer.was_repeated=}: {answer.status} {answer.body}")


def main(address: str, kind: str, client_ids: Sequence[str]) -> None:
    """Let the clients live, and report."""
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=len(client_ids)) as threads:
        print("ready", flush=True)
        sys.stdin.readline()
        if kind == "rush":
            answers = threads.map(lambda client_id: claim(address, client_id), client_ids)
            report: list[object] = [{"status": answer.status, **answer.body} for answer in answers]
        else:
            lives = [threads.submit(RestlessClient(address, client_id).live, stop) for client_id in client_ids]
            sys.stdin.readline()
            stop.set()
            report = [life.result() for life in lives]
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
