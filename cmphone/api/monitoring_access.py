"""Who may read the health report and the metrics: staff, and whoever shows a monitoring key."""

import hmac
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils.translation import gettext

from cmphone.access.models import Scope
from cmphone.access.services import authenticate_key
from cmphone.problems import NotAuthenticated, PermissionDenied, Unavailable
from license.services import authenticate


def require_monitoring(request: HttpRequest, *, is_database_up: Callable[[], bool]) -> None:
    """Let staff pass, by the cookie of a browser or the token of a session, and monitoring keys.

    The configured key needs no database.  For all else `is_database_up` is asked first, so that nobody waits for a
    database that hangs.  Raises NotAuthenticated, PermissionDenied, and Unavailable without a database.
    """
    scheme, _, secret = request.headers.get("Authorization", "").strip().partition(" ")
    scheme, secret = scheme.lower(), secret.strip()
    if scheme == "api-key" and _is_configured_key(secret):
        return
    if not (scheme in {"api-key", "bearer"} and secret) and settings.SESSION_COOKIE_NAME not in request.COOKIES:
        raise NotAuthenticated(gettext("Show a monitoring key (Authorization: Api-Key …), or log in as staff."))
    if not is_database_up():
        raise Unavailable(gettext("The database does not answer. Try again."), retry_after=5)
    match scheme:
        case "api-key":
            authenticate_key(secret, scope=Scope.MONITORING)
            return
        case "bearer":
            user = authenticate(secret).user
        case _:
            # Not request.user: Django's own reading of the cookie, whatever the REST framework made of the request.
            user = get_user(request)  # type: ignore[assignment]
    if not user.is_authenticated:
        raise NotAuthenticated(gettext("Show a monitoring key (Authorization: Api-Key …), or log in as staff."))
    if not user.is_staff:
        raise PermissionDenied(gettext("Only staff may read this."))


def _is_configured_key(secret: str) -> bool:
    key = str(settings.MONITORING_KEY)
    return bool(key) and hmac.compare_digest(secret.encode(), key.encode())
