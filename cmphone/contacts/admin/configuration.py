"""Admin pages of what configures contacts: contact models with fields and templates, and queues.

A change is in force with its commit: it counts the configuration's version up first (cmphone.properties.services),
and what was built from the old one is built anew soon after.
"""

from collections import defaultdict
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import ManyToManyField, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cmphone.celery import hasten
from cmphone.contacts.models import Contact, ContactField, ContactKind, ContactModel, Queue
from cmphone.contacts.services import save_configuration
from cmphone.properties.services import mark_configuration_changed
from templates_store.models import DisplayNames
from templates_store.rendering import Templates
from templates_store.services import find_template_errors

REBUILD = "cmphone.contacts.tasks.rebuild_stale_customer_groups"
# Between two fields, so that a third can be put between them.
STEP = 10


class ContactFieldForm(forms.ModelForm):  # type: ignore[type-arg]
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
            "indexed": forms.Select(attrs={"style": "max-width: 13em"}),
        }

    def __init__(self, *args: Any, has_contacts: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if has_contacts and self.instance.pk:
            # The contacts' values are kept under this name.
            self.fields["object"].disabled = self.fields["name"].disabled = True


class ContactFieldFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "has_contacts": bool(self._used_kinds())}

    def _used_kinds(self) -> set[str]:
        if not hasattr(self, "_kinds_of_contacts"):
            of_model = Contact.objects.filter(customer_group__contact_model=self.instance.pk)
            self._kinds_of_contacts = set(of_model.order_by().values_list("kind", flat=True).distinct())
        return self._kinds_of_contacts

    def clean(self) -> None:
        super().clean()
        kept = [
            form.cleaned_data
            for form in self.forms
            if form.cleaned_data.get("name") and not form.cleaned_data.get("DELETE")
        ]
        if any(self.errors):
            return
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


class ContactFieldInline(admin.TabularInline):  # type: ignore[type-arg]
    model = ContactField
    form = ContactFieldForm
    formset = ContactFieldFormSet
    # Persons first.
    ordering = ["-object", "position", "id"]
    extra = 0
    verbose_name_plural = _("Fields, in their order (a new contact's first phone number gets the caller's)")

    def get_extra(self, request: HttpRequest, obj: ContactModel | None = None, **kwargs: Any) -> int:
        return 0 if obj else 3


class DisplayNamesForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = DisplayNames
        fields = ["object", "default", "details", "list"]
        widgets = {
            name: forms.Textarea(attrs={"rows": 2, "cols": 100, "spellcheck": "false", "class": "vLargeTextField"})
            for name in ("default", "details", "list")
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # A browser sends every line break as two characters.
        sources = {name: cleaned.get(name, "").replace("\r\n", "\n") for name in ("default", "details", "list")}
        cleaned |= sources
        for name, message in find_template_errors(Templates(**sources)).items():
            self.add_error(name, message)
        return cleaned


class DisplayNamesInline(admin.StackedInline):  # type: ignore[type-arg]
    model = DisplayNames
    form = DisplayNamesForm
    extra = 0
    max_num = len(ContactKind.choices)
    verbose_name_plural = _("Display names (templates)")

    def get_extra(self, request: HttpRequest, obj: ContactModel | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1


@admin.register(ContactModel)
class ContactModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "levels", "field_names", "groups"]
    inlines = [ContactFieldInline, DisplayNamesInline]
    readonly_fields = ["template_names"]

    def get_fieldsets(self, request: HttpRequest, obj: ContactModel | None = None) -> Any:
        fieldsets: list[tuple[Any, dict[str, Any]]] = [
            (
                None,
                {
                    "fields": ["name"],
                    "description": _(
                        "With fields for persons and for companies the model has two levels, "
                        "and a person may belong to a company; else it has one."
                    ),
                },
            )
        ]
        if obj:
            fieldsets.append((_("What templates may name"), {"fields": ["template_names"], "classes": ["collapse"]}))
        return fieldsets

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactModel]:
        return super().get_queryset(request).prefetch_related("fields", "customergroup_set")

    @admin.display(description=_("levels"))
    def levels(self, model: ContactModel) -> str:
        kinds = {field.object for field in model.fields.all()}
        return ", ".join(str(label) for kind, label in ContactKind.choices if kind in kinds) or "–"

    @admin.display(description=_("fields"))
    def field_names(self, model: ContactModel) -> str:
        return ", ".join(dict.fromkeys(str(field) for field in model.fields.all()))

    @admin.display(description=_("customer groups"))
    def groups(self, model: ContactModel) -> str:
        return ", ".join(str(group) for group in model.customergroup_set.all()) or "–"

    @admin.display(description=_("names"))
    def template_names(self, model: ContactModel) -> str:
        names: dict[str, list[str]] = defaultdict(list)
        for field in model.fields.all():
            names[field.object].append(field.name)
        persons, companies = names[ContactKind.PERSON], names[ContactKind.COMPANY]
        parts = [f"{ContactKind(kind).label}: {', '.join(own)}" for kind, own in names.items()]
        if persons and companies:
            parts.append(", ".join(f"company.{name}" for name in companies))
        return " · ".join([*parts, "customer_group.name"])

    def save_model(self, request: HttpRequest, obj: ContactModel, form: Any, change: bool) -> None:
        save_configuration([obj])
        hasten(REBUILD)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model is DisplayNames and formset.has_changed():
            mark_configuration_changed()
        super().save_formset(request, form, formset, change)
        if formset.model is ContactField and formset.has_changed():
            _space_out(form.instance)

    def delete_model(self, request: HttpRequest, obj: ContactModel) -> None:
        save_configuration([obj], delete=True)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ContactModel]) -> None:
        save_configuration(queryset, delete=True)


def _space_out(model: ContactModel) -> None:
    """Number the fields in steps: they stay in their order."""
    for kind in ContactKind.values:
        of_kind = ContactField.objects.filter(contact_model=model, object=kind).order_by("position", "id")
        for place, field in enumerate(of_kind, start=1):
            if field.position != place * STEP:
                field.position = place * STEP
                field.save(update_fields=["position"])


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["__str__", "name", "groups"]
    fields = ["name", ("label_de", "label_en"), "customer_groups"]
    formfield_overrides = {ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Queue]:
        return super().get_queryset(request).prefetch_related("customer_groups")

    @admin.display(description=_("customer groups"))
    def groups(self, queue: Queue) -> str:
        return ", ".join(str(group) for group in queue.customer_groups.all()) or "–"
