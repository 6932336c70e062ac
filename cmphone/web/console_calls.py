"""How the console tells of calls before its script takes over; cmphone/static/cmphone/console/calls.js does the same.

Both begin with a call as the API answers it, which is also what streams tell.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy

Described = Mapping[str, Any]

MISSED_AT_MOST = 30
RECENT_AT_MOST = 30

# By the names that the script knows them by; it puts in what stands in braces.
TEXTS = {
    "incoming": gettext_lazy("Incoming call"),
    "outgoing": gettext_lazy("Outgoing call"),
    "answered": gettext_lazy("In a call"),
    "ended": gettext_lazy("Call ended"),
    "missed": gettext_lazy("Missed call"),
    "done": gettext_lazy("Missed, done"),
    "withheld": gettext_lazy("Number withheld"),
    "withheld_hint": gettext_lazy("The caller does not show a number."),
    "unknown": gettext_lazy("Unknown caller"),
    "unknown_hint": gettext_lazy("No contact has this number."),
    "several": gettext_lazy("Several contacts"),
    "choose": gettext_lazy("Who is calling?"),
    "more": gettext_lazy("There are more contacts with this number."),
    "company_hint": gettext_lazy("Nobody has the whole number; it belongs to this company."),
    "tail_hint": gettext_lazy("Only the end of the number matches. Ask who is calling."),
    "line": gettext_lazy("line {line}"),
    "reported_by": gettext_lazy("reported by {name}"),
    "called_back": gettext_lazy("called back by {name}"),
    "called_back_by_nobody": gettext_lazy("called back"),
    "done_by": gettext_lazy("done by {name}"),
}
# What only the script says.
SCRIPT_TEXTS = {
    "rings": gettext_lazy("{who} calls. {where}"),
    "is_answered": gettext_lazy("Answered: {who}"),
    "is_missed": gettext_lazy("Missed: {who}"),
    "is_ended": gettext_lazy("Ended: {who}"),
    "title": gettext_lazy("☎ {who}"),
    "not_connected": gettext_lazy("Not connected: new calls do not show. Trying again …"),
    "late": gettext_lazy("No live connection: new calls show up to 30 seconds late. Trying again …"),
    "connected_again": gettext_lazy("Connected again. Calls show at once."),
    "logged_out": gettext_lazy("You are logged out: new calls do not show."),
    "marked_done": gettext_lazy("Done: {who}"),
    "failed": gettext_lazy("That did not work. Try again."),
    "no_results": gettext_lazy("No contact that you may view has this in its name or numbers."),
    "results": gettext_lazy("Found: {count}. Choose with the arrow keys."),
    "more_results": gettext_lazy("Show all contacts with “{text}”"),
    "search_failed": gettext_lazy("The search did not work. Try again."),
    "elsewhere": gettext_lazy("Calls pop up in the window of the console that you used last."),
    "notifications_denied": gettext_lazy("The browser does not allow this page to notify you: see its settings."),
    "click_for_sound": gettext_lazy("Click anywhere here: until then the browser keeps this page silent."),
}


@dataclass(frozen=True, slots=True)
class ShownContact:
    """One of those who may have called."""

    name: str
    url: str
    detail: str
    new_case_url: str | None


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call in words.  `who_url` leads to the one contact who has the number, None if it is not one."""

    call: Described
    kind: str
    who: str
    who_url: str | None
    hint: str
    contacts: tuple[ShownContact, ...]
    time: datetime | None
    facts: tuple[str, ...]

    @property
    def is_missed(self) -> bool:
        return bool(self.call["missed"] and not self.call["done"])

    @property
    def is_choice(self) -> bool:
        return len(self.contacts) > 1

    @property
    def new_case_url(self) -> str | None:
        return self.contacts[0].new_case_url if len(self.contacts) == 1 else None


def show_call(call: Described, *, user_id: int) -> ShownCall:
    """Return a call in words, for this user."""
    contacts = tuple(_show_contact(each) for each in call["lookup"]["contacts"])
    only = contacts[0] if len(contacts) == 1 else None
    return ShownCall(
        call,
        kind=str(TEXTS[_find_kind(call)]),
        who=_name(call, contacts),
        who_url=only.url if only else None,
        hint=_find_hint(call),
        contacts=contacts,
        time=parse_datetime(call["started_at"]),
        facts=tuple(_list_facts(call, str(user_id))),
    )


def show_calls(calls: Iterable[Described], *, user_id: int) -> dict[str, Any]:
    """Return what the first state of the page has: calls of now, missed ones and the last."""
    shown = [show_call(call, user_id=user_id) for call in calls]
    return {
        "now": [each for each in shown if _is_live(each.call, str(user_id))],
        "missed": [each for each in shown if each.is_missed][:MISSED_AT_MOST],
        "recent": shown[:RECENT_AT_MOST],
    }


def _is_live(call: Described, user_id: str) -> bool:
    # What a colleague has answered is over for everybody else.
    is_his = bool(call["reported_by"]) and call["reported_by"]["id"] == user_id
    return call["state"] == "ringing" or (call["state"] == "answered" and is_his)


def _find_kind(call: Described) -> str:
    if call["missed"]:
        return "done" if call["done"] else "missed"
    return str(call["direction"] if call["state"] == "ringing" else call["state"])


def _name(call: Described, contacts: tuple[ShownContact, ...]) -> str:
    if len(contacts) == 1:
        return contacts[0].name or "–"
    if contacts:
        is_asking = call["state"] == "ringing" and call["direction"] == "incoming"
        return str(TEXTS["choose" if is_asking else "several"])
    return str(TEXTS["withheld" if call["number"]["kind"] == "withheld" else "unknown"])


def _find_hint(call: Described) -> str:
    if call["lookup"]["more"]:
        return str(TEXTS["more"])
    hints = {"withheld": "withheld_hint", "none": "unknown_hint", "company": "company_hint", "tail": "tail_hint"}
    name = hints.get(call["lookup"]["match"])
    return str(TEXTS[name]) if name else ""


def _show_contact(contact: Described) -> ShownContact:
    company = contact["company"]["name"] if contact["company"] else ""
    details = [contact["customer_group"]["name"]]
    if company and company not in contact["name"]:
        details.insert(0, company)
    return ShownContact(contact["name"], contact["url"], " · ".join(details), contact["create_case_url"])


def _list_facts(call: Described, user_id: str) -> Iterable[str]:
    if call["line"]:
        yield str(TEXTS["line"]).format(line=call["line"])
    if (by := call["reported_by"]) and by["id"] != user_id:
        yield str(TEXTS["reported_by"]).format(name=by["display_name"])
    if call["called_back_at"]:
        by = call["called_back_by"]
        text = TEXTS["called_back"] if by else TEXTS["called_back_by_nobody"]
        yield str(text).format(name=by["display_name"] if by else "")
    if call["done"] and call["done_by"]:
        yield str(TEXTS["done_by"]).format(name=call["done_by"]["display_name"])


def list_texts() -> dict[str, str]:
    """Return every text of the script, in the language of the page."""
    return {name: str(text) for name, text in (TEXTS | SCRIPT_TEXTS).items()}
