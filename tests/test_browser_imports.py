"""Somebody imports contacts in a real browser, in both languages."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.imports.work import work_off_runs
from cmphone.contacts.models import Contact, ContactField, CustomerGroup
from tests.accessibility import find_overflow, find_violations
from tests.make import PASSWORD, give_rights, make_customer_group, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group("customers", country_prefix="49")
    ContactField.objects.filter(name="last_name").update(label_de="Nachname", label_en="Last name")
    ContactField.objects.filter(name="phone").update(label_de="Telefon", label_en="Phone")
    return group


@pytest.fixture(params=["de", "en"])
def page(
    request: pytest.FixtureRequest, chromium: "Browser", live_server: LiveServer, group: CustomerGroup
) -> Iterator["Page"]:
    """A page, without scripts, of somebody who may import into the group and has just logged in."""
    give_rights(make_user("importer", password=PASSWORD, is_staff=True), group, create=True, edit=True)
    context = chromium.new_context(
        base_url=live_server.url,
        locale=request.param,
        viewport={"width": 1300, "height": 900},
        java_script_enabled=False,
    )
    page = context.new_page()
    page.goto("/admin/")
    page.fill("#id_username", "importer")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_selector("#user-tools")
    yield page
    context.close()


CARDS = "".join(
    f"BEGIN:VCARD\r\nVERSION:3.0\r\nN:{name};;;;\r\nFN:{name}\r\n{rest}\r\nEND:VCARD\r\n"
    for name, rest in (
        (
            "Anders",
            "ORG:Alfreds Futterkiste;Einkauf\r\nTEL;TYPE=CELL:0171 1234567\r\nEMAIL;TYPE=WORK:anders@example.com",
        ),
        ("Berg", "TEL;TYPE=WORK,VOICE:0211 33990312\r\nADR;TYPE=HOME:;;Obere Str. 57;Berlin;;12209;Germany"),
    )
)


def test_cards_are_handed_in_and_their_properties_mapped(
    chromium: "Browser", live_server: LiveServer, group: CustomerGroup, tmp_path: Path
) -> None:
    give_rights(make_user("importer", password=PASSWORD, is_staff=True), group, create=True, edit=True)
    file = tmp_path / "addresses.vcf"
    file.write_text(CARDS)
    context = chromium.new_context(base_url=live_server.url, locale="de", viewport={"width": 1300, "height": 900})
    page = context.new_page()
    page.goto("/admin/contacts/importrun/add/")
    page.fill("#id_username", "importer")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.set_input_files("#id_file", file)
    page.click(".submit-row input.default")

    mobile = page.get_by_label("TEL;TYPE=cell:", exact=True)
    mobile.wait_for()
    assert mobile.input_value() == "*"
    assert "mobile" in mobile.locator("option:checked").inner_text()
    assert (find_violations(page), find_overflow(page)) == ([], 0)
    mobile.select_option("first_name")
    page.click("[name=_preview]")
    page.wait_for_load_state()
    assert page.get_by_label("TEL;TYPE=cell:", exact=True).input_value() == "first_name"
    assert "0171 1234567" in page.locator(".import-preview tbody tr").first.inner_text()
    page.click("[name=_import]")
    page.wait_for_selector("[name=_cancel]")
    context.close()
    work_off_runs()
    assert Contact.objects.get(fields__last_name="Anders").fields["first_name"] == "0171 1234567"


def test_a_file_is_handed_in_mapped_tried_and_imported(page: "Page", tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text(
        "Kundennr;Nachname;Telefon;Firma;Hobby\n"
        "k1;Anders;0211 33990312;Alfreds;Schach\n"
        "k2;Berg;see note;Alfreds;\n"
        "k3;Müller;0171 1234567;Centro;\n",
        encoding="cp1252",
    )
    page.goto("/admin/contacts/importrun/")
    page.click(".object-tools a")
    page.set_input_files("#id_file", file)
    page.click(".submit-row input.default")

    page.wait_for_selector(".import-preview")
    assert page.locator("#id_encoding").input_value() == "cp1252"
    assert page.locator("#id_column-1").input_value() == "last_name"
    page.select_option("#id_column-0", "external_id")
    page.select_option("#id_column-3", "company")
    page.click("[name=_preview]")
    assert page.locator(".import-preview tbody tr").count() == 3
    assert "Müller" in page.locator(".import-preview").inner_text()
    assert "Alfreds" in page.locator(".import-preview").inner_text()
    assert Contact.objects.count() == 0

    page.click("[name=_dry_run]")
    page.wait_for_selector("[name=_cancel]")
    work_off_runs()
    # It shows by itself how far it is.
    page.wait_for_selector("[name=_settings]", timeout=10_000)
    assert Contact.objects.count() == 0
    page.click("[name=_import]")
    page.wait_for_selector("[name=_cancel]")
    work_off_runs()
    page.wait_for_selector("[name=_cancel]", state="detached", timeout=10_000)
    assert page.locator(".import-totals tr").count() == 7
    assert set(Contact.objects.values_list("name", flat=True)) == {"Alfreds", "Anders,", "Berg,", "Centro", "Müller,"}
    with page.expect_download() as download:
        page.click("a[href$='/report/']")
    assert len(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()) == 4
