"""The day of an agent, from the log-in on: everything is served as it is on a site, his telephone's client included.

CMPHONE_SCREENSHOTS names a folder for pictures of what he sees (docs/user-guide.md shows them).
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cmphone.calls.models import Call, Case, Line
from cmphone.contacts.models import Contact, ContactField, CustomerGroup, User
from cmphone.management.commands.serve_demo import (
    make_events_command,
    make_web_command,
    run_children,
    wait_until_ready,
)
from cmphone.properties.models import ConfigurationVersion
from cmphone.properties.registry import COUNTRY_PREFIX, OUTSIDE_CODES, TRUNK_PREFIX
from cmphone.properties.services import set_property
from tests.accessibility import find_overflow, find_violations
from tests.bench.serving import HOST, find_free_ports
from tests.hanging import find_valkey
from tests.make import (
    PASSWORD,
    give_rights,
    make_company,
    make_customer_group,
    make_license,
    make_person,
    make_queue,
    make_user,
)
from tests.streams import Listener, Process, name_services, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Browser, BrowserContext, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MARIA, FAMILY, STRANGER = "0021133990312", "008912345678", "00305551234"
LINE = "12"
DESK = {"width": 1200, "height": 900}
TELEPHONE = {"width": 360, "height": 780}
SAID = {
    "log in": ("Anmelden", "Log in"),
    "incoming": ("Eingehender Anruf", "Incoming call"),
    "answered": ("Im Gespräch", "In a call"),
    "ended": ("Anruf beendet", "Call ended"),
    "missed": ("Entgangener Anruf", "Missed call"),
    "withheld": ("Nummer unterdrückt", "Number withheld"),
    "unknown": ("Unbekannter Anrufer", "Unknown caller"),
    "choose": ("Wer ruft an?", "Who is calling?"),
    "called back": ("zurückgerufen von Christina Meier", "called back by Christina Meier"),
    "announcement": (
        "Anruf von Maria Anders (Alfreds Futterkiste). +49 211 33990312, Düsseldorf",
        "Maria Anders (Alfreds Futterkiste) calls. +49 211 33990312, Düsseldorf",
    ),
    "place": ("München", "Munich"),
}
# Nothing here dials, and the browser would say that it knows no program that does.
NOTE_DIALLED = """addEventListener("DOMContentLoaded", () => navigation.addEventListener("navigate", event => {
    if (!event.destination.url.startsWith("phone:")) return;
    event.preventDefault();
    document.documentElement.dataset.dialled = event.destination.url;
}))"""


@dataclass
class Client:
    """What the agent's telephone tells the server, over REST."""

    context: "BrowserContext"
    user: User
    id: str = "9c24e8f1-empfang-7"
    token: str = ""

    def ask(self, method: str, path: str, **body: Any) -> "APIResponse":
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.context.request.fetch(
            path, method=method, headers=headers, data=body if method != "GET" else None, max_redirects=0
        )

    def tell(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.ask(method, path, **body)
        assert answer.status == status, answer.text()
        return answer.json()

    def log_in(self) -> None:
        self.token = ""
        body = {"username": self.user.username, "password": PASSWORD, "client_id": self.id, "line": LINE}
        answer = self.tell("POST", "/api/v1/sessions", 201, **body, workstation="EMPFANG-PC-07")
        self.token = answer["token"]

    def ring(self, call_id: str, number: str) -> Any:
        return self.tell("POST", "/api/v1/calls", 201, call_id=call_id, direction="incoming", number=number)

    def change(self, call_id: str, state: str) -> Any:
        return self.tell("PATCH", f"/api/v1/calls/{call_id}", state=state)

    def read_popups_version(self) -> int:
        """Return it as the heartbeat tells it, which the manifest confirms."""
        version = self.tell("PUT", "/api/v1/sessions/current")["templates_version"]
        assert self.tell("GET", "/api/v1/popup-templates")["version"] == version
        return int(version)

    def render(self, call: Any) -> str:
        """Return the popup of a call, as a page."""
        path = f"/api/v1/popup-templates/{self.user.language}/{call['popup']}/render"
        answer = self.ask("POST", path, call_id=call["call_id"])
        assert answer.status == 200, answer.text()
        return answer.text()


@dataclass
class Day:
    """The agent, his client and his browser; an administrator in his own."""

    language: str
    address: str
    events: Process
    agent: User
    group: CustomerGroup
    client: Client
    context: "BrowserContext"
    admin: "BrowserContext"
    popup: "Page"
    failures: list[str] = field(default_factory=list)

    def say(self, name: str) -> str:
        return SAID[name][self.language == "en"]

    def check(self, page: "Page", name: str) -> None:
        """Hold a page against what everybody needs of it, and take its picture."""
        self.shoot(page, name)
        assert find_violations(page) == [], name
        assert find_overflow(page) == 0, name

    def shoot(self, page: "Page", name: str, *, size: dict[str, int] = DESK, is_dark: bool = False) -> None:
        folder = os.environ.get("CMPHONE_SCREENSHOTS")
        if not folder or self.language != "en":
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme="dark" if is_dark else "light", reduced_motion="reduce")
        page.evaluate("scrollTo(0, 0)")
        if size is DESK:
            # No higher than what is on it.
            end = page.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)")
            page.set_viewport_size({"width": DESK["width"], "height": min(end, DESK["height"])})
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")
        page.emulate_media(color_scheme="light", reduced_motion="no-preference")
        page.set_viewport_size(DESK)  # type: ignore[arg-type]

    def shoot_popup(self, html: str, name: str) -> None:
        self.popup.set_content(html)
        assert find_violations(self.popup) == [], name
        self.shoot(self.popup, name, size={"width": 360, "height": 330})


