"""An administrator sets the site up in a real browser, in both languages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.models import Contact, ContactField, CustomerGroup
from cmphone.properties.selectors import load_properties
from tests.admin_browser import open_administration
from tests.make import PASSWORD, make_company, make_customer_group, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group()
    ContactField.objects.filter(name="phone").update(label_de="Telefon", label_en="Phone")
    return group


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str) -> Iterator["Page"]:
    """A page of an administrator who has just logged in.  Fails when a script did."""
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    with open_administration(chromium, live_server, language=language) as page:
        yield page


def save(page: "Page", button: str = "_save") -> str:
    """Send the form, and return what the next page says."""
    page.click(f"[name={button}]")
    return page.locator(".messagelist").inner_text()


def test_a_plan_is_set_and_a_dirty_number_is_read_by_it(page: "Page", group: CustomerGroup, language: str) -> None:
    make_company(group, "Alfreds Futterkiste")
    page.goto("/admin/contacts/customergroup/")
    page.click("#result_list tbody th a")
    page.fill("#id_country_prefix", "49")
    page.fill("#id_area_prefix", "211")
    page.fill("#id_company_line", "339903")
    save(page, "_continue")
    assert page.locator("table.numbers tbody tr", has_text="4921133990312").count() == 5

    page.goto("/admin/contacts/contact/add/?number=%2B4917612345678")
    page.locator("a.addlink[href*=person]", has_text="erson").last.click()
    label = {"de": "Telefon:", "en": "Phone:"}[language]
    assert page.get_by_label(label, exact=True).input_value() == "+49 176 12345678"
    page.get_by_label(label, exact=True).fill("Zentrale: (0)211 / 339903 - 12")
    page.fill('[name="fields/last_name"]', "Anders")
    page.click(".select2-selection")
    page.locator(".select2-search__field").press_sequentially("futter")
    page.click(".select2-results__option:has-text('Alfreds Futterkiste')")
    save(page, "_continue")
    row = page.locator("table.numbers tbody tr").inner_text().split("\t")
    assert [row[0], row[2].strip(), row[3]] == [label[:-1], "+49 211 33990312", "4921133990312"]

    contact = Contact.objects.select_related("company").get(kind="person")
    assert contact.fields["phone"] == "Zentrale: (0)211 / 339903 - 12"
    assert contact.company is not None
    page.goto("/admin/contacts/contact/?q=0211+33990312")
    assert page.locator("#result_list tbody tr").count() == 1


def test_a_number_is_tried_by_settings_that_are_not_saved(page: "Page", group: CustomerGroup) -> None:
    CustomerGroup.objects.update(country_prefix="49", area_prefix="211", company_line="339903")
    make_company(group, "Alfreds Futterkiste", phone="+49 211 33990312")
    page.goto(f"/admin/contacts/customergroup/{group.pk}/change/")
    page.locator("#try-it-number").press_sequentially("12")
    panel = page.locator("#try-it-result")
    first = page.locator("#try-it-result tbody strong").first
    first.wait_for()
    assert first.inner_text() == "+49 211 33990312"
    assert panel.locator(".found a").inner_text() == "Alfreds Futterkiste"
    assert page.locator("#try-it-status").inner_text().startswith("+49 211 33990312, ")
    assert panel.locator(".doubts").count() == 0

    page.fill("#id_area_prefix", "30")
    page.locator("#try-it-result strong", has_text="+49 30 33990312").wait_for()
    assert panel.locator(".found a").count() == 0

    page.fill("#id_area_prefix", "0211")
    panel.locator(".doubts li", has_text="0211").wait_for()
    page.fill("#id_area_prefix", "x")
    panel.locator(".errorlist li").wait_for()
    assert panel.locator("table").count() == 0

    page.fill("#id_area_prefix", "211")
    page.check("[name=try_it_way][value=presented]")
    page.fill("#try-it-number", "0021133990312")
    # It asks at once, and does not save the page.
    page.press("#try-it-number", "Enter")
    panel.locator("tbody tr").nth(2).wait_for()
    assert panel.locator("tbody tr").count() == 3
    assert panel.locator(".found a").inner_text() == "Alfreds Futterkiste"
    assert page.url.endswith(f"/{group.pk}/change/")

    save(page)
    group.refresh_from_db()
    assert (group.area_prefix, group.company_line) == ("211", "339903")


@pytest.mark.parametrize("language", ["de"], indirect=True)
def test_a_new_group_is_tried_before_it_is_there_and_a_lost_log_in_is_told(page: "Page") -> None:
    page.goto("/admin/contacts/customergroup/add/")
    page.fill("#id_country_prefix", "43")
    page.fill("#id_area_prefix", "316")
    page.fill("#id_company_line", "8")
    page.fill("#try-it-number", "67")
    page.locator("#try-it-result strong", has_text="+43 316 867").wait_for()

    page.context.clear_cookies()
    page.press("#try-it-number", "Enter")
    page.locator("#try-it-result .errornote").wait_for()
    assert page.locator("#try-it-status").inner_text() == page.locator("#try-it-result .errornote").inner_text()


@pytest.mark.parametrize("language", ["de"], indirect=True)
def test_the_page_of_number_quality_leads_to_contacts_and_to_a_file(page: "Page", group: CustomerGroup) -> None:
    for number in range(5):
        make_company(group, f"Firma {number}", phone="0211 1234567")
    make_company(group, "Alfreds Futterkiste", phone="keine")
    page.goto("/admin/contacts/contact/")
    page.click("#nav-sidebar a[href*=doubtfulnumber]")
    assert [count.inner_text() for count in page.locator(".tabs .count").all()] == ["1", "1", "0", "1"]
    with page.expect_download() as download:
        page.click("a.download")
    assert download.value.suggested_filename.startswith("numbers-doubtful-")
    page.locator("table.quality a", has_text="Alfreds Futterkiste").click()
    assert page.locator('[name="fields/phone"]').input_value() == "keine"
    page.go_back()
    page.locator(".tabs a").last.click()
    page.locator("table.quality a").click()
    page.wait_for_selector("#result_list")
    assert page.locator("#result_list tbody tr").count() == 5
    assert page.locator("#changelist-filter", has_text="+49 211 1234567").count() == 1


def test_a_property_is_changed(page: "Page") -> None:
    page.goto("/admin/properties/systemproperty/")
    field = page.locator('[name="local.country.prefix"]')
    field.fill("+43")
    page.click("input[type=submit].default")
    page.wait_for_selector(".errorlist")
    assert load_properties()["local.country.prefix"] == "49"
    field.fill("43")
    page.click("input[type=submit].default")
    page.wait_for_selector(".messagelist")
    assert "cmas-core-server.local.country.prefix" in page.locator(".messagelist").inner_text()
    assert field.input_value() == "43"
    assert load_properties()["local.country.prefix"] == "43"


@pytest.mark.parametrize("language", ["de"], indirect=True)
def test_a_field_and_a_template_are_added_to_a_contact_model(page: "Page", group: CustomerGroup) -> None:
    page.goto(f"/admin/contacts/contactmodel/{group.contact_model_id}/change/")
    page.click("#fields-group .add-row a")
    page.select_option("#id_fields-7-object", "person")
    page.fill("#id_fields-7-name", "car_phone")
    page.check("#id_fields-7-dialable")
    page.select_option("#id_fields-7-indexed", "local")
    page.fill("#id_display_names-0-list", "{{ last_name }}\n{{ car_phone")
    page.click("[name=_save]")
    assert page.locator("#display_names-0 .errorlist").inner_text().split()[1] == "2,"
    page.fill("#id_display_names-0-list", "{{ last_name }} {{ car_phone }}")
    save(page)
    field = ContactField.objects.get(name="car_phone")
    assert (field.object, field.dialable, field.indexed) == ("person", True, "local")
    assert ContactField.objects.filter(object="person").order_by("position").last() == field


@pytest.mark.parametrize("language", ["de"], indirect=True)
def test_no_page_is_wider_than_the_window(page: "Page", group: CustomerGroup) -> None:
    company = make_company(group, phone="0211 / 1234567 oder 0171 1234567")
    for path in (
        "contacts/contact/",
        "contacts/contact/add/",
        f"contacts/contact/{company.pk}/change/",
        f"contacts/contactmodel/{group.contact_model_id}/change/",
        "contacts/contactmodel/add/",
        f"contacts/customergroup/{group.pk}/change/",
        "contacts/user/add/",
        "contacts/role/add/",
        "properties/systemproperty/",
        "contacts/customergroup/",
        "contacts/rebuild/",
        "contacts/doubtfulnumber/",
        "contacts/doubtfulnumber/?problem=shared&at_least=2",
    ):
        page.goto(f"/admin/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1400, path


@pytest.mark.parametrize("language", ["de"], indirect=True)
def test_the_pages_of_numbers_fit_on_a_telephone(page: "Page", group: CustomerGroup) -> None:
    CustomerGroup.objects.update(country_prefix="49", area_prefix="0211", company_line="339903")
    make_company(group, phone="keine")
    page.set_viewport_size({"width": 390, "height": 800})
    for path in (f"customergroup/{group.pk}/change/", "customergroup/", "rebuild/", "doubtfulnumber/"):
        page.goto(f"/admin/contacts/{path}")
        if "change" in path:
            page.fill("#try-it-number", "0021133990312")
            page.locator("#try-it-result tbody").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
