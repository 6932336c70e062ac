"""Pages of contacts: the search, and one of them.  How they are written belongs to contact_editing.py."""

import re
from collections.abc import Iterable
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from cmphone.calls.cases import list_cases
from cmphone.calls.selectors import list_calls
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.searching import MAX_BOX_LENGTH, Place, Search, list_plans, read_box, search_contacts
from cmphone.contacts.selectors import list_contacts
from cmphone.contacts.services import is_storable
from cmphone.web.log_in import current_user, for_users
from cmphone.web.viewing import ShownField, Viewer

PER_PAGE = 50
CASES_PER_PAGE = 20
CALLS_SHOWN = 20
_id = re.compile("[0-9]{1,18}", re.ASCII)


@require_safe
@for_users
def search(request: HttpRequest) -> HttpResponse:
    """Show the contacts that a text finds, in the order of their names; without a text all of them."""
    viewer = Viewer(current_user(request))
    after = _find_place(viewer, request.GET.get("after", ""))
    text, found = find_contacts(viewer, request.GET.get("q", ""), after=after, limit=PER_PAGE + 1)
    page = found[:PER_PAGE]
    context = {
        "text": text,
        "max_length": MAX_BOX_LENGTH,
        "contacts": viewer.show_contacts(page),
        "has_groups": len(viewer.viewable) > 1,
        "is_first": after is None,
        "first_url": f"?{urlencode({'q': text})}",
        "next_url": f"?{urlencode({'q': text, 'after': str(page[-1].pk)})}" if len(found) > PER_PAGE else "",
    }
    return render(request, "web/contacts.html", context)


def find_contacts(viewer: Viewer, typed: str, *, after: Place | None = None, limit: int) -> tuple[str, list[Contact]]:
    """Return the text that is searched for, and the first contacts that it finds; all of them where it is empty."""
    text = typed[:MAX_BOX_LENGTH].strip()
    if not is_storable(text):
        text = ""
    box = read_box(text, viewer.configuration.site, list_plans(viewer.configuration, viewer.viewable))
    # Also those that are not active: whoever looks for one by name wants to know that it is there.
    search = Search(viewer.viewable, (box,) if box else (), is_active=None)
    return text, search_contacts(search, after=after, limit=limit)


def _find_place(viewer: Viewer, contact_id: str) -> Place | None:
    """Return the place behind a contact; None, where everything begins, if he may view none of this id."""
    if not _id.fullmatch(contact_id):
        return None
    last = list_contacts(viewer.user).filter(pk=int(contact_id)).values_list("name", flat=True).first()
    return None if last is None else Place(last, int(contact_id))


@require_safe
@for_users
def show_contact(request: HttpRequest, id: int) -> HttpResponse:
    """Show a contact, with its persons and its cases, and what he may do with it."""
    viewer = Viewer(current_user(request))
    contact = viewer.get_contact(id)
    rights = viewer.get_rights(contact)
    company = contact.company
    cases = list_cases(viewer.user).filter(contact=contact)
    fields = viewer.show_fields(contact)
    context = {
        "contact": contact,
        "group": viewer.show_group(contact),
        "fields": fields,
        **_show_calls(viewer, fields),
        "company": company,
        "company_url": viewer.make_url(company) if company else "",
        "can_edit": rights.edit,
        "new_case_url": viewer.make_new_case_url(contact) if rights.create_case else "",
        "cases": _page(cases.select_related("queue", "created_by"), CASES_PER_PAGE, request, "cases"),
        **(_show_persons(request, viewer, contact) if contact.kind == ContactKind.COMPANY else {}),
    }
    return render(request, "web/contact.html", context)


def _show_calls(viewer: Viewer, fields: Iterable[ShownField]) -> dict[str, Any]:
    """Return the last calls that he may see from and to the numbers in these fields."""
    numbers = {each.reading.canonical: each.display for field in fields for each in field.numbers}
    numbers.pop("", None)
    if not numbers:
        return {}
    calls = list_calls(viewer.user).filter(canonical__in=numbers).select_related("reporter")
    found = [(call, numbers[call.canonical]) for call in calls[: CALLS_SHOWN + 1]]
    return {"has_calls": True, "calls": found[:CALLS_SHOWN], "more_calls": len(found) > CALLS_SHOWN}


def _show_persons(request: HttpRequest, viewer: Viewer, company: Contact) -> dict[str, Any]:
    rules = viewer.get_rules(company)
    if not rules.has_persons:
        return {}
    # They are of its customer group, which he may view.
    persons = Contact.objects.filter(company=company).select_related("company").order_by("name", "id")
    page = _page(persons, PER_PAGE, request, "persons")
    query = urlencode({"place": f"{rules.id}-{ContactKind.PERSON}", "company": str(company.pk)})
    can_create = viewer.get_rights(company).create
    return {
        "has_persons": True,
        "persons": page,
        "shown_persons": viewer.show_contacts(page),
        "new_person_url": f"{reverse('new_contact')}?{query}" if can_create else "",
    }


def _page(rows: QuerySet[Any], size: int, request: HttpRequest, parameter: str) -> Page[Any]:
    return Paginator(rows, size).get_page(request.GET.get(parameter))
