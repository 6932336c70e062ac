"""The history of a contact in the administration: who changed what, in words, for those who may view it."""

from typing import Any

import pytest
from django.test import Client

from cmphone.contacts.admin import history
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.models import Contact, ContactChange, ContactField, CustomerGroup, User, Way
from cmphone.contacts.services import draft_contact, save_configuration, save_contact
from cmphone.contacts.writing import Author
from tests.admin_pages import log_in_as, read, url_of
from tests.make import give_rights, make_company, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(client: Client) -> User:
    return log_in_as(client, "agent1")


@pytest.fixture
def group(agent: User) -> CustomerGroup:
    group = make_customer_group()
    give_rights(agent, group)
    return group


def change(contact: Contact, by: Author, fields: dict[str, str] | None = None, **values: Any) -> None:
    contact = Contact.objects.select_related("company").get(pk=contact.pk)
    draft = draft_contact(contact, get_current_configuration().groups[contact.customer_group_id])
    draft.fields = {**draft.fields, **(fields or {})}
    for name, value in values.items():
        setattr(draft, name, value)
    save_contact(draft, by=by)


def read_events(client: Client, contact: Contact, **query: str) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    response = client.get(url_of("history", contact.pk), query)
    assert response.status_code == 200
    return [
        (each.user_name, each.way, [(what.label, what.was, what.now) for what in each.differences])
        for each in response.context["events"]
    ]


def test_a_history_says_who_did_what_by_what_way_newest_first(client: Client, group: CustomerGroup) -> None:
    phone = ContactField.objects.get(object="person", name="phone")
    phone.label_de, phone.label_en = "Telefon", "Telephone"
    save_configuration([phone])
    company, other = make_company(group), make_company(group, "Bergs")
    contact = make_person(group, company=company)
    anna = make_user("anna")
    change(contact, Author(anna, Way.REST), {"phone": "0211 1", "last_name": "Berg"}, external_id="x1")
    change(contact, Author(anna, Way.ADMIN), company=other, is_active=False)
    anna.delete()
    change(contact, Author(None, Way.DIRECTORY), {"phone": ""}, company=None, is_active=True)
    assert read_events(client, contact) == [
        (
            "",
            "directory",
            [("", "", "restored"), ("Company", "Bergs", ""), ("Telephone", "0211 1", "")],
        ),
        ("anna", "administration", [("", "", "deactivated"), ("Company", "Alfreds Futterkiste", "Bergs")]),
        (
            "anna",
            "REST",
            [("External id", "", "x1"), ("last_name", "Anders", "Berg"), ("Telephone", "", "0211 1")],
        ),
        ("", "system", [("", "", "created")]),
    ]
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    assert "<strong>Telefon:</strong>" in read(client, url_of("history", contact.pk))


def test_a_company_that_is_gone_or_hidden_is_not_named(client: Client, group: CustomerGroup) -> None:
    hidden = make_company(make_customer_group("secret"), "Hidden Company")
    contact = make_person(group)
    for id in (hidden.pk, 999_999_999):
        ContactChange.objects.create(
            contact=contact, at=contact.created_at, way="system", changes={"company": [None, str(id)]}
        )
    first, second, _ = read_events(client, contact)
    assert first == second == ("", "system", [("Company", "", "a company that is not there any more")])


def test_long_values_are_shortened_and_none_is_run(client: Client, group: CustomerGroup) -> None:
    contact = make_person(group)
    change(contact, Author(None, Way.CSV), {"first_name": "<script>" + "x" * 1000})
    page = read(client, url_of("history", contact.pk))
    assert "<script>x" not in page
    assert f"&lt;script&gt;{'x' * (history.SHOWN - 9)}…" in page


def test_a_long_history_has_pages(client: Client, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PER_PAGE", 2)
    contact = make_person(group)
    for number in range(3):
        change(contact, Author(None, Way.CSV), {"first_name": str(number)})
    assert [each[2][0][2] for each in read_events(client, contact)] == ["2", "1"]
    assert [each[2][0][2] for each in read_events(client, contact, page="2")] == ["0", "created"]
    assert "Page 2 of 2" in read(client, f"{url_of('history', contact.pk)}?page=2")


def test_changes_of_a_removed_field_have_no_values(client: Client, group: CustomerGroup) -> None:
    contact = make_person(group)
    ContactChange.objects.create(contact=contact, at=contact.created_at, way="admin", changes={})
    assert read_events(client, contact)[0][2] == [("", "", "a field that has been removed since")]


def test_an_old_contact_without_a_history_says_so(client: Client, group: CustomerGroup) -> None:
    contact = make_person(group)
    ContactChange.objects.all().delete()
    assert "No change has been recorded" in read(client, url_of("history", contact.pk))


def test_the_history_costs_the_same_for_many_changes(
    client: Client, group: CustomerGroup, django_assert_max_num_queries: Any
) -> None:
    contact = make_person(group)
    for number in range(20):
        change(contact, Author(None, Way.CSV), {"first_name": str(number)})
    with django_assert_max_num_queries(25):
        assert len(read_events(client, contact)) == 21