@contextmanager
def serve() -> Iterator[tuple[str, Process]]:
    """Serve the pages and the events of this run's test database, each by its process, as long as the block runs."""
    pages, events = find_free_ports(2)
    commands = {"web": make_web_command(HOST, pages), "events": make_events_command(HOST, events)}
    environ = {**name_services(), "CMPHONE_PORTS": f"{pages},{events}"}
    address = f"http://{HOST}:{pages}"
    with run_children(commands, environ) as children:
        process = Process(events, children["events"])
        wait_until_ready(address, children)
        wait_until_ready(process.address, children, name="events")
        yield address, process


@pytest.fixture(params=["de", "en"])
def day(request: pytest.FixtureRequest, chromium: "Browser") -> Iterator[Day]:
    language = str(request.param)
    ConfigurationVersion.objects.get_or_create(id=1)
    group = make_customer_group(country_prefix="49", area_prefix="211")
    CustomerGroup.objects.update(label_de="Kunden", label_en="Customers")
    labels = {
        "first_name": ("Vorname", "First name"),
        "last_name": ("Nachname", "Last name"),
        "name": ("Name", "Name"),
        "phone": ("Telefon", "Telephone"),
        "mobile": ("Mobil", "Mobile"),
        "private_phone": ("Telefon privat", "Private telephone"),
    }
    for name, (de, en) in labels.items():
        ContactField.objects.filter(name=name).update(label_de=de, label_en=en)
    for name, value in {COUNTRY_PREFIX: "49", OUTSIDE_CODES: "0", TRUNK_PREFIX: "0"}.items():
        set_property(name=name, value=value)
    make_license()
    agent = make_user("agent1", language=language, password=PASSWORD)
    make_user("admin", language=language, password=PASSWORD, is_staff=True, is_superuser=True)
    User.objects.filter(pk=agent.pk).update(first_name="Christina", last_name="Meier")
    make_queue("Helpdesk", [group], give_rights(agent, group, create=True, edit=True))
    Line.objects.create(name=LINE).users.add(agent)
    make_person(group, phone="0211 33990312", company=make_company(group))
    for first_name in ("Ana", "Antonio"):
        make_person(group, "Trujillo", first_name=first_name, phone="089 12345678")
    with serve() as (address, events):
        contexts = [chromium.new_context(base_url=address, locale=language, viewport=DESK) for _ in range(4)]  # type: ignore[arg-type]
        own, admin, clients, popups = contexts
        own.add_init_script(NOTE_DIALLED)
        client = Client(clients, agent)
        day = Day(language, address, events, agent, group, client, own, admin, popups.new_page())
        for context in (own, admin):
            context.on("weberror", lambda error: day.failures.append(str(error.error)))
            # What breaks the policy of a page is told there, too.
            context.on("console", lambda said: day.failures.append(said.text) if said.type == "error" else None)
        yield day
        for context in contexts:
            context.close()
    assert day.failures == []


def wait_for_text(place: "Locator", text: str) -> None:
    place.filter(has_text=text).first.wait_for()


def card(page: "Page", text: str = "") -> "Locator":
    return page.locator("#now > li", has_text=text)


def log_in(day: Day, context: "BrowserContext", username: str, path: str, place: str) -> "Page":
    """Come to a page by way of the log-in."""
    page = context.new_page()
    page.goto(path)
    assert page.locator("main button").inner_text() == day.say("log in")
    if username == day.agent.username:
        day.check(page, "log-in")
    page.fill("#id_username", username)
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.locator(place).wait_for()
    return page


