"""Admin pages of directories: their settings, a look at what they would bring in, and pulls.  For superusers only.

The password goes in and never comes out; it is entered again whenever it would be sent elsewhere.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from cmphone.contacts.admin.rights import require_user
from cmphone.contacts.directories.line import DirectoryFailed
from cmphone.contacts.directories.models import Directory
from cmphone.contacts.directories.pulls import list_pulls
from cmphone.contacts.directories.services import (
    find_directory_errors,
    goes_elsewhere,
    preview_directory,
    set_password,
)
from cmphone.contacts.imports.report import TOTALS, list_findings
from cmphone.contacts.tasks import pull_directory

FINDINGS = 20


class DirectoryForm(forms.ModelForm):
    password = forms.CharField(
        label=_("Password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("It is kept encrypted and shown to nobody. Empty: it stays as it is."),
    )

    class Meta:
        model = Directory
        exclude: list[str] = []
        widgets = {
            "uri": forms.TextInput(attrs={"size": 60}),
            "bind_dn": forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
            "base": forms.TextInput(attrs={"size": 60}),
            "filter": forms.Textarea(attrs={"rows": 2, "cols": 70, "spellcheck": "false", "class": "license-text"}),
            "attribute_map": forms.Textarea(
                attrs={"rows": 8, "cols": 70, "spellcheck": "false", "class": "license-text"}
            ),
            "ca_certificates": forms.Textarea(
                attrs={"rows": 4, "cols": 70, "spellcheck": "false", "class": "license-text"}
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Its contacts are of this group.
        if self.instance.pk and self.instance.entries.exists():
            self.fields["customer_group"].disabled = True

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if self.errors:
            return values
        wanted = Directory(**{name: value for name, value in values.items() if name != "password"})
        for name, texts in find_directory_errors(wanted).items():
            self.add_error(name, texts)
        if message := self._find_password_error(wanted, values["password"]):
            self.add_error("password", message)
        return values

    def _find_password_error(self, wanted: Directory, password: str) -> str:
        if not wanted.bind_dn or password:
            return ""
        before = self.initial_instance
        if before is None or not before.sealed_password:
            return gettext("Enter the password of this user.")
        if goes_elsewhere(before, wanted):
            return gettext("Enter the password again: it would be sent elsewhere, or in another way, than before.")
        return ""

    @property
    def initial_instance(self) -> Directory | None:
        """The directory as it is saved."""
        return Directory.objects.filter(pk=self.instance.pk).first() if self.instance.pk else None


@admin.register(Directory)
class DirectoryAdmin(admin.ModelAdmin):
    form = DirectoryForm
    change_form_template = "admin/contacts/directory/change_form.html"
    list_display = ["name", "customer_group", "uri", "is_active", "last_started_at", "last_success_at", "state"]
    list_select_related = ["customer_group"]
    readonly_fields = ["pulls"]

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    # --- who may ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Directory | None = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Directory | None = None) -> bool:
        return self.has_view_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Directory | None = None) -> bool:
        return self.has_view_permission(request)

    # --- the list and the form ---

    @admin.display(description=_("state"))
    def state(self, directory: Directory) -> str:
        if directory.last_error:
            return Truncator(directory.last_error).chars(120)
        return gettext("in order") if directory.last_success_at else gettext("not pulled yet")

    def get_fieldsets(self, request: HttpRequest, obj: Directory | None = None) -> Any:
        shown: list[tuple[Any, dict[str, Any]]] = [
            (None, {"fields": ["name", "customer_group"]}),
            (
                _("Connection"),
                {"fields": ["uri", "start_tls", "is_plain_allowed", "ca_certificates", "bind_dn", "password"]},
            ),
            (_("Search"), {"fields": ["base", "scope", "filter"]}),
            (
                _("Contacts"),
                {"fields": ["attribute_map", "external_id_attribute", "company_attribute", "overwrite_empty"]},
            ),
            (_("Regular pulls"), {"fields": ["is_active", "interval_minutes", "most_missing"]}),
        ]
        return [*shown, (_("Last pulls"), {"fields": ["pulls"]})] if obj else shown

    @admin.display(description=_("pulls"))
    def pulls(self, directory: Directory) -> SafeString:
        runs = list(list_pulls(directory))
        pulls = [
            {
                "run": run,
                "counts": [(label, run.counts[name]) for name, label in TOTALS.items() if run.counts.get(name)],
                "deactivated": run.options.get("deactivated", 0),
            }
            for run in runs
        ]
        findings = list_findings(runs[0], limit=FINDINGS) if runs else []
        return render_to_string("admin/contacts/directory/pulls.html", {"pulls": pulls, "findings": findings})

    def save_model(self, request: HttpRequest, obj: Directory, form: Any, change: bool) -> None:
        if not obj.bind_dn:
            obj.sealed_password = ""
        elif password := form.cleaned_data["password"]:
            set_password(obj, password)
        # Not what a pull may be writing at this moment.
        columns = [field.name for field in Directory._meta.concrete_fields if not field.primary_key]
        obj.save(update_fields=[name for name in columns if not name.startswith("last_")] if change else None)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """List the directories alone: that contacts came from them goes too, the contacts stay."""
        return [str(directory) for directory in objs], {}, set(), []

    # --- what one does with it ---

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/preview/", wrap(self.preview_view), name="contacts_directory_preview"),
            path("<path:object_id>/pull/", wrap(self.pull_view), name="contacts_directory_pull"),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the first entries as contacts.  Changes nothing; by POST, as it logs in elsewhere."""
        directory = self._find(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("What the directory would bring in"),
            "opts": self.opts,
            "directory": directory,
        }
        try:
            context["preview"] = preview_directory(directory)
        except DirectoryFailed as problem:
            context["problem"] = problem.detail
        response = TemplateResponse(request, "admin/contacts/directory/preview.html", context)
        add_never_cache_headers(response)
        return response

    def pull_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have the directory pulled in the background, or see what that would do."""
        directory = self._find(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        dry_run = request.POST.get("dry_run") == "1"
        try:
            pull_directory.delay(directory.pk, user_id=require_user(request).pk, dry_run=dry_run)
        except OperationalError:
            messages.error(request, gettext("The queue of background jobs is away. Try again later."))
        else:
            self.log_change(request, directory, gettext("dry run") if dry_run else gettext("pulled"))
            text = gettext("It has been handed to the background jobs; reload the page to see how far it is.")
            messages.success(request, text)
        return HttpResponseRedirect(reverse("admin:contacts_directory_change", args=[directory.pk]) + "#pulls")

    def _find(self, request: HttpRequest, object_id: str) -> Directory:
        if not self.has_view_permission(request):
            raise PermissionDenied
        directory: Directory | None = self.get_object(request, unquote(object_id))
        if directory is None:
            raise Http404
        return directory
