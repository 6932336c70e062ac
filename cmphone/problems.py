"""Errors as RFC 9457 problems: the classes that services raise, and the one place that shapes bodies.

Every error of every path passes here: the API's, a plain 404 or 500, Django's ValidationError, a database that
is away.  A body never tells what the caller may not know: no SQL, no trace, nothing of another user's.
"""

import logging
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypedDict

from django.conf import settings
from django.core.exceptions import (
    DisallowedHost,
    ObjectDoesNotExist,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions as drf

logger = logging.getLogger(__name__)

TYPE_PATH = "/problems/"
CONTENT_TYPE = "application/problem+json"
# Where no person ever reads the answer, whatever a client says that it accepts.
MACHINE_PATHS = ("/api/", "/health/", "/metrics")


class FieldError(TypedDict):
    """What is wrong with one value of the input; `pointer` is a JSON pointer such as `#/number`."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """An answer that is an error.  Subclasses give it a stable slug, a title and a status.

    `members` are further members of the body, for example `licensed=10`; `retry_after` is in seconds.
    """

    slug: ClassVar[str]
    title: ClassVar[str | Promise]
    status: ClassVar[int]

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.retry_after = retry_after
        self.members = members


class InvalidRequest(Problem):
    """The input cannot be used; `errors` says where and why."""

    slug, title, status = "invalid-request", _("The request is not valid."), 400


class NotAuthenticated(Problem):
    """Nobody, or nobody any more, whom the system knows."""

    slug, title, status = "not-authenticated", _("Log in first."), 401


class PermissionDenied(Problem):
    """Somebody known, without the right to do this."""

    slug, title, status = "permission-denied", _("You may not do this."), 403


class NotFound(Problem):
    """No such thing, or none that the caller may see: the answer does not tell which."""

    slug, title, status = "not-found", _("There is no such thing."), 404


class MethodNotAllowed(Problem):
    """The path exists, but not with this method."""

    slug, title, status = "method-not-allowed", _("This address does not take this method."), 405


class NotAcceptable(Problem):
    """The client accepts only what is not served."""

    slug, title, status = "not-acceptable", _("The answer cannot be had in this form."), 406


class Conflict(Problem):
    """What is asked for contradicts what is there."""

    slug, title, status = "conflict", _("This contradicts what is there."), 409


class PreconditionFailed(Problem):
    """It is not of the version that the request is for (If-Match)."""

    slug, title, status = "precondition-failed", _("Somebody else was faster."), 412


class LicenseExhausted(Problem):
    """The licence allows no more: every seat is held by another client, or as many users are active as it names."""

    slug, title, status = "no-free-license", _("The licence allows no more."), 409


class TooLarge(Problem):
    """A body longer than the limit."""

    slug, title, status = "too-large", _("The request is too large."), 413


class UnsupportedMediaType(Problem):
    """A body of another type than JSON."""

    slug, title, status = "unsupported-media-type", _("Send JSON."), 415


class Throttled(Problem):
    """Too many requests; try again after a while."""

    slug, title, status = "throttled", _("Too many requests."), 429


class ServerError(Problem):
    """A fault of ours."""

    slug, title, status = "server-error", _("Something went wrong here."), 500


class Unavailable(Problem):
    """Could not look: try again.  It never means that there is nothing to find."""

    slug, title, status = "unavailable", _("The service is not available just now."), 503


def shape_problem(problem: Problem, request: HttpRequest) -> HttpResponse:
    """Return the response for a problem, in the language of the request: a page where a browser asks for one."""
    request_id = getattr(request, "request_id", "")
    response: HttpResponse
    if _wants_page(request):
        # Without the request: who is logged in stands in the database, which may be what is away.
        page = render_to_string("web/problem.html", {"problem": problem, "request_id": request_id})
        response = HttpResponse(page, status=problem.status)
    else:
        body = {
            "type": _base_url(request) + TYPE_PATH + problem.slug,
            "title": str(problem.title),
            "status": problem.status,
            "detail": problem.detail or str(problem.title),
            "request_id": request_id,
            "errors": problem.errors,
            **problem.members,
        }
        response = JsonResponse(body, status=problem.status, content_type=CONTENT_TYPE)
    response.is_problem = True  # type: ignore[attr-defined]
    patch_vary_headers(response, ["Accept"])
    if problem.retry_after is not None:
        response["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _wants_page(request: HttpRequest) -> bool:
    if request.path_info.startswith(MACHINE_PATHS):
        return False
    return request.get_preferred_type([CONTENT_TYPE, "text/html"]) == "text/html"


def _base_url(request: HttpRequest) -> str:
    if settings.PUBLIC_URL:
        return str(settings.PUBLIC_URL)
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return ""


def as_problem(error: BaseException | None) -> Problem:
    """Return the problem that stands for any exception; what nobody foresaw is a ServerError."""
    match error:
        case Problem():
            return error
        case ValidationError():
            return InvalidRequest(gettext("See errors."), errors=list(_django_errors(error)))
        case drf.ValidationError():
            return InvalidRequest(gettext("See errors."), errors=list(_drf_errors(error.detail, "#")))
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return NotAuthenticated(gettext("Send the token that a log-in gave you: Authorization: Bearer …"))
        case drf.PermissionDenied() | DjangoPermissionDenied():
            return PermissionDenied()
        case drf.NotFound() | Http404() | ObjectDoesNotExist():
            return NotFound()
        case drf.MethodNotAllowed():
            return MethodNotAllowed(str(error.detail))
        case drf.NotAcceptable():
            return NotAcceptable(str(error.detail))
        case drf.UnsupportedMediaType():
            return UnsupportedMediaType(str(error.detail))
        case drf.ParseError():
            return InvalidRequest(str(error.detail))
        case drf.Throttled():
            return Throttled(str(error.detail), retry_after=int(getattr(error, "wait", None) or 1))
        case RequestDataTooBig():
            return TooLarge()
        case SuspiciousOperation():
            return InvalidRequest()
        case OperationalError() | InterfaceError():
            return Unavailable(gettext("The database does not answer. Try again."), retry_after=5)
        case IntegrityError() if is_of_named_users(error):
            return LicenseExhausted(
                gettext("As many users are active as the licence names. Deactivate one, or import a licence for more.")
            )
        case _:
            return ServerError(gettext("Report the request id to your administrator."))


def is_of_named_users(error: BaseException) -> bool:
    """Say whether the database refused to let one more user be active than the licence names."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return isinstance(error, IntegrityError) and getattr(diagnosis, "constraint_name", None) == "named_users"


def _django_errors(error: ValidationError) -> Iterator[FieldError]:
    if hasattr(error, "error_dict"):
        for field, errors in error.error_dict.items():
            pointer = "#" if field == "__all__" else f"#/{field}"
            for each in errors:
                yield from _one_django_error(each, pointer)
    else:
        for each in error.error_list:
            yield from _one_django_error(each, "#")


def _one_django_error(error: ValidationError, pointer: str) -> Iterator[FieldError]:
    for message in error.messages:
        yield {"pointer": pointer, "code": error.code or "invalid", "detail": message}


def _drf_errors(detail: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _drf_errors(value, pointer if key == "non_field_errors" else f"{pointer}/{key}")
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            yield from _drf_errors(value, f"{pointer}/{index}" if nested else pointer)
    else:
        yield {"pointer": pointer, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


def answer_exception(error: Exception, context: Mapping[str, Any]) -> HttpResponseBase:
    """Answer an exception of a REST view."""
    return _answer(error, context["request"])


def _answer(error: BaseException | None, request: HttpRequest) -> HttpResponse:
    problem = as_problem(error)
    if isinstance(problem, ServerError):
        logger.error("Unforeseen error, request %s", getattr(request, "request_id", ""), exc_info=error)
    elif isinstance(problem, Unavailable):
        logger.warning("Unavailable, request %s: %s", getattr(request, "request_id", ""), type(error).__name__)
    return shape_problem(problem, request)


def answer_400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself refuses."""
    return _answer(exception, request)


def answer_403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a refused page."""
    return shape_problem(PermissionDenied(), request)


def answer_404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist, or not for this user."""
    return shape_problem(NotFound(), request)


def answer_500(request: HttpRequest) -> HttpResponse:
    """Answer what no view handled."""
    return _answer(sys.exc_info()[1], request)


def answer_csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was sent from elsewhere, or after its page grew old."""
    return shape_problem(
        PermissionDenied(gettext("The form is too old or came from elsewhere. Load the page again.")), request
    )


_by_status: dict[int, type[Problem]] = {
    each.status: each for each in (InvalidRequest, PermissionDenied, NotFound, MethodNotAllowed, ServerError)
}


def _with_headers_of(plain: HttpResponse, shaped: HttpResponse) -> HttpResponse:
    if "Allow" in plain.headers:
        shaped["Allow"] = plain.headers["Allow"]
    if "Vary" in plain.headers:
        patch_vary_headers(shaped, re.split(r"\s*,\s*", plain.headers["Vary"]))
    return shaped


def choose_request_id(sent: str) -> str:
    """Return the id that a client or proxy sent with a request, if it can serve as one, else a new one."""
    return sent if re.fullmatch(r"[A-Za-z0-9-]{1,64}", sent) else uuid.uuid4().hex


class RequestIdMiddleware:
    """Give every request an id that logs and errors name, and refuse bodies over the limit unread.

    A client or proxy may send its own id as X-Request-ID: up to 64 letters, digits and dashes.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = choose_request_id(request.headers.get("X-Request-ID", ""))
        request.request_id = request_id  # type: ignore[attr-defined]  # kept with the request
        length = request.META.get("CONTENT_LENGTH") or "0"
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit and request.path.startswith("/admin/"):
            # Files are taken there; Django reads them before it knows who sends them.
            limit = settings.UPLOAD_MAX_SIZE
        if limit and length.isdigit() and int(length) > limit:
            with translation.override(translation.get_language_from_request(request)):
                response: HttpResponse = shape_problem(TooLarge(gettext("At most %d bytes.") % limit), request)
        else:
            response = self.get_response(request)
        if response.status_code in _by_status and not hasattr(response, "is_problem"):
            # Django answers a wrong method, and a few other things, without an exception.
            response = _with_headers_of(response, shape_problem(_by_status[response.status_code](), request))
        response["X-Request-ID"] = request_id
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a problem that a page raised; anything else stays with Django."""
        foreseen = isinstance(exception, Problem | ValidationError | OperationalError | InterfaceError)
        if foreseen or is_of_named_users(exception):
            return _answer(exception, request)
        return None
