"""The ASGI application: Server-Sent Events at /api/v1/events, installers, and what monitoring asks this process.

It is small enough to need no framework.  Requests are read and errors are shaped as everywhere (problems.py).
"""

import asyncio
import contextlib
import logging
import random
import resource
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from io import BytesIO
from types import FrameType
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.security import SecurityMiddleware
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext

from cmphone.api.monitoring_access import require_monitoring
from cmphone.events_address import EVENTS_PATH, find_pages_url
from cmphone.problems import (
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Unavailable,
    answer_exception,
    choose_request_id,
)
from cmphone.streams.callers import identify
from cmphone.streams.downloads import Downloads, is_download
from cmphone.streams.hub import Hub
from cmphone.streams.metrics import read_metrics
from cmphone.streams.selectors import find_standing
from cmphone.streams.stream import Stream, write_event, write_versions
from cmphone.streams.threads import Threads

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

# A client that takes nothing for so long is cut off; it resumes where it was.
SLOW_SECONDS = 30
# A database that hangs: who asks is told so.
ANSWER_SECONDS = 10
# Not all at once, when a thousand clients come back.
RETRY_MILLISECONDS = (1_000, 4_000)
# Each stream is one, and so is each connection of somebody who is about to be refused.
OPEN_FILES = 65_536


