"""An administrator sees in a real browser that the licence ends, wherever he is, and is led to its page."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from license.models import Pool
from tests.make import PASSWORD, log_in, make_license, make_user
from tests.test_license_warnings import let_expire_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["Page"]:
    """A page of an administrator who has just logged in, at a licence that is over and whose only seat is taken."""
    make_license(licensed=1)
    log_in(make_user())
    let_expire_in(-1)
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    context = chromium.new_context(base_url=live_server.url, locale=language, viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto("/admin/")
    assert page.locator(".license-warnings").count() == 0
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_selector("#user-tools")
    yield page
    context.close()


def test_the_warnings_stand_on_every_page_and_lead_to_the_licence(page: "Page", language: str) -> None:
    error, warning = {
        "de": ("Fehler: Die Lizenz für REST_USERS", "Warnung: Alle Plätze von REST_USERS sind belegt: 1 von 1."),
        "en": ("Error: The licence for REST_USERS expired", "Warning: Every seat of REST_USERS is in use: 1 of 1."),
    }[language]
    for path in ("", "contacts/customergroup/", "contacts/role/add/", "properties/systemproperty/", "license/session/"):
        page.goto(f"/admin/{path}")
        texts = page.locator(".license-warnings li").all_inner_texts()
        assert texts[0].startswith(error), path
        assert texts[1] == warning, path
        assert page.locator(".license-warnings li.error").bounding_box() is not None
    page.click(".license-warnings a")
    assert page.url.endswith("/admin/license/pool/")

    Pool.objects.update(licensed=10, expires_on="2099-12-31")
    page.reload()
    assert page.locator(".license-warnings").count() == 0


@pytest.mark.parametrize("language", ["de"], indirect=True)
def test_the_warnings_fit_on_a_telephone(page: "Page") -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/admin/properties/systemproperty/")
    assert page.locator(".license-warnings li").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
