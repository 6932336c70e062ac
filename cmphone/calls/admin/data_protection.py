"""Admin page of one contact's data protection: what is stored of it, its export, and its erasure.

For superusers alone: to everybody else it is not there, whether the contact is or not.
"""

from typing import Any

import orjson
from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.models import CHANGE
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.calls.data_protection import Extent, erase_person, export_person, get_person, measure_person
from cmphone.contacts.admin.rights import require_user
from cmphone.contacts.editing import log_contact
from cmphone.contacts.erasure_models import ErasureReason
from cmphone.contacts.models import Contact
from cmphone.problems import Conflict, NotFound


class ErasureForm(forms.Form):
    """Why a contact is erased, and its id, typed, so that nobody erases another one by a slip."""

    reason = forms.ChoiceField(
        label=_("Reason"),
        # The other one is the clock's.
        choices=[("", "---------"), *(each for each in ErasureReason.choices if each[0] != ErasureReason.RETENTION)],
    )
    leaves_persons = forms.BooleanField(label=_("Its persons stay, without a company"), required=False)
    typed_id = forms.CharField(label=_("Id of the contact"), max_length=20)

    def __init__(self, contact: Contact, extent: Extent, *args: Any) -> None:
        super().__init__(*args)
        self._id = str(contact.pk)
        self.fields["typed_id"].help_text = gettext("Type %s to confirm.") % self._id
        self.fields["typed_id"].widget.attrs["autocomplete"] = "off"
        if not extent.persons:
            del self.fields["leaves_persons"]

    def clean_typed_id(self) -> str:
        typed: str = self.cleaned_data["typed_id"].strip()
        if typed != self._id:
            raise ValidationError(gettext("That is not the id of this contact."))
        return typed


def show_data_protection(request: HttpRequest, contact_id: int, site: AdminSite) -> HttpResponse:
    """Show what is stored of a contact; export or erase it where that was asked for."""
    user = require_user(request)
    try:
        contact, extent = get_person(user, contact_id), measure_person(user, contact_id)
        if "_export" in request.POST:
            return _export(request, contact)
        form = ErasureForm(contact, extent, *([request.POST] if request.method == "POST" else []))
        if form.is_valid() and _erase(request, contact, form):
            return HttpResponseRedirect(reverse("admin:contacts_contact_changelist"))
    except NotFound as error:
        raise Http404 from error
    context = {
        **site.each_context(request),
        "title": _("Data protection"),
        "opts": Contact._meta,
        "contact": contact,
        "rows": list(_list_rows(extent).items()),
        "extent": extent,
        "form": form,
    }
    return TemplateResponse(request, "admin/calls/contact/data_protection.html", context)


def _list_rows(extent: Extent) -> dict[str, int]:
    return {
        gettext("indexed numbers"): extent.numbers,
        gettext("changes in its history"): extent.changes,
        gettext("cases"): extent.cases,
        gettext("calls from and to its numbers"): extent.calls,
        gettext("lines in reports of imports"): extent.reported_lines,
        gettext("entries of directories"): extent.directories,
        gettext("files that wait for their import into the customer group"): extent.files,
    }


def _export(request: HttpRequest, contact: Contact) -> HttpResponse:
    user = require_user(request)
    data = export_person(user, contact.pk)
    log_contact(contact, user=user, action=CHANGE, message=gettext("exported for data protection"))
    body = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
    name = f"contact-{contact.pk}.json"
    return HttpResponse(
        body, content_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _erase(request: HttpRequest, contact: Contact, form: ErasureForm) -> bool:
    """Erase the contact, and say whether that could be; why not, the form tells."""
    reason = ErasureReason(form.cleaned_data["reason"])
    leaves_persons = form.cleaned_data.get("leaves_persons", False)
    try:
        erase_person(require_user(request), contact.pk, reason=reason, leaves_persons=leaves_persons)
    except Conflict as error:
        form.add_error(None, error.detail)
        return False
    except ValidationError as error:
        text = gettext("One of its persons cannot be saved without it: %s")
        form.add_error(None, text % " ".join(error.messages))
        return False
    # By its id: the message must not name it again.
    messages.success(request, gettext("Contact %d was erased.") % contact.pk)
    return True
