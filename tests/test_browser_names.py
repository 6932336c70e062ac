"""An administrator writes display names in a real browser, and sees what they give before saving them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.models import CustomerGroup
from templates_store.models import DisplayNames
from tests.admin_browser import open_administration
from tests.make import PASSWORD, make_company, make_customer_group, make_person, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    company = make_company(group, "Alfreds Futterkiste", phone="0211 339903")
    make_person(group, "Anders", company=company, phone="12")
    make_person(group, "Trujillo", mobile="0171 1234567")
    return group


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["Page"]:
    """A page of an administrator who has just logged in.  Fails when a script did."""
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    with open_administration(chromium, live_server, language=language) as page:
        yield page


def test_names_are_seen_while_they_are_written_and_added_for_a_language(page: "Page", group: CustomerGroup) -> None:
    page.goto(f"/admin/contacts/contactmodel/{group.contact_model_id}/change/")
    persons = page.locator("#display_names-0")
    assert "company.name" in persons.locator(".usable-names").inner_text()
    persons.locator("textarea").nth(1).fill("{{ last_name|upper }} {% if number %}({{ number }}){% endif %}")
    preview = persons.locator(".names-preview-result")
    preview.locator("td", has_text="ANDERS (+49 211 33990312)").wait_for()
    assert preview.locator("tbody tr").count() == 2
    assert "3" in preview.locator("p.quiet").inner_text()
    assert persons.locator(".names-preview [role=status]").inner_text().startswith("Anders, Maria.")

    persons.locator("textarea").nth(1).fill("{{ last_name }}\n{{ last_name|up }}")
    preview.locator(".errorlist li", has_text="2").wait_for()
    assert preview.locator("table").count() == 0
    persons.locator("textarea").nth(1).fill("{{ last_name|upper }}")

    page.click("#display_names-group .add-row a")
    added = page.locator("#display_names-2")
    added.locator("select").nth(0).select_option("person")
    added.locator("select").nth(1).select_option("en")
    added.locator("textarea").nth(0).fill("{{ first_name }} {{ last_name }}")
    added.locator(".names-preview-result td", has_text="Maria Trujillo").wait_for()
    cells = added.locator(".names-preview-result tbody tr").last.locator("td").all_inner_texts()
    assert cells[1:] == ["Maria Trujillo", "TRUJILLO", "Trujillo"]
    page.click("[name=_save]")
    assert "3" in page.locator(".messagelist .info").inner_text()
    assert DisplayNames.objects.get(language="en").default == "{{ first_name }} {{ last_name }}"


@pytest.mark.parametrize("language", ["de"], indirect=True)
@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_of_display_names_fits(page: "Page", group: CustomerGroup, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"/admin/contacts/contactmodel/{group.contact_model_id}/change/")
    persons = page.locator("#display_names-0")
    persons.locator(".names-preview button").click()
    persons.locator(".names-preview-result table").wait_for()
    # On a telephone the table of fields is wider than the page, which is Django's own.
    assert persons.evaluate("each => each.scrollWidth <= each.clientWidth")