def open_from(day: Day, link: "Locator") -> "Page":
    """Follow a link that opens a window of its own."""
    with day.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    return opened.value


def begin(day: Day) -> "Page":
    """Log in with the browser and with the client."""
    page = log_in(day, day.context, "agent1", "/", "#settings:not([hidden])")
    assert page.url == f"{day.address}/"
    assert page.get_attribute("html", "lang") == day.language
    day.client.log_in()
    day.check(page, "console-quiet")
    return page


def take_a_known_caller(day: Day, page: "Page") -> None:
    call = day.client.ring("known", MARIA)
    assert (call["popup"], call["lookup"]["match"]) == ("match.html", "exact")
    wait_for_text(card(page), "Maria Anders (Alfreds Futterkiste)")
    assert card(page).locator("[data-kind]").inner_text() == day.say("incoming")
    assert card(page).locator("[data-number]").inner_text() == "+49 211 33990312"
    assert card(page).locator("[data-place]").inner_text() == "Düsseldorf"
    assert card(page).locator("[data-dial]").get_attribute("href") == "phone:0021133990312"
    assert page.title().startswith("☎ Maria Anders (Alfreds Futterkiste)")
    assert page.locator("#announcement").inner_text() == day.say("announcement")
    maria = Contact.objects.get(fields__last_name="Anders")
    assert card(page).locator("[data-open]").get_attribute("href") == f"{day.address}/contacts/{maria.pk}/"
    new_case = card(page).locator(".buttons [data-new-case]")
    assert new_case.get_attribute("href") == f"{day.address}/cases/new/?contact={maria.pk}"
    day.check(page, "console-known")
    day.shoot(page, "console-known-narrow", size=TELEPHONE)
    day.shoot(page, "console-known-dark", is_dark=True)
    day.shoot_popup(day.client.render(call), "popup-known")

    day.client.change("known", "answered")
    wait_for_text(card(page), day.say("answered"))
    assert "☎" not in page.title()
    day.client.change("known", "ended")
    page.locator("#recent > li", has_text="Maria Anders").wait_for()
    assert page.locator("#missed > li").count() == 0
    card(page).locator("[data-dismiss]").click()


def choose_among_several(day: Day, page: "Page") -> None:
    call = day.client.ring("several", FAMILY)
    assert call["popup"] == "choice.html"
    wait_for_text(card(page), day.say("choose"))
    names = card(page).locator("[data-contacts] [data-name]")
    assert names.all_inner_texts() == ["Trujillo", "Trujillo"]
    assert card(page).locator("[data-open]").is_hidden()
    assert card(page).locator("[data-place]").inner_text() == day.say("place")
    assert page.title().startswith(f"☎ {day.say('choose')}")
    day.check(page, "console-several")
    day.client.change("several", "answered")
    contact = open_from(day, names.nth(1))
    assert contact.locator("h1").inner_text() == "Trujillo, Antonio"
    number = contact.locator('main dd a[href^="phone:"]')
    assert (number.inner_text(), number.get_attribute("href")) == ("+49 89 12345678", "phone:008912345678")
    day.check(contact, "contact")
    contact.close()
    day.client.change("several", "ended")
    card(page).locator("[data-dismiss]").click()


def make_a_stranger_known(day: Day, page: "Page") -> Contact:
    """Let an unknown number ring that becomes a contact with a case, which the call then has."""
    call = day.client.ring("stranger", STRANGER)
    assert (call["popup"], call["lookup"]["match"]) == ("nomatch.html", "none")
    wait_for_text(card(page), day.say("unknown"))
    assert card(page).locator("[data-number]").inner_text() == "+49 30 5551234"
    day.check(page, "console-unknown")
    day.client.change("stranger", "answered")
    wait_for_text(card(page), day.say("answered"))

    form = open_from(day, card(page).locator("[data-new-contact]"))
    assert form.input_value("[name='fields/phone']") == "+49 30 5551234"
    form.fill("[name='fields/first_name']", "Hanna")
    form.fill("[name='fields/last_name']", "Moos")
    day.check(form, "new-contact")
    day.shoot(form, "new-contact-narrow", size=TELEPHONE)
    form.click("main form[method=post] button")
    form.wait_for_url("**/cases/new/?contact=*")
    contact = Contact.objects.get(fields__last_name="Moos")
    assert contact.fields["phone"] == "+49 30 5551234"
    assert form.url == f"{day.address}/cases/new/?contact={contact.pk}"
    assert form.evaluate("document.activeElement.name") == "subject"
    form.keyboard.type("Delivery is late")
    form.fill("[name=description]", "Ordered on Monday.\nWants to be called back.")
    day.check(form, "new-case")
    form.click("main form[method=post] button")
    form.locator("#details").wait_for()
    case = Case.objects.get()
    assert (case.contact, case.subject, case.created_by) == (contact, "Delivery is late", day.agent)
    assert form.url == f"{day.address}/cases/{case.pk}/"
    day.check(form, "case")
    form.close()

    # Whatever is told of the call from now on knows who it is.
    day.client.change("stranger", "ended")
    wait_for_text(card(page), "Hanna Moos")
    wait_for_text(page.locator("#recent > li"), "Hanna Moos")
    card(page).locator("[data-dismiss]").click()
    call = day.client.ring("no-stranger", STRANGER)
    assert call["popup"] == "match.html"
    wait_for_text(card(page), "Hanna Moos")
    assert page.title().startswith("☎ Hanna Moos")
    assert card(page).locator("[data-open]").get_attribute("href") == f"{day.address}/contacts/{contact.pk}/"
    day.client.change("no-stranger", "answered")
    day.client.change("no-stranger", "ended")
    card(page).locator("[data-dismiss]").click()
    return contact


