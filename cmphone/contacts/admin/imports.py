"""Admin pages of imports: hand in a file, say what its columns are, look at the beginning, start, watch.

Who may view, create and edit the contacts of some customer group may import into it; Django's permissions have no
part in it.  What is not his gives what one gives that does not exist.
"""

import re
from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from cmphone.celery import hasten
from cmphone.contacts.admin.import_forms import SettingsForm, UploadForm
from cmphone.contacts.admin.readings import label_field
from cmphone.contacts.admin.rights import read_rights, require_user
from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.imports.models import ImportRun, ImportSource, ImportState
from cmphone.contacts.imports.preview import PreviewedRecord, preview_run
from cmphone.contacts.imports.report import PLACES, TOTALS, list_findings, list_report_lines
from cmphone.contacts.imports.runs import (
    cancel_run,
    configure_run,
    create_run,
    discard_run,
    require_group,
    reread_columns,
    reuse_file,
    start_run,
)
from cmphone.contacts.models import User
from cmphone.contacts.selectors import list_importable_groups, list_imports, may_read_report
from cmphone.csv_cells import choose_delimiter, write_csv
from cmphone.problems import Conflict, InvalidRequest, NotFound

TASK = "cmphone.contacts.tasks.work_off_imports"
SHOWN_FINDINGS = 20
# Always shown; of the others only those that there are.
MAIN_TOTALS = ("lines", "created", "changed", "unchanged", "refused")


