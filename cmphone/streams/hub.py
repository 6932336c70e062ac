"""All streams of this process, and what keeps them fed: one look at the database for all who are concerned.

What is told is always read from the table of events, from each stream's last number on.  So nothing is lost and
nothing comes twice, whatever becomes of a message that there is something new.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext

from cmphone.api.notation import format_time
from cmphone.problems import NotAuthenticated, PermissionDenied, Throttled, Unavailable
from cmphone.streams.callers import Caller, identify_again, list_unchanged
from cmphone.streams.selectors import Event, Reader, describe_calls, find_versions, list_events
from cmphone.streams.stream import EVENTS_AT_ONCE, Stream, Versions, write_event, write_versions
from cmphone.streams.threads import Threads
from cmphone.streams.wake_ups import listen

logger = logging.getLogger(__name__)

STREAMS_AT_MOST = 5_000
STREAMS_OF_A_USER_AT_MOST = 20
# So many events are told together: those who come back in thousands do not wait for the last of them.
TOLD_AT_ONCE = 100
CHECK_SECONDS = 5
TRY_AGAIN_SECONDS = 0.5

# Calls by their ids; None: one that cannot be described.
Described = Mapping[int, Mapping[str, object] | None]


class Hub:
    """The streams of this process by their users."""

    def __init__(self) -> None:
        self.is_listening = False
        self.is_database_up = False
        self.opened = 0
        self.sent = 0
        self._streams: defaultdict[int, set[Stream]] = defaultdict(set)
        self._due: set[int] = set()
        self._has_due = asyncio.Event()
        self._is_closed = False
        self._threads = Threads("telling", count=2)

    def __len__(self) -> int:
        return sum(map(len, self._streams.values()))

    def __iter__(self) -> Iterator[Stream]:
        return (stream for streams in list(self._streams.values()) for stream in list(streams))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Feed the streams as long as the block runs."""
        tasks = [asyncio.create_task(self._go_on(work)) for work in (self._tell, self._check, lambda: listen(self))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._threads.close()

    def ensure_room(self) -> None:
        """Raise Unavailable when this process takes no more streams."""
        if self._is_closed or len(self) >= STREAMS_AT_MOST:
            raise Unavailable(gettext("There are too many streams here. Try again."), retry_after=5)

    def add(self, stream: Stream) -> None:
        """Feed a stream from now on.  Raises Unavailable, and Throttled when its user has too many."""
        self.ensure_room()
        streams = self._streams[stream.caller.user_id]
        if len(streams) >= STREAMS_OF_A_USER_AT_MOST:
            raise Throttled(
                gettext("A user may have %d streams open. Close one.") % STREAMS_OF_A_USER_AT_MOST, retry_after=5
            )
        streams.add(stream)
        self.opened += 1
        # What came between the look at where it begins and now was told to others only.
        self._wake_users({stream.caller.user_id})

    def remove(self, stream: Stream) -> None:
        """Feed a stream no more.  Safe to repeat."""
        user_id = stream.caller.user_id
        self._streams[user_id].discard(stream)
        if not self._streams[user_id]:
            del self._streams[user_id]

    def wake(self, numbers: Mapping[int, int]) -> None:
        """Look for what there is up to the number of each of these users."""
        self._wake_users(
            {user for user, number in numbers.items() if any(s.number < number for s in self._streams.get(user, ()))}
        )

    def wake_everybody(self) -> None:
        """Look for what there is for anybody."""
        self._wake_users(set(self._streams))

    def go_on(self, stream: Stream) -> None:
        """Look for more for a stream that has room again."""
        self._wake_users({stream.caller.user_id})

    def close(self) -> None:
        """End all streams in good order; who opens one from now on is told to come back.  Safe to repeat."""
        self._is_closed = True
        for stream in self:
            stream.end()

    def _wake_users(self, users: set[int]) -> None:
        if users:
            self._due |= users
            self._has_due.set()

    async def _tell(self) -> None:
        """Tell what is new to whom it may concern, whenever there is something."""
        await self._has_due.wait()
        self._has_due.clear()
        due, self._due = self._due, set()
        try:
            await self._look(due)
        except BaseException:
            self._wake_users(due)
            raise

    async def _look(self, due: set[int]) -> None:
        # Those who come meanwhile are told in the next round: these events may not begin where they do.
        readers = {user: [s for s in self._streams.get(user, ()) if s.has_room] for user in due}
        after = {user: min(stream.number for stream in streams) for user, streams in readers.items() if streams}
        if not after:
            return
        events = await self._threads.run(list_events, after)
        self.is_database_up = True
        by_user = {user: list(group) for user, group in groupby(events, attrgetter("user_id"))}
        outcomes = await asyncio.gather(
            *(self._tell_users({user: readers[user] for user in part}, part) for part in _divide(by_user)),
            return_exceptions=True,
        )
        for error in outcomes:
            if error is not None:
                raise error

    async def _tell_users(
        self, streams_of: Mapping[int, Sequence[Stream]], events_of: Mapping[int, Sequence[Event]]
    ) -> None:
        calls_of = await self._describe(
            {
                Reader(user, stream.base_url): {event.call_id for event in events}
                for user, events in events_of.items()
                for stream in streams_of[user]
            }
        )
        for user, events in events_of.items():
            for base_url in {stream.base_url for stream in streams_of[user]}:
                calls = calls_of[Reader(user, base_url)]
                for event in events:
                    # What he may not see any more does not exist for him.
                    text = _write(event, calls[event.call_id]) if event.call_id in calls else b""
                    for stream in streams_of[user]:
                        if stream.base_url == base_url and stream.number < event.number:
                            stream.number = event.number
                            if text:
                                stream.put(text)
                                self.sent += 1
            if len(events) == EVENTS_AT_ONCE:
                self._wake_users({user})

    async def _describe(self, wanted: Mapping[Reader, Collection[int]]) -> Mapping[Reader, Described]:
        try:
            return await self._threads.run(describe_calls, wanted)
        except (DatabaseError, InterfaceError):
            raise
        except Exception:
            if len(wanted) == 1:
                # A call that cannot be described must not hold up all that come after it: it is told without.
                logger.exception("Unforeseen error: calls are told without their description.")
                return {reader: dict.fromkeys(calls) for reader, calls in wanted.items()}
        # Nor those of others.
        told: dict[Reader, Described] = {}
        for reader, calls in wanted.items():
            told |= await self._describe({reader: calls})
        return told

    async def _check(self) -> None:
        """See to it every few seconds that nobody misses anything, and that nobody listens who may not."""
        self.wake_everybody()
        streams = list(self)
        callers = {stream.caller for stream in streams}
        versions, unchanged = await self._threads.run(lambda: (find_versions(), list_unchanged(callers)))
        self.is_database_up = True
        now: dict[Caller, Caller | str] = {caller: caller for caller in unchanged}
        for caller in callers - unchanged:
            now[caller] = await self._threads.run(_look_again, caller)
        for stream in streams:
            match now[stream.caller]:
                case Caller() as caller:
                    stream.caller = caller
                    _tell_versions(stream, versions)
                case reason:
                    stream.end(write_event("session-ended", {"reason": reason}))
        await asyncio.sleep(CHECK_SECONDS)

    async def _go_on(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work again and again, whatever becomes of it."""
        while True:
            try:
                await work()
            except (DatabaseError, InterfaceError) as error:
                if self.is_database_up:
                    logger.warning("The database does not answer (%s): events come when it does.", type(error).__name__)
                self.is_database_up = False
                await asyncio.sleep(TRY_AGAIN_SECONDS)
            except Exception:
                logger.exception("Unforeseen error; trying again.")
                await asyncio.sleep(TRY_AGAIN_SECONDS)


def _divide(events_of: Mapping[int, Sequence[Event]]) -> Iterator[dict[int, Sequence[Event]]]:
    """Yield the users with their events in parts of not many more than TOLD_AT_ONCE events."""
    part: dict[int, Sequence[Event]] = {}
    for user, events in events_of.items():
        part[user] = events
        if sum(map(len, part.values())) >= TOLD_AT_ONCE:
            yield part
            part = {}
    if part:
        yield part


def _write(event: Event, call: Mapping[str, object] | None) -> bytes:
    data = {"number": event.number, "kind": event.kind, "at": format_time(event.at), "call": call}
    return write_event(event.kind, data, id=event.number)


def _look_again(caller: Caller) -> Caller | str:
    """Return the caller as he is now, or why he is out."""
    try:
        again = identify_again(caller)
    except (NotAuthenticated, PermissionDenied) as problem:
        return str(problem.members.get("reason", "logged-out" if problem.status == 401 else problem.slug))
    return again if again.user_id == caller.user_id else "logged-out"


def _tell_versions(stream: Stream, versions: Versions) -> None:
    if stream.versions != versions:
        stream.versions = versions
        stream.put(write_event("versions", write_versions(versions)))
