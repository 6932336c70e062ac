"""A look-up's short way past Django's request handling, which costs more than the look-up itself.

It answers what the long way (lookup.py) would answer with 200, to the byte.  Everything else, bad input, a token
or key that is nobody's, a database that is away, it leaves to the long way, which says what is wrong.
"""

import logging
import time
from collections.abc import Callable, Iterable
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

from cmphone.access.credentials import read_credentials
from cmphone.api.lookup import LOOKUP_PATH, describe_call
from cmphone.api.numbers import MAX_NUMBER_LENGTH
from cmphone.contacts.callers import look_up
from cmphone.monitoring.look_ups import count_look_up
from cmphone.problems import Problem, choose_request_id

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def answer_look_ups_first(application: Application) -> Application:
    """Return the WSGI application that answers a look-up by the short way, and all else by `application`."""

    security_headers = _list_security_headers()

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == LOOKUP_PATH and (body := _answer(environ)) is not None:
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("X-Request-ID", choose_request_id(environ.get("HTTP_X_REQUEST_ID", ""))),
                *security_headers,
            ]
            start_response("200 OK", headers)
            return [body]
        return application(environ, start_response)

    return answer


def _answer(environ: Environ) -> bytes | None:
    """Return the answer to a look-up, or None where it is not for the short way."""
    started = time.perf_counter()
    try:
        number = _read_number(environ)
        credentials = read_credentials(environ.get("HTTP_AUTHORIZATION", ""))
        if number is None or credentials is None or (base_url := _find_base_url(environ)) is None:
            return None
        answer = look_up([number], who=credentials)
        body = orjson.dumps(describe_call(answer.calls[0], answer, base_url=base_url))
        count_look_up(answer.calls[0].found.match, seconds=time.perf_counter() - started)
    except (Problem, DatabaseError, InterfaceError):
        return None
    except Exception:
        logger.exception("The short way failed; the long one is taken.")
        return None
    return body


def _read_number(environ: Environ) -> str | None:
    """Return the one parameter of a plain look-up."""
    if environ["REQUEST_METHOD"] != "GET" or environ.get("HTTP_ACCEPT", "*/*") not in {"*/*", "application/json"}:
        return None
    query: str = environ.get("QUERY_STRING", "")
    match parse_qsl(query, keep_blank_values=True):
        case [("number", number)] if len(number) <= MAX_NUMBER_LENGTH and "\0" not in number:
            return number
    return None


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
