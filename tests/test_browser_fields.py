"""Fields of a contact model, and the history of a contact, in a real browser."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.field_moving import finish_field_changes
from cmphone.contacts.models import Contact, ContactField, CustomerGroup, FieldChange
from tests.admin_browser import open_administration
from tests.make import PASSWORD, make_customer_group, make_person, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["Page"]:
    """A page of an administrator who has just logged in.  Fails when a script did."""
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    with open_administration(chromium, live_server, language=language) as page:
        yield page


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group(country_prefix="49")
    other = make_customer_group("partners", group.contact_model)
    for number in range(5):
        make_person(group, f"Anders {number}", mobile=f"0171 123456{number}", phone="unknown")
    make_person(other, "Conti", mobile="0171 1234569", private_phone="keine")
    return group


def test_fields_are_renamed_retyped_and_removed_and_the_history_tells(
    page: "Page",
    group: CustomerGroup,
    language: str,
) -> None:
    url = f"/admin/contacts/contactmodel/{group.contact_model_id}/change/"
    page.goto(url)
    page.fill("#id_fields-3-name", "cell")
    page.check("#id_fields-4-DELETE")
    page.check("#id_fields-1-dialable")
    page.click("[name=_continue]")
    page.wait_for_selector(".field-changes")
    assert page.locator(".field-changes section").count() == 3
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1400, "height": 900})
    with page.expect_download() as download:
        page.click("a.download")
    assert download.value.suggested_filename.startswith("model-customers-person-private_phone-")

    page.click("[name=_back]")
    assert page.input_value("#id_fields-3-name") == "cell"
    assert page.is_checked("#id_fields-4-DELETE")
    page.click("[name=_continue]")
    page.click("[name=_confirm]")
    page.wait_for_selector(".messagelist")
    assert page.locator(".field-under_way progress").count() == 2
    assert set(FieldChange.objects.values_list("action", flat=True)) == {"rename", "remove"}
    finish_field_changes()
    assert not ContactField.objects.filter(name__in=["mobile", "private_phone"]).exists()
    page.goto("/admin/contacts/fieldchange/")
    assert page.locator("#result_list tbody tr").count() == 2

    contact = Contact.objects.get(fields__last_name="Anders 1")
    assert contact.fields["cell"] == "0171 1234561"
    page.goto(f"/admin/contacts/contact/{contact.pk}/change/")
    page.fill('[name="fields/cell"]', "0171 7654321")
    page.uncheck("[name=is_active]")
    page.click("[name=_continue]")
    page.click(".historylink")
    rows = page.locator(".contact-history tbody tr")
    assert rows.count() == 2
    assert "0171 7654321" in rows.first.inner_text()
    assert "admin" in rows.first.inner_text()
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
