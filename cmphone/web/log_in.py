"""The one log-in page, for agents and administrators alike, and the way out.

It speaks the language of the browser: whose is not known yet.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView, redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache

from cmphone.contacts.models import User
from cmphone.problems import PermissionDenied, Throttled


class LogInForm(AuthenticationForm):
    """User name and password.  `throttled` is set when they were not even tried."""

    throttled: Throttled | None = None

    def clean(self) -> dict[str, Any]:
        """Check them."""
        try:
            return super().clean()
        except Throttled as problem:
            self.throttled = problem
            raise forms.ValidationError(problem.detail or str(problem.title), code=problem.slug) from problem


class LogInView(LoginView):
    """The log-in page; it leads on to where the user wanted to go."""

    authentication_form = LogInForm
    template_name = "web/login.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the page, or lead on who is logged in already."""
        if not request.user.is_authenticated:
            return super().get(request, *args, **kwargs)
        url = self.get_success_url()
        # Not in a circle.
        return HttpResponseRedirect(reverse("home") if url.startswith(reverse("login")) else url)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Show what is wrong; who has to wait is told for how long."""
        response = super().form_invalid(form)
        if isinstance(form, LogInForm) and form.throttled is not None:
            response.status_code = form.throttled.status
            if form.throttled.retry_after is not None:
                response["Retry-After"] = str(form.throttled.retry_after)
        return response


class LogOutView(LogoutView):
    """Log out of the browser; clients stay logged in."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log out, and show the log-in page."""
        response = super().post(request, *args, **kwargs)
        messages.success(request, gettext("You are logged out."))
        return response


@never_cache
def lead_to_log_in(request: HttpRequest) -> HttpResponse:
    """Lead to the log-in page whom the administration does not let in, and back; who is logged in learns why."""
    url = request.GET.get("next") or reverse("admin:index")
    if request.user.is_authenticated and not admin.site.has_permission(request):
        raise PermissionDenied(
            gettext("The administration is for users with staff status, and %s has none. Ask your administrator.")
            % request.user.get_username()
        )
    return redirect_to_login(url)


def for_users(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Show a page only to who is logged in, in his own language."""

    @never_cache
    @wraps(view)
    def show(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not isinstance(request.user, User):
            # What a form sends is lost by then, but not where it stood.
            is_form = request.method not in {"GET", "HEAD"}
            return redirect_to_login(reverse("profile") if is_form else request.get_full_path())
        # Until the end of the request: the next one begins with that of its browser.
        translation.activate(request.user.language)
        return view(request, *args, **kwargs)

    return show


def current_user(request: HttpRequest) -> User:
    """Return who is logged in.  Raises PermissionDenied where a view let anybody in."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
