"""The console: the page that an agent keeps open, and what its script asks for.

Calls are told as the API and the streams tell them; the script has the cookie of the browser, which opens the API to
nobody.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from cmphone.api.calls import describe_calls
from cmphone.calls.events import last_number
from cmphone.calls.models import CallState
from cmphone.calls.rows import SHOWN
from cmphone.calls.selectors import list_calls
from cmphone.calls.services import call_back, change_call
from cmphone.contacts.models import User
from cmphone.events_address import find_events_url, find_public_url
from cmphone.problems import NotAuthenticated, NotFound
from cmphone.web.console_calls import MISSED_AT_MOST, RECENT_AT_MOST, list_texts, show_calls
from cmphone.web.contacts import find_contacts
from cmphone.web.log_in import current_user, for_users
from cmphone.web.viewing import Viewer

OPEN_AT_MOST = 20
FOUND_AT_MOST = 8
_id = re.compile("[0-9]{1,18}", re.ASCII)


def for_scripts(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Answer a page's script; who is logged out is told so, and not led to a page."""
    for_page = for_users(view)

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not isinstance(request.user, User) and _wants_json(request):
            raise NotAuthenticated
        response = for_page(request, *args, **kwargs)
        patch_vary_headers(response, ["Accept"])
        return response

    return answer


@require_safe
@for_users
def show_console(request: HttpRequest) -> HttpResponse:
    """Show the calls of now, the missed ones and the last."""
    user = current_user(request)
    state = _read_state(user, find_public_url(request))
    page = {
        "events_url": find_events_url(request),
        "calls_url": reverse("console_calls"),
        "contacts_url": reverse("console_contacts"),
        "done_url": reverse("console_done"),
        "user": str(user.pk),
        "time_zone": settings.TIME_ZONE,
        "state": state,
    }
    context = {**show_calls(state["calls"], user_id=user.pk), "state": state, "page": page, "texts": list_texts()}
    return render(request, "web/console.html", context)


@require_safe
@for_scripts
def answer_calls(request: HttpRequest) -> HttpResponse:
    """Answer what the console begins with: the calls, and the number of the last event that is in them."""
    return JsonResponse(_read_state(current_user(request), find_public_url(request)))


@require_safe
@for_scripts
def answer_contacts(request: HttpRequest) -> HttpResponse:
    """Answer the first contacts that a text finds, of which a part may be typed yet."""
    viewer = Viewer(current_user(request))
    text, found = find_contacts(viewer, request.GET.get("q", ""), limit=FOUND_AT_MOST + 1)
    results = [
        {
            "name": shown.contact.name,
            "url": shown.url,
            "detail": " · ".join([*([shown.company.name] if shown.company else []), shown.group]),
            "numbers": [number.display for number in shown.numbers],
            "active": shown.contact.is_active,
        }
        for shown in viewer.show_contacts(found[:FOUND_AT_MOST] if text else [])
    ]
    return JsonResponse({"results": results, "more": bool(text) and len(found) > FOUND_AT_MOST})


@require_POST
@for_scripts
def mark_done(request: HttpRequest) -> HttpResponse:
    """Keep that somebody has seen to a missed call, or that nobody has yet."""
    user = current_user(request)
    call = change_call(user, *_read_call(request), done=request.POST.get("done") == "true")
    if _wants_json(request):
        (described,) = describe_calls([call], user, base_url=find_public_url(request))
        return JsonResponse({"call": described})
    return redirect("home")


@require_POST
@for_scripts
def prepare_call_back(request: HttpRequest) -> HttpResponse:
    """Keep who calls back, and answer the link that dials."""
    dial_uri = call_back(current_user(request), *_read_call(request))
    if _wants_json(request):
        return JsonResponse({"dial_uri": dial_uri})
    messages.success(request, gettext("You call back: now choose the number to dial it."))
    return redirect("home")


def _read_state(user: User, base_url: str) -> dict[str, Any]:
    # First: whatever happens from here on is told by the stream, perhaps once more.
    number = last_number(user.pk)
    own = list_calls(user, whose="own").select_related(*SHOWN)
    now = list(own.exclude(state=CallState.ENDED)[:OPEN_AT_MOST])
    missed = list(own.filter(is_missed=True, done_at=None)[: MISSED_AT_MOST + 1])
    recent = list(own[:RECENT_AT_MOST])
    calls = {call.pk: call for call in (*now, *missed[:MISSED_AT_MOST], *recent)}
    newest_first = sorted(calls.values(), key=lambda call: (call.started_at, call.pk), reverse=True)
    return {
        "user": str(user.pk),
        "number": number,
        "calls": describe_calls(newest_first, user, base_url=base_url),
        "more_missed": len(missed) > MISSED_AT_MOST,
    }


def _read_call(request: HttpRequest) -> tuple[str, int | None]:
    """Return the id of the call that a form names, and who reported it; None: it does not say."""
    call_id, reporter = request.POST.get("call_id", ""), request.POST.get("reporter", "")
    if reporter and not _id.fullmatch(reporter):
        raise NotFound
    return call_id, int(reporter) if reporter else None


def _wants_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"
