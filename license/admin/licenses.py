"""Admin pages of licence files and of the pools of the licence in force."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from license.files import COUNTED_SECTIONS, has_expired
from license.keys import is_accepted
from license.models import LicenseFile, Pool
from license.selectors import list_pools, site_day


@admin.register(LicenseFile)
class LicenseFileAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["imported_at", "imported_by", "pool_names"]
    fields = ["imported_at", "imported_by", "public_key", "text"]

    @admin.display(description=_("in force for"))
    def pool_names(self, license_file: LicenseFile) -> str:
        return ", ".join(pool.name for pool in license_file.pools.all()) or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[LicenseFile]:
        return super().get_queryset(request).select_related("imported_by").prefetch_related("pools")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LicenseFile | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LicenseFile | None = None) -> bool:
        return False


@admin.register(Pool)
class PoolAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = [
        "name",
        "licensed",
        "in_use",
        "state",
        "expires_on",
        "contract_party",
        "products",
        "version",
    ]
    fields = [
        "name",
        "licensed",
        "in_use",
        "state",
        "expires_on",
        "contract_party",
        "products",
        "version",
        "license_file",
    ]

    @admin.display(description=_("in use"))
    def in_use(self, pool: Pool) -> str:
        return str(pool.in_use) if pool.name in COUNTED_SECTIONS else "–"

    @admin.display(description=_("state"))
    def state(self, pool: Pool) -> str | Promise:
        if not is_accepted(pool.license_file.public_key):
            return _("does not count: signed for another key than this server's")
        return _("expired") if has_expired(pool.expires_on, today=site_day(pool.read_at)) else _("in force")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pool]:
        return list_pools()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Pool | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Pool | None = None) -> bool:
        return False
