"""The form of a contact in the administration."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget, AutocompleteSelect
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration import FieldRule, GroupRules
from cmphone.contacts.contact_form import build_input, is_long, name_input, unify_line_ends
from cmphone.contacts.models import Contact, ContactKind, User
from cmphone.contacts.selectors import list_contacts
from cmphone.contacts.services import ContactDraft, draft_contact, find_draft_errors


class ContactForm(forms.ModelForm):
    """What all contacts have.  `build_contact_form` adds the fields of the contact model, and sets `rules` and `kind`.

    A valid form has the `draft` to be saved.  The form of a contact that is there also has its version: where somebody
    else has saved it meanwhile, that is told once, and nothing is saved.
    """

    rules: GroupRules
    kind: str
    draft: ContactDraft

    class Meta:
        model = Contact
        fields = ["external_id", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.instance.customer_group_id = self.rules.id
            self.instance.kind = self.kind
        for rule in self.rules.fields.get(self.kind, ()):
            value = self.instance.fields.get(rule.name)
            if value is not None:
                self.initial.setdefault(name_input(rule), value)
                if is_long(value):
                    self.fields[name_input(rule)].widget = AdminTextareaWidget(attrs={"rows": 4})
        if "company" in self.fields:
            self.initial.setdefault("company", self.instance.company_id)
        self.initial["version"] = self.instance.version

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        contact = self.instance if self.instance.pk else None
        self.draft = ContactDraft(
            customer_group_id=self.rules.id,
            kind=self.kind,
            fields={rule.name: self._read_value(rule) for rule in self.rules.fields.get(self.kind, ())},
            company=cleaned.get("company") if "company" in self.fields else self.instance.company,
            external_id=cleaned.get("external_id") or "",
            is_active=bool(cleaned.get("is_active")),
            contact=contact,
        )
        has_errors = bool(self.errors)
        for key, messages in find_draft_errors(self.draft, self.rules).items():
            # A value that was refused already is missing in the draft, which may then be empty.
            if key in self.fields or not has_errors:
                self.add_error(key if key in self.fields else None, messages)
        others = Contact.objects.filter(customer_group=self.rules.id, external_id=self.draft.external_id)
        if self.draft.external_id and others.exclude(pk=self.instance.pk).exists():
            self.add_error("external_id", _("The customer group has a contact with this external id already."))
        if contact is not None and cleaned.get("version") != contact.version:
            self._tell_of_other(contact)
        return cleaned

    def _read_value(self, rule: FieldRule) -> str:
        """Return what is to be in a field; what was not touched as it is, whatever line ends a browser sends."""
        sent = unify_line_ends(self.cleaned_data.get(name_input(rule)) or "")
        kept = self.instance.fields.get(rule.name, "")
        return kept if unify_line_ends(kept) == sent else sent

    def _tell_of_other(self, contact: Contact) -> None:
        """Refuse to write over what somebody else saved since the page was shown; who saves again has seen it."""
        self.add_error(
            None,
            _(
                "Somebody else has changed this contact since you opened the page, so nothing is saved yet. "
                "What is another value by now is marked. Saving again makes it as it stands here."
            ),
        )
        wanted = self._list_values(self.draft)
        for name, value in self._list_values(draft_contact(contact, self.rules)).items():
            if name in self.fields and name not in self.errors and value != wanted[name]:
                shown = {True: gettext("yes"), False: gettext("no")}.get(value, value or gettext("empty"))
                self.add_error(name, gettext("It is now: %s") % shown)
        sent: Any = self.data
        data = sent.copy()
        data[self.add_prefix("version")] = str(contact.version)
        self.data = data

    def _list_values(self, draft: ContactDraft) -> dict[str, Any]:
        """Return by input what a draft would make of a contact."""
        values = {name_input(rule): draft.fields.get(rule.name, "") for rule in self.rules.fields.get(self.kind, ())}
        return {**values, "company": draft.company, "is_active": draft.is_active, "external_id": draft.external_id}

    def _post_clean(self) -> None:
        """Leave the contact as it was read: what changes in it is for its service to find out."""


def build_contact_form(*, rules: GroupRules, kind: str, user: User) -> type[ContactForm]:
    """Return the form of a contact of this kind and customer group, in the language in force."""
    fields = rules.fields.get(kind, ())
    # Not the column of the contact: that counts up by itself.
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    inputs: dict[str, Any] = {"version": version}
    inputs |= {name_input(rule): build_input(rule, AdminTextInputWidget) for rule in fields}
    if kind == ContactKind.PERSON and rules.has_companies:
        inputs["company"] = forms.ModelChoiceField(
            label=capfirst(_("company")),
            queryset=list_contacts(user).filter(customer_group_id=rules.id, kind=ContactKind.COMPANY),
            required=False,
            widget=_CompanySelect(rules.id),
        )
    return type("ContactForm", (ContactForm,), {**inputs, "rules": rules, "kind": kind})


class _CompanySelect(AutocompleteSelect):
    """Offers the companies of one customer group, found by typing."""

    def __init__(self, group_id: int) -> None:
        super().__init__(Contact._meta.get_field("company"), admin.site)
        self._group_id = group_id

    def get_url(self) -> str:
        return f"{super().get_url()}?{urlencode({'customer_group': self._group_id})}"
