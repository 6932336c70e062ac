"""Who may read the health report and the metrics: staff, and whoever shows a monitoring key."""

import hmac
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils.translation import gettext

from cmphone.access.credentials import read_credentials
from cmphone.access.models import Scope
from cmphone.access.services import authenticate_key
from cmphone.problems import NotAuthenticated, PermissionDenied, Unavailable
from license.services import authenticate


def require_monitoring(request: HttpRequest, *, is_database_up: Callable[[], bool]) -> None:
    """Let staff pass, by the cookie of a browser or the token of a session, and monitoring keys.

    The configured key needs no database.  For all else `is_database_up` is asked first, so that nobody waits for a
    database that hangs.  Raises NotAuthenticated, PermissionDenied, and Unavailable without a database.
    """
    credentials = read_credentials(request.headers.get("Authorization", ""))
    if credentials is not None and credentials.scheme == "api-key" and _is_configured_key(credentials.secret):
        return
    nobody = NotAuthenticated(gettext("Show a monitoring key (Authorization: Api-Key …), or log in as staff."))
    if credentials is None and settings.SESSION_COOKIE_NAME not in request.COOKIES:
        raise nobody
    if not is_database_up():
        raise Unavailable(gettext("The database does not answer. Try again."), retry_after=5)
    if credentials is None:
        # Not request.user: what the cookie says, whatever the REST framework made of the request.
        user = get_user(request)
    elif credentials.scheme == "bearer":
        user = authenticate(credentials.secret).user
    else:
        authenticate_key(credentials.secret, scope=Scope.MONITORING)
        return
    if not user.is_authenticated:
        raise nobody
    if not user.is_staff:
        raise PermissionDenied(gettext("Only staff may read this."))


def _is_configured_key(secret: str) -> bool:
    key = str(settings.MONITORING_KEY)
    return bool(key) and hmac.compare_digest(secret.encode(), key.encode())
