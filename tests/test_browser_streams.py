"""A page that listens in a real browser, by the cookie that it was logged in with, across ports and a restart."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.calls.services import report_call
from cmphone.contacts.models import User
from tests.make import PASSWORD, give_rights, make_customer_group, make_user
from tests.streams import PATH, tell_events

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LISTEN = """address => {
    window.told = [];
    const source = new EventSource(address, {withCredentials: true});
    for (const name of ["hello", "reset", "call.ringing", "session-ended"]) {
        source.addEventListener(name, event => told.push([name, event.lastEventId, JSON.parse(event.data)]));
    }
    source.addEventListener("error", () => told.push(["error", source.readyState, null]));
}"""


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer) -> Iterator["Page"]:
    give_rights(make_user(password=PASSWORD), make_customer_group(), create=True)
    with contextlib.closing(chromium.new_context(base_url=live_server.url)) as context:
        page = context.new_page()
        page.goto("/login/")
        page.fill("[name=username]", "agent1")
        page.fill("[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.wait_for_url(lambda url: "login" not in url)
        yield page


def wait_for(page: "Page", name: str, id: str) -> dict[str, Any]:
    """Return what an event says, when it is there."""
    found = "([name, id]) => told.find(each => each[0] === name && String(each[1]) === id) ?? null"
    # Asked from outside: the page's policy lets nothing in it make code of text, as waiting there would.
    for _ in range(600):
        if event := page.evaluate(found, [name, id]):
            return dict(event[2] or {})
        page.wait_for_timeout(50)
    raise AssertionError((name, id, page.evaluate("told")))


def ring(call_id: str) -> None:
    report_call(User.objects.get(), call_id=call_id, direction="incoming", number="0211 1234567")


def test_a_page_hears_calls_resumes_by_itself_and_learns_that_it_is_out(
    page: "Page", live_server: LiveServer, settings: Any
) -> None:
    host, _, port = live_server.url.removeprefix("http://").partition(":")
    ring("before")
    with tell_events(pages_port=int(port)) as process:
        events_port = process.port
        # The page's policy lets it listen there.
        settings.PORTS = (int(port), events_port)
        page.goto("/profile/")
        page.evaluate(LISTEN, f"http://{host}:{events_port}{PATH}")
        wait_for(page, "hello", "1")
        ring("first")
        call = wait_for(page, "call.ringing", "2")["call"]
        assert call["call_id"] == "first"
        # Links lead to the pages, not to the port that events come from.
        assert call["lookup"]["actions"]["create_contact"].startswith(f"{live_server.url}/contacts/new/")
    # While nobody tells events.
    ring("second")
    with tell_events(pages_port=int(port), port=events_port):
        wait_for(page, "hello", "2")
        assert wait_for(page, "call.ringing", "3")["call"]["call_id"] == "second"
        User.objects.update(is_active=False)
        assert wait_for(page, "session-ended", "3") == {"reason": "logged-out"}
        # It comes back once more, is refused, and gives up.
        wait_for(page, "error", "2")
    assert page.evaluate("told.filter(each => each[0] === 'call.ringing').map(each => each[1])") == ["2", "3"]
