"""Admin page of sessions: who holds a seat or held one, and the buttons that end it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from license.models import EndReason, Session
from license.selectors import IS_LIVE, IS_TIMED_OUT, list_sessions
from license.services import end_session

# Django takes a form with so many fields, each of them a session, and no more than a thousand.
SELECT_AT_MOST = 500


class StateFilter(admin.SimpleListFilter):
    """Sessions that hold a seat, and the others."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: "admin.ModelAdmin[Session]") -> list[tuple[str, str]]:
        return [("live", gettext("active")), ("ended", gettext("ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        match self.value():
            case "live":
                return queryset.filter(IS_LIVE)
            case "ended":
                return queryset.filter(Q(ended_at__isnull=False) | IS_TIMED_OUT)
            case _:
                return queryset


class ReasonFilter(admin.SimpleListFilter):
    """Why sessions ended."""

    title = _("why it ended")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: "admin.ModelAdmin[Session]") -> list[tuple[str, str]]:
        return [(each.value, str(each.label)) for each in EndReason if each]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        match self.value():
            case EndReason.TIMED_OUT:
                return queryset.filter(IS_TIMED_OUT)
            case str(reason) if reason:
                return queryset.filter(end_reason=reason)
            case _:
                return queryset


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):
    list_filter = [StateFilter, ReasonFilter]
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    date_hierarchy = "started_at"
    search_fields = [
        "user__username",
        "user__first_name",
        "user__last_name",
        "client_id",
        "workstation",
        "line",
        "address",
    ]
    search_help_text = _("User, client, workstation, line or address")
    fields = [
        "user",
        "client_id",
        "client_version",
        "workstation",
        "line",
        "address",
        "pool",
        "started_at",
        "last_seen",
        "state",
        "over_at",
    ]
    actions = ["end_sessions"]

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    # --- the list ---

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        query = self.get_preserved_filters(request)

        @admin.display(
            description=format_html('<span class="visually-hidden">{}</span>', gettext("End")), empty_value=""
        )
        def end_button(session: Session) -> str:
            if session.why_over:
                return ""
            # It sends the form that the list stands in, with its token, to another address.
            return format_html(
                '<button type="submit" class="button end-session" formaction="{}" title="{}">{}</button>',
                _url("end", session, query=query),
                gettext("End the session %s") % session,
                gettext("End"),
            )

        columns: list[Any] = ["who", "client_id", "client_version", "workstation", "line", "at_address"]
        columns += ["start", "last_activity", "state", "end"]
        return [*columns, end_button] if self.has_end_permission(request) else columns

    @admin.display(description=_("user"), ordering="user__username")
    def who(self, session: Session) -> str:
        name = session.user.get_full_name()
        return format_html("{}<div class='quiet'>{}</div>", session.user, name) if name else str(session.user)

    @admin.display(description=_("address"), ordering="address")
    def at_address(self, session: Session) -> str:
        return session.address or "–"

    @admin.display(description=_("start"), ordering="started_at")
    def start(self, session: Session) -> str:
        return _show_time(session.started_at)

    @admin.display(description=_("last activity"), ordering="last_seen_at")
    def last_activity(self, session: Session) -> str:
        return _show_time(session.last_seen_at)

    @admin.display(description=_("state"), ordering="end_reason")
    def state(self, session: Session) -> str:
        return str(session.state)

    @admin.display(description=_("end"), ordering="ended_at")
    def end(self, session: Session) -> str:
        return _show_time(session.over_at)

    # --- the page of one ---

    @admin.display(description=_("last activity"))
    def last_seen(self, session: Session) -> str:
        return date_format(timezone.localtime(session.last_seen_at), "DATETIME_FORMAT")

    @admin.display(description=_("end"))
    def over_at(self, session: Session) -> str:
        at = session.over_at
        return "–" if at is None else date_format(timezone.localtime(at), "DATETIME_FORMAT")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        return list_sessions()

    # --- ending ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.end_view)
        return [path("<int:session_id>/end/", view, name="license_session_end"), *super().get_urls()]

    def end_view(self, request: HttpRequest, session_id: int) -> HttpResponse:
        """End the session that a button stands for, and go back to where the button is."""
        if not self.has_view_permission(request) or not self.has_end_permission(request):
            raise PermissionDenied
        session = self.get_queryset(request).filter(id=session_id).first()
        if session is None:
            raise Http404
        query = self.get_preserved_filters(request)
        if request.method != "POST":
            # Who had to log in again on the way comes with GET.
            return HttpResponseRedirect(_url("change", session, query=query))
        if self._end(request, session):
            messages.success(request, gettext("The session %s has ended. Its seat is free.") % session)
        else:
            messages.warning(request, gettext("The session %s was over already.") % session)
        if "_continue" in request.POST:
            return HttpResponseRedirect(_url("change", session, query=query))
        return HttpResponseRedirect(_url("changelist", query=query))

    @admin.action(description=_("End the selected sessions"), permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[Session]) -> HttpResponse | None:
        """Name whom it will log out, and end the sessions when that is confirmed."""
        chosen = list(queryset[: SELECT_AT_MOST + 1])
        live = [session for session in chosen if not session.why_over]
        if len(chosen) > SELECT_AT_MOST:
            text = gettext("No session was ended. Select at most %d at once: filter by the state “active”.")
            messages.error(request, text % SELECT_AT_MOST)
        elif not live:
            messages.warning(request, gettext("No session was ended: those selected were over already."))
        elif "confirmed" not in request.POST:
            return self._ask(request, live, over=len(chosen) - len(live))
        else:
            count = sum(self._end(request, session) for session in live)
            text = ngettext("%d session ended. Its seat is free.", "%d sessions ended. Their seats are free.", count)
            messages.add_message(request, messages.SUCCESS if count else messages.WARNING, text % count)
        return None

    def _ask(self, request: HttpRequest, live: Sequence[Session], *, over: int) -> HttpResponse:
        text = ngettext(
            "%d other that was selected is over already.", "%d others that were selected are over already.", over
        )
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("End sessions"),
            "opts": self.opts,
            "media": self.media,
            "sessions": live,
            "over": text % over if over else "",
            "back_url": request.get_full_path(),
        }
        return TemplateResponse(request, "admin/license/session/end_sessions.html", context)

    def _end(self, request: HttpRequest, session: Session) -> bool:
        # One transaction each: nobody waits for the seats of many, and what ended is logged.
        with transaction.atomic():
            has_ended = end_session(session)
            if has_ended:
                self.log_change(request, session, gettext("Session ended."))
        return has_ended

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        session = self.get_object(request, object_id)
        if session is not None and not session.why_over and self.has_end_permission(request):
            end_url = _url("end", session, query=self.get_preserved_filters(request))
            extra_context = {**(extra_context or {}), "end_url": end_url}
        return super().change_view(request, object_id, form_url, extra_context)

    # --- rights ---

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("license.end_session")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        # Asked for each session when its user is deleted; the list offers no deletion.
        return obj is not None and super().has_delete_permission(request, obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Refuse: one alone is never deleted."""
        raise PermissionDenied


def _url(page: str, session: Session | None = None, *, query: str) -> str:
    """Return the address of a page, which remembers how the list was filtered."""
    url = reverse(f"admin:license_session_{page}", args=[] if session is None else [session.pk])
    return add_preserved_filters({"preserved_filters": query, "opts": Session._meta}, url)


def _show_time(at: datetime | None) -> str:
    """Return a time short enough that the table fits on a page: of today without the date."""
    if at is None:
        return "–"
    at = timezone.localtime(at)
    is_today = at.date() == timezone.localdate()
    return format_html(
        '<time datetime="{}" title="{}">{}{}</time>',
        at.isoformat(timespec="seconds"),
        date_format(at, "DATETIME_FORMAT"),
        "" if is_today else date_format(at, "SHORT_DATE_FORMAT") + " ",
        date_format(at, "H:i"),
    )
