"""One open stream: what waits to be written to it, and how events are written down.  Knows no database."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from cmphone.streams.callers import Caller

# As many are read for a user at once; a stream with as many waiting gets no more until they are written.
EVENTS_AT_ONCE = 100
HEARTBEAT_SECONDS = 15
HEARTBEAT = b": still here\n\n"


class Versions(NamedTuple):
    """Of the configuration and of the popup files, as heartbeats tell them."""

    config: str
    templates: str


@dataclass(eq=False, slots=True)
class Stream:
    """A stream of one user.  `number` is that of the last event that was put in, `base_url` how links begin;
    `was_full`: more may have come than what was taken last."""

    caller: Caller
    base_url: str
    number: int
    versions: Versions
    is_over: bool = False
    was_full: bool = False
    _waiting: list[bytes] = field(default_factory=list)
    _has_news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_room(self) -> bool:
        return len(self._waiting) < EVENTS_AT_ONCE and not self.is_over

    def put(self, text: bytes) -> None:
        """Let this be written."""
        if not self.is_over:
            self._waiting.append(text)
            self._has_news.set()

    def end(self, text: bytes = b"") -> None:
        """Let this be the last that is written.  Safe to repeat."""
        self.put(text)
        self.is_over = True

    async def take(self) -> bytes:
        """Return what waits, or else what comes; a heartbeat where nothing does.  Once it is over, nothing."""
        if not self._waiting and not self.is_over:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._has_news.wait()
            except TimeoutError:
                return HEARTBEAT
        self._has_news.clear()
        self.was_full = len(self._waiting) >= EVENTS_AT_ONCE
        text = b"".join(self._waiting)
        self._waiting.clear()
        return text


def write_event(name: str, data: Mapping[str, object], *, id: int | None = None) -> bytes:
    """Return an event as it goes over the wire.  None: it leaves the reader's Last-Event-ID as it is."""
    head = b"" if id is None else b"id: %d\n" % id
    # JSON has no line breaks in it.
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), orjson.dumps(data))


def write_versions(versions: Versions) -> dict[str, object]:
    """Return the versions by the names that log-in and heartbeat give them."""
    return {"config_version": versions.config, "templates_version": versions.templates}
