"""The fields of a contact model, as a part of its admin page."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.field_changes import FieldState
from cmphone.contacts.field_effects import count_values
from cmphone.contacts.models import Contact, ContactField, ContactKind, ContactModel, CustomerGroup

# Between two fields, so that a third can be put between them.
STEP = 10


class ContactFieldForm(forms.ModelForm):
    position = forms.IntegerField(
        label=_("order"),
        required=False,
        min_value=0,
        max_value=1_000_000,
        widget=forms.TextInput(attrs={"size": 3, "inputmode": "numeric"}),
    )

    class Meta:
        model = ContactField
        fields = ["object", "name", "label_de", "label_en", "dialable", "indexed", "position"]
        # Narrow, so that a row fits on a page.
        widgets = {
            **{name: forms.TextInput(attrs={"size": 13}) for name in ("name", "label_de", "label_en")},
            "indexed": forms.Select(attrs={"class": "narrow-select"}),
        }

    def __init__(self, *args: Any, has_contacts: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if has_contacts and self.instance.pk:
            # Values of persons are none of companies.
            self.fields["object"].disabled = True

    def read_state(self) -> FieldState:
        """Return the field as the page wants it."""
        values = self.cleaned_data
        return FieldState(self.instance.pk, values["object"], values["name"], values["dialable"], values["indexed"])

    def read_initial_state(self) -> FieldState:
        """Return the field as it was when it was read for this form."""
        return FieldState(self.instance.pk, *(self.initial[name] for name in ("object", "name", "dialable", "indexed")))


class ContactFieldFormSet(BaseInlineFormSet):
    """`problems`: why the fields cannot be as they were sent, if that is known already."""

    def __init__(self, *args: Any, problems: Sequence[str] = (), **kwargs: Any) -> None:
        self._problems = problems
        super().__init__(*args, **kwargs)

    def read_states(self) -> list[FieldState]:
        """Return the fields as the page wants them."""
        return [form.read_state() for form in self._kept_forms()]

    def read_initial_states(self) -> list[FieldState]:
        """Return the fields as they were when they were read for this page."""
        forms: list[Any] = self.initial_forms
        return [form.read_initial_state() for form in forms]

    def find_hidden(self) -> set[tuple[str, str]]:
        """Return kind and name of the new fields whose name contacts have values under, of an earlier field."""
        new = [form.read_state() for form in self._kept_forms() if form.instance.pk is None]
        groups = CustomerGroup.objects.filter(contact_model=self.instance.pk).values_list("id", flat=True)
        return {(each.kind, each.name) for each in new if count_values(groups, each.kind, each.name)}

    def _kept_forms(self) -> list[ContactFieldForm]:
        forms: list[Any] = self.forms
        return [form for form in forms if form.cleaned_data.get("name") and not form.cleaned_data.get("DELETE")]

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "has_contacts": bool(self._used_kinds())}

    def _used_kinds(self) -> set[str]:
        if not hasattr(self, "_kinds_of_contacts"):
            of_model = Contact.objects.filter(customer_group__contact_model=self.instance.pk)
            self._kinds_of_contacts = set(of_model.order_by().values_list("kind", flat=True).distinct())
        return self._kinds_of_contacts

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        if self._problems:
            raise ValidationError([*self._problems])
        kept = [form.cleaned_data for form in self._kept_forms()]
        if not kept:
            raise ValidationError(_("A contact model needs at least one field."))
        for kind in self._used_kinds() - {values["object"] for values in kept}:
            raise ValidationError(
                _("There are contacts of the kind %(kind)s: they need at least one field."),
                params={"kind": ContactKind(kind).label},
            )
        last = max((values["position"] or 0 for values in kept), default=0)
        for form in self.forms:
            if form.cleaned_data.get("position") is None:
                last += STEP
                form.instance.position = form.cleaned_data["position"] = last


class ContactFieldInline(admin.TabularInline):
    model = ContactField
    form = ContactFieldForm
    formset = ContactFieldFormSet
    # Persons first.
    ordering = ["-object", "position", "id"]
    extra = 0
    verbose_name_plural = _("Fields, in their order (a new contact's first phone number gets the caller's)")

    def get_extra(self, request: HttpRequest, obj: ContactModel | None = None, **kwargs: Any) -> int:
        return 0 if obj else 3


def space_out(model: ContactModel) -> None:
    """Number the fields in steps: they stay in their order."""
    for kind in ContactKind.values:
        of_kind = ContactField.objects.filter(contact_model=model, object=kind).order_by("position", "id")
        for place, field in enumerate(of_kind, start=1):
            if field.position != place * STEP:
                field.position = place * STEP
                field.save(update_fields=["position"])
