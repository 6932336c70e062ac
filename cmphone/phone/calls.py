"""What happens on the telephone, and the reports of it.

A report that cannot be sent waits, and those after it wait behind it.  Each tells when it happened and may be sent
twice: so what comes late, or again because its answer got lost, makes the same call of it.
"""

import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from cmphone.phone.server import Answer, Refused
from cmphone.phone.session import Session

CALLS = "/api/v1/calls"


@dataclass
class Call:
    """The call on the telephone."""

    call_id: str
    is_answered: bool = False


@dataclass(frozen=True)
class Report:
    """What is to be told to the server of a call."""

    call_id: str
    state: str
    method: str
    path: str
    body: Mapping[str, object]


class Telephone:
    """One telephone, with one call at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.call: Call | None = None
        self.outbox: deque[Report] = deque()

    # --- what happens ---

    def ring(self, number: str, line: str = "") -> None:
        """A call comes in: the number as the telephone system presents it, "" where it is withheld."""
        self.call = Call(call_id=str(uuid.uuid4()))
        body = {"call_id": self.call.call_id, "direction": "incoming", "number": number, "started_at": _now()}
        # Without one it is the line of the session.
        body |= {"line": line} if line else {}
        self.outbox.append(Report(self.call.call_id, "ringing", "POST", CALLS, body))

    def answer(self, call: Call) -> None:
        """The call is answered."""
        call.is_answered = True
        self._report(call, "answered")

    def end(self, call: Call) -> None:
        """The call ends; without having been answered it is a missed one."""
        self.call = None
        self._report(call, "ended")

    def _report(self, call: Call, state: str) -> None:
        path = f"{CALLS}/{call.call_id}"
        self.outbox.append(Report(call.call_id, state, "PATCH", path, {"state": state, "at": _now()}))

    def deliver(self) -> Iterator[tuple[Report, Answer | Refused]]:
        """Send what waits, in order, and tell how each was taken.  Raises TryLater and SessionEnded: the rest stays."""
        while self.outbox:
            report = self.outbox[0]
            outcome: Answer | Refused
            try:
                outcome = self._session.request(report.method, report.path, report.body)
            except Refused as refused:
                # It would be refused again, and hold up all the others.
                outcome = refused
            self.outbox.popleft()
            yield report, outcome

    # --- what is asked (each raises TryLater, Refused and SessionEnded) ---

    def render_popup(self, call: Mapping[str, Any]) -> str:
        """Return the popup of a call, as its report was answered, in HTML."""
        path = f"/api/v1/popup-templates/{self._session.user['language']}/{call['popup']}/render"
        return self._session.request("POST", path, {"call_id": call["call_id"]}).body.decode()

    def list_missed(self) -> list[dict[str, Any]]:
        """Return the newest missed calls to which nobody has seen yet."""
        query = urlencode({"missed": "true", "done": "false", "page_size": 20})
        return list(self._session.request("GET", f"{CALLS}?{query}").json["results"])

    def call_back(self, call_id: str) -> str:
        """Say that the user calls back, and return the link that dials."""
        # Other clients give their calls other ids, perhaps with a slash in it.
        answer = self._session.request("POST", f"{CALLS}/{quote(call_id, safe='')}/callback")
        return str(answer.json["dial_uri"])

    def mark_done(self, call_id: str) -> None:
        """Say that somebody has seen to the call."""
        self._session.request("PATCH", f"{CALLS}/{quote(call_id, safe='')}", {"done": True})

    def find_contacts(self, text: str) -> list[dict[str, Any]]:
        """Return contacts by a part of their names or numbers."""
        query = urlencode({"q": text, "page_size": 10})
        return list(self._session.request("GET", f"/api/v1/contacts?{query}").json["results"])


def _now() -> str:
    return datetime.now(UTC).isoformat()
