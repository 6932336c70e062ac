"""The agents of the benchmark: what they count, as errors that nobody counts would make every figure worthless."""

import asyncio
from collections.abc import Sequence

from tests.bench.agents import pick
from tests.bench.workday import HOST, Caller, Workday

CALLER = Caller("0211 1", "exact")


def ask_of(answers: Sequence[bytes]) -> tuple[Workday, list[object]]:
    """Let an agent ask a server that has these answers, each over one connection, and then closes it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for each in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(each)
        writer.close()

    async def ask() -> tuple[Workday, list[object]]:
        async with await asyncio.start_server(answer, HOST, 0) as server:
            day = Workday(["token"], [CALLER], web=server.sockets[0].getsockname()[1], events=0)
            (agent,) = day.agents
            bodies = [(await agent.ask("look-up", "GET", "/"))[1] for _ in answers]
            for connection in agent.free:
                connection.writer.close()
            return day, bodies

    return asyncio.run(ask())


def test_answers_are_read_one_after_the_other_over_one_connection() -> None:
    day, bodies = ask_of(
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}',
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + b"[]",
        ]
    )
    assert bodies == [{"a": 1}, []]
    assert len(day.figures.times["look-up"]) == 2
    assert not day.figures.errors


def test_another_status_and_an_answer_cut_off_are_errors() -> None:
    day, bodies = ask_of(
        [b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
    )
    assert bodies == [None, None]
    assert day.figures.errors == {"look-up: 503 b'busy'": 1, "look-up: IncompleteReadError": 1}


def test_an_event_that_does_not_come_or_comes_twice_is_an_error() -> None:
    day = Workday(["token"], [CALLER], web=0, events=0)
    (agent,) = day.agents
    day.await_event(agent, "call.ringing", "1")
    day.await_event(agent, "call.ended", "1")
    for _ in range(2):
        day.take_event(agent, "call.ringing", "1")
    day.miss_events()
    assert len(day.figures.times["event: it rings"]) == 1
    assert day.figures.errors == {"call.ringing: an event that nobody awaits": 1, "call.ended: no event": 1}


def test_p99_is_what_one_of_a_hundred_exceeds() -> None:
    seconds = [float(each) for each in range(100, 0, -1)]
    assert [pick(seconds, part) for part in (0, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert pick([], 0.99) == 0
