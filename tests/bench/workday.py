"""What the clients of a site's agents do all day, over HTTP, and how long each of it takes.  No Django.

Everybody holds a stream open and shows that he lives.  Calls come whether those before are answered or not, so a server
that is slow gets no rest by it.  Times are from before a request is written until its answer is read whole.
"""

import asyncio
import contextlib
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

HOST = "127.0.0.1"
TIMEOUT = 30
EVENT = re.compile(rb"event: (call\.[a-z-]+)")
CALL_ID = re.compile(rb'"call_id":"([^"]+)"')
LIST_SECONDS, MANIFEST_SECONDS = 60, 120
MISSED, CALLED_BACK = 0.2, 0.5
RINGS, TALKS = (2, 8), (3, 12)
# The events of the last changes have come by then.
LAST_SECONDS = 3


@dataclass(frozen=True)
class Caller:
    """A number as it is presented, and what the look-up is to find."""

    presented: str
    match: str


@dataclass
class Figures:
    """What was measured: seconds by what was asked; `late` is the generator's own delay."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)
    calls: int = 0
    unexpected: int = 0
    # No more times are kept then, but errors are.
    is_over: bool = False

    def note(self, what: str, seconds: float) -> None:
        """Keep how long something took."""
        if not self.is_over:
            self.times[what].append(seconds)


class Connection:
    """One connection that is kept: a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Return status, headers by their lower-case names, and body of the answer."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get(b"content-length", b"0")))
        return int(first.split()[1]), headers, body


