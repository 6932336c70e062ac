"""The page of number quality: which indexed numbers find nobody as they should, or find many.

Like the page of contacts it is for everybody who may view some; what he may not view is in no row, count or choice.
No number stands in an address: addresses are kept in logs.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override as override_language

from cmphone.contacts.admin.readings import describe, label_field
from cmphone.contacts.admin.rights import list_viewable
from cmphone.contacts.configuration import Configuration, get_current_configuration
from cmphone.contacts.models import DoubtfulNumber
from cmphone.csv_cells import choose_delimiter, write_csv
from numbering.quality import (
    DoubtfulEntry,
    Place,
    Problem,
    SharedNumber,
    count_doubtful,
    count_shared,
    find_canonical,
    list_doubtful,
    list_shared,
)

SHARED = "shared"
# What a page may ask for, in the order of its tabs.
PROBLEMS: dict[str, str | Promise] = {
    "": _("Unreadable or impossible"),
    "unreadable": _("Unreadable"),
    "impossible": _("Impossible in their country"),
    SHARED: _("Shared by many contacts"),
}
_doubtful: dict[str, Problem | None] = {"": None, "unreadable": "unreadable", "impossible": "impossible"}
PER_PAGE = 50
PER_CHUNK = 2000
SHARED_BY = 5


@dataclass(frozen=True)
class Choice:
    """What the page shows: a problem, of one customer group or all (None), and of one field or all (empty).

    `at_least`: how many contacts a shared number has.  `after`: the key of the last row before the page.
    """

    problem: str = ""
    group: int | None = None
    field: str = ""
    at_least: int = SHARED_BY
    after: tuple[int, ...] = ()

    def query(self) -> str:
        """Return it as a part of an address."""
        values = {
            "problem": self.problem,
            "group": self.group or "",
            "field": self.field,
            "at_least": self.at_least if self.at_least != SHARED_BY else "",
            "after": "-".join(map(str, self.after)),
        }
        return urlencode({name: value for name, value in values.items() if value})


@dataclass(frozen=True)
class Viewable:
    """What he who asks may view of the configuration: customer groups and indexed fields, with their labels."""

    groups: Mapping[int, str]
    fields: Mapping[str, str]

    def place(self, choice: Choice) -> Place:
        """Return where to look for what is chosen."""
        return Place([choice.group] if choice.group else list(self.groups), choice.field)


@admin.register(DoubtfulNumber)
class DoubtfulNumberAdmin(admin.ModelAdmin):
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: DoubtfulNumber | None = None) -> bool:
        return bool(list_viewable(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: DoubtfulNumber | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DoubtfulNumber | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="contacts_doubtfulnumber_changelist"),
            path("csv/", view(self.csv_view), name="contacts_doubtfulnumber_csv"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a page of the numbers with the problem that was chosen, and how many have each."""
        configuration = get_current_configuration()
        viewable = self._require_viewable(request, configuration)
        choice = _read_choice(request, viewable)
        place = viewable.place(choice)
        if choice.problem == SHARED:
            after = find_canonical(place, entry_id=choice.after[0]) if choice.after else ""
            shared = list_shared(place, at_least=choice.at_least, limit=PER_PAGE + 1, after=after)
            rows = [_describe_shared(each, viewable) for each in shared[:PER_PAGE]]
            next_key: tuple[int, ...] | None = (shared[PER_PAGE - 1].entry_id,) if len(shared) > PER_PAGE else None
        else:
            key = (choice.after[0], choice.after[1]) if len(choice.after) == 2 else (0, 0)
            doubtful = list_doubtful(place, problem=_doubtful[choice.problem], limit=PER_PAGE + 1, after=key)
            rows = [_describe_entry(each, viewable) for each in doubtful[:PER_PAGE]]
            next_key = doubtful[PER_PAGE - 1].key if len(doubtful) > PER_PAGE else None
        context = {
            **self.admin_site.each_context(request),
            "title": _("Number quality"),
            "opts": self.opts,
            "choice": choice,
            "is_shared": choice.problem == SHARED,
            "rows": rows,
            "tabs": _list_tabs(choice, place),
            "groups": viewable.groups.items(),
            "fields": viewable.fields.items(),
            "csv_query": replace(choice, after=()).query(),
            "first_query": replace(choice, after=()).query() if choice.after else None,
            "next_query": replace(choice, after=next_key).query() if next_key else None,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/contacts/doubtfulnumber/change_list.html", context)

    def csv_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """Send all of the list that was chosen, however long, as a file for a spreadsheet."""
        configuration = get_current_configuration()
        viewable = self._require_viewable(request, configuration)
        choice = _read_choice(request, viewable)
        language = get_language() or "en"
        lines = _list_lines(choice, viewable, language, request.build_absolute_uri)
        response = StreamingHttpResponse(
            write_csv(lines, delimiter=choose_delimiter(language)), content_type="text/csv; charset=utf-8"
        )
        name = f"numbers-{choice.problem or 'doubtful'}-{timezone.localdate():%Y-%m-%d}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def _require_viewable(self, request: HttpRequest, configuration: Configuration) -> Viewable:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in {"GET", "HEAD"}:
            raise Http404
        return _find_viewable(request, configuration)


def _find_viewable(request: HttpRequest, configuration: Configuration) -> Viewable:
    groups = [configuration.groups[id] for id in list_viewable(request) if id in configuration.groups]
    language = get_language() or "en"
    fields = [rule for rules in groups for of_kind in rules.fields.values() for rule in of_kind if rule.indexed]
    return Viewable(
        groups=dict(sorted(((each.id, each.label(language)) for each in groups), key=lambda each: each[1])),
        # Of fields with one name and several labels, the first.
        fields={rule.name: label_field(rule) for rule in sorted(fields, key=label_field, reverse=True)},
    )


def _read_choice(request: HttpRequest, viewable: Viewable) -> Choice:
    """Return what the address asks for; what is not there, or hidden, counts as not asked for."""
    values = request.GET
    group = _read_number(values.get("group", ""))
    at_least = _read_number(values.get("at_least", ""))
    after = values.get("after", "")
    return Choice(
        problem=values.get("problem", "") if values.get("problem", "") in PROBLEMS else "",
        group=group if group in viewable.groups else None,
        field=values.get("field", "") if values.get("field", "") in viewable.fields else "",
        at_least=min(at_least, 1_000_000) if at_least >= 2 else SHARED_BY,
        after=tuple(map(int, after.split("-"))) if re.fullmatch("[0-9]{1,18}(-[0-9]{1,18})?", after) else (),
    )


def _read_number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def _list_tabs(choice: Choice, place: Place) -> list[dict[str, Any]]:
    counts = count_doubtful(place)
    counts |= {"": sum(counts.values()), SHARED: count_shared(place, at_least=choice.at_least)}
    return [
        {
            "label": label,
            "count": number_format(counts[problem], force_grouping=True),
            "query": replace(choice, problem=problem, after=()).query(),
            "is_current": problem == choice.problem,
        }
        for problem, label in PROBLEMS.items()
    ]


def _describe_entry(entry: DoubtfulEntry, viewable: Viewable) -> dict[str, Any]:
    return {
        "number": describe(entry.reading),
        "group": viewable.groups.get(entry.customer_group_id, ""),
        "field": viewable.fields.get(entry.field, entry.field),
        "contact": entry.contact_name,
        "url": reverse("admin:contacts_contact_change", args=[entry.contact_id]),
    }


def _describe_shared(shared: SharedNumber, viewable: Viewable) -> dict[str, Any]:
    return {
        "number": describe(shared.reading),
        "groups": ", ".join(sorted(viewable.groups.get(id, "") for id in shared.customer_groups)),
        "contacts": number_format(shared.contacts, force_grouping=True),
        "count": shared.contacts,
        "url": f"{reverse('admin:contacts_contact_changelist')}?number_of_entry={shared.entry_id}",
    }


# --- the file ---


def _list_lines(
    choice: Choice, viewable: Viewable, language: str, make_url: Callable[[str], str]
) -> Iterator[list[list[object]]]:
    """Yield the lines in chunks, each read when the one before has been sent."""
    place = viewable.place(choice)
    with override_language(language):
        header = _shared_header() if choice.problem == SHARED else _entry_header()
    yield [header]
    if choice.problem == SHARED:
        after = ""
        while chunk := list_shared(place, at_least=choice.at_least, limit=PER_CHUNK, after=after):
            # Between two chunks, the thread may have worked for somebody else.
            with override_language(language):
                lines = [_shared_line(_describe_shared(each, viewable), make_url) for each in chunk]
            yield lines
            after = chunk[-1].key
        return
    key = (0, 0)
    while entries := list_doubtful(place, problem=_doubtful[choice.problem], limit=PER_CHUNK, after=key):
        with override_language(language):
            lines = [_entry_line(_describe_entry(each, viewable), make_url) for each in entries]
        yield lines
        key = entries[-1].key


def _entry_header() -> list[object]:
    number = [gettext("as typed"), gettext("read as"), gettext("canonical number"), gettext("kind"), gettext("reason")]
    return [*number, gettext("customer group"), gettext("field"), gettext("contact"), gettext("address")]


def _entry_line(row: Mapping[str, Any], make_url: Callable[[str], str]) -> list[object]:
    number = row["number"]
    reason = " ".join(map(str, filter(None, (number.doubt, f"({number.reason})"))))
    read = [number.typed, number.display, number.canonical, number.kind, reason]
    return [*read, row["group"], row["field"], row["contact"], make_url(row["url"])]


def _shared_header() -> list[object]:
    number = [gettext("read as"), gettext("canonical number"), gettext("kind")]
    return [*number, gettext("contacts"), gettext("customer groups"), gettext("address")]


def _shared_line(row: Mapping[str, Any], make_url: Callable[[str], str]) -> list[object]:
    number = row["number"]
    read = [number.display or number.typed, number.canonical, number.kind]
    return [*read, row["count"], row["groups"], make_url(row["url"])]
