"""Hands out the client's installers: here a slow reader costs a piece in memory, and there a web process.

Who may have one, and what the answer is, say the same views as in the web server: Django runs them in a thread.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, cast

from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext

from cmphone.events_address import find_pages_url
from cmphone.problems import Unavailable
from cmphone.streams.threads import Threads

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Of each, a piece is in memory.
DOWNLOADS_AT_ONCE = 200
# What the network takes at once; who takes not even that in SLOW_SECONDS is cut off, and goes on by Range.
PART = 1 << 16
SLOW_SECONDS = 30
_path = re.compile("/api/v1/client-releases/[^/]+/download|/profile/client/[^/]+/")


def is_download(path: str) -> bool:
    """Say whether an installer is at this path."""
    return _path.fullmatch(path) is not None


class Downloads:
    """The downloads of one process."""

    def __init__(self) -> None:
        # Apart from those of the streams: a database that is slow with files holds up no call.
        self._threads = Threads("downloads", count=2)
        self._handler: BaseHandler | None = None
        self._count = 0

    def close(self) -> None:
        """Begin no more."""
        self._threads.close()

    @contextmanager
    def taking_room(self) -> Iterator[None]:
        """Be one of those at once.  Raises Unavailable."""
        if self._count >= DOWNLOADS_AT_ONCE:
            raise Unavailable(gettext("Too many download at once. Try again."), retry_after=30)
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    async def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Return the answer of the view, whose content may be read by `send` alone."""
        return await self._threads.run(self._ask_view, request)

    def _ask_view(self, request: HttpRequest) -> HttpResponseBase:
        if self._handler is None:
            # Only now: most of these processes never hand out a file, and all pages come with it.
            handler = BaseHandler()
            handler.load_middleware()
            self._handler = handler
        answer = self._handler.get_response(request)
        if (url := answer.get("Location", "")).startswith("/"):
            # The log-in, which may be at another port.
            answer["Location"] = find_pages_url(request) + url
        return answer

    async def send(self, answer: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Send the content at the reader's pace, until it ends or he is gone."""
        if not isinstance(answer, StreamingHttpResponse):
            content = cast(HttpResponse, answer).content
            await send({"type": "http.response.body", "body": content})
            return
        pieces = iter(answer)
        gone = asyncio.create_task(_wait_until_gone(receive))
        try:
            while piece := await self._threads.run(next, pieces, b""):
                for start in range(0, len(piece), PART):
                    part = piece[start : start + PART]
                    async with asyncio.timeout(SLOW_SECONDS):
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                    if gone.done():
                        return
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            logger.info("A download that nobody takes was cut off.")
        finally:
            gone.cancel()


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
