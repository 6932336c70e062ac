"""An agent's way from an unknown number to a case in a real browser, in both languages; and what keeps nobody out."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.live_server_helper import LiveServer

from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, ContactField, CustomerGroup, Queue, User
from cmphone.contacts.services import ContactDraft, save_configuration, save_contact
from tests.accessibility import find_overflow, find_violations
from tests.make import (
    PASSWORD,
    TESTS,
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

ATTACK = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group(country_prefix="49", area_prefix="211")
    labels = {"last_name": ("Nachname", "Last name"), "phone": ("Telefon", "Phone")}
    for name, (de, en) in labels.items():
        ContactField.objects.filter(name=name).update(label_de=de, label_en=en)
    return group


@pytest.fixture
def agent(group: CustomerGroup, language: str) -> User:
    user = make_user("agent1", language=language, password=PASSWORD)
    make_queue("helpdesk", [group], give_rights(user, group, create=True, edit=True))
    return user


@pytest.fixture
def page(chromium: "Browser", live_server: LiveServer, agent: User, language: str) -> Iterator["Page"]:
    """A page of the agent, who has just logged in.  Fails when a script ran that should not, or failed."""
    context = chromium.new_context(base_url=live_server.url, locale=language, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))

    def refuse(dialog: object) -> None:
        failures.append("an attack ran")
        dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", refuse)
    page.goto("/login/?next=/contacts/")
    page.fill("#id_username", "agent1")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_selector("#q")
    yield page
    context.close()
    assert failures == []


def find_barriers(page: "Page") -> list[object]:
    """Return what keeps people from using the page; empty if nothing does."""
    return [*find_violations(page), *([f"{wider} px too wide"] if (wider := find_overflow(page)) else [])]


def test_an_unknown_number_becomes_a_contact_with_a_case(
    page: "Page", group: CustomerGroup, language: str, agent: User
) -> None:
    make_company(group, "Alfreds Futterkiste")
    page.goto("/contacts/new/?number=0021133990312")
    labels = {"de": ("Nachname:", "Telefon:"), "en": ("Last name:", "Phone:")}[language]
    assert page.get_by_label(labels[1], exact=True).input_value() == "+49 211 33990312"
    # Nothing but the keyboard: the first empty field has the focus.
    assert page.evaluate("document.activeElement.name") == "fields/first_name"
    page.keyboard.press("Tab")
    page.keyboard.type("Anders")
    assert page.get_by_label(labels[0], exact=True).input_value() == "Anders"
    page.fill("[name=company]", "futter")
    page.press("[name=company]", "Enter")
    page.locator(".summary a").wait_for()
    assert page.evaluate("document.activeElement.className") == "summary"
    page.locator(".summary a").click()
    page.check("[name=company_id]")
    page.click("main form[method=post] button")

    page.wait_for_url("**/cases/new/?contact=*")
    contact = Contact.objects.select_related("company").get(kind="person")
    assert (contact.fields["last_name"], contact.fields["phone"]) == ("Anders", "+49 211 33990312")
    assert contact.company is not None
    assert page.evaluate("document.activeElement.name") == "subject"
    page.keyboard.type("Printer burns")
    page.fill("[name=description]", "Since noon.\nIt smells.")
    page.dblclick("main form[method=post] button")

    page.locator("#details").wait_for()
    case = Case.objects.get()
    assert (case.contact, case.subject, case.description) == (contact, "Printer burns", "Since noon.\nIt smells.")
    page.locator("main dl a").first.click()
    page.wait_for_url(f"**/contacts/{contact.pk}/")
    assert page.locator("#cases tbody tr").count() == 1
    assert page.locator('main a[href^="phone:"]').get_attribute("href") == "phone:0021133990312"
    page.locator("main dl a").first.click()
    page.wait_for_url(f"**/contacts/{contact.company_id}/")
    assert page.locator("#persons tbody th a").inner_text() == "Anders,"


def test_a_contact_is_found_and_changed_while_somebody_else_does_so(page: "Page", group: CustomerGroup) -> None:
    person = make_person(group, "Anders", phone="0211 1234567")
    page.fill("#q", "0211 12345")
    page.press("#q", "Enter")
    page.locator("tbody th a").click()
    page.click(".head a[href$='/edit/']")
    page.fill("[name='fields/last_name']", "Mine")
    now = Contact.objects.get(pk=person.pk)
    fields = {**now.fields, "last_name": "Theirs", "mobile": "0176 1234567"}
    save_contact(ContactDraft(group.pk, "person", fields, contact=now), by=TESTS)
    page.click("main form[method=post] button")

    page.locator(".summary").wait_for()
    assert page.locator(".meanwhile").count() == 2
    assert page.input_value("[name='fields/last_name']") == "Mine"
    assert page.input_value("[name='fields/mobile']") == "0176 1234567"
    assert find_barriers(page) == []
    page.click("main form[method=post] button")
    page.wait_for_url(f"**/contacts/{person.pk}/")
    assert Contact.objects.get(pk=person.pk).fields | {"first_name": ""} == fields | {
        "first_name": "",
        "last_name": "Mine",
    }


def test_every_page_is_for_everybody_however_much_is_in_it(page: "Page", group: CustomerGroup, agent: User) -> None:
    model = group.contact_model
    save_configuration(
        ContactField(contact_model=model, object="person", name=f"extra_{number}", label_en="Long label " * 9)
        for number in range(30)
    )
    give_rights(agent, make_customer_group("other"), create=True)
    company = make_company(group, "Donaudampfschifffahrtsgesellschaft" * 5, phone="0211 12, 0211 13, 0211 14, 0211 15")
    for number in range(200):
        make_person(group, f"P{number}", company=company, phone="0211 1234567")
    extra = {f"extra_{number}": "x" * 3_000 for number in range(1, 30)}
    person = make_person(group, ATTACK, company=company, phone=ATTACK, extra_0=ATTACK, **extra)
    queue = Queue.objects.get()
    cases = [make_case(agent, person, queue, "S" * 200, ATTACK + "y" * 5_000) for _ in range(25)]
    Contact.objects.filter(pk=person.pk).update(is_active=False, external_id="e" * 200)

    for url in (
        "/contacts/",
        "/contacts/?q=donau",
        "/contacts/?q=nobody",
        f"/contacts/{person.pk}/",
        f"/contacts/{company.pk}/",
        f"/contacts/{person.pk}/edit/",
        f"/contacts/new/?number={ATTACK}",
        f"/cases/new/?contact={person.pk}",
        f"/cases/{cases[0].pk}/",
        "/contacts/0/",
    ):
        page.goto(url)
        assert (url, find_barriers(page)) == (url, [])
    for url, field in {"/contacts/new/": "company", f"/cases/new/?contact={person.pk}": "description"}.items():
        page.goto(url)
        page.fill(f"[name={field}]", "donau")
        page.click("main form[method=post] button")
        page.locator(".summary").wait_for()
        assert (url, find_barriers(page)) == (url, [])


def test_what_is_wrong_with_a_page_is_found(page: "Page") -> None:
    # The policy of our pages would refuse the styles below.
    page.goto("about:blank")
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><input><p style='color:#999'>pale</p></main>")

    rules = {violation.split()[1] for violation in find_violations(page)}

    assert {"label", "color-contrast"} <= rules
    page.set_content("<div style='width: 400px'>x</div>")
    assert find_overflow(page) > 0
