"""Admin pages of what configures contacts: contact models with fields and templates, and queues.

A change is in force with its commit: it counts the configuration's version up first (cmphone.properties.services),
and what was built from the old one is built anew soon after.
"""

from operator import attrgetter
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import ManyToManyField, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.celery import hasten
from cmphone.contacts.admin.contact_fields import ContactFieldInline, space_out
from cmphone.contacts.admin.display_names import DisplayNamesInline
from cmphone.contacts.admin.field_changes import (
    BACK,
    CONFIRMED,
    Obstructed,
    Unconfirmed,
    describe_question,
    describe_start,
    list_lines,
    show_field_changes,
)
from cmphone.contacts.admin.name_previews import count_stale_names, preview_names
from cmphone.contacts.admin.rights import require_user
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.field_changes import (
    Edit,
    FieldEdit,
    find_kinds_in_use,
    find_obstacles,
    hash_edits,
    list_edits,
    read_fields,
    start_field_changes,
)
from cmphone.contacts.field_moving import finish_without_contacts
from cmphone.contacts.models import (
    ContactField,
    ContactKind,
    ContactModel,
    FieldChange,
    Queue,
)
from cmphone.contacts.services import save_configuration
from cmphone.properties.services import mark_configuration_changed
from templates_store.models import DisplayNames
from templates_store.selectors import load_templates

MOVE = "cmphone.contacts.tasks.finish_field_changes"
REBUILD = "cmphone.contacts.tasks.rebuild_stale_customer_groups"
NOT_SENT_AGAIN = {"csrfmiddlewaretoken", BACK, CONFIRMED, "_confirm"}


@admin.register(ContactModel)
class ContactModelAdmin(admin.ModelAdmin):
    list_display = ["name", "levels", "field_names", "groups"]
    inlines = [ContactFieldInline, DisplayNamesInline]
    readonly_fields = ["under_way"]
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
        values = self.admin_site.admin_view(self.values_view)
        return [
            path("preview/", view, name="contacts_contactmodel_preview"),
            path("<int:model_id>/values/", values, name="contacts_contactmodel_values"),
            *super().get_urls(),
        ]

    def values_view(self, request: HttpRequest, model_id: int) -> StreamingHttpResponse:
        """Send what stands in a field, of the contacts that who asks may view, before it is deleted."""
        model = self.get_object(request, str(model_id))
        if not self.has_change_permission(request, model):
            raise PermissionDenied
        kind, name = request.GET.get("kind", ""), request.GET.get("field", "")
        if model is None or not ContactField.objects.filter(contact_model=model, object=kind, name=name).exists():
            raise Http404
        lines = list_lines(model, kind, name, require_user(request), get_language() or "en")
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        file = f"{model.name}-{kind}-{name}-{timezone.localdate():%Y-%m-%d}.csv"
        response["Content-Disposition"] = f'attachment; filename="{file}"'
        return response

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

    # --- changes of fields that contacts have values in ---

    def get_fieldsets(self, request: HttpRequest, obj: ContactModel | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is not None and FieldChange.objects.filter(contact_model=obj, finished_at=None).exists():
            return [*fieldsets, (None, {"fields": ["under_way"]})]
        return fieldsets

    @admin.display(description=_("fields that are being changed"))
    def under_way(self, model: ContactModel) -> SafeString:
        return show_field_changes(model)

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        kwargs = super().get_formset_kwargs(request, obj, inline, prefix)
        if isinstance(inline, ContactFieldInline):
            kwargs["problems"] = getattr(request, "field_problems", ())
        return kwargs

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if BACK in request.POST:
            request.field_problems = [gettext("Nothing has been saved yet.")]  # type: ignore[attr-defined]
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Obstructed as refusal:
            # The page once more, as it was sent, with what is in the way.
            request.field_problems = refusal.problems  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Unconfirmed as question:
            return self._ask(request, object_id or "", question)

    def _ask(self, request: HttpRequest, object_id: str, question: Unconfirmed) -> HttpResponse:
        model = self.get_object(request, unquote(object_id))
        if model is None:
            raise Http404
        kept = {name: values for name, values in request.POST.lists() if name not in NOT_SENT_AGAIN}
        context = {
            **self.admin_site.each_context(request),
            **describe_question(question, model, require_user(request)),
            "title": gettext("Change fields that contacts have"),
            "opts": self.opts,
            "model": model,
            "sent": [(name, value) for name, values in kept.items() for value in values],
        }
        return TemplateResponse(request, "admin/contacts/contactmodel/confirm.html", context)

    def _check_fields(self, request: HttpRequest, model: ContactModel, formsets: Any) -> list[FieldEdit]:
        """Return what is changed of the fields, which somebody has looked at as it is now."""
        # Who may not see them has no form of them.
        forms = {each.model: each for each in formsets}
        if (fields := forms.get(ContactField)) is None:
            return []
        present = read_fields(model)
        if sorted(fields.read_initial_states(), key=attrgetter("id")) != present:
            raise Obstructed(
                [gettext("Somebody else has just changed the fields. Look at them again before you save.")]
            )
        edits = list_edits(present, fields.read_states())
        names = forms.get(DisplayNames)
        templates = names.read_templates() if names is not None else load_templates(model.pk)
        if problems := find_obstacles(model, edits, templates):
            raise Obstructed(problems)
        used, hidden = find_kinds_in_use(model), fields.find_hidden()
        asked = [
            edit for edit in edits if edit.kind in used and (edit.edit != Edit.ADD or (edit.kind, edit.name) in hidden)
        ]
        key = hash_edits(model, asked)
        confirmed = request.POST.get(CONFIRMED, "")
        if asked and confirmed != key:
            raise Unconfirmed(asked, templates, key, was_confirmed=bool(confirmed))
        return edits

    # --- writing ---

    def save_model(self, request: HttpRequest, obj: ContactModel, form: Any, change: bool) -> None:
        # First, so that nothing that is checked next changes meanwhile.
        save_configuration([obj])
        hasten(REBUILD)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = get_current_configuration()
        edits = self._check_fields(request, form.instance, formsets) if change else []
        for formset in formsets:
            for each in formset.initial_forms if formset.model is ContactField else ():
                # It gets its new name when its values have moved.
                each.instance.name = each.initial["name"]
        super().save_related(request, form, formsets, change)
        started = start_field_changes(contact_model=form.instance, edits=edits, by=require_user(request))
        for each in finish_without_contacts(started):
            messages.info(request, describe_start(each))
            hasten(MOVE)
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
            space_out(form.instance)

    def delete_model(self, request: HttpRequest, obj: ContactModel) -> None:
        save_configuration([obj], delete=True)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ContactModel]) -> None:
        save_configuration(queryset, delete=True)


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):
    list_display = ["__str__", "name", "groups"]
    fields = ["name", ("label_de", "label_en"), "customer_groups"]
    formfield_overrides = {ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Queue]:
        return super().get_queryset(request).prefetch_related("customer_groups")

    @admin.display(description=_("customer groups"))
    def groups(self, queue: Queue) -> str:
        return ", ".join(str(group) for group in queue.customer_groups.all()) or "–"
