"""Sessions in a real browser: an agent ends his own, an administrator those of others."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from license.models import Session
from license.services import Claim, authenticate, claim_seat, release_seat
from tests.make import PASSWORD, make_license, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def context(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["BrowserContext"]:
    context = chromium.new_context(base_url=live_server.url, locale=language, viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def scriptless(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["BrowserContext"]:
    context = chromium.new_context(base_url=live_server.url, locale=language, java_script_enabled=False)
    yield context
    context.close()


@pytest.fixture
def agent(language: str) -> User:
    make_license()
    user = make_user("agent1", password=PASSWORD, language=language)
    User.objects.filter(id=user.pk).update(first_name="Christina", last_name="Oberhuber-Meier")
    return user


def log_in(context: "BrowserContext", username: str) -> "Page":
    page = context.new_page()
    page.goto("/")
    page.fill("#id_username", username)
    page.fill("#id_password", "wrong")
    page.press("#id_password", "Enter")
    page.wait_for_selector(".errorlist")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_url(lambda url: urlsplit(url).path == "/")
    page.goto("/profile/" if username == "agent1" else "/admin/")
    return page


def take_seat(user: User, client_id: str) -> Claim:
    return claim_seat(
        user=user,
        client_id=client_id,
        client_version="6.18.2",
        workstation="EMPFANG-PC-07",
        line="Leitung 12",
        address="2001:db8:85a3:8d3:1319:8a2e:370:7348",
    )


def is_dead(claim: Claim) -> bool:
    try:
        authenticate(claim.token)
    except NotAuthenticated:
        return True
    return False


def width_of(page: "Page") -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_an_agent_sees_and_ends_his_sessions_without_any_script(
    scriptless: "BrowserContext", agent: User, language: str
) -> None:
    claims = [take_seat(agent, f"{number}-9c24e8-3b1a-4c55-9d0e-8a41f2b6c701") for number in range(3)]
    page = log_in(scriptless, "agent1")
    assert page.get_attribute("html", "lang") == language
    assert page.locator("tbody tr").count() == 3
    assert page.locator("tbody .live").count() == 3

    page.locator("tbody tr", has_text="1-9c24e8").get_by_role("button").click()
    page.wait_for_selector(".messages .success")
    assert [is_dead(claim) for claim in claims] == [False, True, False]
    assert page.locator("tbody .live").count() == 2
    assert page.locator("tbody button").count() == 2

    page.click("form[action='/profile/sessions/end/'] button")
    page.wait_for_selector(".messages .success")
    assert [is_dead(claim) for claim in claims] == [True, True, True]
    assert page.locator(".head button, tbody button").count() == 0

    page.click("header button")
    page.wait_for_url("**/login/")


@pytest.mark.parametrize("width", [1280, 400])
def test_the_pages_for_everybody_fit(context: "BrowserContext", agent: User, width: int) -> None:
    take_seat(agent, "7f9c24e8-3b1a-4c55-9d0e-8a41f2b6c701")
    page = log_in(context, "agent1")
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/profile/", "/profile/password/", "/no/such/page", "/admin/"):
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        assert width_of(page) <= width, path


def test_an_administrator_ends_one_session_and_then_others(
    context: "BrowserContext", agent: User, language: str
) -> None:
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True, language=language)
    claims = [take_seat(agent, f"{number}-9c24e8-3b1a-4c55-9d0e-8a41f2b6c701") for number in range(4)]
    release_seat(take_seat(agent, "gone").session)
    Session.objects.filter(client_id="gone").update(started_at="2026-01-02T09:00Z", last_seen_at="2026-01-02T09:00Z")
    page = log_in(context, "admin")
    page.goto("/admin/license/session/?state=live")

    page.locator("#result_list tr", has_text="0-9c24e8").get_by_role("button").click()
    page.wait_for_selector(".messagelist")
    assert page.url.endswith("/admin/license/session/?state=live")
    assert [is_dead(claim) for claim in claims] == [True, False, False, False]

    page.locator("#result_list tr", has_text="1-9c24e8").locator("th a").click()
    page.click(".submit-row .end-session")
    page.wait_for_selector(".messagelist")
    assert page.locator(".end-session").count() == 0
    assert [is_dead(claim) for claim in claims] == [True, True, False, False]

    page.goto("/admin/license/session/")
    page.check("#action-toggle")
    page.select_option("[name=action]", "end_sessions")
    page.click("button[name=index]")
    page.wait_for_selector(".end-session")
    assert page.locator("#content-main tbody tr").count() == 2
    assert [is_dead(claim) for claim in claims] == [True, True, False, False]
    page.click(".end-session")
    page.wait_for_selector(".messagelist")
    assert [is_dead(claim) for claim in claims] == [True, True, True, True]


def test_the_columns_of_the_administration_fit(context: "BrowserContext", agent: User, language: str) -> None:
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True, language=language)
    take_seat(agent, "7f9c24e8-3b1a-4c55-9d0e-8a41f2b6c701")
    old = take_seat(agent, "old").session
    Session.objects.filter(id=old.id).update(started_at="2025-12-22T19:00Z", last_seen_at="2025-12-22T20:00Z")
    page = log_in(context, "admin")
    page.goto("/admin/license/session/")
    results = page.locator(".results")
    assert results.evaluate("table => table.scrollWidth - table.clientWidth") == 0
    assert width_of(page) == 1280
    page.set_viewport_size({"width": 400, "height": 800})
    assert width_of(page) == 400
