"""Shows how far index entries and display names are built from the settings in force.

Who may see customer groups may see this: it names them, and no contact.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cmphone.contacts.models import Rebuild, Subject
from cmphone.contacts.rebuilding import Progress, find_progress


def read_progress(request: HttpRequest) -> Mapping[int, Sequence[Progress]]:
    """Return by customer group what is not up to date, read once a request."""
    if not hasattr(request, "rebuild_progress"):
        request.rebuild_progress = find_progress()  # type: ignore[attr-defined]
    progress: Mapping[int, Sequence[Progress]] = request.rebuild_progress  # type: ignore[attr-defined]
    return progress


def show_progress(of_group: Sequence[Progress]) -> SafeString:
    """Return a line and a bar for each that is not up to date; of none, that all is."""
    if not of_group:
        return format_html("<span class='up-to-date'>{}</span>", _("up to date"))
    return format_html_join("", "<div class='rebuild'>{}{}</div>", ((_bar(each), _describe(each)) for each in of_group))


def _bar(progress: Progress) -> SafeString:
    percent = progress.row.percent if progress.row else 0
    return show_bar(percent, Subject(progress.subject).label)


def show_bar(percent: int, label: str | Promise) -> SafeString:
    """Return a bar; `label` says of what, to who does not see it."""
    return format_html(
        "<progress class='rebuild-bar' max='100' value='{0}' aria-label='{1}'>{0} %</progress> ", percent, label
    )


def _describe(progress: Progress) -> str:
    subject, row = Subject(progress.subject).label, progress.row
    if row is None:
        return _("%(subject)s: waiting to be built anew") % {"subject": subject}
    started = timezone.localtime(row.started_at)
    is_today = started.date() == timezone.localdate()
    return _("%(subject)s: %(percent)d %%, %(done)s of %(total)s contacts, since %(start)s") % {
        "subject": subject,
        "percent": row.percent,
        "done": group_digits(row.done),
        "total": group_digits(max(row.done, row.total)),
        "start": date_format(started, "H:i" if is_today else "SHORT_DATETIME_FORMAT"),
    }


def group_digits(number: int) -> str:
    """Return a number as people read large ones."""
    return number_format(number, force_grouping=True)


@admin.register(Rebuild)
class RebuildAdmin(admin.ModelAdmin):
    """To look at: rebuilds start and end by themselves."""

    list_select_related = ["customer_group"]
    list_per_page = 100
    ordering = ["-updated_at"]
    # There is no page of a single one.
    list_display_links = None

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Rebuild | None = None) -> bool:
        may = request.user.has_perm
        return may("contacts.view_customergroup") or may("contacts.change_customergroup")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Rebuild | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Rebuild | None = None) -> bool:
        return False

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        def is_waiting(rebuild: Rebuild) -> bool:
            # The settings are others by now than those it was, or is being, built from.
            of_group = read_progress(request).get(rebuild.customer_group_id, ())
            return Progress(rebuild.subject, None) in of_group

        @admin.display(description=gettext_lazy("state"))
        def state(rebuild: Rebuild) -> str:
            if is_waiting(rebuild):
                return _("waiting")
            return _("up to date") if rebuild.finished_at else _("under way")

        @admin.display(description=gettext_lazy("progress"))
        def bar(rebuild: Rebuild) -> SafeString:
            percent = 0 if is_waiting(rebuild) else rebuild.percent
            return format_html("<span class='nowrap'>{}{} %</span>", show_bar(percent, str(rebuild)), percent)

        columns = ["customer_group", "subject_name", state, bar, "contacts", "changed"]
        return [*columns, *(time_column(name) for name in ("started_at", "updated_at", "finished_at"))]

    @admin.display(description=gettext_lazy("subject"), ordering="subject")
    def subject_name(self, rebuild: Rebuild) -> str:
        return rebuild.get_subject_display()

    @admin.display(description=gettext_lazy("contacts"), ordering="done")
    def contacts(self, rebuild: Rebuild) -> str:
        # There may be more by now than when it began.
        total = rebuild.done if rebuild.finished_at else max(rebuild.done, rebuild.total)
        return f"{group_digits(rebuild.done)} / {group_digits(total)}"


def time_column(name: str, model: type[Model] = Rebuild) -> Callable[[Any], str]:
    """Return a column with one of the times of a record, short enough that the table fits on a page."""

    @admin.display(description=str(label_for_field(name, model)), ordering=name)
    def column(record: Any) -> str:
        at = getattr(record, name)
        return date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT") if at else "–"

    return column
