"""The page of use over time in a real browser: what the eye gets, in both languages, light and dark."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.make import PASSWORD, make_license, make_user
from tests.usage import make_week

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["Page"]:
    """The page, of an administrator who has logged in, and a week to look at.  It runs no script."""
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    make_license(15)
    make_week(datetime(2026, 11, 24, 11, tzinfo=UTC))
    context = chromium.new_context(
        base_url=live_server.url, locale=language, viewport={"width": 1400, "height": 900}, java_script_enabled=False
    )
    page = context.new_page()
    page.goto("/admin/license/hourlyusage/?first_day=2026-11-18&last_day=2026-11-24")
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_selector("svg.chart")
    yield page
    context.close()


def box(locator: "Locator") -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of what is drawn."""
    found = locator.bounding_box()
    assert found is not None
    return found["x"], found["y"], found["x"] + found["width"], found["y"] + found["height"]


def test_the_picture_fills_its_place_at_every_width_with_letters_of_one_size(page: "Page") -> None:
    heights = set()
    for width in (1400, 900, 390):
        page.set_viewport_size({"width": width, "height": 900})
        left, _, right, _ = box(page.locator(".chart .scale line").first)
        assert 0 < left < right < width
        # Figures begin with the week, and its first licences are the top of the scale.  Its box counts the stroke.
        licensed_left, licensed_top, licensed_right, _ = box(page.locator(".chart .licensed"))
        _, top_of_scale, _, _ = box(page.locator(".chart .scale line").nth(4))
        assert licensed_left == pytest.approx(left, abs=8)
        assert licensed_top == pytest.approx(top_of_scale, abs=8)
        # The last of the seven days is half over.
        assert (licensed_right - left) / (right - left) == pytest.approx(6.54 / 7, abs=0.02)
        _, top, _, bottom = box(page.locator(".chart .scale text").first)
        heights.add(round(bottom - top))
    assert len(heights) == 1


def test_colours_are_those_of_the_theme(page: "Page") -> None:
    circle = page.locator(".chart .refusal circle").first
    colours = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours[scheme] = circle.evaluate("mark => getComputedStyle(mark).fill")
    assert colours == {"light": "rgb(186, 33, 33)", "dark": "rgb(227, 95, 95)"}


def test_hours_say_what_they_are_and_a_period_is_chosen(page: "Page", language: str) -> None:
    hint = page.locator(".chart .hints rect").first.locator("title").text_content() or ""
    assert hint.startswith({"de": "Mi", "en": "Wed 18 Nov 2026, 00:00 – peak: "}[language])
    page.locator(".tabs a").nth(3).click()
    page.wait_for_selector("svg.chart")
    assert page.locator(".tabs a[aria-current]").get_attribute("href") == "?pool=REST_USERS&period=12-months"
    page.fill("#id_first_day", "2026-03-02")
    page.fill("#id_last_day", "2026-03-01")
    page.click(".choice input[type=submit]")
    assert page.locator("[role=alert] li").count() == 1
    assert page.locator("svg.chart").count() == 0
    assert page.input_value("#id_first_day") == "2026-03-02"
    page.fill("#id_last_day", "2026-11-24")
    page.click(".choice input[type=submit]")
    page.wait_for_selector("svg.chart")
    with page.expect_download() as download:
        page.click("a.download")
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) > 100
    assert lines[0].count(";" if language == "de" else ",") == 5
