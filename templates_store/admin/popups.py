"""The pages of the popup files: what is in force, one file, previews, versions, a zip.

Who may view versions sees everything, who may also add one publishes.  No page changes anything when it is only opened.
"""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import get_language, gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from templates_store.admin.forms import ALL, EditForm, PreviewForm, PublishForm, UploadForm, ZipForm
from templates_store.admin.overview import describe_files, describe_folder, find_version_before, list_history
from templates_store.admin.previews import HEADERS, Caller, list_samples, preview, take_files
from templates_store.admin.publishing import Refusal, list_differences, try_to
from templates_store.models import PopupLayer, PopupVersion
from templates_store.popup_context import CONTEXT_NAMES
from templates_store.popup_files import normalize
from templates_store.popup_parsing import POPUP_FILTERS
from templates_store.popup_sets import PopupSet, list_files, list_versions
from templates_store.popup_store import get_popups, publish_popups, roll_back, try_popups, try_zip, upload_zip
from templates_store.popups import NAMES
from templates_store.shipped_popups import list_languages

OVERVIEW = "admin:templates_store_popupversion_changelist"
# What the address of a preview may say.
CHOICES = ("language", "sample", "version", "file")
# How many versions the choice of what to compare with offers.
COMPARE_WITH = 100


@admin.register(PopupVersion)
class PopupVersionAdmin(admin.ModelAdmin):
    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, str, Callable[..., HttpResponse]]] = [
            ("", "changelist", self.changelist_view),
            ("add/", "add", self.add_view),
            ("history/", "history", self.versions_view),
            ("preview/", "preview", self.preview_view),
            ("preview/popups/", "popups", self.popups_view),
            ("zip/", "zip", self.zip_view),
            ("<int:number>/change/", "change", self.version_view),
            ("<int:number>/roll-back/", "roll_back", self.roll_back_view),
            ("<int:number>/zip/", "zip_of", self.zip_view),
            ("<str:language>/<str:name>/edit/", "edit", self.edit_view),
            ("<str:language>/<str:name>/back/", "back", self.back_view),
        ]
        view = self.admin_site.admin_view
        return [path(route, view(page), name=f"templates_store_popupversion_{name}") for route, name, page in pages]

    # --- looking ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show what is in force, and where it comes from."""
        self._require_view(request)
        version = self._get_version_in_force()
        return self._show(
            request,
            "overview",
            title=_("Popup templates"),
            version=version,
            languages=list_languages(),
            rows=describe_files(version),
            folder=describe_folder(),
        )

    def versions_view(self, request: HttpRequest) -> HttpResponse:
        """Show every version that is kept."""
        self._require_view(request)
        page, rows = list_history(request.GET.get("page"))
        in_force = _get_number_in_force()
        return self._show(request, "history", title=_("History"), versions=page, rows=rows, in_force=in_force)

    def version_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """Show a version, and how it differs from the one before, or from one that was chosen."""
        self._require_view(request)
        version = _get_version(number)
        chosen = request.GET.get("against", "")
        other = _get_version(int(chosen)) if chosen.isdecimal() and len(chosen) < 18 else find_version_before(number)
        return self._show(
            request,
            "version",
            title=gettext("Version %d of the popups") % number,
            version=version,
            other=other,
            others=list_versions().exclude(number=number)[:COMPARE_WITH],
            differences=list_differences(_get_popups(other.number), _get_popups(number)) if other else [],
            in_force=_get_number_in_force(),
        )

    def zip_view(self, request: HttpRequest, number: int | None = None) -> HttpResponse:
        """Send all files of a version, or of the one in force."""
        self._require_view(request)
        popups = get_popups() if number is None else _get_popups(number)
        disposition = f'attachment; filename="popup-templates-{popups.version}.zip"'
        return HttpResponse(popups.zip, content_type="application/zip", headers={"Content-Disposition": disposition})

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Let somebody choose what is previewed; the popups come into a frame of the page."""
        self._require_view(request)
        name = request.GET.get("file", "")
        chosen = {"language": get_language(), **{key: request.GET[key] for key in CHOICES if key in request.GET}}
        return self._show(
            request,
            "preview",
            title=gettext("Preview of %s") % name if name in NAMES else _("Preview"),
            form=PreviewForm(initial=chosen, samples=list_samples(name)),
            query=urlencode(chosen),
        )

    def popups_view(self, request: HttpRequest) -> HttpResponse:
        """Show the popups themselves, for a frame: of the files in force, of a version, or of a file being edited.

        A number and a source come by POST only: addresses are kept in logs.
        """
        self._require_view(request)
        values = request.POST if request.method == "POST" else request.GET
        form = PreviewForm(values, samples=list_samples())
        context: dict[str, Any] = {"form": form, "title": _("Preview")}
        if form.is_valid():
            context |= self._preview(request, form.cleaned_data)
        return TemplateResponse(request, _template("popups"), context, headers=HEADERS)

    def _preview(self, request: HttpRequest, chosen: Mapping[str, Any]) -> dict[str, Any]:
        language, name, number = chosen["language"], chosen["file"], ""
        popups = _get_popups(chosen["version"]) if chosen["version"] else get_popups()
        files = take_files(popups, language)
        if request.method == "POST":
            number = chosen["number"]
            if name and "source" in request.POST:
                self._require_editor(request)
                files[name] = normalize(chosen["source"])
        samples = [chosen["sample"]] if chosen["sample"] else [sample for sample, _label in list_samples(name)]
        caller = self.find_caller(request, number) if number else None
        return preview(files, language=language, samples=samples, caller=caller)

    def find_caller(self, request: HttpRequest, number: str) -> Caller:
        """Return how to look up who calls from a number, by the rights of who asks: cmphone/api/admin.py knows that."""
        raise NotImplementedError

    # --- publishing ---

    def edit_view(self, request: HttpRequest, language: str, name: str) -> HttpResponse:
        """Show the source of a file, and publish what becomes of it."""
        user = self._require_editor(request)
        _require_file(language, name)
        popups = get_popups()
        in_force = popups.files[language, name].decode()
        initial = {"source": in_force, "based_on": popups.version}
        form = EditForm(request.POST) if request.method == "POST" else EditForm(initial=initial)
        refusal, differences = Refusal(), []
        if form.is_bound and form.is_valid():
            sent = form.cleaned_data
            languages = list_languages() if sent["scope"] == ALL else [language]
            changes = {(each, name): sent["source"] for each in languages}
            sources = {f"{each}/{name}": sent["source"] for each in languages}
            publish = partial(publish_popups, changes=changes, by=user, note=sent["note"], based_on=sent["based_on"])
            result = try_to(publish, sources=sources)
            if isinstance(result, PopupVersion):
                return self._finish(request, result, sent["based_on"], gettext_noop("Version %(number)d is published."))
            refusal = result
        if refusal.conflict:
            mine = PopupSet("", {(language, name): normalize(form.cleaned_data["source"]).encode()}, {})
            theirs = PopupSet("", {(language, name): in_force.encode()}, {})
            differences = list_differences(theirs, mine)
            # Who publishes again has seen what changed.
            form = EditForm({**request.POST.dict(), "based_on": popups.version})
        layers = list_files(int(popups.version)).filter(language=language, name=name).values_list("layer", flat=True)
        return self._show(
            request,
            "edit",
            title=gettext("Edit %s") % f"{language}/{name}",
            form=form,
            preview_form=PreviewForm(initial={"language": language, "file": name}, samples=list_samples(name)),
            language=language,
            name=name,
            is_override=PopupLayer.OVERRIDE in layers,
            version=popups.version,
            refusal=refusal,
            differences=differences,
            names=[(each, gettext(meaning)) for each, meaning in CONTEXT_NAMES.items()],
            filters=sorted(POPUP_FILTERS),
        )

    def back_view(self, request: HttpRequest, language: str, name: str) -> HttpResponse:
        """Ask whether a file should no longer be overridden, and publish that."""
        user = self._require_editor(request)
        _require_file(language, name)
        changes = {(language, name): None}
        return self._confirm(
            request,
            title=gettext("Back to the file as it came: %s") % f"{language}/{name}",
            button=_("Back to the file as it came"),
            look=partial(try_popups, changes),
            publish=partial(publish_popups, changes=changes, by=user),
            done=gettext_noop("Version %(number)d is published."),
        )

    def roll_back_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """Ask whether the files of a version should be in force again, and publish them as a new one."""
        user = self._require_editor(request)
        _get_version(number)
        return self._confirm(
            request,
            title=gettext("Roll back to version %d") % number,
            button=_("Roll back"),
            look=partial(_get_popups, number),
            publish=partial(roll_back, number, by=user),
            done=gettext_noop("Rolled back: the older files are in force again, as version %(number)d."),
        )

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Take a zip, show what it changes, and publish that."""
        user = self._require_editor(request)
        refusal: PopupSet | Refusal = Refusal()
        form = UploadForm()
        if "zip" in request.POST:
            confirmed = ZipForm(request.POST)
            if not confirmed["zip"].errors:
                return self._confirm_zip(request, user, confirmed.cleaned_data["zip"])
            messages.error(request, gettext("The preview came back incomplete. Choose the file again."))
        elif request.method == "POST":
            form = UploadForm(request.POST, request.FILES)
            if form.is_valid():
                refusal = try_to(partial(try_zip, form.cleaned_data["file"]))
                if isinstance(refusal, PopupSet):
                    return self._confirm_zip(request, user, form.cleaned_data["file"])
        return self._show(request, "upload", title=_("Upload a zip"), form=form, refusal=refusal)

    def _confirm_zip(self, request: HttpRequest, user: AbstractUser, data: bytes) -> HttpResponse:
        return self._confirm(
            request,
            title=gettext("What the zip changes"),
            button=_("Publish"),
            look=partial(try_zip, data),
            publish=partial(upload_zip, data, by=user),
            done=gettext_noop("Version %(number)d is published."),
            zip=base64.b64encode(data).decode(),
        )

    def _confirm(
        self,
        request: HttpRequest,
        *,
        title: str,
        button: str | Promise,
        look: Callable[[], PopupSet],
        publish: Callable[..., PopupVersion],
        done: str,
        zip: str = "",
    ) -> HttpResponse:
        """Show what publishing would change, or publish what was confirmed."""
        popups = get_popups()
        refusal = Refusal()
        form = PublishForm(initial={"based_on": popups.version})
        if "_confirm" in request.POST:
            form = PublishForm(request.POST)
            if form.is_valid():
                based_on = form.cleaned_data["based_on"]
                result = try_to(partial(publish, note=form.cleaned_data["note"], based_on=based_on))
                if isinstance(result, PopupVersion):
                    return self._finish(request, result, based_on, done)
                refusal = result
                # What is shown now is what changes now.
                form = PublishForm(initial={"note": form.cleaned_data["note"], "based_on": popups.version})
        after = try_to(look)
        return self._show(
            request,
            "confirm",
            title=title,
            button=button,
            form=form,
            zip=zip,
            refusal=after if isinstance(after, Refusal) else refusal,
            is_possible=not isinstance(after, Refusal),
            differences=[] if isinstance(after, Refusal) else list_differences(popups, after),
            version=popups.version,
        )

    def _finish(self, request: HttpRequest, version: PopupVersion, based_on: int, done: str) -> HttpResponse:
        if version.number == based_on:
            messages.info(request, gettext("Nothing was changed."))
        else:
            text = gettext(done) % {"number": version.number}
            self.log_addition(request, version, text)
            messages.success(request, text)
        return HttpResponseRedirect(reverse(OVERVIEW))

    # --- what the pages share ---

    def _show(self, request: HttpRequest, page: str, **context: Any) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "may_publish": self.has_add_permission(request),
            **context,
        }
        return TemplateResponse(request, _template(page), context)

    def _get_version_in_force(self) -> PopupVersion:
        return PopupVersion.objects.get(number=_get_number_in_force())

    # --- rights ---

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _require_editor(self, request: HttpRequest) -> AbstractUser:
        """Return who asks.  He may publish, and sees what he changes."""
        user = request.user
        self._require_view(request)
        if not self.has_add_permission(request) or not isinstance(user, AbstractUser):
            raise PermissionDenied
        return user

    def has_change_permission(self, request: HttpRequest, obj: PopupVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PopupVersion | None = None) -> bool:
        return False


def _template(page: str) -> str:
    return f"admin/templates_store/popupversion/{page}.html"


def _get_number_in_force() -> int:
    return int(get_popups().version)


def _get_version(number: int) -> PopupVersion:
    version = list_versions().filter(number=number).first() if number < 10**18 else None
    if version is None:
        raise Http404
    return version


def _get_popups(number: int) -> PopupSet:
    return get_popups(str(number))


def _require_file(language: str, name: str) -> None:
    if language not in list_languages() or name not in NAMES:
        raise Http404
