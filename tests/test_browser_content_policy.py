"""The policy of pages in a real browser: nothing of a page breaks it, and nothing put into one is run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from django.urls.exceptions import NoReverseMatch
from playwright.sync_api import Error

from cmphone.contacts.models import User
from cmphone.content_policy import HEADER
from cmphone.releases.models import ClientRelease
from cmphone.releases.services import add_release
from tests.make import make_company, make_customer_group, make_person, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from pytest_django.live_server_helper import LiveServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def root() -> User:
    return make_user("root", is_staff=True, is_superuser=True, password="secret password")


@pytest.fixture
def page(chromium: "Browser", live_server: "LiveServer", root: User) -> Iterator["Page"]:
    context = chromium.new_context(base_url=live_server.url)
    client = Client()
    client.force_login(root)
    value = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": value, "url": live_server.url}])
    yield context.new_page()
    context.close()


def list_pages() -> list[str]:
    """Return the addresses of all pages without parameters, and of the form of each model."""
    names = [key for key in get_resolver().reverse_dict if isinstance(key, str)]
    admin_names = [key for key in get_resolver().namespace_dict["admin"][1].reverse_dict if isinstance(key, str)]
    pages = []
    for name in [*names, *(f"admin:{name}" for name in admin_names)]:
        try:
            pages.append(reverse(name))
        except NoReverseMatch:
            continue
    return sorted(set(pages) - {reverse("logout"), reverse("admin:logout")})


def test_no_page_breaks_the_policy(page: "Page") -> None:
    group = make_customer_group()
    person = make_person(group, company=make_company(group), phone="0211 1234567")
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    shown = 0
    for address in [
        *list_pages(),
        "/api/docs/",
        reverse("admin:contacts_contact_change", args=[person.pk]),
        reverse("admin:contacts_customergroup_change", args=[group.pk]),
        reverse("admin:contacts_contactmodel_change", args=[group.contact_model_id]),
    ]:
        try:
            response = page.goto(address, wait_until="load")
        except Error as error:
            if "Download is starting" in str(error):
                continue
            raise
        assert response is not None
        if response.ok and "text/html" in response.headers.get("content-type", ""):
            shown += 1
            assert HEADER.lower() in response.headers, address
        told = [text for text in told if "Content Security Policy" in text or "Content-Security-Policy" in text]
        assert told == [], address

    assert shown > 40


def test_the_profile_shows_the_installer(page: "Page", root: User) -> None:
    release = ClientRelease(version="6.18.1", notes_en="Calls ring at once.")
    add_release(release, content=[b"PK\x03\x04" + b"x" * 2_999_996], file_name="cmphone-6.18.1.msi", by=root)
    User.objects.update(language="en")
    page.goto(reverse("profile"))

    with page.expect_download() as download:
        page.get_by_role("link", name="Download version 6.18.1").click()

    assert download.value.path().stat().st_size == 3_000_000
    assert page.get_by_text(release.sha256).is_visible()


def test_a_script_in_a_page_is_not_run(page: "Page") -> None:
    page.goto(reverse("profile"))

    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\">');"
        "const script = document.createElement('script'); script.textContent = 'window.hacked = 2';"
        "document.body.append(script);"
    )
    page.wait_for_timeout(200)

    assert page.evaluate("window.hacked") is None
