"""Web addresses of the pages about contacts: what may be set, and that every surface leads there."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from cmphone.contacts.models import Contact, CustomerGroup, User
from cmphone.contacts.pages import Pages, Shown
from cmphone.contacts.services import ContactDraft, save_contact
from cmphone.properties.registry import DEFINITIONS
from cmphone.properties.services import set_property
from tests.make import TESTS, give_rights, log_in, make_customer_group, make_person, make_queue, make_user

CRM = "https://crm.example.com"
SHOWN = Shown(17, "", "person", "customers")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page.contact.url", ""),
        ("page.contact.url", "https://crm.example.com/people/{external_id}"),
        ("page.contact.url", "http://crm:8080/app?view=contact&id={id}&kind={kind}#{customer_group}"),
        ("page.contact.url", "https://[2001:db8::1]/{id}"),
        ("page.contact.url", "https://crm.example.com/{{{id}}}"),
        ("page.contact.new.url", "https://crm.example.com"),
        ("page.contact.new.url", "https://crm.example.com/new?phone={number}"),
        ("page.case.new.url", "https://crm.example.com/cases/new?contact={external_id}&phone={number}"),
        ("page.case.new.url", "https://crm.example.com/cases/new?fields=%7Ba%7D"),
    ],
)
def test_an_address_may_name_what_is_known_of_it(name: str, value: str) -> None:
    assert DEFINITIONS[name].find_error(value) is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("page.contact.url", "ftp://crm.example.com/{id}", "Enter an address"),
        ("page.contact.url", "javascript:alert({id})", "Enter an address"),
        ("page.contact.url", "//crm.example.com/{id}", "Enter an address"),
        ("page.contact.url", "/contacts/{id}/", "Enter an address"),
        ("page.contact.url", "https:///{id}", "Enter an address"),
        ("page.contact.url", "https://:80/{id}", "Enter an address"),
        ("page.contact.url", "https://{id}.example.com/", "Enter an address"),
        ("page.contact.url", "https://crm.example.com{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com:{id}/", "Enter an address"),
        ("page.contact.url", "https://user:secret@crm.example.com/{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com:99999/{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com:0/{id}", "Enter an address"),
        ("page.contact.url", "https://[::1/{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com/a b/{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com/\r\nx/{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com/überblick/{id}", "Enter an address"),
        ("page.contact.url", 'https://crm.example.com/"{id}', "Enter an address"),
        ("page.contact.url", "https://crm.example.com\\@evil.example/{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com/" + "x" * 200 + "{id}", "Enter an address"),
        ("page.contact.url", "https://crm.example.com/{name}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/{number}{id}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/{id", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/id}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/{}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/{id!r}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/{id:9}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/{id.__class__}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/{id[0]}", "In braces may stand {id}"),
        ("page.contact.url", "https://crm.example.com/people", "Name {id} or {external_id}"),
        ("page.contact.url", "https://crm.example.com/people/{{id}}", "Name {id} or {external_id}"),
        ("page.contact.new.url", "https://crm.example.com/{id}", "In braces may stand {number}."),
        ("page.contact.new.url", "new", "Enter an address"),
        ("page.case.new.url", "https://crm.example.com/{name}", "In braces may stand {id}"),
        ("page.case.new.url", "new", "Enter an address"),
    ],
)
@pytest.mark.django_db
def test_an_address_that_cannot_be_used_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        set_property(name=name, value=value)

    assert raised.value.messages[0].startswith(message)


def test_without_a_template_a_page_is_our_own() -> None:
    pages = Pages()

    assert pages.make_contact_url("https://cm.example.com", SHOWN) == "https://cm.example.com/contacts/17/"
    assert pages.make_new_case_url("https://cm.example.com", SHOWN, "+491") == (
        "https://cm.example.com/cases/new/?contact=17"
    )
    assert pages.make_new_contact_url("https://cm.example.com", "+491") == (
        "https://cm.example.com/contacts/new/?number=%2B491"
    )
    assert pages.make_new_contact_url("https://cm.example.com", "") == "https://cm.example.com/contacts/new/"


@pytest.mark.parametrize("external_id", ["", ".", ".."])
def test_a_contact_without_a_key_that_the_template_names_has_its_page_here(external_id: str) -> None:
    shown = SHOWN._replace(external_id=external_id)
    by_key, by_id = Pages(f"{CRM}/{{external_id}}", "", f"{CRM}/{{external_id}}/new"), Pages(f"{CRM}/{{id}}")

    assert by_key.make_contact_url("", shown) == "/contacts/17/"
    assert by_key.make_new_case_url("", shown) == "/cases/new/?contact=17"
    assert by_id.make_contact_url("", shown) == f"{CRM}/17"


@given(st.text(min_size=1), st.text())
def test_whatever_a_value_is_the_address_leads_to_the_same_page(external_id: str, number: str) -> None:
    try:
        external_id.encode(), number.encode()
    except UnicodeEncodeError:
        return
    shown = SHOWN._replace(external_id=external_id)
    url = Pages("", "", f"{CRM}/people/{{external_id}}/new?phone={{number}}").make_new_case_url("", shown, number)

    if external_id in {".", ".."}:
        assert url == "/cases/new/?contact=17"
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "crm.example.com", "")
    assert [unquote(part) for part in parts.path.split("/")] == ["", "people", external_id, "new"]
    assert unquote(parts.query) == f"phone={number}"


def test_a_brace_that_is_meant_itself_stands_twice() -> None:
    assert Pages(f"{CRM}/{{{{{{id}}}}}}").make_contact_url("", SHOWN) == f"{CRM}/{{17}}"


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


@pytest.fixture
def user(group: CustomerGroup) -> User:
    user = make_user("agent1")
    role = give_rights(user, group, create=True)
    make_queue("helpdesk", [group], role)
    return user


def name_pages() -> None:
    set_property(name="page.contact.url", value=f"{CRM}/{{kind}}/{{external_id}}?group={{customer_group}}")
    set_property(name="page.contact.new.url", value=f"{CRM}/new?phone={{number}}")
    set_property(name="page.case.new.url", value=f"{CRM}/case?of={{external_id}}&phone={{number}}")


def make_known(group: CustomerGroup) -> Contact:
    draft = ContactDraft(group.pk, "person", {"last_name": "Anders", "phone": "0211 1234567"}, external_id="A/7 ü")
    return save_contact(draft, by=TESTS)


@pytest.mark.django_db
def test_every_surface_leads_to_the_pages_of_the_crm(client: Client, group: CustomerGroup, user: User) -> None:
    known, unknown = make_known(group), make_person(group, phone="0211 7654321")
    headers = log_in(user)

    def ask(path: str, **query: str) -> Any:
        return client.get(f"/api/v1/{path}", query, headers=headers).json()

    assert ask("lookup", number="02111234567")["contacts"][0]["url"] == f"http://testserver/contacts/{known.pk}/"
    name_pages()

    url = f"{CRM}/person/A%2F7%20%C3%BC?group=customers"
    answer = ask("lookup", number="02111234567")
    assert answer["contacts"][0]["url"] == url
    assert answer["contacts"][0]["create_case_url"] == f"{CRM}/case?of=A%2F7%20%C3%BC&phone=%2B492111234567"
    assert answer["actions"]["create_contact"] == f"{CRM}/new?phone=%2B492111234567"
    assert ask("lookup", number="")["actions"]["create_contact"] == f"{CRM}/new?phone="
    other = ask("lookup", number="02117654321")["contacts"][0]
    assert other["url"] == f"http://testserver/contacts/{unknown.pk}/"
    assert other["create_case_url"] == f"http://testserver/cases/new/?contact={unknown.pk}"
    assert ask(f"contacts/{known.pk}")["url"] == url
    assert [each["url"] for each in ask("contacts", q="Anders")["results"]] == [url, other["url"]]

    popup = client.post(
        "/api/v1/popup-templates/en/match.html/render",
        {"lookup": answer},
        content_type="application/json",
        headers=headers,
    ).content.decode()
    assert f'href="{CRM}/case?of=A%2F7%20%C3%BC&amp;phone=%2B492111234567"' in popup


@pytest.mark.django_db
def test_who_may_create_no_case_is_told_no_page_for_one(client: Client, group: CustomerGroup) -> None:
    viewer = make_user("viewer")
    give_rights(viewer, group)
    make_known(group)
    name_pages()

    answer = client.get("/api/v1/lookup", {"number": "02111234567"}, headers=log_in(viewer)).json()

    assert answer["contacts"][0]["can_create_case"] is False
    assert answer["contacts"][0]["create_case_url"] is None
    assert answer["actions"]["create_contact"] is None


@pytest.mark.django_db
def test_a_look_up_that_does_not_tell_the_page_for_a_case_still_becomes_a_popup_with_one(
    client: Client, group: CustomerGroup, user: User
) -> None:
    known, headers = make_known(group), log_in(user)
    answer = client.get("/api/v1/lookup", {"number": "02111234567"}, headers=headers).json()
    del answer["contacts"][0]["create_case_url"]

    popup = client.post(
        "/api/v1/popup-templates/en/match.html/render",
        {"lookup": answer},
        content_type="application/json",
        headers=headers,
    ).content.decode()

    assert f'href="http://testserver/cases/new/?contact={known.pk}"' in popup