def take_a_withheld_call(day: Day, page: "Page") -> None:
    call = day.client.ring("withheld", "anonymous")
    assert (call["popup"], call["call_back"]) == ("withheld.html", None)
    wait_for_text(card(page), day.say("withheld"))
    for place in ("[data-number]", "[data-dial]", "[data-open]"):
        assert card(page).locator(place).is_hidden(), place
    # He may say who he is; his number stays his.
    assert card(page).locator("[data-new-contact]").get_attribute("href") == f"{day.address}/contacts/new/"
    assert "anonymous" not in page.locator("main").inner_text()
    day.check(page, "console-withheld")
    day.client.change("withheld", "answered")
    day.client.change("withheld", "ended")
    page.locator("#recent > li", has_text=day.say("withheld")).wait_for()
    card(page).locator("[data-dismiss]").click()


def call_a_missed_one_back(day: Day, page: "Page") -> None:
    day.client.ring("missed", MARIA)
    card(page).wait_for()
    call = day.client.change("missed", "ended")
    assert (call["missed"], call["popup"]) == (True, "missed.html")
    row = page.locator("#missed > li")
    wait_for_text(row, "Maria Anders")
    wait_for_text(card(page), day.say("missed"))
    assert page.locator("#missed_count").inner_text() == "1"
    assert row.locator("[data-dial]").get_attribute("href") == "phone:0021133990312"
    day.check(page, "console-missed")
    day.shoot(page, "console-missed-narrow", size=TELEPHONE)
    day.shoot_popup(day.client.render(call), "popup-missed")
    card(page).locator("[data-dismiss]").click()

    row.locator("[data-call-back]").click()
    page.wait_for_selector("html[data-dialled='phone:0021133990312']")
    wait_for_text(row, day.say("called back"))
    assert Call.objects.get(call_id="missed").called_back_by == day.agent
    row.locator("[data-done]").click()
    page.locator("#undo button:not([hidden])").wait_for()
    assert row.count() == 0
    assert day.client.tell("GET", "/api/v1/calls?missed=true&done=false")["results"] == []
    day.check(page, "console-done")


def use_a_second_tab(day: Day, page: "Page") -> None:
    second = day.context.new_page()
    second.goto("/")
    second.wait_for_selector("#settings:not([hidden])")
    day.client.ring("two-tabs", MARIA)
    wait_for_text(card(second), "Maria Anders")
    page.locator("#elsewhere:not([hidden])").wait_for()
    assert (card(page).count(), "☎" in page.title(), "☎" in second.title()) == (0, False, True)
    day.check(page, "console-elsewhere")
    card(second).locator("[data-dismiss]").click()
    second.locator("#no_call:not([hidden])").wait_for()
    page.locator("#elsewhere[hidden]").wait_for(state="attached")
    second.close()
    # The first tab is in front again, and in it this call stays closed: it shows the next one only.
    day.client.ring("one-tab", FAMILY)
    wait_for_text(card(page), day.say("choose"))
    assert card(page).count() == 1
    for call_id in ("two-tabs", "one-tab"):
        day.client.change(call_id, "answered")
        day.client.change(call_id, "ended")
    card(page).locator("[data-dismiss]").click()


