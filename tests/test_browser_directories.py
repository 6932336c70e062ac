"""An administrator sets a directory up in a real browser, looks at what it would bring in, and pulls it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.models import Contact
from cmphone.contacts.tasks import pull_directory
from tests.directories import BASE, READER, Slapd, make_entries, require_slapd
from tests.directories import PASSWORD as DIRECTORY_PASSWORD
from tests.make import PASSWORD, make_customer_group, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    slapd = Slapd(tmp_path, require_slapd())
    persons: list[tuple[str, Any]] = [
        ("maria", {"sn": "Anders", "telephoneNumber": "+49 211 33990312", "o": "Alfreds Futterkiste"}),
        ("hanna", {"sn": "Moos", "jpegPhoto": b"\xff\xd8\xff\xe0", "userAccountControl": "514"}),
    ]
    slapd.load(make_entries(persons))
    slapd.start()
    yield slapd
    slapd.stop()


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_directory_is_set_up_looked_at_and_pulled(
    chromium: "Browser", live_server: LiveServer, slapd: Slapd, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    make_customer_group(country_prefix="49")
    make_user("admin", password=PASSWORD, language=language, is_staff=True, is_superuser=True)
    # There is no worker here.
    monkeypatch.setattr(pull_directory, "delay", pull_directory)
    context = chromium.new_context(base_url=live_server.url, locale=language, viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto("/admin/contacts/directory/add/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")

    page.fill("#id_name", "people")
    page.select_option("#id_customer_group", index=1)
    page.fill("#id_uri", slapd.tls_uri)
    page.fill("#id_ca_certificates", slapd.certificate)
    page.fill("#id_bind_dn", READER)
    page.fill("#id_password", DIRECTORY_PASSWORD)
    page.fill("#id_base", BASE)
    page.fill("#id_filter", "(objectClass=inetOrgPerson")
    page.fill("#id_attribute_map", "jpegPhoto|givenName = first_name\nsn = last_name\ntelephoneNumber = phone")
    page.fill("#id_external_id_attribute", "entryUUID")
    page.fill("#id_company_attribute", "company|o")
    page.click("[name=_continue]")
    page.wait_for_selector(".field-filter .errorlist li")
    page.fill("#id_filter", "(objectClass=inetOrgPerson)")
    # A browser never gets it back.
    assert page.input_value("#id_password") == ""
    page.fill("#id_password", DIRECTORY_PASSWORD)
    page.click("[name=_continue]")
    page.wait_for_selector(".messagelist .success")

    page.click("form[action$='/preview/'] button")
    page.wait_for_selector(".directory-preview")
    rows = page.locator(".directory-preview tbody tr")
    assert [row.inner_text().split("\t")[:5] for row in rows.all()] == [
        ["Anders, Maria", "Maria", "Anders", "+49 211 33990312", "Alfreds Futterkiste"],
        ["Moos, Maria", "Maria", "Moos", "", ""],
    ]
    assert rows.nth(1).locator(".doubt").count() == 1
    assert Contact.objects.count() == 0

    page.go_back()
    page.wait_for_selector("#id_name")
    page.click("form[action$='/pull/'] button:not([name])")
    page.wait_for_selector("#pulls tbody tr")
    assert page.locator("#pulls tbody tr").count() == 1
    assert page.locator(".pull-findings li").count() == 1
    assert sorted(Contact.objects.filter(kind="person").values_list("name", "is_active")) == [
        ("Anders, Maria", True),
        ("Moos, Maria", False),
    ]
    context.close()
