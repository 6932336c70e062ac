"""Admin page of erasures, for superusers: what was erased when, by whom and why, and what sources may bring back."""

from datetime import datetime

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.erasure_models import Erasure
from cmphone.contacts.erasures import lift_suppressions


@admin.register(Erasure)
class ErasureAdmin(admin.ModelAdmin):
    """Erasures are neither made nor changed here: that would be another truth than what happened."""

    list_display = ["contact_id", "when", "reason", "by", "suppression"]
    list_display_links = None
    list_filter = ["reason"]
    list_per_page = 50
    search_fields = ["=contact_id"]
    search_help_text = _("Id of the contact")
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    actions = ["allow_again"]

    @admin.display(description=_("user"), ordering="user_name")
    def by(self, erasure: Erasure) -> str:
        return erasure.user_name or "–"

    @admin.display(description=_("when"), ordering="at")
    def when(self, erasure: Erasure) -> str:
        return _show_time(erasure.at)

    @admin.display(description=_("sources"))
    def suppression(self, erasure: Erasure) -> str:
        """Say whether sources may bring it again; nothing where it had no external id to be known by."""
        if erasure.external_id_hash:
            return gettext("may not bring it again")
        return gettext("may again since %s") % _show_time(erasure.lifted_at) if erasure.lifted_at else "–"

    @admin.action(description=_("Let sources bring them again"), permissions=["lift"])
    def allow_again(self, request: HttpRequest, queryset: QuerySet[Erasure]) -> None:
        count = lift_suppressions(queryset.values_list("pk", flat=True))
        text = ngettext("%d contact may come again.", "%d contacts may come again.", count)
        messages.success(request, text % count)

    # --- rights ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Erasure | None = None) -> bool:
        return self.has_module_permission(request)

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Erasure | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Erasure | None = None) -> bool:
        return False


def _show_time(at: datetime) -> str:
    return date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT")
