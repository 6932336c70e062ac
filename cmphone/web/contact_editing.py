"""Pages on which agents make and change contacts.  Who may do which is for contacts/editing.py to say."""

import re
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from cmphone.calls.cases import find_contact
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.editing import Editor, KeyIsTaken, change_contact, create_contact, prepare_contact
from cmphone.contacts.models import Contact, ContactKind, User, Way
from cmphone.contacts.services import draft_contact
from cmphone.contacts.writing import Author
from cmphone.content_policy import allow_to_lead
from cmphone.idempotency import make_key
from cmphone.problems import PermissionDenied, PreconditionFailed
from cmphone.web.contact_form import ContactForm
from cmphone.web.log_in import current_user, for_users
from cmphone.web.viewing import Viewer

LONGEST_NUMBER = 100
_place = re.compile("([0-9]{1,18})-(person|company)", re.ASCII)


@require_http_methods(["GET", "HEAD", "POST"])
@for_users
def make_contact(request: HttpRequest) -> HttpResponse:
    """Show the form of a new contact with the number of a caller, or make one, and lead on to a case of it."""
    user = current_user(request)
    editor = Editor(user, get_current_configuration())
    places = _list_places(editor, user)
    asked = request.POST.get("place") or request.GET.get("place", "")
    match = _place.fullmatch(asked)
    group_id, kind = match.groups() if match else places[0][0].split("-")
    number = request.GET.get("number", "").strip()[:LONGEST_NUMBER]
    draft = prepare_contact(user, number=number, customer_group=group_id, kind=kind)
    rules = editor.get_creatable(group_id)
    can_view = rules.id in editor.viewable
    if kind == ContactKind.PERSON and can_view:
        company = find_contact(user, request.GET.get("company", ""))
        if company and company.kind == ContactKind.COMPANY and company.customer_group_id == rules.id:
            draft.company = company
    data = request.POST.copy() if request.method == "POST" else None
    form = ContactForm(data, draft=draft, rules=rules, user=user if can_view else None)
    if data is not None and form.is_valid():
        try:
            key = form.cleaned_data["key"] or None
            contact = create_contact(user, form.read_values(), by=Author(user, Way.PAGE), key=key)
        except ValidationError as error:
            _add_errors(form, error)
        except KeyIsTaken as problem:
            # Somebody went back to the form in his browser, and wrote another contact into it.
            form.add_error(None, problem.detail or str(problem.title))
            data["key"] = make_key()
        else:
            messages.success(request, gettext("The contact is saved."))
            return redirect(_find_next(user, contact, number))
    allow_to_lead(request, get_current_configuration().pages.new_case)
    context = {
        "form": form,
        "place": f"{rules.id}-{kind}",
        "places": places,
        "number": number,
        "title": gettext("New person") if kind == ContactKind.PERSON else gettext("New company"),
        "group": rules.label(user.language),
    }
    return render(request, "web/new_contact.html", context)


def _list_places(editor: Editor, user: User) -> list[tuple[str, str]]:
    """Return where the user may make contacts, and what of: a key for the page, and what people read.

    Raises PermissionDenied where there is no such place.
    """
    places = [
        (f"{rules.id}-{kind}", f"{rules.label(user.language)}: {capfirst(str(label))}")
        for rules in editor.list_creatable()
        for kind, label in ContactKind.choices
        if rules.fields.get(kind)
    ]
    if not places:
        raise PermissionDenied(gettext("You may not create contacts."))
    return places


def _find_next(user: User, contact: Contact, number: str) -> str:
    """Return where to go from a new contact: to a case of it, as far as its maker may go."""
    viewer = Viewer(user)
    rights = viewer.get_rights(contact)
    if rights.create_case:
        return viewer.make_new_case_url(contact, number)
    return viewer.make_url(contact) if rights.view else "new_contact"


@require_http_methods(["GET", "HEAD", "POST"])
@for_users
def edit_contact(request: HttpRequest, id: int) -> HttpResponse:
    """Show the form of a contact, or change it, unless somebody else has done so since the form was shown."""
    user = current_user(request)
    configuration = get_current_configuration()
    contact = Editor(user, configuration).get_editable(id, None)
    rules = configuration.groups[contact.customer_group_id]
    data = request.POST if request.method == "POST" else None
    form = ContactForm(data, draft=draft_contact(contact, rules), rules=rules, user=user)
    context: dict[str, Any] = {"contact": contact, "form": form, "changed": None}
    if data is not None and form.is_valid():
        by, expected = Author(user, Way.PAGE), form.expected_version
        try:
            change_contact(user, id, form.read_values(), by=by, expected_version=expected)
        except ValidationError as error:
            _add_errors(form, error)
        except PreconditionFailed as problem:
            contact = Editor(user, configuration).get_editable(id, None)
            context["form"], context["changed"] = form.merge(draft_contact(contact, rules))
            return render(request, "web/edit_contact.html", context | {"contact": contact}, status=problem.status)
        else:
            messages.success(request, gettext("The contact is saved."))
            return redirect("contact", id=id)
    return render(request, "web/edit_contact.html", context)


def _add_errors(form: ContactForm, error: ValidationError) -> None:
    """Put the errors of the services at their inputs, and those of no input at the top."""
    for key, errors in error.error_dict.items():
        form.add_error(key if key in form.fields else None, errors)
