"""An administrator sets a webhook up in a real browser, and sees what becomes of its events."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from cmphone.webhooks.delivering import deliver
from cmphone.webhooks.models import Webhook
from tests.admin_browser import open_administration
from tests.make import PASSWORD, make_customer_group, make_person, make_user
from tests.receivers import receiver

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["Page"]:
    """A page of an administrator who has just logged in.  No page here needs a script."""
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    with open_administration(chromium, live_server, language=language, has_scripts=False) as page:
        yield page


def test_a_webhook_is_made_tried_and_followed(page: "Page", settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    group = make_customer_group()
    with receiver() as found:
        page.goto("/admin/webhooks/webhook/add/")
        page.fill("#id_name", "CRM")
        page.fill("#id_url", found.url)
        page.check("[name=events][value='contact.created']")
        page.check("[name=customer_groups]")
        page.click("[name=_save]")
        # Both all groups and one: it says so, beside them.
        assert page.locator(".field-customer_groups .errorlist li").count() == 1
        page.uncheck("#id_is_for_all_groups")
        page.click("[name=_save]")
        assert page.locator("code.secret").inner_text() == Webhook.objects.get().secret
        page.click("#content a.button")

        page.locator(".object-tools form[action$='/test/'] button").click()
        deliver()
        page.reload()
        assert "204" in page.locator(".field-answer_text").inner_text()
        assert found.wait().event["type"] == "webhook.test"

        found.answers = [(500, {})]
        make_person(group, phone="0211 1234567")
        deliver()
        page.goto("/admin/webhooks/delivery/")
        rows = page.locator("#result_list tbody tr")
        assert rows.count() == 2
        assert [page.locator(f".field-{name}").first.inner_text() for name in ("tries_of", "answer_text")] == [
            "1 / 10",
            "500",
        ]
        rows.first.locator("a").first.click()
        assert "Anders" not in page.content()
        page.locator(".object-tools form[action$='/again/'] button").click()
        deliver()
        page.reload()
        assert "204" in page.locator(".field-answer_text").inner_text()
