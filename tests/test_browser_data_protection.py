"""A superuser exports and erases a person in a real browser, in both languages."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.erasure_models import Erasure
from cmphone.contacts.models import Contact
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


@pytest.fixture(params=["de", "en"])
def page(
    request: pytest.FixtureRequest, chromium: "Browser", live_server: LiveServer, company: Contact
) -> Iterator["Page"]:
    """A page of a superuser who has just logged in.  Fails when a script did."""
    context = chromium.new_context(
        base_url=live_server.url, locale=str(request.param), viewport={"width": 1200, "height": 900}
    )
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto("/admin/")
    page.fill("#id_username", "root")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_selector("#user-tools")
    yield page
    context.close()
    assert failures == []


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
