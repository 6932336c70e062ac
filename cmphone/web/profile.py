"""The profile: who the user is, his language and password, and the clients that he is logged in with."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import PasswordChangeView
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from cmphone.contacts.models import User
from cmphone.events_address import find_files_url, find_public_url
from cmphone.problems import NotFound
from cmphone.releases.downloads import answer_download
from cmphone.releases.models import ClientRelease
from cmphone.releases.services import find_release
from cmphone.web.log_in import current_user, for_users
from license.selectors import list_own_sessions
from license.services import end_own_session, end_own_sessions

# Of those that are over, the last.
SHOW_AT_MOST = 30


class LanguageForm(forms.ModelForm):
    """The language of pages, and of what clients show."""

    class Meta:
        model = User
        fields = ["language"]


@require_http_methods(["GET", "HEAD", "POST"])
@for_users
def show_profile(request: HttpRequest) -> HttpResponse:
    """Show the profile, or change the language."""
    user = current_user(request)
    form = LanguageForm(request.POST if request.method == "POST" else None, instance=user)
    if request.method == "POST" and form.is_valid():
        user.save(update_fields=["language"])
        translation.activate(user.language)
        messages.success(request, gettext("Your language is changed."))
        return redirect("profile")
    sessions = list(list_own_sessions(user)[:SHOW_AT_MOST])
    releases = list(ClientRelease.objects.filter(is_offered=True))
    for release in releases:
        release.notes = release.get_notes(user.language)  # type: ignore[attr-defined]
    context = {
        "releases": releases,
        "files_url": find_files_url(request),
        "server_url": find_public_url(request),
        "form": form,
        "sessions": sessions,
        "has_live": any(not session.why_over for session in sessions),
    }
    return render(request, "web/profile.html", context)


@require_POST
@for_users
def end_one(request: HttpRequest, session_id: int) -> HttpResponse:
    """End a session of the user's own."""
    if end_own_session(user=current_user(request), session_id=session_id):
        messages.success(request, gettext("The session has ended. Its client is logged out."))
    else:
        messages.warning(request, gettext("This session was over already."))
    return redirect("profile")


@require_POST
@for_users
def end_others(request: HttpRequest) -> HttpResponse:
    """End every session of the user's own but that of this browser."""
    count = end_own_sessions(current_user(request))
    if count:
        text = ngettext("%d session has ended.", "%d sessions have ended.", count) % count
        messages.success(request, text)
    else:
        messages.warning(request, gettext("You have no other session."))
    return redirect("profile")


@require_POST
@for_users
def log_out_elsewhere(request: HttpRequest) -> HttpResponse:
    """End every log-in of the user but that of this browser: other browsers and all clients."""
    user = current_user(request)
    User.objects.filter(pk=user.pk).update(log_in_generation=F("log_in_generation") + 1)
    user.refresh_from_db(fields=["log_in_generation"])
    update_session_auth_hash(request, user)
    end_own_sessions(user)
    messages.success(request, gettext("You are logged out everywhere but here."))
    return redirect("profile")


@require_http_methods(["GET", "HEAD"])
@for_users
def download_client(request: HttpRequest, version: str) -> HttpResponseBase:
    """Hand out an installer of the client."""
    release = find_release(version)
    if release is None:
        raise NotFound
    return answer_download(request, release)


@method_decorator(for_users, name="dispatch")
class PasswordView(PasswordChangeView):
    """Change the password; other browsers are logged out by it, clients are not."""

    template_name = "web/password.html"
    success_url = reverse_lazy("profile")

    def form_valid(self, form: Any) -> HttpResponse:
        """Change it, and tell so."""
        response = super().form_valid(form)
        messages.success(self.request, gettext("Your password is changed. Other browsers are logged out."))
        return response
