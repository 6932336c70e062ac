"""A short way past Django's request handling, which costs more than a look-up or a manifest itself.

It answers what the long way (lookup.py, popup_templates.py) would answer with 200 or 304, to the byte.  Everything
else, bad input, a token or key that is nobody's, a database that is away, it leaves to the long way, which says what
is wrong.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

import orjson
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, InterfaceError
from django.http import HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

from cmphone.access.credentials import Credentials, read_credentials
from cmphone.api.lookup import LOOKUP_PATH, describe_call
from cmphone.api.numbers import MAX_NUMBER_LENGTH
from cmphone.api.popup_templates import MANIFEST_PATH, list_unchanged_headers, make_manifest
from cmphone.contacts.callers import look_up
from cmphone.monitoring.look_ups import count_look_up
from cmphone.problems import Problem, choose_request_id
from license.selectors import find_live_session
from license.services import authenticate
from templates_store.popup_store import get_popups

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
# Answers a request of this path; None: the long way shall.
ShortWay = Callable[[Environ, Credentials, str], "Answer | None"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, but for the headers that every answer has."""

    status: str
    headers: Iterable[tuple[str, str]]
    body: bytes


def take_short_way_first(application: Application) -> Application:
    """Return the WSGI application that answers by the short way what it can, and all else by `application`."""

    security_headers = _list_security_headers()

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        short_way = _SHORT_WAYS.get(environ.get("PATH_INFO", ""))
        if short_way is None or (found := _try(short_way, environ)) is None:
            return application(environ, start_response)
        headers = [
            *found.headers,
            ("X-Request-ID", choose_request_id(environ.get("HTTP_X_REQUEST_ID", ""))),
            *security_headers,
        ]
        start_response(found.status, headers)
        return [found.body]

    return answer


def _try(short_way: ShortWay, environ: Environ) -> Answer | None:
    """Return the answer to a plain request, or None where it is not for the short way."""
    if environ["REQUEST_METHOD"] != "GET" or environ.get("HTTP_ACCEPT", "*/*") not in {"*/*", "application/json"}:
        return None
    try:
        credentials = read_credentials(environ.get("HTTP_AUTHORIZATION", ""))
        if credentials is None or (base_url := _find_base_url(environ)) is None:
            return None
        return short_way(environ, credentials, base_url)
    except (Problem, DatabaseError, InterfaceError):
        return None
    except Exception:
        logger.exception("The short way failed; the long one is taken.")
        return None


def _answer_look_up(environ: Environ, credentials: Credentials, base_url: str) -> Answer | None:
    started = time.perf_counter()
    number = _read_number(environ.get("QUERY_STRING", ""))
    if number is None:
        return None
    answer = look_up([number], who=credentials)
    body = orjson.dumps(describe_call(answer.calls[0], answer, base_url=base_url))
    count_look_up(answer.calls[0].found.match, seconds=time.perf_counter() - started)
    return Answer("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))], body)


def _read_number(query: str) -> str | None:
    """Return the one parameter of a plain look-up."""
    match parse_qsl(query, keep_blank_values=True):
        case [("number", number)] if len(number) <= MAX_NUMBER_LENGTH and "\0" not in number:
            return number
    return None


def _answer_manifest(environ: Environ, credentials: Credentials, base_url: str) -> Answer | None:
    # A key is looked up by another statement, which does not bring the version along.
    if environ.get("QUERY_STRING") or credentials.scheme != "bearer":
        return None
    session = find_live_session(credentials.secret)
    if session is None:
        return None
    if session.is_touch_due:
        authenticate(credentials.secret)
    manifest = make_manifest(get_popups(session.templates_version), base_url)
    if manifest.is_unchanged(environ.get("HTTP_IF_NONE_MATCH", "")):
        return Answer("304 Not Modified", list_unchanged_headers(manifest).items(), b"")
    return Answer("200 OK", manifest.headers.items(), manifest.body)


_SHORT_WAYS: Mapping[str, ShortWay] = {LOOKUP_PATH: _answer_look_up, MANIFEST_PATH: _answer_manifest}


def _find_base_url(environ: Environ) -> str | None:
    """Return how links begin; None where the host is not one of ours, or an address is due that is encrypted."""
    request = WSGIRequest(environ)
    try:
        host = request.get_host()
    except DisallowedHost:
        return None
    if settings.PRODUCTION and not request.is_secure():
        return None
    return str(settings.PUBLIC_URL) or f"{request.scheme}://{host}"


def _list_security_headers() -> list[tuple[str, str]]:
    """Return what Django's own middlewares put on every answer of this site."""
    scheme = "https" if settings.PRODUCTION else "http"
    environ = {"REQUEST_METHOD": "GET", "wsgi.input": BytesIO(), "wsgi.url_scheme": scheme}
    # As behind a proxy that takes the encryption off.
    request = WSGIRequest(environ | {"HTTP_X_FORWARDED_PROTO": scheme})
    response = HttpResponse()
    del response["Content-Type"]
    for middleware in (SecurityMiddleware, XFrameOptionsMiddleware):
        middleware(lambda _: response).process_response(request, response)
    return list(response.items())