class Application:
    """The application of one process."""

    def __init__(self) -> None:
        self.hub = Hub()
        # Apart from those that tell: a thousand clients that come back must not hold up a call.
        self._threads = Threads("opening", count=2)
        self._downloads = Downloads()
        self._security = SecurityMiddleware(lambda request: HttpResponse())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or live as long as the process does."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._serve(_read_request(scope), receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        _allow_many_files()
        self._close_on_signals()
        async with self.hub.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.hub.close()
        self._threads.close()
        self._downloads.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _close_on_signals(self) -> None:
        """End the streams when the process is told to end: the server would wait for them, and they for it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)

            def close(signal_number: int, frame: FrameType | None, before: Any = before) -> None:
                loop.call_soon_threadsafe(self.hub.close)
                if callable(before):
                    before(signal_number, frame)

            signal.signal(number, close)

    async def _hand_out(self, request: HttpRequest, receive: Receive, send: Send) -> None:
        answer: HttpResponseBase
        try:
            with self._downloads.taking_room():
                answer = await self._downloads.answer(request)
                await self._send_head(request, answer, send)
                await self._downloads.send(answer, receive, send)
        except Unavailable as error:
            answer = _answer_error(error, request)
            await self._send_head(request, answer, send)
            await send({"type": "http.response.body", "body": answer.content})

    async def _serve(self, request: HttpRequest, receive: Receive, send: Send) -> None:
        if is_download(request.path):
            await self._hand_out(request, receive, send)
            return
        stream = None
        try:
            answer, stream = await self._answer(request)
        except Exception as error:  # noqa: BLE001 (every error has its answer)
            answer = _answer_error(error, request)
        try:
            await self._send_head(request, answer, send)
            if stream is None:
                await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.content})
            else:
                await self._send_stream(stream, receive, send)
        finally:
            if stream is not None:
                self.hub.remove(stream)

    async def _answer(self, request: HttpRequest) -> tuple[HttpResponse, Stream | None]:
        redirect = self._security.process_request(request)
        if redirect is not None:
            return redirect, None
        if request.path == "/health/live":
            _require_method(request, "GET", "HEAD")
            return JsonResponse({"status": "live"}), None
        if request.path == "/metrics":
            _require_method(request, "GET", "HEAD")
            return await self._ask(self._show_metrics, request), None
        if request.path != EVENTS_PATH:
            raise NotFound
        with _in_language_of(request):
            self.hub.ensure_room()
        stream, beginning = await self._ask(_open, request)
        with _in_language_of(request):
            self.hub.add(stream)
        # Before it is told anything: nobody else had his turn yet.
        stream.put(beginning)
        return HttpResponse(headers=_STREAM_HEADERS), stream

    async def _ask(self, work: Callable[[HttpRequest], T], request: HttpRequest) -> T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._threads.run(work, request)
        except TimeoutError as error:
            with _in_language_of(request):
                raise Unavailable(gettext("The database does not answer. Try again."), retry_after=5) from error

    async def _send_head(self, request: HttpRequest, answer: HttpResponseBase, send: Send) -> None:
        answer["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]  # kept with the request
        if request.path == EVENTS_PATH:
            _let_pages_read(request, cast(HttpResponse, answer))
        # It adds headers, of which every answer has some.
        answer = self._security.process_response(request, cast(HttpResponse, answer))
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()]
        headers += [(b"set-cookie", cookie.OutputString().encode("latin-1")) for cookie in answer.cookies.values()]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})

    async def _send_stream(self, stream: Stream, receive: Receive, send: Send) -> None:
        watch = asyncio.create_task(_end_when_gone(stream, receive))
        try:
            while text := await stream.take():
                async with asyncio.timeout(SLOW_SECONDS):
                    await send({"type": "http.response.body", "body": text, "more_body": True})
                if stream.was_full:
                    self.hub.go_on(stream)
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            logger.info("A client that takes nothing was cut off.")
        finally:
            watch.cancel()

    def _show_metrics(self, request: HttpRequest) -> HttpResponse:
        if settings.MONITORING_KEY:
            require_monitoring(request, is_database_up=lambda: self.hub.is_database_up)
        body, content_type = read_metrics(self.hub, accept=request.headers.get("Accept", ""))
        return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})


_STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    # nginx would keep it back until there is enough of it.
    "X-Accel-Buffering": "no",
}


def _read_request(scope: Scope) -> HttpRequest:
    try:
        request = ASGIRequest(scope, BytesIO())
    except UnicodeDecodeError:
        # It is refused for what is missing then.
        request = ASGIRequest({**scope, "query_string": b"last_event_id=?"}, BytesIO())
    request.request_id = choose_request_id(request.headers.get("X-Request-ID", ""))  # type: ignore[attr-defined]
    return request


def _in_language_of(request: HttpRequest) -> translation.override:
    # Around nothing that waits: other requests have their turn meanwhile.
    return translation.override(translation.get_language_from_request(request))


def _open(request: HttpRequest) -> tuple[Stream, bytes]:
    """Return the stream that the request asks for, and what it begins with."""
    with _in_language_of(request):
        _require_method(request, "GET")
        if not request.accepts("text/event-stream"):
            raise NotAcceptable(gettext("Events come as text/event-stream."))
        base_url = find_pages_url(request)
        caller = identify(request, pages=_list_pages(request))
        last_event_id = _read_last_event_id(request)
        standing = find_standing(caller.user_id)
    can_resume = last_event_id is not None and standing.can_resume(last_event_id)
    number = last_event_id if last_event_id is not None and can_resume else standing.last
    begin = "hello" if can_resume or last_event_id is None else "reset"
    stream = Stream(caller, base_url, number, standing.versions)
    data = {"number": number, **write_versions(standing.versions)}
    retry = b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)  # noqa: S311 (no secret)
    return stream, retry + write_event(begin, data, id=number)


def _read_last_event_id(request: HttpRequest) -> int | None:
    """Return the number that the client has seen last.  None: it begins now."""
    # The header is the newer one: a page that reconnects asks for the same address.
    text = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        detail = gettext("This is not the id of an event. Leave it out to begin now.")
        raise InvalidRequest(
            gettext("See errors."), errors=[{"pointer": "#/last_event_id", "code": "invalid", "detail": detail}]
        )
    return int(text)


def _require_method(request: HttpRequest, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed


def _list_pages(request: HttpRequest) -> set[str]:
    """Return the origins of the pages of this site."""
    parts = urlsplit(find_pages_url(request))
    return {f"{parts.scheme}://{parts.netloc}", f"{request.scheme}://{request.get_host()}"}


def _let_pages_read(request: HttpRequest, answer: HttpResponse) -> None:
    """Allow pages of this site to read what comes from another port; pages of other sites may not."""
    patch_vary_headers(answer, ["Origin"])
    with contextlib.suppress(DisallowedHost):
        if (origin := request.headers.get("Origin")) in _list_pages(request):
            answer["Access-Control-Allow-Origin"] = origin
            answer["Access-Control-Allow-Credentials"] = "true"


def _answer_error(error: Exception, request: HttpRequest) -> HttpResponse:
    with _in_language_of(request):
        answer = cast(HttpResponse, answer_exception(error, {"request": request}))
    if isinstance(error, MethodNotAllowed):
        answer["Allow"] = "GET"
    return answer


async def _end_when_gone(stream: Stream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