def have_the_session_ended(day: Day, page: "Page") -> None:
    """Let an administrator end the session of the client, whose user is logged in with his browser as well."""
    listener = Listener(day.events.address, {"Authorization": f"Bearer {day.client.token}"})
    listener.wait_for("hello")
    admin = log_in(day, day.admin, "admin", "/admin/license/session/?state=live", "#result_list")
    row = admin.locator("#result_list tbody tr")
    assert row.count() == 1
    wait_for_text(row, "EMPFANG-PC-07")
    day.shoot(admin, "admin-sessions")
    row.get_by_role("button").click()
    admin.locator(".messagelist .success").wait_for()
    assert row.count() == 0
    day.shoot(admin, "admin-session-ended")
    admin.close()

    assert listener.wait_for("session-ended").data == {"reason": "ended-by-administrator"}
    listener.close()
    problem = day.client.tell("POST", "/api/v1/calls", 401, call_id="refused", direction="incoming", number=MARIA)
    assert problem["reason"] == "ended-by-administrator"
    assert not Call.objects.filter(call_id="refused").exists()
    # The browser is not the client: it stays, and hears of the next call as soon as the client is back.
    day.client.log_in()
    day.client.ring("logged-in-again", MARIA)
    wait_for_text(card(page), "Maria Anders")
    assert page.locator("#connection").inner_text() == ""
    assert page.locator("#log_in").is_hidden()
    day.client.change("logged-in-again", "answered")


def have_a_template_changed(day: Day) -> None:
    """Let an administrator publish another popup: the client learns of it, and shows it for the call that is on."""
    before = day.client.read_popups_version()
    call = day.client.tell("GET", "/api/v1/calls/logged-in-again")
    assert "Ask for the order" not in day.client.render(call)
    admin = day.admin.new_page()
    admin.goto(f"/admin/templates_store/popupversion/{day.language}/match.html/edit/")
    source = admin.input_value("[name=source]")
    assert source.count("<h2>") == 1
    admin.fill("[name=source]", source.replace("<h2>", "<p>Ask for the order number.</p><h2>"))
    admin.fill("[name=note]", "Orders")
    day.shoot(admin, "admin-template")
    admin.press("[name=_publish]", "Enter")
    admin.locator(".messagelist .success").wait_for()
    admin.close()

    assert day.client.read_popups_version() == before + 1
    popup = day.client.render(call)
    assert popup.count("Ask for the order number.") == 1
    assert "Maria Anders (Alfreds Futterkiste)" in popup
    day.shoot_popup(popup, "popup-changed")
    day.client.change("logged-in-again", "ended")


def lose_valkey(day: Day, page: "Page") -> None:
    """Kill Valkey between two calls, and start it again: none is missed, that of the time in between included."""
    card(page).locator("[data-dismiss]").click()
    valkey = find_valkey()
    for process in valkey.find_processes():
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: not valkey.find_processes())
    try:
        day.client.ring("without", MARIA)
        wait_for_text(card(page), "Maria Anders")
        day.check(page, "console-without-valkey")
    finally:
        valkey.ensure_running()
    day.client.ring("with-it-again", STRANGER)
    wait_for_text(card(page), "Hanna Moos")
    assert card(page).count() == 2
    for call_id in ("without", "with-it-again"):
        day.client.change(call_id, "answered")
        day.client.change(call_id, "ended")
    card(page, day.say("ended")).nth(1).wait_for()


def look_back(day: Day, page: "Page", contact: Contact) -> None:
    """See the same in the list of calls, after the page was loaded anew, and with the contact."""
    told = sorted(page.locator("#recent > li").all_inner_texts())
    page.reload()
    page.wait_for_selector("#settings:not([hidden])")
    assert sorted(page.locator("#recent > li").all_inner_texts()) == told
    own = day.client.tell("GET", "/api/v1/calls?whose=own")["results"]
    assert len(told) == len(own) == Call.objects.count() == 11
    assert [call["call_id"] for call in own if call["missed"]] == ["missed"]
    day.check(page, "console-evening")
    page.goto(f"/contacts/{contact.pk}/")
    assert page.locator("#cases tbody tr").count() == 1
    assert page.locator("section[aria-labelledby=calls_title] tbody tr").count() == 3
    day.check(page, "contact-with-case")
    day.shoot(page, "contact-with-case-narrow", size=TELEPHONE)
    page.goto("/profile/")
    day.check(page, "profile")


def test_the_day_of_an_agent(day: Day) -> None:
    page = begin(day)
    take_a_known_caller(day, page)
    choose_among_several(day, page)
    contact = make_a_stranger_known(day, page)
    take_a_withheld_call(day, page)
    call_a_missed_one_back(day, page)
    use_a_second_tab(day, page)
    have_the_session_ended(day, page)
    have_a_template_changed(day)
    lose_valkey(day, page)
    look_back(day, page, contact)
