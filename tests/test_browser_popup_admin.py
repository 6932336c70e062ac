"""An administrator changes a popup in a real browser, in both languages, and takes it back."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.models import CustomerGroup
from templates_store.popup_store import get_popups
from tests.admin_browser import open_administration
from tests.make import PASSWORD, give_rights, log_in, make_customer_group, make_person, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = "/admin/templates_store/popupversion/"


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group(country_prefix="49")


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str, group: CustomerGroup) -> Iterator["Page"]:
    """A page of an administrator who has just logged in, and may view the group, in a browser without scripts."""
    user = make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    give_rights(user, group)
    with open_administration(
        chromium, live_server, language=language, width=1300, height=1000, has_scripts=False
    ) as page:
        yield page


def popups_of(page: "Page") -> "Frame":
    """Return the frame that the popups come into."""
    frame = page.frame(name="popups")
    assert frame is not None
    return frame


def read_popup(page: "Page", *, look: int = 0) -> str:
    """Return what a popup in the frame shows."""
    return popups_of(page).frame_locator("figure iframe").nth(look).locator("body").inner_text()


def publish(page: "Page") -> None:
    """Press the button below the frame: a click right after scrolling to it may go into the frame."""
    page.press("[name=_publish]", "Enter")


def read_version(client: Client, header: dict[str, str]) -> int:
    """Return the version that clients are told of."""
    manifest = client.get("/api/v1/popup-templates", headers=header).json()
    return int(manifest["version"])


def test_a_popup_is_edited_previewed_published_and_taken_back(
    page: "Page", group: CustomerGroup, language: str, client: Client
) -> None:
    make_person(group, "Anders", phone="+49 211 33990312")
    agent = log_in(make_user("agent1", language=language))
    before = read_version(client, agent)
    shipped = get_popups().files["de", "match.html"]
    source = shipped.decode()

    page.goto(PAGES)
    page.click(f"a[href='{PAGES}de/match.html/edit/']")
    assert page.input_value("[name=source]") == source

    # What is wrong is told before anything is published.
    page.fill("[name=source]", source.replace("{% endfor %}", "{% endfr %}", 1))
    page.click("button[formtarget]")
    popups_of(page).locator(".errors", has_text="endfr").wait_for()
    assert popups_of(page).locator("figure").count() == 0
    page.fill("[name=note]", "Gruß")
    publish(page)
    page.locator(".popup-errors li", has_text="de/match.html").wait_for()
    assert page.input_value("[name=note]") == "Gruß"
    assert read_version(client, agent) == before

    page.fill("[name=source]", source.replace("<h2>", "<p>Hallo!</p><h2>"))
    page.fill("[name=number]", "+4921133990312")
    # The Enter key previews.
    page.press("[name=number]", "Enter")
    popups_of(page).locator("h2 small", has_text="missed.html").wait_for()
    popup = read_popup(page, look=2)
    assert "Hallo!" in popup
    assert "Maria Anders" in popup
    assert read_version(client, agent) == before

    publish(page)
    page.locator(".messagelist .success").wait_for()
    assert read_version(client, agent) == before + 1
    assert "Hallo!" in get_popups().files["de", "match.html"].decode()

    page.click(f"a[href='{PAGES}history/']")
    assert "Gruß" in page.locator(".popup-history tbody tr").first.inner_text()
    page.click(f"a[href='{PAGES}{before + 1}/change/']")
    assert page.locator(".popup-lines ins").inner_text().endswith("<p>Hallo!</p><h2><bdi>{{ contact.name }}</bdi></h2>")
    assert page.locator(".popup-lines del").count() == 1

    page.goto(f"{PAGES}{before}/roll-back/")
    page.click("[name=_confirm]")
    page.locator(".messagelist .success").wait_for()
    assert read_version(client, agent) == before + 2
    assert get_popups().files["de", "match.html"] == shipped


def test_every_state_is_previewed_in_its_width_and_colours(page: "Page") -> None:
    page.goto(f"{PAGES}preview/?language=de")
    popups_of(page).locator("figure").last.wait_for(state="attached")
    frames = [frame for frame in page.frames if frame.parent_frame == popups_of(page)]
    assert len(frames) == 32
    assert {frame.url for frame in frames} == {"about:srcdoc"}
    assert all(frame.locator("h1").count() == 1 for frame in frames)

    page.select_option("[name=sample]", "choice")
    page.click("button[type=submit].button")
    # Of the many states only the chosen one is left.
    popups_of(page).locator("section").nth(1).wait_for(state="detached")
    assert popups_of(page).locator("h2 small").inner_text() == "choice.html"
    looks = popups_of(page).locator("figure iframe")
    assert looks.count() == 4
    widths = [box["width"] - 2 for box in (looks.nth(n).bounding_box() for n in range(4)) if box]
    assert widths == [320, 320, 480, 480]
    colours = [
        looks.nth(n).content_frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        for n in range(4)
    ]
    assert colours[0] == colours[2] != colours[1] == colours[3]


def test_a_popup_in_a_preview_opens_nothing(page: "Page") -> None:
    page.goto(f"{PAGES}preview/?language=de&sample=match")
    link = popups_of(page).frame_locator("figure iframe").first.locator("a").first
    link.wait_for()

    link.click()
    page.wait_for_timeout(300)

    assert len(page.context.pages) == 1
    assert page.url.endswith("/preview/?language=de&sample=match")
    assert popups_of(page).locator("figure").count() == 4
