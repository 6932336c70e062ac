"""Contacts through the API: searching as one types, paging, rights, and how a contact is shown."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmphone.contacts import searching
from cmphone.contacts.models import Contact, CustomerGroup, CustomerGroupRight, User
from cmphone.contacts.services import ContactDraft, save_contact
from cmphone.properties.services import set_property
from tests.make import (
    TESTS,
    give_rights,
    log_in,
    make_company,
    make_contact_model,
    make_customer_group,
    make_person,
    make_user,
)

pytestmark = pytest.mark.django_db

URL = "/api/v1/contacts"
SOME = settings(max_examples=25, suppress_health_check=list(HealthCheck))


@pytest.fixture
def customers() -> CustomerGroup:
    return make_customer_group("customers", country_prefix="49", area_prefix="211")


@pytest.fixture
def agent(customers: CustomerGroup) -> User:
    user = make_user("agent1")
    give_rights(user, customers)
    return user


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def search(client: Client, headers: dict[str, str], **parameters: str | int) -> dict[str, Any]:
    answer = client.get(URL, parameters, headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def find_names(client: Client, headers: dict[str, str], **parameters: str | int) -> list[str]:
    return [contact["name"] for contact in search(client, headers, **parameters)["results"]]


def follow(client: Client, headers: dict[str, str], next: str) -> dict[str, Any]:
    parts = urlsplit(next)
    assert parts.path == URL
    return search(client, headers, **dict(parse_qsl(parts.query, keep_blank_values=True)))


def walk(client: Client, headers: dict[str, str], **parameters: str | int) -> list[str]:
    page = search(client, headers, **parameters)
    ids = [contact["id"] for contact in page["results"]]
    while page["next"]:
        page = follow(client, headers, page["next"])
        ids += [contact["id"] for contact in page["results"]]
    return ids


def deactivate(contact: Contact) -> None:
    draft = ContactDraft(
        contact.customer_group_id, contact.kind, contact.fields, is_active=False, contact=contact, company=None
    )
    save_contact(draft, by=TESTS)


# --- a contact ---


def test_a_contact_is_the_contract(
    client: Client, customers: CustomerGroup, agent: User, headers: dict[str, str]
) -> None:
    company = make_company(customers)
    person = make_person(
        customers, company=company, phone="0211 339903-12 / 0033 1 42 68 53 00 (Paris)", mobile="see note"
    )
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    Contact.objects.filter(pk=person.pk).update(external_id="x-1", created_at=moment, updated_at=moment)

    wanted = {
        "id": str(person.pk),
        "customer_group": {"id": str(customers.pk), "name": "customers en", "internal_name": "customers"},
        "kind": "person",
        "name": "Anders, Maria",
        "company": {"id": str(company.pk), "name": "Alfreds Futterkiste"},
        "external_id": "x-1",
        "active": True,
        "url": f"http://testserver/contacts/{person.pk}/",
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
        "fields": {
            "first_name": "Maria",
            "last_name": "Anders",
            "phone": {
                "raw": "0211 339903-12 / 0033 1 42 68 53 00 (Paris)",
                "canonical": "4921133990312",
                "display": "+49 211 33990312",
                "dial_uri": "phone:0021133990312",
                "numbers": [
                    {
                        "raw": "0211 339903-12",
                        "canonical": "4921133990312",
                        "display": "+49 211 33990312",
                        "extension": None,
                        "kind": "public",
                        "dial_string": "0021133990312",
                        "dial_uri": "phone:0021133990312",
                        "reason": None,
                    },
                    {
                        "raw": "0033 1 42 68 53 00 (Paris)",
                        "canonical": "33142685300",
                        "display": "+33 1 42 68 53 00",
                        "extension": None,
                        "kind": "public",
                        "dial_string": "00033142685300",
                        "dial_uri": "phone:00033142685300",
                        "reason": None,
                    },
                ],
            },
            "mobile": {
                "raw": "see note",
                "canonical": None,
                "display": "see note",
                "dial_uri": None,
                "numbers": [
                    {
                        "raw": "see note",
                        "canonical": None,
                        "display": "see note",
                        "extension": None,
                        "kind": "unreadable",
                        "dial_string": None,
                        "dial_uri": None,
                        "reason": "unreadable",
                    }
                ],
            },
        },
    }
    shown = client.get(f"{URL}/{person.pk}", headers=headers)
    assert (shown.status_code, shown.json()) == (200, wanted)
    assert list(shown.json()["fields"]) == ["first_name", "last_name", "phone", "mobile"]
    found = search(client, headers, phone="3399")
    assert found == {
        "results": [wanted | {"matched": [{"field": "phone", "canonical": "4921133990312"}]}],
        "next": None,
    }


def test_an_extension_beside_the_number_is_shown_and_dialled_after_it(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    person = make_person(customers, phone="+1 212 555 0100 ext. 12")

    phone = client.get(f"{URL}/{person.pk}", headers=headers).json()["fields"]["phone"]

    assert phone["numbers"][0]["extension"] == "12"
    assert phone["dial_uri"] == "phone:00012125550100,12"


def test_a_colleague_is_dialled_by_his_extension_where_that_is_set(
    client: Client, agent: User, headers: dict[str, str]
) -> None:
    colleagues = make_customer_group("colleagues", country_prefix="49", area_prefix="211", company_line="339903")
    give_rights(agent, colleagues)
    set_property(name="dial.internal.shorten", value="true")
    person = make_person(colleagues, phone="12")

    phone = client.get(f"{URL}/{person.pk}", headers=headers).json()["fields"]["phone"]

    assert (phone["canonical"], phone["dial_uri"]) == ("4921133990312", "phone:12")


def test_a_number_that_cannot_be_dialled_says_why(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    # Brazil has a prefix for each carrier, and none for all.
    set_property(name="local.country.prefix", value="55")
    set_property(name="international.access.prefix", value="")
    person = make_person(customers, phone="0211 1234567")

    phone = client.get(f"{URL}/{person.pk}", headers=headers).json()["fields"]["phone"]

    assert (phone["canonical"], phone["dial_uri"]) == ("492111234567", None)
    assert [number["reason"] for number in phone["numbers"]] == ["no-international-prefix"]


def test_a_value_whose_field_the_contact_model_has_no_more_is_not_shown(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    person = make_person(customers)
    Contact.objects.filter(pk=person.pk).update(fields={"gone": "x", "last_name": "Anders"})

    assert client.get(f"{URL}/{person.pk}", headers=headers).json()["fields"] == {"last_name": "Anders"}


# --- what is found ---


@pytest.mark.parametrize(
    ("phone", "found"),
    [
        ("33990312", ["Anders", "Berg"]),
        ("339", ["Anders", "Berg"]),
        ("312", ["Anders", "Berg"]),
        ("+49 211 33", ["Anders"]),
        ("0049 (0)211 33", ["Anders"]),
        ("0211/339", ["Anders"]),
        ("0 0211 33990312", ["Anders"]),
        ("03121 3399", ["Berg"]),
        ("0033 1", ["Chirac"]),
        ("*0312", ["Anders", "Berg"]),
        ("49211*", ["Anders"]),
        ("0211*", ["Anders"]),
        ("211*", []),
        ("*21133990312", ["Anders"]),
        ("*3399*", ["Anders", "Berg"]),
        ("٣٣٩٩٠٣", ["Anders", "Berg"]),
        ("%339%", ["Anders", "Berg"]),
        ("3%9_9", ["Anders", "Berg"]),
        ("4_4%4", []),
        ("9" * 300, []),
        ("0" * 41, []),
        ("990312 oder +33 1 42", ["Anders", "Berg", "Chirac"]),
    ],
)
def test_a_number_is_found_by_its_parts_national_or_international(
    client: Client, customers: CustomerGroup, headers: dict[str, str], phone: str, found: list[str]
) -> None:
    make_person(customers, "Anders", phone="0211 339903-12")
    make_person(customers, "Berg", mobile="+49 3121 33990312")
    make_person(customers, "Chirac", phone="+33 1 42 68 53 00")

    assert find_names(client, headers, phone=phone) == [f"{name}, Maria" for name in found]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", ["Anders 100%", "Anders_Müller", "Berg 24"]),
        ("   ", ["Anders 100%", "Anders_Müller", "Berg 24"]),
        # Every word, in whatever order and case, in the name alone.
        ("anders", ["Anders 100%", "Anders_Müller"]),
        ("MARIA and", ["Anders 100%", "Anders_Müller"]),
        ("Berg, Maria", ["Berg 24"]),
        ("müller", ["Anders_Müller"]),
        ("And*", ["Anders 100%", "Anders_Müller"]),
        ("an mü", ["Anders_Müller"]),
        ("berg anders", []),
        ("nobody", []),
        ("%", ["Anders 100%"]),
        ("_", ["Anders_Müller"]),
        ("\\", []),
        ("*", []),
        ("'; drop table", []),
        # Two digits are part of a name only.
        ("24", ["Berg 24"]),
        ("Maria 24", ["Berg 24"]),
        # Three are either.
        ("0211 3399", ["Anders_Müller"]),
        ("tel:+4921133990312", ["Anders_Müller"]),
        ("100", ["Anders 100%", "Berg 24"]),
        ("Anders 100", ["Anders 100%"]),
        ("Berg 0100", ["Berg 24"]),
        ("3399 Müller", ["Anders_Müller"]),
        ("3399 Berg", []),
        ("*0100", ["Berg 24"]),
        ("Berg 01*00", []),
        ("9" * 200, []),
    ],
)
def test_the_one_box_finds_names_and_numbers(
    client: Client, customers: CustomerGroup, headers: dict[str, str], q: str, found: list[str]
) -> None:
    make_person(customers, "Anders_Müller", phone="0211 339903-12")
    make_person(customers, "Berg 24", phone="+1 212 555 0100")
    make_person(customers, "Anders 100%", phone="0171 7654329")

    assert find_names(client, headers, q=q) == [f"{name}, Maria" for name in found]


def test_number_and_box_both_count(client: Client, customers: CustomerGroup, headers: dict[str, str]) -> None:
    make_person(customers, "Anders", phone="0211 339903-12")
    make_person(customers, "Berg", phone="0211 339903-13")

    assert find_names(client, headers, phone="3399", q="berg") == ["Berg, Maria"]
    assert find_names(client, headers, phone="3399", q="0313") == ["Berg, Maria"]


def test_the_trunk_prefix_of_a_group_that_one_may_view_counts(
    client: Client, agent: User, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    hungary = make_customer_group("hungary", country_prefix="36")
    make_person(hungary, "Nagy", phone="06 1 234 5678")
    make_person(customers, "Nagy in Germany", phone="+36 1 234 5678")
    assert find_names(client, headers, phone="06 1 234") == []

    give_rights(agent, hungary)

    assert find_names(client, headers, phone="06 1 234") == ["Nagy in Germany, Maria", "Nagy, Maria"]


def test_an_extension_of_a_group_is_found_as_part_of_the_whole_number(
    client: Client, agent: User, headers: dict[str, str]
) -> None:
    colleagues = make_customer_group("colleagues", country_prefix="49", area_prefix="211", company_line="339903")
    give_rights(agent, colleagues)
    make_person(colleagues, phone="123")

    for phone in ("123", "339903123", "0211 339903 123", "*03123"):
        assert find_names(client, headers, phone=phone) == ["Anders, Maria"]


def test_several_numbers_of_a_contact_are_one_result_that_names_those_that_match(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers, phone="0211 1234567; 0211 1234568", mobile="0171 1234569", private_phone="0211 1234560")

    (result,) = search(client, headers, phone="0211 12345")["results"]

    assert result["matched"] == [
        {"field": "phone", "canonical": "492111234567"},
        {"field": "phone", "canonical": "492111234568"},
    ]
    assert search(client, headers, q="Anders")["results"][0]["matched"] == []


def test_an_inactive_contact_is_found_by_name_where_one_asks_for_it(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    deactivate(make_person(customers, "Gone", phone="0211 1234567"))
    make_person(customers, "Here", phone="0211 1234568")

    assert find_names(client, headers) == ["Here, Maria"]
    assert find_names(client, headers, q="maria", active="all") == ["Gone, Maria", "Here, Maria"]
    assert find_names(client, headers, active="false") == ["Gone, Maria"]
    assert search(client, headers, active="false")["results"][0]["active"] is False
    assert find_names(client, headers, phone="0211 1234567", active="all") == []
    assert find_names(client, headers, q="gone 1234567", active="all") == []


# --- rights ---


def make_hidden(name: str, *, phone: str = "") -> Contact:
    group = CustomerGroup.objects.filter(name="hidden").first() or make_customer_group("hidden", country_prefix="36")
    return make_person(group, name, phone=phone)


def test_only_contacts_of_groups_that_one_may_view_are_there(
    client: Client, agent: User, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    hidden = make_hidden("Hidden", phone="0211 1234567")
    role = give_rights(agent, hidden.customer_group, view=False, create=True, edit=True)
    make_person(customers, "Seen", phone="0211 1234567")

    for parameters in ({}, {"phone": "1234567"}, {"q": "maria"}, {"q": "1234567"}, {"active": "all"}):
        assert find_names(client, headers, **parameters) == ["Seen, Maria"]
    assert client.get(f"{URL}/{hidden.pk}", headers=headers).status_code == 404

    CustomerGroupRight.objects.filter(role=role).update(can_view=True)
    assert find_names(client, headers, phone="1234567") == ["Hidden, Maria", "Seen, Maria"]
    assert client.get(f"{URL}/{hidden.pk}", headers=headers).status_code == 200


def test_without_rights_there_is_nobody_and_a_superuser_sees_everybody(
    client: Client, customers: CustomerGroup
) -> None:
    person = make_person(customers, phone="0211 1234567")
    stranger, root = log_in(make_user("stranger")), log_in(make_user("root", is_superuser=True), "client-2")

    for parameters in ({}, {"phone": "1234567"}, {"q": "maria"}, {"active": "all"}):
        assert search(client, stranger, **parameters) == {"results": [], "next": None}
        assert find_names(client, root, **parameters) == ["Anders, Maria"]
    assert client.get(f"{URL}/{person.pk}", headers=stranger).status_code == 404
    assert client.get(f"{URL}/{person.pk}", headers=root).status_code == 200


def without_request_id(answer: Any) -> dict[str, Any]:
    return {key: value for key, value in answer.json().items() if key != "request_id"}


def test_a_hidden_contact_or_group_is_as_one_that_is_missing(client: Client, headers: dict[str, str]) -> None:
    hidden = make_hidden("Hidden")

    missing = client.get(f"{URL}/{hidden.pk + 1}", headers=headers)
    assert missing.status_code == 404
    for path in (f"{URL}/{hidden.pk}", f"{URL}/{10**30}"):
        assert without_request_id(client.get(path, headers=headers)) == without_request_id(missing)

    for named in ("hidden", str(hidden.customer_group_id), "missing", "99999999999999999999"):
        answer = client.get(URL, {"customer_group": named}, headers=headers)
        assert (answer.status_code, without_request_id(answer)) == (404, without_request_id(missing))


def test_the_list_is_of_one_group_by_id_or_internal_name(
    client: Client, agent: User, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    partners = make_customer_group("partners")
    give_rights(agent, partners)
    make_person(partners, "Partner", phone="0211 1234567")
    make_person(customers, "Customer", phone="0211 1234567")

    for named in ("partners", partners.pk):
        assert find_names(client, headers, customer_group=named) == ["Partner, Maria"]
        assert find_names(client, headers, customer_group=named, phone="1234567") == ["Partner, Maria"]
        assert find_names(client, headers, customer_group=named, q="maria 1234567") == ["Partner, Maria"]


def test_a_group_in_which_one_may_only_create_is_none_here(client: Client, agent: User) -> None:
    give_rights(agent, make_customer_group("inbox"), view=False, create=True)

    assert client.get(URL, {"customer_group": "inbox"}, headers=log_in(agent)).status_code == 404


@given(
    hidden=st.lists(
        st.tuples(st.sampled_from(["Aa", "Berg", "Müller", "Zz"]), st.integers(0, 9), st.booleans()), max_size=6
    ),
    parameters=st.sampled_from(
        [{}, {"phone": "12345"}, {"q": "e"}, {"q": "berg 123"}, {"q": "1234"}, {"active": "all"}, {"phone": "06 1 23"}]
    ),
    page_size=st.integers(1, 4),
)
@SOME
def test_hidden_contacts_change_no_byte_of_any_page(
    client: Client,
    customers: CustomerGroup,
    headers: dict[str, str],
    hidden: list[tuple[str, int, bool]],
    parameters: dict[str, str],
    page_size: int,
) -> None:
    if not Contact.objects.filter(customer_group=customers).exists():
        for number in range(5):
            make_person(customers, ["Berg", "Müller"][number % 2], phone=f"0211 12345{number}")

    def read_pages() -> list[bytes]:
        pages = [client.get(URL, parameters | {"page_size": str(page_size)}, headers=headers)]
        while pages[-1].json()["next"]:
            pages.append(client.get(pages[-1].json()["next"], headers=headers))
        return [page.content for page in pages]

    before = read_pages()
    for name, digit, is_active in hidden:
        contact = make_hidden(name, phone=f"+49 211 12345{digit}; 06 1 234 567{digit}")
        if not is_active:
            deactivate(contact)

    assert read_pages() == before


# --- paging ---


def make_many(group: CustomerGroup, count: int) -> list[str]:
    """Contacts of which several have the same name, in the order of the list."""
    names = ["Berg", "anders", "Ürün", "Berg", "O'Neil", "Berg", "1"]
    contacts = [make_person(group, names[number % len(names)], phone=f"0211 55{number:04}") for number in range(count)]
    ordered = Contact.objects.filter(pk__in=[each.pk for each in contacts]).order_by("name", "id")
    return [str(pk) for pk in ordered.values_list("pk", flat=True)]


@given(page_size=st.integers(1, 30), parameters=st.sampled_from([{}, {"phone": "1155"}, {"q": "maria"}, {"q": "55"}]))
@SOME
def test_walking_all_pages_gives_each_contact_once(
    client: Client,
    customers: CustomerGroup,
    headers: dict[str, str],
    page_size: int,
    parameters: dict[str, str],
) -> None:
    everybody = [str(pk) for pk in Contact.objects.order_by("name", "id").values_list("pk", flat=True)]
    everybody = everybody or make_many(customers, 23)

    ids = walk(client, headers, page_size=page_size, **parameters)

    assert ids == (everybody if parameters != {"q": "55"} else [])


@pytest.mark.parametrize("parameters", [{}, {"phone": "1155"}, {"q": "maria"}])
def test_contacts_that_come_and_go_meanwhile_double_or_hide_no_other(
    client: Client, customers: CustomerGroup, headers: dict[str, str], parameters: dict[str, str]
) -> None:
    everybody = make_many(customers, 12)
    page = search(client, headers, page_size=2, **parameters)
    ids = [contact["id"] for contact in page["results"]]
    number = 0
    while page["next"]:
        for name in ("0", "Berg", "Zz"):
            number += 1
            make_person(customers, name, phone=f"0211 559{number:03}")
        # The contact where the page ended goes, too.
        Contact.objects.filter(pk=ids[-1]).delete()
        page = follow(client, headers, page["next"])
        ids += [contact["id"] for contact in page["results"]]
        assert number < 100

    assert [id for id in ids if id in everybody] == everybody
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("few", "near"), [(0, 0), (0, 6), (1, 3), (4, 100)])
def test_many_matches_are_found_as_few_are(
    client: Client,
    customers: CustomerGroup,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    near: int,
) -> None:
    make_many(customers, 12)
    make_person(customers, "Other", phone="0171 1234567", mobile="0171 12345678")
    make_hidden("Hidden", phone="0171 1234567")
    parameters: list[dict[str, str | int]] = [
        {"phone": "1155"},
        {"phone": "0171 123"},
        {"q": "berg"},
        {"q": "berg 55"},
        {"q": "berg 1155"},
        {"q": "1"},
        {"q": "0171 123"},
        {"phone": "1155", "q": "berg"},
        {"phone": "9" * 41},
    ]
    monkeypatch.setattr(searching, "FEW", 1_000)
    wanted = [walk(client, headers, page_size=3, **each) for each in parameters]

    monkeypatch.setattr(searching, "FEW", few)
    monkeypatch.setattr(searching, "NEAR", near)

    assert [walk(client, headers, page_size=3, **each) for each in parameters] == wanted
    assert [len(ids) for ids in wanted] == [12, 1, 5, 0, 5, 1, 1, 5, 0]


def test_next_is_a_whole_address_with_the_same_parameters(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_many(customers, 3)
    asked = {"phone": "+49 211 55", "q": "maria", "customer_group": "customers", "page_size": "2", "active": "true"}

    next = search(client, headers, **asked)["next"]
    assert next.startswith("http://testserver/api/v1/contacts?")
    parameters = dict(parse_qsl(urlsplit(next).query))
    assert parameters.pop("cursor")
    assert parameters == asked

    with override_settings(PUBLIC_URL="https://cmphone.example.com"):
        next = search(client, headers, **asked)["next"]
    assert next.startswith("https://cmphone.example.com/api/v1/contacts?")
    assert len(follow(client, headers, next)["results"]) == 1


def test_the_next_page_may_have_another_size(client: Client, customers: CustomerGroup, headers: dict[str, str]) -> None:
    everybody = make_many(customers, 9)
    page = search(client, headers, page_size=2)
    cursor = dict(parse_qsl(urlsplit(page["next"]).query))["cursor"]

    rest = search(client, headers, page_size=200, cursor=cursor)

    assert [contact["id"] for contact in page["results"] + rest["results"]] == everybody
    assert rest["next"] is None


def test_a_page_has_fifty_contacts_unless_one_asks_for_another_size(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_many(customers, 51)

    assert len(search(client, headers)["results"]) == 50
    assert len(search(client, headers, page_size=51)["results"]) == 51


@pytest.mark.parametrize("parameters", [{}, {"phone": "1155"}, {"q": "maria"}, {"q": "berg 1155"}, {"q": "55 00"}])
@pytest.mark.parametrize(("few", "statements"), [(2_000, 2), (0, 3)])
def test_a_page_takes_as_many_statements_for_many_contacts_as_for_few(
    client: Client,
    agent: User,
    customers: CustomerGroup,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, str],
    few: int,
    statements: int,
) -> None:
    monkeypatch.setattr(searching, "FEW", few)
    for name in ("partners", "suppliers"):
        give_rights(agent, make_customer_group(name, make_contact_model(f"model-{name}"), country_prefix="36"))
    make_person(customers, "Berg 55 00", phone="0211 550001")
    search(client, headers, **parameters)

    def count() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            search(client, headers, **parameters)
        found = [query for query in queries if re.search('"contacts_contact"|"numbering_indexentry"', query["sql"])]
        return len(found), len(queries)

    before = count()
    for number in range(30):
        make_person(customers, "Berg", phone=f"0211 55{number:04}", company=make_company(customers))

    assert before[0] == (statements if parameters else 1)
    assert count() == before


# --- bad input ---


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"phone": ""}, "#/phone", "too_short"),
        ({"phone": "12"}, "#/phone", "too_short"),
        ({"phone": "*"}, "#/phone", "too_short"),
        ({"phone": "*12*"}, "#/phone", "too_short"),
        ({"phone": "+49"}, "#/phone", "too_short"),
        ({"phone": "Anders"}, "#/phone", "too_short"),
        ({"phone": "021*339"}, "#/phone", "wildcard_inside"),
        ({"phone": "1" * 501}, "#/phone", "max_length"),
        ({"phone": "0211\x00339"}, "#/phone", "null_characters_not_allowed"),
        ({"q": "a" * 201}, "#/q", "max_length"),
        ({"q": "a\x00"}, "#/q", "null_characters_not_allowed"),
        ({"customer_group": ""}, "#/customer_group", "blank"),
        ({"customer_group": "x" * 51}, "#/customer_group", "max_length"),
        ({"active": "yes"}, "#/active", "invalid_choice"),
        ({"page_size": "0"}, "#/page_size", "min_value"),
        ({"page_size": "201"}, "#/page_size", "max_value"),
        ({"page_size": "-1"}, "#/page_size", "min_value"),
        ({"page_size": "many"}, "#/page_size", "invalid"),
        ({"page_size": ""}, "#/page_size", "invalid"),
        ({"page_size": "9" * 2_000}, "#/page_size", "max_string_length"),
        ({"cursor": "x"}, "#/cursor", "invalid"),
        ({"cursor": "☎:\ufffd"}, "#/cursor", "invalid"),
        ({"cursor": ""}, "#/cursor", "blank"),
        ({"cursor": "a" * 4_001}, "#/cursor", "max_length"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(
    client: Client, headers: dict[str, str], parameters: dict[str, str], pointer: str, code: str
) -> None:
    answer = client.get(URL, parameters, headers=headers)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].endswith("/problems/invalid-request")
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]
    assert len(problem["errors"][0]["detail"]) > 10


def test_parameters_that_nobody_knows_are_ignored(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers)

    assert find_names(client, headers, offset="3", nonsense="\x00") == ["Anders, Maria"]


def test_a_cursor_of_another_list_or_somebody_else_or_mended_is_refused(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_many(customers, 3)
    other = make_user("agent2")
    give_rights(other, customers)
    mine = dict(parse_qsl(urlsplit(search(client, headers, page_size=1, q="maria")["next"]).query))
    assert client.get(URL, mine, headers=headers).status_code == 200

    refused = [
        (mine | {"q": "mari"}, headers),
        (mine | {"phone": "0211"}, headers),
        (mine | {"active": "all"}, headers),
        (mine | {"customer_group": "customers"}, headers),
        (mine | {"cursor": mine["cursor"][:-1]}, headers),
        (mine | {"cursor": "A" + mine["cursor"]}, headers),
        (mine, log_in(other, "client-2")),
    ]
    for parameters, who in refused:
        answer = client.get(URL, parameters, headers=who)
        assert [error["pointer"] for error in answer.json()["errors"]] == ["#/cursor"]


def test_the_api_needs_a_token(client: Client, headers: dict[str, str]) -> None:
    assert client.get(URL).status_code == 401
    assert client.get(f"{URL}/1").status_code == 401
    assert client.get(f"{URL}/abc", headers=headers).status_code == 404
