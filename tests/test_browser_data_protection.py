"""A superuser exports and erases a person in a real browser, in both languages."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.erasure_models import Erasure
from cmphone.contacts.models import Contact
from tests.admin_browser import open_administration
from tests.make import (
    PASSWORD,
    give_rights,
    make_case,
    make_company,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def company() -> Contact:
    """A company with a person and a case, that the superuser of `page` may erase."""
    group = make_customer_group()
    company = make_company(group, phone="0211 7654399")
    make_person(group, company=company, phone="0211 7654399")
    root = make_user("root", password=PASSWORD, is_staff=True, is_superuser=True)
    make_case(root, company, make_queue("helpdesk", [group], give_rights(root, group)))
    return company


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, language: str, company: Contact) -> Iterator["Page"]:
    """A page of a superuser who has just logged in.  Fails when a script did."""
    with open_administration(chromium, live_server, "root", language=language, width=1200) as page:
        yield page


def test_a_company_is_exported_and_then_erased(page: "Page", company: Contact, tmp_path: Path) -> None:
    page.goto(f"/admin/contacts/contact/{company.pk}/change/")
    page.click(".object-tools a[href$='/data-protection/']")
    page.locator("#stored").wait_for()
    counts = page.locator("#stored ~ table td").all_inner_texts()
    assert counts == ["1", "1", "1", "0", "0", "0", "0"]
    # Each input has its label.
    for field in ("reason", "leaves_persons", "typed_id"):
        assert page.locator(f"label[for=id_{field}]").is_visible()

    with page.expect_download() as downloading:
        page.click("[name=_export]")
    file = tmp_path / "export.json"
    downloading.value.save_as(file)
    assert orjson.loads(file.read_bytes())["contact"]["fields"]["name"] == "Alfreds Futterkiste"

    page.select_option("#id_reason", "request")
    page.fill("#id_typed_id", str(company.pk + 1))
    page.click("[name=_erase]")
    page.locator(".errors .errorlist").wait_for()
    page.fill("#id_typed_id", str(company.pk))
    page.click("[name=_erase]")
    page.locator(".errorlist.nonfield").wait_for()
    assert Erasure.objects.count() == 0
    page.check("#id_leaves_persons")
    page.fill("#id_typed_id", str(company.pk))
    page.click("[name=_erase]")
    page.locator(".messagelist .success").wait_for()

    assert Contact.objects.get().company is None
    page.goto("/admin/contacts/erasure/")
    assert page.locator("#result_list .field-contact_id").all_inner_texts() == [str(company.pk)]
