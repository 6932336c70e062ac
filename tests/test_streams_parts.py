"""The parts of a stream that need no process: heartbeats, clients that take nothing, where a stream begins."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from django.conf import settings
from django.test import RequestFactory, override_settings

from cmphone.access.credentials import Credentials
from cmphone.environment import SettingsError
from cmphone.events_address import find_events_url, find_pages_url
from cmphone.settings import read_ports
from cmphone.streams import application, stream
from cmphone.streams.application import Application
from cmphone.streams.callers import Caller
from cmphone.streams.selectors import Standing
from cmphone.streams.stream import EVENTS_AT_ONCE, HEARTBEAT, Stream, Versions, write_event
from cmphone.streams.wake_ups import read_numbers

VERSIONS = Versions("1", "1")


def make_stream(user_id: int = 1) -> Stream:
    return Stream(Caller(user_id, Credentials("bearer", "secret")), "https://cm.example.com", 0, VERSIONS)


def test_a_stream_without_news_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)

    async def take() -> list[bytes]:
        it = make_stream()
        first = await it.take()
        it.put(b"news")
        return [first, await it.take(), await it.take()]

    assert HEARTBEAT.startswith(b":")
    assert asyncio.run(take()) == [HEARTBEAT, b"news", HEARTBEAT]


def test_what_waits_is_taken_at_once_and_the_last_word_is_the_last() -> None:
    async def take() -> list[bytes]:
        it = make_stream()
        it.put(b"1")
        it.put(b"2")
        it.end(b"3")
        it.put(b"4")
        it.end(b"5")
        return [await it.take(), await it.take()]

    assert asyncio.run(take()) == [b"123", b""]


def test_a_full_stream_has_no_room_until_it_was_taken_from() -> None:
    async def fill() -> list[bool]:
        it = make_stream()
        said = [it.has_room]
        for _ in range(EVENTS_AT_ONCE):
            it.put(b"x")
        said.append(it.has_room)
        await it.take()
        said += [it.was_full, it.has_room]
        it.put(b"x")
        await it.take()
        return [*said, it.was_full]

    assert asyncio.run(fill()) == [True, False, True, True, False]


def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "SLOW_SECONDS", 0.01)
    sent = []

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)
        await asyncio.sleep(60)

    async def serve() -> None:
        it = make_stream()
        it.put(b"news")
        await Application()._send_stream(it, receive, send)

    asyncio.run(serve())
    # No end in good order follows: the client sees that it was cut off, and comes back.
    assert sent == [{"type": "http.response.body", "body": b"news", "more_body": True}]


def test_an_event_is_written_as_the_standard_says() -> None:
    assert (
        write_event("call.ringing", {"text": "a\nb"}, id=7) == b'id: 7\nevent: call.ringing\ndata: {"text":"a\\nb"}\n\n'
    )
    assert write_event("versions", {}) == b"event: versions\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("last", "oldest", "number", "can_resume"),
    [
        (0, None, 0, True),
        (0, None, 1, False),
        (9, None, 9, True),
        (9, None, 8, False),
        (9, 5, 4, True),
        (9, 5, 3, False),
        (9, 5, 7, True),
        (9, 5, 9, True),
        (9, 5, 10, False),
    ],
)
def test_a_stream_resumes_where_all_that_came_since_is_there(
    last: int, oldest: int | None, number: int, can_resume: bool
) -> None:
    assert Standing(last, oldest, VERSIONS).can_resume(number) is can_resume


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (b'{"7": 17, "8": 1}', {7: 17, 8: 1}),
        (b"{}", {}),
        (b"nonsense", None),
        (b"[1]", None),
        (b'{"a": 1}', None),
        (b'{"7": null}', None),
    ],
)
def test_what_is_not_understood_may_concern_anybody(text: bytes, numbers: dict[int, int] | None) -> None:
    assert read_numbers(text) == numbers


def test_events_are_at_the_address_of_the_site_or_where_it_says() -> None:
    request = RequestFactory().get("/", headers={"Host": "localhost:8000"})
    assert find_events_url(request) == "http://localhost:8000/api/v1/events"
    with override_settings(PUBLIC_URL="https://cm.example.com"):
        assert find_events_url(request) == "https://cm.example.com/api/v1/events"
        with override_settings(PORTS=(8000, 8001)):
            # Who sits at this machine reaches no proxy.
            assert find_events_url(request) == "http://localhost:8001/api/v1/events"
            assert find_pages_url(request) == "https://cm.example.com"
    with override_settings(EVENTS_URL="https://events.example.com/api/v1/events", PORTS=(8000, 8001)):
        assert find_events_url(request) == "https://events.example.com/api/v1/events"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_without_a_proxy_both_ports_are_of_the_name_that_the_browser_knows(host: str) -> None:
    with override_settings(PORTS=(8000, 8001)):
        assert find_events_url(RequestFactory().get("/", headers={"Host": f"{host}:8000"})) == (
            f"http://{host}:8001/api/v1/events"
        )
        assert find_pages_url(RequestFactory().get("/", headers={"Host": f"{host}:8001"})) == f"http://{host}:8000"


def test_ports_are_two_numbers_or_none() -> None:
    assert settings.PORTS is None
    assert read_ports("") is None
    assert read_ports("8000,8001") == (8000, 8001)
    for text in ("8000", "8000,", "a,b", "8000,8001,8002"):
        with pytest.raises(SettingsError, match=r"^CMPHONE_PORTS must read as 8000,8001, not .*\.$"):
            read_ports(text)
