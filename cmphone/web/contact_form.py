"""The form by which agents make and change a contact, and how it goes on top of what somebody else has saved."""

import re
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.contact_form import build_input, is_long, name_input, unify_line_ends
from cmphone.contacts.editing import CompanyKey, ContactValues
from cmphone.contacts.models import Contact, ContactKind, User
from cmphone.contacts.searching import Condition, match_contacts
from cmphone.contacts.selectors import list_contacts
from cmphone.contacts.services import ContactDraft, is_storable
from cmphone.idempotency import make_key

# Of the companies that a text may mean, so many are offered.
COMPANIES_OFFERED = 20
NO_VERSION = -1


class ContactForm(forms.Form):
    """A contact, with an input for every field.  Of one that is there it has the version, too, and beside every value
    the one that it began with: so it knows what of it somebody has changed.

    `user` None: without the company, which not everybody may know who makes contacts.
    """

    def __init__(
        self, data: QueryDict | None, *, draft: ContactDraft, rules: GroupRules, user: User | None = None
    ) -> None:
        super().__init__(data)
        self.draft = draft
        self._sent = data
        self._rules = rules
        self._user = user
        self._company = draft.company
        for rule in rules.fields.get(draft.kind, ()):
            name, value = name_input(rule), draft.fields.get(rule.name, "")
            self._add(name, build_input(rule), value)
            if is_long(value) or is_long(self.data.get(name, "")):
                self.fields[name].widget = forms.Textarea(attrs={"rows": 4})
        if user is not None and draft.kind == ContactKind.PERSON and rules.has_companies:
            self._add_company(user)
        if draft.contact is not None:
            help_text = _("Nobody finds an inactive contact by its number.")
            active = forms.BooleanField(label=capfirst(_("active")), required=False, help_text=help_text)
            self._add("is_active", active, draft.is_active)
            version = forms.CharField(required=False, widget=forms.HiddenInput)
            self.fields["version"] = version
            self.initial["version"] = draft.contact.version
            return
        self.fields["key"] = forms.CharField(widget=forms.HiddenInput, required=False)
        self.initial["key"] = make_key()
        if not self.is_bound and (empty := next((name for name in self.fields if not self.initial[name]), None)):
            # The number of the caller is there already.
            self.fields[empty].widget.attrs["autofocus"] = True

    def _add(self, name: str, field: forms.Field, value: object) -> None:
        field.show_hidden_initial = self.draft.contact is not None
        self.fields[name] = field
        self.initial[name] = value

    def _add_company(self, user: User) -> None:
        """Let a company be named by its name, and where that may be several, be chosen."""
        known = self.draft.company.name if self.draft.company else ""
        help_text = _("Write its name or a part of it. Empty: none.")
        widget = forms.TextInput(attrs={"autocomplete": "off"})
        field = forms.CharField(
            label=capfirst(_("company")), required=False, max_length=300, help_text=help_text, widget=widget
        )
        self._add("company", field, known)
        text = self.data.get("company", "").strip()
        if not self.is_bound or text == known:
            return
        found = _find_companies(user, self._rules.id, text)
        exact = [company for company in found if company.name.casefold() == text.casefold()]
        self._company = exact[0] if len(exact) == 1 else None
        if self._company is None and found:
            more = _("There are more: write more of the name.") if len(found) > COMPANIES_OFFERED else ""
            self._offered = {str(company.pk): company for company in found[:COMPANIES_OFFERED]}
            self.fields["company_id"] = forms.ChoiceField(
                label=_("Which company?"),
                choices=[(id, company.name) for id, company in self._offered.items()],
                widget=forms.RadioSelect,
                help_text=more,
                error_messages={"required": _("Choose the company that you mean.")},
            )

    def clean_company(self) -> str:
        """Say where there is no such company."""
        text: str = self.cleaned_data["company"]
        if text and self._company is None and "company_id" not in self.fields:
            raise forms.ValidationError(_("The customer group has no such company."))
        return text

    def clean_company_id(self) -> str:
        """Take the company that was chosen."""
        chosen: str = self.cleaned_data["company_id"]
        self._company = self._offered[chosen]
        return chosen

    @property
    def expected_version(self) -> int:
        """The version that the form began with; one that no contact has where it names none."""
        text = self.data.get("version", "")
        return int(text) if re.fullmatch("[0-9]{1,9}", text, re.ASCII) else NO_VERSION

    def read_values(self) -> ContactValues:
        """Return what the form says, which is valid: of a contact that is there, what is to be another than before."""
        names = set(self.fields if self.draft.contact is None else self.changed_data)
        rules = [rule for rule in self._rules.fields[self.draft.kind] if name_input(rule) in names]
        values = ContactValues(fields={rule.name: _unify(self.cleaned_data[name_input(rule)]) for rule in rules})
        if "is_active" in names:
            values["is_active"] = self.cleaned_data["is_active"]
        if "company" in names:
            values["company"] = CompanyKey("id", str(self._company.pk)) if self._company else None
        if self.draft.contact is None:
            values |= {"customer_group": str(self._rules.id), "kind": self.draft.kind}
        return values

    def merge(self, draft: ContactDraft) -> tuple["ContactForm", list[forms.BoundField]]:
        """Return the form on top of what somebody else has saved meanwhile, and what he changed.

        What one of them changed alone is as he made it.  Where both did, the input has what stands in this form, and
        beside it stands what the other one wrote.  Nothing is saved by it.
        """
        fresh = ContactForm(None, draft=draft, rules=self._rules, user=self._user)
        data = QueryDict(mutable=True) if self._sent is None else self._sent.copy()
        notes: dict[str, str] = {}
        for name, field in fresh.fields.items():
            theirs = _unify(fresh.initial[name])
            if name == "version":
                data[name] = theirs
                continue
            initial = self.add_initial_prefix(name)
            began = _unify(field.to_python(self.data.get(initial)))
            mine = _unify(self.cleaned_data.get(name, began))
            if theirs == began:
                continue
            data[initial] = theirs
            if mine == began:
                # A checkbox that is not ticked is not sent.
                data[name] = theirs or ""
                notes[name] = _note(gettext("Somebody else has changed this meanwhile. Before, it was:"), began)
            elif mine != theirs:
                notes[name] = _note(gettext("Somebody else has changed this, too. The other value is:"), theirs)
        merged = ContactForm(data, draft=draft, rules=self._rules, user=self._user)
        for name, note in notes.items():
            merged.fields[name].help_text = note
        return merged, [merged[name] for name in notes]


def _unify(value: Any) -> Any:
    """Return a value, its line ends as they are kept."""
    return unify_line_ends(value) if isinstance(value, str) else value


def _note(what: str, value: object) -> str:
    shown = {True: gettext("yes"), False: gettext("no"), "": gettext("empty")}.get(value, value)
    return format_html('<span class="meanwhile">{} <strong>{}</strong></span>', what, shown)


def _find_companies(user: User, group_id: int, text: str) -> list[Contact]:
    """Return the companies whose name has the words of a text, one more than are offered at most."""
    if not text or not is_storable(text):
        return []
    companies = list_contacts(user).filter(customer_group=group_id, kind=ContactKind.COMPANY)
    named = companies.filter(match_contacts([Condition(words=tuple(text.split()))], [group_id]))
    exact = list(companies.filter(name__iexact=text).order_by("id")[: COMPANIES_OFFERED + 1])
    ids = [company.pk for company in exact]
    return [*exact, *named.exclude(pk__in=ids).order_by("name", "id")[: COMPANIES_OFFERED + 1 - len(exact)]]
