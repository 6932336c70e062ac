"""Who a stream belongs to: the bearer of a token or an API key, or the browser of somebody who is logged in.

It is found out when the stream is opened, and looked at again while it is open: for all streams at once, and one by
one only where something has changed.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.models import Session as BrowserSession
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext

from cmphone.access.credentials import Credentials, hash_key, read_credentials
from cmphone.access.models import ApiKey, Scope
from cmphone.access.services import authenticate_key
from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated, PermissionDenied
from license.services import authenticate, renew_sessions
from license.tokens import hash_token


@dataclass(frozen=True, slots=True)
class Cookie:
    """The session of a browser, with what it rests on: while these are the same, it holds."""

    session_key: str = field(repr=False)
    session_data: str = field(repr=False)
    # Password and number of the log-ins that hold.
    proof: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, and what he has shown."""

    user_id: int
    shown: Credentials | Cookie


def identify(request: HttpRequest, *, pages: Collection[str]) -> Caller:
    """Return who asks; a cookie counts only for a page of one of the origins `pages`, as `https://cm.example.com`.

    Raises NotAuthenticated, and PermissionDenied for a key without the scope for calls and for a foreign page.
    """
    header = request.headers.get("Authorization", "")
    if header:
        credentials = read_credentials(header)
        if credentials is None:
            raise NotAuthenticated
        return _identify_program(credentials)
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if not session_key:
        raise NotAuthenticated(gettext("Send the token that a log-in gave you: Authorization: Bearer …"))
    _require_own_page(request, pages)
    return _identify_browser(session_key)


def identify_again(caller: Caller) -> Caller:
    """Return the caller as he is now.  Raises NotAuthenticated or PermissionDenied where he is out."""
    if isinstance(caller.shown, Credentials):
        return _identify_program(caller.shown)
    return _identify_browser(caller.shown.session_key)


def list_unchanged(callers: Collection[Caller]) -> set[Caller]:
    """Return those who may go on as they are; the others may, too, or not.  One statement for each way to log in.

    An open stream is a sign of life of its client.
    """
    tokens: dict[bytes, Caller] = {}
    keys: dict[bytes, Caller] = {}
    cookies: dict[str, Caller] = {}
    for caller in callers:
        match caller.shown:
            case Credentials(scheme="bearer", secret=secret):
                tokens[hash_token(secret)] = caller
            case Credentials(secret=secret):
                keys[hash_key(secret)] = caller
            case Cookie(session_key=session_key):
                cookies[session_key] = caller
    return {
        *(tokens[hash] for hash in renew_sessions(tokens)),
        *(keys[hash] for hash in _list_good_keys(keys)),
        *(cookies[key] for key in _list_good_sessions(cookies.values())),
    }


def _list_good_keys(hashes: Collection[bytes]) -> set[bytes]:
    if not hashes:
        return set()
    keys = ApiKey.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=Now()),
        key_hash__in=hashes,
        revoked_at=None,
        scopes__contains=[Scope.CALLS],
        user__is_active=True,
    )
    return {bytes(hash) for hash in keys.values_list("key_hash", flat=True)}


def _list_good_sessions(callers: Collection[Caller]) -> set[str]:
    wanted = [(each.user_id, each.shown) for each in callers if isinstance(each.shown, Cookie)]
    if not wanted:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select session_key
            from unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) as w (key, data, user_id, proof)
            join django_session on session_key = key and session_data = data and expire_date > statement_timestamp()
            join contacts_user u on u.id = w.user_id and is_active and u.password || ':' || log_in_generation = w.proof
            """,
            [
                [cookie.session_key for _, cookie in wanted],
                [cookie.session_data for _, cookie in wanted],
                [user_id for user_id, _ in wanted],
                [cookie.proof for _, cookie in wanted],
            ],
        )
        return {key for (key,) in cursor.fetchall()}


def _identify_program(credentials: Credentials) -> Caller:
    if credentials.scheme == "bearer":
        return Caller(authenticate(credentials.secret).user_id, credentials)
    return Caller(authenticate_key(credentials.secret, scope=Scope.CALLS).user_id, credentials)


def _identify_browser(session_key: str) -> Caller:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    session = BrowserSession.objects.filter(session_key=session_key).first()
    if not isinstance(user, User) or session is None:
        raise NotAuthenticated(reason="logged-out")
    return Caller(user.pk, Cookie(session_key, session.session_data, f"{user.password}:{user.log_in_generation}"))


def _require_own_page(request: HttpRequest, pages: Collection[str]) -> None:
    # A browser sends the cookie along whoever asks it to.
    origin = request.headers.get("Origin")
    if origin is not None:
        is_own = origin in pages
    else:
        # Of old browsers and of programs there is none, and a page of another site could not read the answer.
        is_own = request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}
    if not is_own:
        raise PermissionDenied(gettext("Only pages of this site may listen with the cookie of a browser."))
