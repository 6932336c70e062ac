"""Pages of cases: all, one, and the form of a new one.  Who may do which is for calls/cases.py to say."""

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from cmphone.calls.cases import (
    MAX_DESCRIPTION,
    MAX_SUBJECT,
    create_case,
    find_contact,
    list_cases,
    list_known_queues,
    list_queues,
)
from cmphone.contacts.models import Contact, Queue, User
from cmphone.idempotency import make_key
from cmphone.problems import Conflict, NotFound, PermissionDenied
from cmphone.web.log_in import current_user, for_users
from cmphone.web.viewing import Viewer

PER_PAGE = 50
_id = re.compile("[0-9]{1,18}", re.ASCII)


class CaseForm(forms.Form):
    """A new case of a contact.  `key` makes that it is made once, however often the form is sent."""

    queue = forms.ModelChoiceField(label=capfirst(_("queue")), queryset=Queue.objects.none())
    subject = forms.CharField(
        label=capfirst(_("subject line")),
        max_length=MAX_SUBJECT,
        error_messages={"required": _("Say in a few words what it is about.")},
    )
    description = forms.CharField(
        label=capfirst(_("description")),
        required=False,
        max_length=MAX_DESCRIPTION,
        widget=forms.Textarea(attrs={"rows": 8}),
    )
    key = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: Any, *, user: User, contact: Contact) -> None:
        super().__init__(data, initial={"key": make_key()})
        queues = list_queues(user, contact.customer_group_id)
        first_two = list(queues[:2])
        if not first_two:
            raise PermissionDenied(gettext("You may not create cases of this contact."))
        self.fields["queue"].queryset = queues  # type: ignore[attr-defined]  # a field of choices
        if len(first_two) == 1:
            self.initial["queue"] = first_two[0]
        if not self.is_bound:
            self.fields["queue" if len(first_two) > 1 else "subject"].widget.attrs["autofocus"] = True


@require_http_methods(["GET", "HEAD", "POST"])
@for_users
def make_case(request: HttpRequest) -> HttpResponse:
    """Show the form of a new case of a contact, or make one."""
    user = current_user(request)
    named = request.GET.get("contact", "")
    if not named:
        messages.info(request, gettext("Choose the contact of the case first."))
        return redirect("contacts")
    if (contact := find_contact(user, named)) is None:
        raise NotFound
    data = request.POST.copy() if request.method == "POST" else None
    form = CaseForm(data, user=user, contact=contact)
    if data is not None and form.is_valid():
        said = form.cleaned_data
        try:
            created = create_case(
                user,
                contact=named,
                queue=str(said["queue"].pk),
                subject=said["subject"],
                description=said["description"],
                idempotency_key=said["key"] or None,
            )
        except ValidationError as error:
            for key, errors in error.error_dict.items():
                form.add_error(key if key in form.fields else None, errors)
        except Conflict:
            # Somebody went back to the form in his browser, and wrote another case into it.
            form.add_error(None, _("A case was created with this form before. Send it again to create another one."))
            data["key"] = make_key()
        else:
            messages.success(request, gettext("The case %s is created.") % created.case)
            return redirect("case", case_id=created.case.pk)
    viewer = Viewer(user)
    context = {"form": form, "contact": contact, "contact_url": viewer.make_url(contact)}
    return render(request, "web/new_case.html", context)


@require_safe
@for_users
def show_cases(request: HttpRequest) -> HttpResponse:
    """Show the cases that he may read, all or those of a queue, the newest first."""
    viewer = Viewer(current_user(request))
    queues = list(list_known_queues(viewer.user))
    named = request.GET.get("queue", "")
    queue = next((each for each in queues if str(each.pk) == named), None)
    if named and queue is None:
        raise NotFound
    cases = list_cases(viewer.user).filter(contact__customer_group__in=viewer.viewable)
    if queue is not None:
        cases = cases.filter(queue=queue)
    before = request.GET.get("before", "")
    if not (is_first := _id.fullmatch(before) is None):
        cases = cases.filter(pk__lt=int(before))
    found = list(cases.select_related("contact", "queue", "created_by")[: PER_PAGE + 1])
    page, has_more = found[:PER_PAGE], len(found) > PER_PAGE
    context = {
        "queues": queues,
        "queue": queue,
        "shown_cases": [(case, viewer.make_url(case.contact)) for case in page],
        "is_first": is_first,
        "first_url": f"?{urlencode({'queue': named})}",
        "next_url": f"?{urlencode({'queue': named, 'before': str(page[-1].pk)})}" if has_more else "",
    }
    return render(request, "web/cases.html", context)


@require_safe
@for_users
def show_case(request: HttpRequest, case_id: int) -> HttpResponse:
    """Show a case, with how to reach its contact."""
    viewer = Viewer(current_user(request))
    cases = list_cases(viewer.user).select_related("contact__company", "queue", "created_by")
    case = cases.filter(pk=case_id).first()
    if case is None or case.contact.customer_group_id not in viewer.viewable:
        raise NotFound
    contact = case.contact
    context = {
        "case": case,
        "contact_url": viewer.make_url(contact),
        "company_url": viewer.make_url(contact.company) if contact.company else "",
        "numbers": [field for field in viewer.show_fields(contact) if field.numbers],
    }
    return render(request, "web/case.html", context)


@require_safe
def lead_to_new_case(request: HttpRequest, id: int) -> HttpResponse:
    """Lead to the form of a new case for the contact; whether there is one is for that page to say."""
    return redirect(f"{reverse('new_case')}?contact={id}")
