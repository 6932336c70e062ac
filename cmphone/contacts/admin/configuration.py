"""Admin pages of what configures contacts: contact models with fields and templates, and queues.

A change is in force with its commit: it counts the configuration's version up first (cmphone.properties.services),
and what was built from the old one is built anew soon after.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import ManyToManyField, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cmphone.celery import hasten
from cmphone.contacts.admin.display_names import DisplayNamesInline
from cmphone.contacts.admin.name_previews import count_stale_names, preview_names
from cmphone.contacts.admin.rights import require_user
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.models import Contact, ContactField, ContactKind, ContactModel, Queue
from cmphone.contacts.services import save_configuration
from cmphone.properties.services import mark_configuration_changed
from templates_store.models import DisplayNames

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


@admin.register(ContactModel)
class ContactModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "levels", "field_names", "groups"]
    inlines = [ContactFieldInline, DisplayNamesInline]
    fieldsets = [
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

    class Media:
        css = {"all": ["cmphone/admin.css"]}
        js = ["contacts/preview_names.js"]

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

    # --- previews of display names ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="contacts_contactmodel_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Return the names that the templates in the form give, as a part of the page.  Saves nothing.

        By POST all the same: an address has a limit, and stands in logs.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        model = self.get_object(request, request.POST.get("model", ""))
        if model is None:
            raise Http404
        result = preview_names(request.POST, model=model, user=require_user(request))
        return TemplateResponse(request, "admin/contacts/contactmodel/names.html", result)

    # --- writing ---

    def save_model(self, request: HttpRequest, obj: ContactModel, form: Any, change: bool) -> None:
        save_configuration([obj])
        hasten(REBUILD)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = get_current_configuration()
        super().save_related(request, form, formsets, change)
        count = count_stale_names(before, get_current_configuration(), form.instance, require_user(request))
        if count:
            message = ngettext(
                "The names of %d contact are being rendered anew.",
                "The names of %d contacts are being rendered anew.",
                count,
            )
            messages.info(request, message % count)

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
