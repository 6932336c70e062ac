"""Admin pages of calls and lines.  Superusers read every call, and nobody changes one here."""

import re
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.calls.models import Call, Line
from cmphone.contacts.models import User
from numbering.international import format_international
from numbering.reading import Reading

SHORTEST_SEARCH = 3


class LineFilter(admin.SimpleListFilter):
    """Offers the lines that are kept: to gather all that were ever reported would mean reading every call."""

    title = _("line")
    parameter_name = "line"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(line.name, str(line)) for line in Line.objects.all()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Call]) -> QuerySet[Call]:
        value = self.value()
        return queryset if value is None else queryset.filter(line=value)


class DoneFilter(admin.SimpleListFilter):
    """Offers calls that somebody has seen to, and the others."""

    title = _("seen to")
    parameter_name = "done"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", gettext("Not yet")), ("yes", gettext("Seen to"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Call]) -> QuerySet[Call]:
        value = self.value()
        return queryset if value is None else queryset.filter(done_at__isnull=value != "yes")


@admin.register(Call)
class CallAdmin(admin.ModelAdmin):
    list_display = ["started_at", "shown_number", "direction", "what_became", "line", "reporter_name", "seen_to"]
    list_filter = [
        "is_missed",
        DoneFilter,
        ("started_at", admin.DateFieldListFilter),
        "direction",
        LineFilter,
    ]
    list_select_related = ["reporter", "done_by", "called_back_by"]
    list_per_page = 50
    # Each of them would count every call there is.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["=call_id", "=line", "=reporter__username"]
    search_help_text = _("Digits of the number, line, user name or call id")
    ordering = ["-started_at", "-id"]
    actions = None

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    # --- rights ---

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return request.user.is_active and request.user.is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Call]:
        calls = super().get_queryset(request)
        # Some pages look for the call first, and then answer otherwise than where there is none.
        return calls if self.has_view_permission(request) else calls.none()

    # --- the list ---

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Call], search_term: str
    ) -> tuple[QuerySet[Call], bool]:
        found, has_doubles = super().get_search_results(request, queryset, search_term.replace("\x00", ""))
        # However it is written: a number is kept with its country and without zeros in front.
        digits = re.sub("[^0-9]", "", search_term).lstrip("0")
        if len(digits) >= SHORTEST_SEARCH and not re.search("[A-Za-z]", search_term):
            found |= queryset.filter(canonical__contains=digits)
        return found, has_doubles

    @admin.display(description=_("number"))
    def shown_number(self, call: Call) -> str | Promise:
        if call.kind == "withheld":
            return _("withheld")
        return format_international(Reading(call.canonical, call.kind, rule="", raw=call.number))  # type: ignore[arg-type]

    @admin.display(description=_("state"), ordering="state")
    def what_became(self, call: Call) -> str | Promise:
        return _("missed") if call.is_missed else call.get_state_display()

    @admin.display(description=_("reported by"), ordering="reporter__username")
    def reporter_name(self, call: Call) -> str:
        return _name(call.reporter)

    @admin.display(description=_("seen to"), ordering="done_at")
    def seen_to(self, call: Call) -> str:
        return "" if call.done_at is None else _name(call.done_by)

    @admin.display(description=_("called back by"))
    def caller_back(self, call: Call) -> str:
        return "" if call.called_back_at is None else _name(call.called_back_by)

    # --- one call ---

    def get_fieldsets(self, request: HttpRequest, obj: Call | None = None) -> Any:
        return [
            (None, {"fields": ["shown_number", "direction", "line", "what_became"]}),
            (_("Times"), {"fields": ["started_at", "answered_at", "ended_at", "is_end_assumed"]}),
            (_("What was done"), {"fields": ["done_at", "seen_to", "called_back_at", "caller_back"]}),
            (_("Record"), {"fields": ["call_id", "reporter_name", "reported_at", "number"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Call | None = None) -> list[str]:
        return [name for _title, options in self.get_fieldsets(request, obj) for name in options["fields"]]


def _name(user: User | None) -> str:
    return "–" if user is None else user.display_name


@admin.register(Line)
class LineAdmin(admin.ModelAdmin):
    list_display = ["name", "label", "user_names"]
    search_fields = ["name", "label", "users__username"]
    autocomplete_fields = ["users"]

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Line]:
        return super().get_queryset(request).prefetch_related("users")

    @admin.display(description=_("users"))
    def user_names(self, line: Line) -> str:
        return ", ".join(sorted(user.username for user in line.users.all())) or "–"
