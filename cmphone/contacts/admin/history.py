"""Puts the history of a contact in words: who changed what, when, and by what way.

Only for whoever may view the contact; a company in it is named only to whoever may view that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import label_for_field
from django.core.paginator import Page, Paginator
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext

from cmphone.contacts.admin.readings import label_field
from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.models import Contact, ContactChange, User
from cmphone.contacts.selectors import list_contacts

PER_PAGE = 50
# Characters of a value, of which a page shows many.
SHOWN = 200
_FIELD = "fields/"


@dataclass(frozen=True)
class Difference:
    """What one change did to one thing.  Without a label, `now` says it all."""

    label: str
    was: str
    now: str


@dataclass(frozen=True)
class Event:
    """A row of the history."""

    at: datetime
    user_name: str
    way: str
    differences: Sequence[Difference]


def list_events(
    contact: Contact, rules: GroupRules, user: User, page: str | None
) -> tuple[Page[ContactChange], list[Event]]:
    """Return a page of the contact's history, newest first, and its rows."""
    rows = Paginator(ContactChange.objects.filter(contact=contact).order_by("-id"), PER_PAGE).get_page(page)
    companies = _find_companies(rows, user)
    labels = {rule.name: label_field(rule) for rule in rules.fields.get(contact.kind, ())}
    return rows, [
        Event(
            change.at,
            change.user_name,
            change.get_way_display(),
            list(_list_differences(change, labels, companies)),
        )
        for change in rows
    ]


def _find_companies(rows: Page[ContactChange], user: User) -> Mapping[str, str]:
    ids = {id for change in rows for id in change.changes.get("company", ()) if id}
    return {str(id): name for id, name in list_contacts(user).filter(pk__in=ids).values_list("id", "name")}


def _list_differences(
    change: ContactChange, labels: Mapping[str, str], companies: Mapping[str, str]
) -> Iterator[Difference]:
    if change.is_new:
        yield Difference("", "", gettext("created"))
        return
    if not change.changes:
        yield Difference("", "", gettext("a field that has been removed since"))
    changes: dict[str, Any] = change.changes
    if "is_active" in changes:
        yield Difference("", "", gettext("restored") if changes["is_active"][1] else gettext("deactivated"))
    if "company" in changes:
        # One that is gone, and one that he may not view, are the same to him.
        unknown = gettext("a company that is not there any more")
        was, now = (companies.get(id, unknown) if id else "" for id in changes["company"])
        yield Difference(capfirst(str(label_for_field("company", Contact))), was, now)
    if "external_id" in changes:
        was, now = (each or "" for each in changes["external_id"])
        yield Difference(capfirst(str(label_for_field("external_id", Contact))), _shorten(was), _shorten(now))
    names = [key.removeprefix(_FIELD) for key in changes if key.startswith(_FIELD)]
    # In the order of the contact model; of what it has no more, by name.
    for name in sorted(names, key=lambda name: ([*labels].index(name) if name in labels else len(labels), name)):
        was, now = (each or "" for each in changes[_FIELD + name])
        yield Difference(labels.get(name, name), _shorten(was), _shorten(now))


def _shorten(text: str) -> str:
    return Truncator(" ".join(text.split()) or text).chars(SHOWN)
