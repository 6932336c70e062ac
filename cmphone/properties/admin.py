"""Admin page of the system properties: all of them in one form."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from cmphone.celery import hasten
from cmphone.properties.models import SystemProperty
from cmphone.properties.registry import DEFINITIONS, full_name
from cmphone.properties.selectors import load_properties
from cmphone.properties.services import set_property


@admin.register(SystemProperty)
class SystemPropertyAdmin(admin.ModelAdmin):
    """Properties are neither added nor deleted: the registry says which there are."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SystemProperty | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show every property with its value and default; save those that were changed, all or none."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        may_change = self.has_change_permission(request)
        values = dict(load_properties())
        errors: dict[str, list[str]] = {}
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            values |= {name: request.POST[name] for name in DEFINITIONS if name in request.POST}
            errors = self._save(request, values)
            if not errors:
                return HttpResponseRedirect(request.path)
        doubts = {} if errors else self.find_doubts(request, values)
        rows = [
            {
                "name": name,
                "full_name": full_name(name),
                "value": values[name],
                "default": definition.default,
                "description": definition.description,
                "errors": errors.get(name, []),
                "doubts": doubts.get(name, []),
            }
            for name, definition in DEFINITIONS.items()
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("System properties"),
            "opts": self.opts,
            "rows": rows,
            "has_errors": bool(errors),
            "may_change": may_change,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/properties/systemproperty/change_list.html", context)

    def find_doubts(self, request: HttpRequest, values: Mapping[str, str]) -> Mapping[str, list[str]]:
        """Return warnings by the name of a property; what they are about is known in the rooms above."""
        return {}

    def _save(self, request: HttpRequest, values: dict[str, str]) -> dict[str, list[str]]:
        """Save the values that differ; return what is wrong by name, and then nothing is saved."""
        errors: dict[str, list[str]] = {}
        changed = []
        with transaction.atomic():
            present = load_properties()
            for name, value in values.items():
                if value.strip() == present[name]:
                    continue
                try:
                    set_property(name=name, value=value)
                    changed.append(name)
                except ValidationError as error:
                    errors[name] = error.messages
            if errors:
                transaction.set_rollback(True)
            elif changed:
                hasten("cmphone.contacts.tasks.rebuild_stale_customer_groups")
        if errors:
            return errors
        for name in changed:
            row = SystemProperty.objects.get(name=name)
            self.log_change(request, row, f"{row.value!r}")
        if changed:
            messages.success(request, _("Saved, and in force at once: %s.") % ", ".join(map(full_name, changed)))
            for name, texts in self.find_doubts(request, load_properties()).items():
                messages.warning(request, f"{name}: {' '.join(texts)}")
        else:
            messages.info(request, _("Nothing was changed."))
        return {}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form of all: there is no page of a single one."""
        return self.changelist_view(request)
