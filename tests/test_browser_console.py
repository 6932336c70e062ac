"""An agent and his console in a real browser, with the process that tells events and what is torn down under both."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from cmphone.calls.models import Call, Line
from cmphone.calls.services import change_call, report_call
from cmphone.contacts.models import CustomerGroup, User
from cmphone.properties.models import ConfigurationVersion
from cmphone.properties.registry import COUNTRY_PREFIX, OUTSIDE_CODES, TRUNK_PREFIX
from cmphone.properties.services import set_property
from tests.accessibility import find_overflow, find_violations
from tests.hanging import find_valkey
from tests.make import give_rights, make_company, make_customer_group, make_person, make_queue, make_user
from tests.streams import Process, tell_events, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MARIA = "002117654321"
TEXTS = {
    "incoming": ("Eingehender Anruf", "Incoming call"),
    "answered": ("Im Gespräch", "In a call"),
    "missed": ("Entgangener Anruf", "Missed call"),
    "withheld": ("Nummer unterdrückt", "Number withheld"),
    "unknown": ("Unbekannter Anrufer", "Unknown caller"),
    "choose": ("Wer ruft an?", "Who is calling?"),
    "late": ("Keine Live-Verbindung", "No live connection"),
    "lost": ("Nicht verbunden", "Not connected"),
    "again": ("Wieder verbunden", "Connected again"),
    "logged_out": ("Sie sind abgemeldet", "You are logged out"),
}
_versions = itertools.count(500_000, 1_000)


@pytest.fixture(scope="module")
def process(django_db_setup: None, live_server: LiveServer) -> Iterator[Process]:
    with tell_events(pages_port=urlsplit(live_server.url).port) as process:
        yield process


@dataclass
class World:
    """An agent in his browser.  `ring` lets his telephone ring."""

    agent: User
    group: CustomerGroup
    language: str
    context: "BrowserContext"
    failures: list[str] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def say(self, name: str) -> str:
        return TEXTS[name][self.language == "en"]

    def open(self, path: str = "/") -> "Page":
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.failures.append(str(error)))
        page.goto(path)
        return page

    def open_console(self) -> "Page":
        page = self.open()
        page.wait_for_selector("#settings:not([hidden])")
        return page

    def ring(self, number: str = MARIA, *, line: str = "", by: User | None = None) -> str:
        call_id = f"call-{next(self._ids)}"
        report_call(by or self.agent, call_id=call_id, direction="incoming", number=number, line=line)
        return call_id

    def miss(self, number: str = MARIA) -> str:
        call_id = self.ring(number)
        change_call(self.agent, call_id, state="ended")
        return call_id


@pytest.fixture(params=["de", "en"])
def world(
    request: pytest.FixtureRequest,
    chromium: "Browser",
    live_server: LiveServer,
    process: Process,
    settings: LazySettings,
) -> Iterator[World]:
    settings.PORTS = urlsplit(live_server.url).port, process.port
    # The process keeps a configuration, and an emptied database counts its versions anew.
    ConfigurationVersion.objects.update_or_create(id=1, defaults={"number": next(_versions), "templates_number": 1})
    language = str(request.param)
    group = make_customer_group(country_prefix="49", area_prefix="211")
    for name, value in {COUNTRY_PREFIX: "49", OUTSIDE_CODES: "0", TRUNK_PREFIX: "0"}.items():
        set_property(name=name, value=value)
    agent = make_user("agent1", language=language)
    make_queue("helpdesk", [group], give_rights(agent, group, create=True, edit=True))
    make_person(group, phone="0211 7654321", company=make_company(group))
    context = chromium.new_context(base_url=live_server.url, locale=language, viewport={"width": 1200, "height": 900})
    world = World(agent, group, language, context)
    log_in(context, agent, live_server)
    yield world
    context.close()
    assert world.failures == []


def log_in(context: "BrowserContext", user: User, live_server: LiveServer) -> None:
    """Let the browser have the cookie of a user who has logged in."""
    from django.test import Client

    client = Client()
    client.force_login(user)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])


def wait_for_text(place: "Locator", text: str) -> None:
    place.filter(has_text=text).first.wait_for()


def card(page: "Page") -> "Locator":
    return page.locator("#now > li")


def test_a_known_caller_pops_up_is_answered_and_hangs_up(world: World) -> None:
    page = world.open_console()
    page.focus("#q")
    page.keyboard.type("mei")
    call_id = world.ring(line="12")

    wait_for_text(card(page), "Maria Anders (Alfreds Futterkiste)")
    assert card(page).locator("[data-kind]").inner_text() == world.say("incoming")
    assert card(page).locator("[data-number]").inner_text() == "+49 211 7654321"
    assert card(page).locator("[data-place]").inner_text() == "Düsseldorf"
    assert "Maria Anders" in page.title()
    assert page.locator("#icon").get_attribute("href") == "/static/cmphone/console/ringing.svg"
    assert "Maria Anders (Alfreds Futterkiste)" in page.locator("#announcement").inner_text()
    # Who types goes on typing.
    assert page.evaluate("document.activeElement.id") == "q"
    contact, new_case = card(page).locator("[data-open]"), card(page).locator(".buttons [data-new-case]")
    assert page.evaluate("url => fetch(url).then(answer => answer.status)", contact.get_attribute("href")) == 200
    assert page.evaluate("url => fetch(url).then(answer => answer.status)", new_case.get_attribute("href")) == 200
    assert card(page).locator("[data-dial]").get_attribute("href") == "phone:002117654321"
    assert not card(page).locator("[data-new-contact]").is_hidden()
    assert find_violations(page) == []
    assert find_overflow(page) == 0

    change_call(world.agent, call_id, state="answered")
    wait_for_text(card(page), world.say("answered"))
    assert "Maria Anders" not in page.title()
    assert page.locator("#icon").get_attribute("href") == "/static/cmphone/console/quiet.svg"
    change_call(world.agent, call_id, state="ended")
    page.locator("#recent li", has_text="Maria Anders").wait_for()
    assert page.locator("#missed li").count() == 0


def test_a_call_that_rang_while_the_page_was_closed_is_there_when_it_loads(world: World) -> None:
    world.ring()
    world.miss("00305551234")

    page = world.open_console()

    wait_for_text(card(page), "Maria Anders")
    wait_for_text(page.locator("#missed > li"), world.say("unknown"))
    assert (card(page).count(), page.locator("#missed > li").count()) == (1, 1)


def test_without_script_the_page_shows_what_there_is_and_its_forms_work(
    world: World, chromium: "Browser", live_server: LiveServer
) -> None:
    world.ring()
    world.miss()
    context = chromium.new_context(base_url=live_server.url, locale=world.language, java_script_enabled=False)
    log_in(context, world.agent, live_server)
    page = context.new_page()
    page.goto("/")

    assert "Maria Anders" in card(page).inner_text()
    assert page.locator("#still").is_visible()
    page.click("#missed [data-call-back]")
    page.locator(".messages .success").wait_for()
    assert Call.objects.filter(called_back_by=world.agent).count() == 1
    assert page.locator("#missed [data-dial]").get_attribute("href") == "phone:002117654321"
    page.click("#missed [data-done]")
    page.wait_for_selector("#missed:not(:has(li))", state="attached")
    page.click("#recent [data-not-done]")
    page.locator("#missed > li").wait_for()
    context.close()


def test_several_contacts_are_a_choice_and_an_unknown_number_is_prefilled(world: World) -> None:
    make_person(world.group, "Berg", phone="0211 7654321")
    page = world.open_console()
    world.ring()
    world.ring("00305551234")

    wait_for_text(card(page), world.say("choose"))
    several = card(page).filter(has_text=world.say("choose"))
    assert sorted(several.locator("[data-contacts] [data-name]").all_inner_texts()) == ["Anders", "Berg"]
    wait_for_text(card(page), world.say("unknown"))
    unknown = card(page).filter(has_text=world.say("unknown"))
    assert unknown.locator("[data-open]").is_hidden()
    assert find_violations(page) == []
    with world.context.expect_page() as opened:
        unknown.locator("[data-new-contact]").click()
    new_contact = opened.value
    new_contact.wait_for_selector("[name='fields/phone']")
    assert "30 5551234" in new_contact.input_value("[name='fields/phone']")
    # And the console goes on.
    world.ring("0030777888")
    page.locator("#now > li:nth-child(3)").wait_for()


def test_a_withheld_caller_is_said_to_be_one(world: World) -> None:
    page = world.open_console()
    world.ring("anonymous")

    wait_for_text(card(page), world.say("withheld"))
    assert card(page).locator("[data-number]").is_hidden()
    assert card(page).locator("[data-dial]").is_hidden()
    assert "anonymous" not in page.locator("main").inner_text()


def test_a_missed_call_is_called_back_and_done(world: World) -> None:
    page = world.open_console()
    # Nothing here dials, and the question of the browser which program does would take every key.
    page.evaluate(
        "navigation.addEventListener('navigate', e => { e.preventDefault(); window.dialled = e.destination.url })"
    )
    world.miss()
    row = page.locator("#missed > li")
    row.wait_for()
    assert page.locator("#missed_count").inner_text() == "1"

    row.locator("[data-call-back]").click()
    wait_until(lambda: bool(page.evaluate("window.dialled !== undefined")))
    assert page.evaluate("window.dialled") == "phone:002117654321"
    wait_for_text(row, "agent1")
    assert Call.objects.get().called_back_by == world.agent

    row.locator("[data-done]").focus()
    page.keyboard.press("Enter")
    page.locator("#undo button:focus").wait_for()
    assert row.count() == 0
    assert Call.objects.get().done_by == world.agent
    assert find_violations(page) == []
    page.keyboard.press("Enter")
    row.wait_for()
    assert Call.objects.get().done_at is None
    assert page.evaluate("document.activeElement.hasAttribute('data-done')") is True


def test_a_call_of_a_line_is_one_card_whoever_reports_it_and_over_when_a_colleague_answers(world: World) -> None:
    colleague = make_user("colleague")
    line = Line.objects.create(name="12")
    line.users.set([world.agent, colleague])
    page = world.open_console()
    world.ring(line="12", by=world.agent)
    reported = world.ring(line="12", by=colleague)
    missed = world.ring("00305551234", line="12", by=colleague)
    page.locator("#now > li:nth-child(2)").wait_for()
    wait_for_text(page.locator("#recent > li"), "colleague")
    assert page.locator("#recent > li").count() == 3
    assert page.locator("#now > li").count() == 2

    change_call(colleague, missed, state="ended")
    page.locator("#missed > li").wait_for()
    # Two clients may call different calls the same.
    report_call(world.agent, call_id=missed, direction="incoming", number=MARIA)
    page.locator("#missed [data-done]").click()
    page.wait_for_selector("#missed:not(:has(li))", state="attached")
    assert Call.objects.get(done_by=world.agent).reporter == colleague
    assert reported


def test_only_the_window_that_was_used_last_pops_up_and_closing_is_for_all(world: World) -> None:
    first = world.open_console()
    second = world.open_console()
    call_id = world.ring()
    wait_for_text(card(second), "Maria Anders")
    first.locator("#elsewhere:not([hidden])").wait_for()
    assert (card(first).count(), "Maria Anders" in first.title()) == (0, False)

    first.evaluate("window.dispatchEvent(new Event('focus'))")
    wait_for_text(card(first), "Maria Anders")
    second.locator("#elsewhere:not([hidden])").wait_for()
    assert card(second).count() == 0
    first.locator("[data-dismiss]").click()
    first.locator("#no_call:not([hidden])").wait_for()
    second.locator("#elsewhere[hidden]").wait_for(state="attached")

    # Who closes the window leaves it to the other one, in which this call stays closed.
    first.close()
    world.ring("00305551234")
    wait_for_text(card(second), world.say("unknown"))
    assert card(second).count() == 1
    change_call(world.agent, call_id, state="ended")
    second.locator("#missed > li").wait_for()


def test_calls_show_when_valkey_was_restarted_in_between(world: World) -> None:
    page = world.open_console()
    valkey = find_valkey()
    if not valkey.find_processes():
        pytest.skip("Valkey is not an embedded one.")
    valkey.stop()
    try:
        world.ring()
        wait_for_text(card(page), "Maria Anders")
    finally:
        valkey.ensure_running()
    world.ring("00305551234")
    wait_for_text(card(page), world.say("unknown"))
    assert card(page).count() == 2


def test_a_lost_connection_is_said_and_so_is_that_it_is_back(
    world: World, live_server: LiveServer, settings: LazySettings
) -> None:
    web = urlsplit(live_server.url).port
    with tell_events(pages_port=web) as own:
        settings.PORTS = web, own.port
        page = world.open_console()
        world.ring()
        wait_for_text(card(page), "Maria Anders")
    # Streams are away, the pages are not: calls come late.
    world.ring("00305551234")
    wait_for_text(page.locator("#connection"), world.say("late"))
    wait_for_text(card(page), world.say("unknown"))
    assert find_violations(page) == []
    # And then all of it is.
    page.route("**/console/calls/", lambda route: route.abort())
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    wait_for_text(page.locator("#connection"), world.say("late"))
    with tell_events(pages_port=web, port=own.port):
        wait_for_text(page.locator("#connection"), world.say("again"))
        world.ring("anonymous")
        wait_for_text(card(page), world.say("withheld"))


def test_a_page_whose_server_is_away_says_that_new_calls_do_not_show(world: World, process: Process) -> None:
    page = world.open()
    world.context.route("**/console/calls/", lambda route: route.abort())
    world.context.route(f"{process.address.replace('127.0.0.1', 'localhost')}/**", lambda route: route.abort())
    page.reload()

    wait_for_text(page.locator("#connection"), world.say("lost"))
    assert find_violations(page) == []


def test_who_was_logged_out_elsewhere_is_told_so(world: World, live_server: LiveServer) -> None:
    page = world.open_console()
    User.objects.filter(pk=world.agent.pk).update(is_active=False)

    wait_for_text(page.locator("#connection"), world.say("logged_out"))
    assert page.locator("#log_in").is_visible()


def test_who_logged_out_everywhere_else_goes_on_here(world: World) -> None:
    page = world.open_console()
    profile = world.open("/profile/")
    with page.expect_response("**/console/calls/"):
        profile.locator("form[action='/profile/log-out-elsewhere/'] button").click()
        profile.locator(".messages .success").wait_for()

    world.ring()

    wait_for_text(card(page), "Maria Anders")
    assert page.locator("#log_in").is_hidden()


def test_calls_that_began_in_one_second_stay_in_order(world: World) -> None:
    page = world.open_console()
    began = timezone.now()
    numbers = [f"0030555123{number}" for number in range(6)]
    for place, number in enumerate(numbers):
        at = began.replace(microsecond=(place * 7 % 6) * 1_000)
        report_call(world.agent, call_id=f"c{place}", direction="incoming", number=number, started_at=at)
    newest_first = [f"+49 30 555123{place}" for place in (5, 4, 3, 2, 1, 0)]
    page.locator("#recent > li:nth-child(6)").wait_for()

    assert page.locator("#recent [data-dial]").all_inner_texts() == newest_first
    page.reload()
    page.locator("#recent > li:nth-child(6)").wait_for()
    page.wait_for_selector("#settings:not([hidden])")
    assert page.locator("#recent [data-dial]").all_inner_texts() == newest_first


def test_times_are_those_of_the_site_wherever_the_browser_is(
    world: World, chromium: "Browser", live_server: LiveServer
) -> None:
    context = chromium.new_context(base_url=live_server.url, locale=world.language, timezone_id="Pacific/Kiritimati")
    log_in(context, world.agent, live_server)
    at = datetime(2026, 1, 2, 22, 30, tzinfo=UTC)
    world.miss()
    Call.objects.update(started_at=at)
    page = context.new_page()
    page.goto("/")
    page.wait_for_selector("#settings:not([hidden])")

    expected = "2 Jan 2026 23:30" if world.language == "en" else "02.01.2026 23:30"
    assert page.locator("#recent [data-time]").inner_text() == expected
    context.close()


def test_a_search_that_fails_is_not_shown_as_one_that_finds_nothing(world: World) -> None:
    page = world.open_console()
    page.route("**/console/contacts/**", lambda route: route.abort())
    page.fill("#q", "mar")

    page.locator("#results [aria-disabled]").wait_for()
    expected = "Die Suche hat nicht geklappt" if world.language == "de" else "The search did not work"
    assert expected in page.locator("#results").inner_text()
    assert expected in page.locator("#search_status").inner_text()
    assert find_violations(page) == []


def test_a_hostile_name_is_text(world: World) -> None:
    script = "<script>document.body.dataset.attacked=2</script>"
    name = f'<img src=x onerror="document.body.dataset.attacked=1"></script>{script}'
    make_person(world.group, name, phone="030 5551234")
    make_person(world.group, f"{name}2", phone="030 5551234")
    make_person(world.group, name, phone="030 777888")
    for number in ("00305551234", "0030777888"):
        world.miss(number)
    page = world.open_console()
    for number in ("00305551234", "0030777888"):
        world.ring(number, line=name)
    page.locator("#now > li:nth-child(2)").wait_for()
    page.fill("#q", "img")
    page.locator("#results [role=option]").first.wait_for()

    for place in ("#now", "#missed", "#recent", "#results"):
        assert "<img src=x" in page.locator(place).inner_text()
    assert page.locator("img").count() == 0
    assert page.evaluate("document.body.dataset.attacked ?? null") is None


def test_contacts_are_found_as_one_types(world: World) -> None:
    for number in range(12):
        make_person(world.group, f"Berg {number}", phone=f"030 55512{number:02}")
    page = world.open_console()
    page.focus("#q")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/console/contacts/" in request.url else None)
    page.keyboard.type("berg", delay=20)
    options = page.locator("#results [role=option]")
    page.locator("#results [role=option] >> nth=8").wait_for()
    # Not for every letter.
    assert len(asked) <= 2
    assert page.locator("#q").get_attribute("aria-expanded") == "true"
    assert find_violations(page) == []
    assert find_overflow(page) == 0

    page.keyboard.press("ArrowDown")
    assert page.locator("#q").get_attribute("aria-activedescendant") == "result_0"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    with world.context.expect_page() as opened:
        page.keyboard.press("Enter")
    opened.value.wait_for_url("**/contacts/?q=berg")
    page.fill("#q", "555 12 03")
    page.locator("#results", has_text="Berg 3").wait_for()
    wait_until(lambda: bool(page.evaluate("document.querySelectorAll('#results [role=option]').length === 1")))
    with world.context.expect_page() as opened:
        options.first.click()
    opened.value.locator("h1", has_text="Berg 3").wait_for()
    page.focus("#q")
    page.keyboard.press("Escape")
    assert page.locator("#results").is_hidden()
    page.fill("#q", "nobody")
    page.locator("#results [aria-disabled]").wait_for()


def test_sound_and_notifications_are_only_for_who_wants_them(world: World) -> None:
    page = world.context.new_page()
    page.add_init_script(
        """
        window.shown = [];
        window.Notification = class {
            static permission = "default";
            static async requestPermission() { window.asked = true; return (Notification.permission = "granted"); }
            constructor(title, options) { window.shown.push([title, options.body]); }
            close() { window.shown.push("closed"); }
        };
        document.hasFocus = () => false;
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function () { window.tones = (window.tones ?? 0) + 1; start.call(this); };
        """
    )
    page.goto("/")
    page.wait_for_selector("#settings:not([hidden])")
    first = world.ring()
    wait_for_text(card(page), "Maria Anders")
    assert page.evaluate("[window.shown, window.asked ?? null, window.tones ?? null]") == [[], None, None]
    change_call(world.agent, first, state="ended")

    page.locator("#settings summary").click()
    page.check("#notifications")
    page.check("#sound")
    wait_until(lambda: bool(page.evaluate("window.asked === true && window.tones === 2")))
    page.wait_for_timeout(1_100)
    second = world.ring("00305551234")
    wait_until(lambda: bool(page.evaluate("window.shown.length === 1 && window.tones === 4")))
    assert page.evaluate("window.shown") == [[world.say("unknown"), "+49 30 5551234, Berlin"]]
    change_call(world.agent, second, state="answered")
    wait_until(lambda: bool(page.evaluate("window.shown.length === 2")))
    assert page.evaluate("window.shown[1]") == "closed"
    page.reload()
    page.wait_for_selector("#settings:not([hidden])")
    assert page.locator("#sound").is_checked()
