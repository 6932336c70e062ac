"""The form of a contact in the administration."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget, AutocompleteSelect
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.contact_form import build_input, is_long, name_input
from cmphone.contacts.models import Contact, ContactKind, User
from cmphone.contacts.selectors import list_contacts
from cmphone.contacts.services import ContactDraft, find_draft_errors


class ContactForm(forms.ModelForm):
    """What all contacts have.  `build_contact_form` adds the fields of the contact model, and sets `rules` and `kind`.

    A valid form has the `draft` to be saved.
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

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        contact = self.instance if self.instance.pk else None
        self.draft = ContactDraft(
            customer_group_id=self.rules.id,
            kind=self.kind,
            fields={rule.name: cleaned.get(name_input(rule)) or "" for rule in self.rules.fields.get(self.kind, ())},
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
        return cleaned

    def _post_clean(self) -> None:
        """Leave the contact as it was read: what changes in it is for its service to find out."""


def build_contact_form(*, rules: GroupRules, kind: str, user: User) -> type[ContactForm]:
    """Return the form of a contact of this kind and customer group, in the language in force."""
    fields = rules.fields.get(kind, ())
    inputs: dict[str, Any] = {name_input(rule): build_input(rule, AdminTextInputWidget) for rule in fields}
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