@admin.register(ImportRun)
class ImportRunAdmin(admin.ModelAdmin):
    list_display = ["requested", "file_link", "source", "group", "user_name", "condition", "progress", "result"]
    list_display_links = None
    list_filter = ["state", "source", "dry_run"]
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    ordering = ["-id"]

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    # --- rights ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        # Every page asks, for its list of pages: what is read once a request is enough for that.
        return self.has_add_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: ImportRun | None = None) -> bool:
        return self.has_add_permission(request) or list_imports(require_user(request)).exists()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return any(each.view and each.create and each.edit for each in read_rights(request).values())

    def has_change_permission(self, request: HttpRequest, obj: ImportRun | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ImportRun | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportRun]:
        return list_imports(require_user(request)).order_by(*(self.get_ordering(request) or ["-id"]))

    # --- the list ---

    @admin.display(description=_("when"), ordering="id")
    def requested(self, run: ImportRun) -> str:
        at = run.requested_at or run.created_at
        return date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT")

    @admin.display(description=_("file"), ordering="file_name")
    def file_link(self, run: ImportRun) -> SafeString:
        url = reverse("admin:contacts_importrun_change", args=[run.pk])
        return format_html("<a href='{}'>{}</a>", url, run.file_name or run.get_source_display())

    # A text and not the record: a link would lead to pages that are not for everybody.
    @admin.display(description=_("customer group"), ordering="customer_group__name")
    def group(self, run: ImportRun) -> str:
        return str(run.customer_group)

    @admin.display(description=_("state"), ordering="state")
    def condition(self, run: ImportRun) -> str:
        return describe_state(run)

    @admin.display(description=_("progress"))
    def progress(self, run: ImportRun) -> str | SafeString:
        return "–" if run.state == ImportState.DRAFT else show_progress(run)

    @admin.display(description=_("result"))
    def result(self, run: ImportRun) -> str:
        shown = [(label, run.counts.get(name, 0)) for name, label in TOTALS.items() if name != "lines"]
        return ", ".join(f"{label}: {_group_digits(count)}" for label, count in shown if count) or "–"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise Http404
        return super().changelist_view(request, {"title": _("Imports of contacts"), **(extra_context or {})})

    # --- handing a file in ---

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        user = require_user(request)
        groups = _list_groups(user)
        if not groups:
            raise Http404
        form = UploadForm(request.POST or None, request.FILES or None, groups=groups)
        if request.method == "POST" and form.is_valid():
            file: UploadedFile[Any] = form.cleaned_data["file"]
            try:
                run = create_run(
                    user=user,
                    customer_group_id=form.cleaned_data["customer_group"],
                    file_name=file.name or "",
                    content=file.chunks(),
                    encoding=form.cleaned_data["encoding"] or None,
                )
            except InvalidRequest as problem:
                form.add_error("file", problem.detail)
            else:
                return self._go_to(run)
        return self._show(request, "upload", {"title": _("Import contacts"), "form": form})

    # --- a single one ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        user = require_user(request)
        run = self._get_run(request, object_id)
        if request.method != "POST":
            return self._show_settings(request, run) if run.state == ImportState.DRAFT else self._show_run(request, run)
        try:
            if run.state == ImportState.DRAFT and "_discard" not in request.POST:
                return self._take_settings(request, run)
            if "_discard" in request.POST:
                discard_run(run)
                self.message_user(request, gettext("The file was removed; nothing was imported."), messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:contacts_importrun_changelist"))
            if "_cancel" in request.POST and run.source != ImportSource.DIRECTORY:
                cancel_run(run)
            elif "_settings" in request.POST or "_import" in request.POST:
                require_group(user, run.customer_group_id)
                run = reuse_file(run, user=user)
                if "_import" in request.POST:
                    self._start(run, user, dry_run=False)
        except Conflict as problem:
            self.message_user(request, problem.detail, messages.WARNING)
        except NotFound as problem:
            raise Http404 from problem
        return self._go_to(run)

    def _take_settings(self, request: HttpRequest, run: ImportRun) -> HttpResponse:
        """Keep the settings of a draft, and start it if that is wanted and nothing has to be looked at before."""
        user = require_user(request)
        rules = require_group(user, run.customer_group_id)
        form = SettingsForm(request.POST, run=run, rules=rules)
        if not form.is_valid():
            return self._show_settings(request, run, form)
        try:
            options = form.options
            if form.is_reread:
                encoding, delimiter = form.cleaned_data["encoding"], form.cleaned_data["delimiter"]
                options = reread_columns(run, rules, encoding=encoding, delimiter=delimiter)
            configure_run(run, options=options, overwrite_empty=form.cleaned_data["overwrite_empty"])
            if ("_dry_run" in request.POST or "_import" in request.POST) and not form.is_reread:
                # Only what can be read and has a field.
                preview_run(run, rules, user=user)
                self._start(run, user, dry_run="_dry_run" in request.POST)
        except InvalidRequest as problem:
            form.add_error(None, problem.detail)
            return self._show_settings(request, run, form)
        if form.is_reread:
            text = gettext("The file is read in another way now: look at its columns again.")
            self.message_user(request, text, messages.INFO)
        return self._go_to(run)

    def _start(self, run: ImportRun, user: User, *, dry_run: bool) -> None:
        start_run(run, user=user, dry_run=dry_run)
        hasten(TASK)

    def _show_settings(self, request: HttpRequest, run: ImportRun, form: SettingsForm | None = None) -> HttpResponse:
        """Show what a draft's columns are, and what its first records would become."""
        user = require_user(request)
        try:
            rules = require_group(user, run.customer_group_id)
        except NotFound as problem:
            raise Http404 from problem
        problem_text, records = "", []
        # With settings that are not taken the beginning would be another one than people see.
        if form is None:
            try:
                records = preview_run(run, rules, user=user)
            except InvalidRequest as problem:
                problem_text = problem.detail
        context = {
            "title": _("Import contacts"),
            "run": run,
            "form": form or SettingsForm(run=run, rules=rules),
            "is_csv": run.source == ImportSource.CSV,
            "problem": problem_text,
            "place": PLACES[run.source],
            "records": [_describe_record(each, rules) for each in records],
            "total": _group_digits(run.total),
        }
        return self._show(request, "settings", context)

    def _show_run(self, request: HttpRequest, run: ImportRun) -> HttpResponse:
        """Show how far a run is, and what has become of its records."""
        user = require_user(request)
        may_read = may_read_report(user, run)
        before = self._count_before(run)
        counts = [
            (label, _group_digits(run.counts.get(name, 0)))
            for name, label in TOTALS.items()
            if name in MAIN_TOTALS or run.counts.get(name)
        ]
        may_import = run.customer_group_id in list_importable_groups(user)
        context = {
            "title": run.file_name or run.get_source_display(),
            "run": run,
            "state": describe_state(run),
            "bar": show_progress(run),
            # A pull of a directory goes on to its end.
            "may_cancel": run.is_active and run.source != ImportSource.DIRECTORY,
            "before": before,
            "counts": counts,
            "place": PLACES[run.source],
            "may_read": may_read,
            "findings": list_findings(run, limit=SHOWN_FINDINGS) if may_read else [],
            "has_report": may_read and run.place > 0,
            "may_reuse": may_import and run.dry_run and not run.is_active and run.chunks.exists(),
        }
        return self._show(request, "run", context)

    def _count_before(self, run: ImportRun) -> int:
        """Return how many imports, of whomever, are worked off before this one."""
        if run.state != ImportState.WAITING:
            return 0
        going = ImportRun.objects.filter(state__in=[ImportState.WAITING, ImportState.RUNNING])
        return going.filter(requested_at__lt=run.requested_at).count()

    # --- the report ---

    def get_urls(self) -> list[URLPattern]:
        report = self.admin_site.admin_view(self.report_view)
        return [path("<path:object_id>/report/", report, name="contacts_importrun_report"), *super().get_urls()]

    def report_view(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """Send what became of every record, as a file for a spreadsheet."""
        run = self._get_run(request, object_id)
        if request.method not in {"GET", "HEAD"} or not may_read_report(require_user(request), run):
            raise Http404
        language = get_language() or "en"
        response = StreamingHttpResponse(
            write_csv(list_report_lines(run, language), delimiter=choose_delimiter(language)),
            content_type="text/csv; charset=utf-8",
        )
        response["Content-Disposition"] = f'attachment; filename="import-{run.pk}.csv"'
        return response

    # --- what the pages share ---

    def _get_run(self, request: HttpRequest, object_id: str) -> ImportRun:
        id = int(object_id) if re.fullmatch("[0-9]{1,18}", object_id) else 0
        run = list_imports(require_user(request)).filter(pk=id).first()
        if run is None:
            raise Http404
        return run

    def _go_to(self, run: ImportRun) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:contacts_importrun_change", args=[run.pk]))

    def _show(self, request: HttpRequest, page: str, context: Mapping[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"admin/contacts/importrun/{page}.html", {**shared, **context})


def describe_state(run: ImportRun) -> str:
    """Return what a run is doing, and whether it is for trial."""
    state = run.get_state_display()
    return gettext("%s (dry run)") % state if run.dry_run else state


def show_progress(run: ImportRun) -> SafeString:
    """Return a bar with how much of a run is done."""
    return format_html(
        "<span class='nowrap'><progress class='rebuild-bar' max='100' value='{0}' aria-label='{1}'>{0} %</progress>"
        " {0} %</span>",
        run.percent,
        str(run),
    )


def _describe_record(record: PreviewedRecord, rules: GroupRules) -> dict[str, Any]:
    contact = record.contact
    fields = rules.fields.get(contact.kind, ()) if contact else ()
    values = [
        (label_field(rule), contact.fields[rule.name]) for rule in fields if contact and rule.name in contact.fields
    ]
    return {
        "number": record.number,
        "outcome": record.outcome.label,
        "contact": contact,
        "values": values,
        "findings": record.findings,
    }


def _list_groups(user: User) -> list[tuple[int, str]]:
    configuration, language = get_current_configuration(), get_language() or "en"
    groups = [configuration.groups[id] for id in list_importable_groups(user) if id in configuration.groups]
    return sorted(((each.id, each.label(language)) for each in groups), key=lambda choice: choice[1])


def _group_digits(number: int) -> str:
    return number_format(number, force_grouping=True)
