"""Admin pages of licence files, with their import, and of the pools of the licence in force."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.problems import Unavailable
from license.admin.imports import ConfirmationForm, ImportForm, describe_preview
from license.files import COUNTED_SECTIONS, KNOWN_SECTIONS, LicenseFileError, has_expired, parse_license
from license.importing import import_license
from license.keys import is_accepted
from license.models import LicenseFile, Pool
from license.problems import LicenseOvertaken, LicenseRefused
from license.selectors import list_pools, site_day


@admin.register(LicenseFile)
class LicenseFileAdmin(admin.ModelAdmin):
    """Every import there was, kept for good.  To add one is to import it."""

    list_display = ["imported_at", "who", "pool_names"]
    fields = ["imported_at", "who", "pool_names", "public_key", "sections", "source"]

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    @admin.display(description=_("imported by"))
    def who(self, license_file: LicenseFile) -> str | Promise:
        return license_file.imported_by_name or _("by command")

    @admin.display(description=_("in force for"))
    def pool_names(self, license_file: LicenseFile) -> str:
        return ", ".join(pool.name for pool in license_file.pools.all()) or "–"

    @admin.display(description=_("sections"))
    def sections(self, license_file: LicenseFile) -> str:
        try:
            sections = parse_license(license_file.text).sections
        except LicenseFileError as error:
            return LicenseRefused(error.code, line=error.line, subject=error.subject).detail
        context = {"sections": sections, "counted": COUNTED_SECTIONS, "known": KNOWN_SECTIONS}
        return render_to_string("admin/license/licensefile/sections.html", context)

    @admin.display(description=_("text"))
    def source(self, license_file: LicenseFile) -> SafeString:
        return format_html("<pre class='license-text'>{}</pre>", license_file.text)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        user = request.user
        if not self.has_add_permission(request) or not isinstance(user, AbstractUser):
            raise PermissionDenied
        if request.method != "POST":
            return self._show(request, ImportForm())
        if "_confirm" not in request.POST:
            return self._show(request, ImportForm(request.POST, request.FILES))
        confirmation = ConfirmationForm(request.POST)
        if not confirmation.is_valid():
            messages.error(request, gettext("The preview came back incomplete. Choose the licence again."))
            return self._show(request, ImportForm())
        return self._bring_into_force(request, user, **confirmation.cleaned_data)

    def _bring_into_force(
        self, request: HttpRequest, user: AbstractUser, license: str, last_file_id: int
    ) -> HttpResponse:
        try:
            license_file = import_license(text=license, imported_by=user, last_file_id=last_file_id)
        except LicenseOvertaken:
            notice = gettext("Nothing was imported yet: somebody imported another licence meanwhile. Look again.")
        except (LicenseRefused, Unavailable) as problem:
            notice = problem.detail
        else:
            self.log_addition(request, license_file, [{"added": {}}])
            text = gettext("The licence is in force, for %s.") % self.pool_names(license_file)
            self.message_user(request, text, messages.SUCCESS)
            return self.response_post_save_add(request, license_file)
        form = ImportForm({"text": license})
        if form.is_valid():
            messages.warning(request, notice)
        return self._show(request, form)

    def _show(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        """Show the preview of a form that is valid; else the form."""
        is_preview = form.is_bound and form.is_valid()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("What the licence changes") if is_preview else _("Import licence"),
            "has_view_permission": self.has_view_permission(request),
            "media": self.media,
            **(describe_preview(form.preview) if is_preview else {"form": form}),
        }
        page = "preview" if is_preview else "import"
        return TemplateResponse(request, f"admin/license/licensefile/{page}.html", context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LicenseFile]:
        return super().get_queryset(request).prefetch_related("pools")

    def has_change_permission(self, request: HttpRequest, obj: LicenseFile | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LicenseFile | None = None) -> bool:
        return False


@admin.register(Pool)
class PoolAdmin(admin.ModelAdmin):
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
