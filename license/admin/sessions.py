"""Admin page of sessions: who holds a seat, and the button that ends it."""

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from license.models import EndReason, Session
from license.selectors import LIVE_SINCE, list_sessions
from license.services import end_session


class StateFilter(admin.SimpleListFilter):
    """Sessions that hold a seat, and the others."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: "admin.ModelAdmin[Session]") -> list[tuple[str, str]]:
        return [("live", gettext("active")), ("ended", gettext("ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        match self.value():
            case "live":
                return queryset.filter(ended_at=None, last_seen_at__gt=LIVE_SINCE)
            case "ended":
                return queryset.filter(Q(ended_at__isnull=False) | Q(last_seen_at__lte=LIVE_SINCE))
            case _:
                return queryset


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = [
        "user",
        "client_id",
        "workstation",
        "line",
        "client_version",
        "started_at",
        "last_seen_at",
        "state",
        "ended_at",
    ]
    list_filter = [StateFilter]
    search_fields = ["user__username", "client_id", "workstation", "line"]
    fields = [
        "user",
        "client_id",
        "workstation",
        "line",
        "client_version",
        "address",
        "pool",
        "started_at",
        "last_seen_at",
        "state",
        "ended_at",
    ]
    actions = ["end_sessions"]

    @admin.display(description=_("state"))
    def state(self, session: Session) -> str | Promise:
        if session.ended_at is not None:
            return EndReason(session.end_reason).label
        return EndReason.TIMED_OUT.label if session.is_timed_out else _("active")

    @admin.action(description=_("End the selected sessions"), permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        count = sum(end_session(session) for session in queryset)
        text = ngettext("%d session ended. Its seat is free.", "%d sessions ended. Their seats are free.", count)
        self.message_user(request, text % count, messages.SUCCESS if count else messages.WARNING)

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("license.end_session")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        return list_sessions()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        # Asked for each session when its user is deleted; the list offers no deletion.
        return obj is not None and super().has_delete_permission(request, obj)
