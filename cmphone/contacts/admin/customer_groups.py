"""Admin pages of customer groups: the number plan, with warnings, trials and how far a change of it has come."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.celery import hasten
from cmphone.contacts.admin.configuration import REBUILD
from cmphone.contacts.admin.doubts import describe_doubts, show_doubts
from cmphone.contacts.admin.readings import show_examples
from cmphone.contacts.admin.rebuilds import read_progress, show_progress
from cmphone.contacts.admin.trials import PLAN_FIELDS, describe_panel, try_number
from cmphone.contacts.configuration import build_group_plan, get_current_configuration
from cmphone.contacts.models import Contact, ContactModel, CustomerGroup, User
from cmphone.contacts.rebuilding import find_progress
from cmphone.contacts.services import save_configuration


class CustomerGroupForm(forms.ModelForm):
    def clean_contact_model(self) -> ContactModel:
        model: ContactModel = self.cleaned_data["contact_model"]
        before = self.initial.get("contact_model")
        if self.instance.pk and model.pk != before and Contact.objects.filter(customer_group=self.instance).exists():
            raise ValidationError(_("The contact model cannot change any more: there are contacts."))
        return model


@admin.register(CustomerGroup)
class CustomerGroupAdmin(admin.ModelAdmin):
    form = CustomerGroupForm
    list_select_related = ["contact_model"]
    readonly_fields = ["try_it", "progress", "examples"]

    class Media:
        css = {"all": ["cmphone/admin.css"]}
        js = ["contacts/try_it.js"]

    # --- the list ---

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        @admin.display(description=_("progress"))
        def progress(group: CustomerGroup) -> SafeString:
            return show_progress(read_progress(request).get(group.pk, ()))

        return ["__str__", "name", "contact_model", "plan", "warnings", progress]

    @admin.display(description=_("CM/Phone"))
    def plan(self, group: CustomerGroup) -> str:
        parts = [f"+{group.country_prefix}" if group.country_prefix else "", group.area_prefix, group.company_line]
        return " ".join(filter(None, parts)) or "–"

    @admin.display(description=_("warnings"))
    def warnings(self, group: CustomerGroup) -> SafeString:
        texts = _list_doubts(group)
        if not texts:
            return SafeString("–")
        return format_html(
            '<span class="doubt-mark" title="{0}"><span aria-hidden="true">⚠ {1}</span>'
            '<span class="visually-hidden">{0}</span></span>',
            "\n".join(texts),
            len(texts),
        )

    # --- the form ---

    def get_fieldsets(self, request: HttpRequest, obj: CustomerGroup | None = None) -> Any:
        plan = [*PLAN_FIELDS[:3], tuple(PLAN_FIELDS[3:])]
        shown = ["try_it"] if self.has_view_or_change_permission(request, obj) else []
        shown += ["progress", "examples"] if obj else []
        text = _(
            "What is put in front of an incomplete number in a contact of this group. "
            "With 49, 211 and 339903 the numbers 12, 33990312 and 21133990312 all dial 4921133990312. "
            "A number that begins with + or 0 is left as it is."
        )
        doubts = show_doubts(_list_doubts(obj)) if obj else ""
        return [
            (None, {"fields": ["name", ("label_de", "label_en"), "contact_model"]}),
            (_("CM/Phone"), {"fields": [*plan, *shown], "description": format_html("{}{}", doubts, text)}),
        ]

    @admin.display(description=_("Try it"))
    def try_it(self, group: CustomerGroup) -> SafeString:
        return render_to_string("admin/contacts/customergroup/try_it.html", describe_panel(group))

    @admin.display(description=_("progress"))
    def progress(self, group: CustomerGroup) -> SafeString:
        return show_progress(find_progress().get(group.pk, ()))

    @admin.display(description=_("how numbers are read"))
    def examples(self, group: CustomerGroup) -> SafeString:
        return show_examples(get_current_configuration().groups[group.pk].plan)

    # --- trials ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.try_view)
        return [path("try/", view, name="contacts_customergroup_try"), *super().get_urls()]

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """Return what a number is by the settings in the form, as a part of the page.  Saves nothing.

        By POST all the same: an address stands in logs, and a number is somebody's.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_or_change_permission(request) or not isinstance(request.user, User):
            raise PermissionDenied
        key = request.POST.get("group", "")
        group = self.get_object(request, key) if key else CustomerGroup()
        if group is None:
            raise Http404
        result = try_number(request.POST, group=group, user=request.user)
        return TemplateResponse(request, "admin/contacts/customergroup/trial.html", result)

    # --- writing ---

    def save_model(self, request: HttpRequest, obj: CustomerGroup, form: Any, change: bool) -> None:
        save_configuration([obj])
        hasten(REBUILD)
        for text in _list_doubts(obj):
            messages.warning(request, f"{capfirst(str(obj))}: {text}")

    def delete_model(self, request: HttpRequest, obj: CustomerGroup) -> None:
        save_configuration([obj], delete=True)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CustomerGroup]) -> None:
        save_configuration(queryset, delete=True)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """List what would go too, but no contact: whoever deletes a group need not be one who sees its contacts."""
        groups = list(objs)
        if not Contact.objects.filter(customer_group__in=groups).exists():
            return super().get_deleted_objects(groups, request)
        return [str(group) for group in groups], {}, set(), [gettext("The contacts of the customer group")]


def _list_doubts(group: CustomerGroup) -> list[str]:
    return describe_doubts(build_group_plan(group, get_current_configuration().site))
