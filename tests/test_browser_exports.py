"""An agent exports what the list shows him, in a real browser, in both languages."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.admin_browser import open_administration
from tests.make import PASSWORD, give_rights, make_company, make_customer_group, make_person, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["Page"]:
    """A page of an agent who has just logged in.  Fails when a script did."""
    agent = make_user("agent", password=PASSWORD, is_staff=True)
    group, other = make_customer_group(), make_customer_group("partners")
    make_company(make_customer_group("hidden"), "Geheim AG")
    make_person(group, "Anders", company=make_company(group), phone="+49 211 33990312")
    make_person(other, "Berg", phone="12")
    for each in (group, other):
        give_rights(agent, each)
    with open_administration(chromium, live_server, "agent", language=language, width=1200, height=800) as page:
        yield page


def save_file(page: "Page") -> str:
    """Press the button, and return the file that comes."""
    with page.expect_download() as waiting:
        page.click(".export [type=submit]")
    return Path(waiting.value.path()).read_bytes().decode()


def test_an_agent_exports_what_the_list_shows(page: "Page", language: str) -> None:
    page.goto("/admin/contacts/contact/")
    page.click(".object-tools a[href*=export]")
    page.locator("label", has_text="partners").click()
    delimiter = {"de": ";", "en": ","}[language]
    lines = save_file(page).splitlines()
    assert lines[0].split(delimiter)[:4] == ["\ufeffexternal_id", "kind", "active", "company"]
    assert [line.split(delimiter)[5] for line in lines[1:]] == ["Berg"]

    page.locator("[name=customer_group][value=all]").check()
    page.click(".export [type=submit]")
    assert page.locator(".errorlist").count() == 1
    page.locator("[name=format][value=vcard-4]").check()
    text = save_file(page)
    assert (text.count("BEGIN:VCARD"), "Geheim" in text) == (3, False)

    page.goto("/admin/contacts/contact/?q=anders")
    page.click(".object-tools a[href*=export]")
    page.locator("[name=format][value=vcard-3]").check()
    text = save_file(page)
    assert text.count("BEGIN:VCARD") == 1
    assert "FN;X-CMPHONE-FIELD=:Anders\\, Maria" in text