class Agent:
    """One who is logged in, with his client."""

    def __init__(self, token: str, port: int, day: "Workday") -> None:
        self.token, self.port, self.day = token, port, day
        self.free: list[Connection] = []
        self.greeted, self.has_begun = asyncio.Event(), asyncio.Event()
        self.manifest = ""

    async def ask(
        self,
        what: str,
        method: str,
        path: str,
        body: object = None,
        *,
        expected: Sequence[int] = (200,),
        etag: str = "",
    ) -> tuple[dict[bytes, bytes], Any]:
        """Return headers and body of an answer, whose time is noted; another status than expected is an error."""
        content = orjson.dumps(body) if body is not None else b""
        head = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {self.token}"]
        head += [f"Content-Length: {len(content)}", "Content-Type: application/json"] if method != "GET" else []
        head += [f"If-None-Match: {etag}"] if etag else []
        request = "\r\n".join([*head, "", ""]).encode() + content
        figures, began = self.day.figures, time.perf_counter()
        try:
            async with asyncio.timeout(TIMEOUT), self._connection() as connection:
                status, headers, answer = await connection.ask(request)
        except (TimeoutError, OSError, EOFError) as error:
            figures.errors[f"{what}: {type(error).__name__}"] += 1
            return {}, None
        figures.note(what, time.perf_counter() - began)
        if status not in expected:
            figures.errors[f"{what}: {status} {answer[:200]!r}"] += 1
            return headers, None
        return headers, orjson.loads(answer) if answer else None

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Give a connection that nobody uses; one that has failed is not used again."""
        while self.free:
            connection = self.free.pop()
            if not connection.reader.at_eof():
                break
            connection.writer.close()
        else:
            connection = Connection(*await asyncio.open_connection(HOST, self.port, limit=1_000_000))
        try:
            yield connection
        except BaseException:
            connection.writer.close()
            raise
        self.free.append(connection)

    # --- what goes on all the time ---

    async def listen(self, port: int) -> None:
        """Hold a stream open, and note when an event comes that somebody waits for."""
        reader, writer = await asyncio.open_connection(HOST, port, limit=1_000_000)
        try:
            head = f"GET /api/v1/events HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.token}\r\n\r\n"
            writer.write(head.encode())
            kind = b""
            while line := await reader.readline():
                if line.startswith(b"event: hello"):
                    self.greeted.set()
                elif found := EVENT.match(line):
                    kind = found[1]
                elif kind and (found := CALL_ID.search(line)):
                    self.day.take_event(self, kind.decode(), found[1].decode())
                    kind = b""
            self.day.figures.errors["stream: ended"] += 1
            self.greeted.set()
        finally:
            writer.close()

    async def live(self) -> None:
        """Show signs of life, look at the list of calls, and ask whether anything has changed; for ever."""
        _, config = await self.ask("client-config", "GET", "/api/v1/client-config")
        headers, _ = await self.ask("manifest", "GET", "/api/v1/popup-templates")
        self.manifest = headers.get(b"etag", b"").decode()
        self.has_begun.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(config["heartbeat_seconds"], self._show_life))
            tasks.create_task(self._every(LIST_SECONDS, self._list_calls))
            tasks.create_task(self._every(MANIFEST_SECONDS, self._ask_for_news))

    async def _every(self, seconds: float, do: Callable[[], Awaitable[None]]) -> None:
        # Everybody at another time.
        await asyncio.sleep(random.uniform(0, seconds))
        while True:
            await do()
            await asyncio.sleep(seconds)

    async def _show_life(self) -> None:
        await self.ask("heartbeat", "PUT", "/api/v1/sessions/current")

    async def _list_calls(self) -> None:
        await self.ask("list of calls", "GET", "/api/v1/calls?whose=own")

    async def _ask_for_news(self) -> None:
        await self.ask("client-config", "GET", "/api/v1/client-config")
        await self.ask("manifest, 304", "GET", "/api/v1/popup-templates", expected=(304,), etag=self.manifest)

    # --- calls ---

    async def look_up(self, caller: Caller) -> None:
        """Look somebody up, as nothing but a look-up."""
        _, answer = await self.ask("look-up", "GET", f"/api/v1/lookup?number={quote(caller.presented, safe='')}")
        self.day.figures.unexpected += answer is not None and answer["match"] != caller.match

    async def take_call(self, call_id: str, caller: Caller) -> None:
        """Let it ring, answer or miss it, and call back some of those that were missed."""
        body = {
            "call_id": call_id,
            "direction": "incoming",
            "number": caller.presented,
            "started_at": datetime.now(UTC).isoformat(),
        }
        self.day.await_event(self, "call.ringing", call_id)
        _, answer = await self.ask("call reported", "POST", "/api/v1/calls", body, expected=(201,))
        if answer is None:
            return
        self.day.figures.unexpected += answer["lookup"]["match"] != caller.match
        await asyncio.sleep(random.uniform(*RINGS))
        if random.random() >= MISSED:
            await self._change("call answered", call_id, "call.answered", {"state": "answered"})
            await asyncio.sleep(random.uniform(*TALKS))
            await self._change("call ended", call_id, "call.ended", {"state": "ended"})
            return
        await self._change("call missed", call_id, "call.missed", {"state": "ended"})
        await asyncio.sleep(random.uniform(*RINGS))
        if answer["call_back"] and random.random() < CALLED_BACK:
            self.day.await_event(self, "call.called-back", call_id)
            await self.ask("call back", "POST", f"/api/v1/calls/{call_id}/callback")
            await self._change("call done", call_id, "call.done", {"done": True})

    async def _change(self, what: str, call_id: str, event: str, body: object) -> None:
        self.day.await_event(self, event, call_id)
        await self.ask(what, "PATCH", f"/api/v1/calls/{call_id}", body)


class Workday:
    """All agents of a site, at work."""

    def __init__(self, tokens: Sequence[str], callers: Sequence[Caller], *, web: int, events: int) -> None:
        self.figures = Figures()
        self.agents = [Agent(token, web, self) for token in tokens]
        self.callers, self.events = callers, events
        self.awaited: dict[tuple[str, str, str], tuple[float, Figures]] = {}
        self.numbers = iter(range(1_000_000_000))

    @contextlib.asynccontextmanager
    async def at_work(self, spread: float) -> AsyncIterator[None]:
        """Keep everybody listening and alive while the block runs.  They come within `spread` seconds."""
        async with asyncio.TaskGroup() as tasks:
            running = []
            for agent in self.agents:
                running += [tasks.create_task(agent.listen(self.events)), tasks.create_task(agent.live())]
                await asyncio.sleep(spread / len(self.agents))
            for agent in self.agents:
                await agent.greeted.wait()
                await agent.has_begun.wait()
            yield
            for each in running:
                each.cancel()

    async def take_calls(self, rate: float, seconds: float) -> Figures:
        """Let so many calls a second come, and as many plain look-ups; return what was measured of them."""
        figures = self.figures = Figures()
        async with asyncio.TaskGroup() as tasks:
            arriving = [tasks.create_task(self._arrive(rate, seconds, tasks, is_call)) for is_call in (True, False)]
            arriving.append(tasks.create_task(self._watch_clock(seconds)))
            await asyncio.gather(*arriving)
            figures.is_over = True
        await asyncio.sleep(LAST_SECONDS)
        self.miss_events()
        return figures

    async def _arrive(self, rate: float, seconds: float, tasks: asyncio.TaskGroup, is_call: bool) -> None:
        began = at = time.perf_counter()
        # As real calls: sometimes two at once, sometimes none for a while.
        while (at := at + random.expovariate(rate)) < began + seconds:
            await asyncio.sleep(at - time.perf_counter())
            self.figures.late.append(time.perf_counter() - at)
            agent, caller = random.choice(self.agents), random.choice(self.callers)
            if is_call:
                self.figures.calls += 1
                tasks.create_task(agent.take_call(f"day-{next(self.numbers)}", caller))
            else:
                tasks.create_task(agent.look_up(caller))

    async def _watch_clock(self, seconds: float) -> None:
        """Note how late this process itself is, which would be counted as the server's time."""
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            await asyncio.sleep(0.02)
            self.figures.note("(the generator is late)", time.perf_counter() - now - 0.02)

    def await_event(self, agent: Agent, kind: str, call_id: str) -> None:
        """Say that an event is to come at this agent's stream, from now on."""
        self.awaited[agent.token, kind, call_id] = (time.perf_counter(), self.figures)

    def miss_events(self) -> None:
        """Count every event that has not come as an error."""
        for (_, kind, _), (_, figures) in self.awaited.items():
            figures.errors[f"{kind}: no event"] += 1
        self.awaited.clear()

    def take_event(self, agent: Agent, kind: str, call_id: str) -> None:
        """Note an event, which must be one that is awaited."""
        found = self.awaited.pop((agent.token, kind, call_id), None)
        if found is None:
            self.figures.errors[f"{kind}: an event that nobody awaits"] += 1
        else:
            began, figures = found
            figures.note("event: it rings" if kind == "call.ringing" else "event: another", time.perf_counter() - began)
