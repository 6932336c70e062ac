"""An agent opens a contact in a real browser, adds a case to it and finds it again, in both languages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, CustomerGroup, Queue
from tests.admin_browser import open_administration
from tests.make import PASSWORD, give_rights, make_company, make_customer_group, make_person, make_queue, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


@pytest.fixture
def contact(group: CustomerGroup) -> Contact:
    """A contact that the agent of `page` finds."""
    return make_person(group, company=make_company(group))


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str, group: CustomerGroup) -> Iterator["Page"]:
    """A page of an agent who has just logged in.  Fails when a script did."""
    agent = make_user("agent1", password=PASSWORD, is_staff=True)
    role = give_rights(agent, group)
    make_queue("helpdesk", [group], role)
    make_queue("elsewhere", [make_customer_group("other")], role)
    with open_administration(chromium, live_server, "agent1", language=language, width=1200) as page:
        yield page


def test_a_case_is_added_to_a_contact_and_found_again(page: "Page", contact: Contact) -> None:
    page.goto(f"/admin/contacts/contact/{contact.pk}/change/")
    page.click(".object-tools .addlink")
    assert page.locator("#select2-id_contact-container").inner_text().endswith("Anders, Maria")
    # The other queue does not take cases of this contact.
    queues = page.locator("#id_queue option").all_inner_texts()
    assert queues == ["helpdesk"]
    page.click("[name=_save]")
    page.locator(".field-subject .errorlist").wait_for()
    page.fill("#id_subject", "Printer burns")
    page.fill("#id_description", "Since noon.\nIt smells.")
    page.click("[name=_save]")
    page.locator(".messagelist .success").wait_for()
    case = Case.objects.get()
    assert (case.contact, case.queue, case.description) == (
        contact,
        Queue.objects.get(name="helpdesk"),
        "Since noon.\nIt smells.",
    )

    page.fill("#searchbar", f"#{case.pk}")
    page.press("#searchbar", "Enter")
    page.wait_for_url("**?*q=*")
    page.click("#result_list tbody th a >> nth=0")
    page.locator("#content-main", has_text="Printer burns").wait_for()
    page.get_by_role("link", name="Anders, Maria").click()
    page.locator(".object-tools a[href*='calls/case/?contact']").click()
    page.locator("#result_list tbody tr", has_text="Printer burns").wait_for()


def test_a_contact_is_chosen_by_typing(page: "Page", contact: Contact) -> None:
    page.goto("/admin/calls/case/add/")
    page.click(".select2-selection")
    page.locator(".select2-search__field").press_sequentially("futter")
    page.click(".select2-results__option:has-text('Alfreds Futterkiste')")
    page.select_option("#id_queue", label="elsewhere")
    page.fill("#id_subject", "Offer")
    page.click("[name=_save]")
    page.locator(".field-queue .errorlist").wait_for()
    assert page.locator("#select2-id_contact-container").inner_text().endswith("Alfreds Futterkiste")
    page.select_option("#id_queue", label="helpdesk")
    page.click("[name=_save]")
    page.locator(".messagelist .success").wait_for()
    assert Case.objects.get().contact == contact.company
