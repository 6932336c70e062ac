"""Contacts written through the API, one by one: values, rights, versions, history."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.test import Client

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.models import Contact, ContactChange, CustomerGroup, CustomerGroupRight, User
from cmphone.contacts.services import draft_contact, save_contact
from numbering.models import IndexEntry
from tests.locks import start, wait_for_waiting
from tests.make import (
    TESTS,
    give_rights,
    log_in,
    make_company,
    make_customer_group,
    make_person,
    make_user,
)

pytestmark = pytest.mark.django_db

URL = "/api/v1/contacts"


@pytest.fixture
def customers() -> CustomerGroup:
    return make_customer_group("customers", country_prefix="49", area_prefix="211", company_line="339903")


@pytest.fixture
def agent(customers: CustomerGroup) -> User:
    user = make_user("agent1")
    give_rights(user, customers, create=True, edit=True)
    return user


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def send(
    client: Client, method: str, path: str, body: object, headers: dict[str, str], status: int = 200
) -> dict[str, Any]:
    answer = getattr(client, method)(URL + path, body, content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return dict(answer.json()) | {"etag": answer.headers.get("ETag")}


def pointers(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(answer["type"].rpartition("/")[2], error["pointer"]) for error in answer["errors"]]


# --- new contacts ---


def test_a_contact_is_made_found_and_remembered(
    client: Client, customers: CustomerGroup, agent: User, headers: dict[str, str]
) -> None:
    company = make_company(customers)
    body = {
        "customer_group": "customers",
        "kind": "person",
        "company": str(company.pk),
        "external_id": "crm-7",
        "fields": {"first_name": "Maria", "last_name": "Anders", "phone": "33990312", "mobile": ""},
    }

    made = send(client, "post", "", body, headers, 201)

    assert made["etag"] == '"1"'
    assert (made["name"], made["external_id"], made["active"]) == ("Anders, Maria", "crm-7", True)
    assert made["company"] == {"id": str(company.pk), "name": "Alfreds Futterkiste"}
    assert made["fields"]["phone"]["canonical"] == "4921133990312"
    assert "mobile" not in made["fields"]
    assert send(client, "get", f"/{made['id']}", None, headers) == made
    found = client.get("/api/v1/lookup", {"number": "0021133990312"}, headers=headers).json()
    assert [contact["id"] for contact in found["contacts"]] == [made["id"]]
    change = ContactChange.objects.get(contact_id=made["id"])
    assert (change.user, change.user_name, change.way, change.is_new, change.changes) == (
        agent,
        "agent1",
        "rest",
        True,
        {},
    )


def test_what_is_not_said_of_a_new_contact_is_taken_for_granted(client: Client, headers: dict[str, str]) -> None:
    made = send(client, "post", "", {"fields": {"last_name": "Anders"}}, headers, 201)

    assert (made["customer_group"]["internal_name"], made["kind"], made["company"], made["external_id"]) == (
        "customers",
        "person",
        None,
        "",
    )


def test_of_several_customer_groups_one_is_named(client: Client, agent: User, headers: dict[str, str]) -> None:
    give_rights(agent, make_customer_group("partners"), create=True)

    refused = send(client, "post", "", {"fields": {"last_name": "Anders"}}, headers, 400)

    assert pointers(refused) == [("invalid-request", "#/customer_group")]
    assert Contact.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], "#"),
        ('"x"', "#"),
        ({"fields": {"last_name": "x"}, "feilds": {}}, "#/feilds"),
        ({"fields": {"last_name": "x"}, "a/b~c": 1}, "#/a~1b~0c"),
        ({"fields": []}, "#/fields"),
        ({"fields": {"last_name": 7}}, "#/fields/last_name"),
        ({"fields": {"last_name": {"raw": []}}}, "#/fields/last_name"),
        ({"fields": {"last_name": "x" * 4_001}}, "#/fields/last_name"),
        ({"fields": {"last_name": "a\u0000"}}, "#/fields/last_name"),
        ({"fields": {"shoe_size": "44"}}, "#/fields/shoe_size"),
        ({"fields": {}}, "#/fields"),
        ({}, "#/fields"),
        ({"fields": {"last_name": "  "}}, "#/fields"),
        ({"fields": {"last_name": "x"}, "kind": "robot"}, "#/kind"),
        ({"fields": {"last_name": "x"}, "kind": None}, "#/kind"),
        ({"fields": {"last_name": "x"}, "active": "yes"}, "#/active"),
        ({"fields": {"last_name": "x"}, "external_id": 7}, "#/external_id"),
        ({"fields": {"last_name": "x"}, "external_id": "x" * 201}, "#/external_id"),
        ({"fields": {"last_name": "x"}, "external_id": "a\u0000"}, "#/external_id"),
        ({"fields": {"last_name": "x"}, "customer_group": 7}, "#/customer_group"),
        ({"fields": {"last_name": "x"}, "company": 7}, "#/company"),
        ({"fields": {"last_name": "x"}, "company": "999999999999999999999"}, "#/company"),
        ({"fields": {"last_name": "x"}, "company": {"external_id": "none"}}, "#/company"),
        ({"fields": {"name": "x"}, "kind": "company", "company": {"external_id": "C1"}}, "#/company"),
    ],
)
def test_what_cannot_be_used_is_pointed_at_and_changes_nothing(
    client: Client, customers: CustomerGroup, headers: dict[str, str], body: Any, pointer: str
) -> None:
    company = make_company(customers)
    Contact.objects.update(external_id="C1")
    person = make_person(customers)

    assert pointers(send(client, "post", "", body, headers, 400)) == [("invalid-request", pointer)]
    if body and pointer != "#/fields":
        assert pointers(send(client, "patch", f"/{person.pk}", body, headers, 400))[0][0] == "invalid-request"

    assert set(Contact.objects.values_list("pk", "version")) == {(company.pk, 1), (person.pk, 1)}


def test_everything_that_is_wrong_is_said_at_once(client: Client, headers: dict[str, str]) -> None:
    body = {"kind": 1, "active": 2, "fields": {"last_name": 3, "phone": 4}}

    assert [pointer for _, pointer in pointers(send(client, "post", "", body, headers, 400))] == [
        "#/kind",
        "#/active",
        "#/fields/last_name",
        "#/fields/phone",
    ]


def test_an_external_id_that_is_taken_is_a_conflict(client: Client, headers: dict[str, str]) -> None:
    body = {"external_id": "7", "fields": {"last_name": "Anders"}}
    send(client, "post", "", body, headers, 201)

    assert send(client, "post", "", body, headers, 409)["type"].endswith("/conflict")
    assert Contact.objects.count() == 1


# --- changes ---


def test_a_patch_changes_what_it_names_and_tells_who_did(
    client: Client, customers: CustomerGroup, agent: User, headers: dict[str, str]
) -> None:
    person = make_person(customers, phone="0211 1234567", mobile="0171 1234567")
    body = {"fields": {"phone": "0211 7654321", "mobile": None}, "active": True}

    changed = send(client, "patch", f"/{person.pk}", body, headers)

    assert changed["etag"] == '"2"'
    assert (changed["fields"]["phone"]["raw"], changed["fields"]["last_name"]) == ("0211 7654321", "Anders")
    assert "mobile" not in changed["fields"]
    assert [entry.canonical for entry in IndexEntry.objects.all()] == ["492117654321"]
    change = ContactChange.objects.latest("id")
    assert (change.user, change.is_new) == (agent, False)
    assert change.changes == {
        "fields/phone": ["0211 1234567", "0211 7654321"],
        "fields/mobile": ["0171 1234567", None],
    }


def test_what_was_read_may_be_sent_back_and_changes_nothing(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    person = make_person(customers, company=make_company(customers), phone="0211 1234567")
    read = send(client, "get", f"/{person.pk}", None, headers)
    body = {key: value for key, value in read.items() if key != "etag"}

    assert send(client, "patch", f"/{person.pk}", body, headers) == read
    assert ContactChange.objects.filter(contact=person).count() == 1


def test_a_company_is_taken_away_and_given(client: Client, customers: CustomerGroup, headers: dict[str, str]) -> None:
    company = make_company(customers)
    Contact.objects.filter(pk=company.pk).update(external_id="C1")
    person = make_person(customers, company=company)

    assert send(client, "patch", f"/{person.pk}", {"company": None}, headers)["company"] is None
    given = send(client, "patch", f"/{person.pk}", {"company": {"external_id": "C1"}}, headers)

    assert given["company"] == {"id": str(company.pk), "name": "Alfreds Futterkiste"}
    assert [change.changes for change in ContactChange.objects.filter(contact=person, is_new=False).order_by("id")] == [
        {"company": [str(company.pk), None]},
        {"company": [None, str(company.pk)]},
    ]


def test_an_inactive_contact_is_found_by_no_number_until_it_is_restored(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    person = make_person(customers, phone="0211 1234567")

    send(client, "patch", f"/{person.pk}", {"active": False}, headers)
    assert IndexEntry.objects.count() == 0
    send(client, "patch", f"/{person.pk}", {"active": True}, headers)
    assert IndexEntry.objects.count() == 1


@pytest.mark.parametrize("body", [{"customer_group": "elsewhere"}, {"kind": "company", "fields": {"name": "x"}}])
def test_kind_and_customer_group_stay(
    client: Client, agent: User, customers: CustomerGroup, headers: dict[str, str], body: dict[str, object]
) -> None:
    give_rights(agent, make_customer_group("elsewhere"), create=True, edit=True)
    person = make_person(customers)

    refused = send(client, "patch", f"/{person.pk}", body, headers, 400)

    assert pointers(refused)[0] == ("invalid-request", f"#/{next(iter(body))}")


# --- versions ---


@pytest.mark.parametrize("method", ["patch", "delete"])
@pytest.mark.parametrize("tag", ['"1"', 'W/"2"', '"2", "3"', "nonsense", "", '"99999999999999999999"'])
def test_a_version_that_is_not_the_present_one_is_refused(
    client: Client, customers: CustomerGroup, headers: dict[str, str], method: str, tag: str
) -> None:
    person = make_person(customers)
    send(client, "patch", f"/{person.pk}", {"fields": {"last_name": "Second"}}, headers)

    body = {"fields": {"last_name": "Third"}}
    refused = send(client, method, f"/{person.pk}", body, {**headers, "If-Match": tag}, 412)

    assert refused["type"].endswith("/precondition-failed")
    assert Contact.objects.get().fields["last_name"] == "Second"


@pytest.mark.parametrize("tag", ['"2"', "*"])
def test_the_present_version_is_changed(
    client: Client, customers: CustomerGroup, headers: dict[str, str], tag: str
) -> None:
    person = make_person(customers)
    send(client, "patch", f"/{person.pk}", {"fields": {"last_name": "Second"}}, headers)

    body = {"fields": {"last_name": "Third"}}
    assert send(client, "patch", f"/{person.pk}", body, {**headers, "If-Match": tag})["etag"] == '"3"'


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("tag", "status"), [(None, 200), ('"1"', 412)])
def test_of_two_at_once_the_later_one_goes_on_top_unless_it_named_a_version(
    client: Client, customers: CustomerGroup, headers: dict[str, str], tag: str | None, status: int
) -> None:
    person = make_person(customers, phone="1")
    sent = headers | ({"If-Match": tag} if tag else {})
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            draft = draft_contact(person, get_current_configuration().groups[customers.pk])
            draft.fields = {**draft.fields, "phone": "0211 7654321"}
            save_contact(draft, by=TESTS)
            later = start(
                threads, lambda: send(client, "patch", f"/{person.pk}", {"fields": {"mobile": "12"}}, sent, status)
            )
            wait_for_waiting()
        later.result(10)

    person.refresh_from_db()
    assert person.fields["phone"] == "0211 7654321"
    assert person.fields.get("mobile") == ("12" if status == 200 else None)


# --- deletion ---


def test_a_deleted_contact_leaves_no_more_than_who_deleted_it(
    client: Client, customers: CustomerGroup, agent: User, headers: dict[str, str]
) -> None:
    person = make_person(customers, phone="0211 1234567")

    answer = client.delete(f"{URL}/{person.pk}", headers=headers)

    assert (answer.status_code, answer.content) == (204, b"")
    assert (Contact.objects.count(), IndexEntry.objects.count(), ContactChange.objects.count()) == (0, 0, 0)
    assert [(entry.user, entry.object_repr, entry.is_deletion()) for entry in LogEntry.objects.all()] == [
        (agent, f"contact {person.pk}", True)
    ]
    assert client.delete(f"{URL}/{person.pk}", headers=headers).status_code == 404


def test_a_company_with_persons_is_not_deleted(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    company = make_company(customers)
    make_person(customers, company=company)

    assert send(client, "delete", f"/{company.pk}", None, headers, 409)["type"].endswith("/conflict")
    assert (Contact.objects.count(), LogEntry.objects.count()) == (2, 0)


# --- drafts ---


@pytest.mark.parametrize(
    ("number", "prefilled"),
    [
        ("0021133990312", "+49 211 33990312"),
        ("+4921133990312", "+49 211 33990312"),
        ("", ""),
        ("anonymous", ""),
        ("gibberish", "gibberish"),
    ],
)
def test_a_draft_has_the_caller_in_its_first_telephone_field(
    client: Client, customers: CustomerGroup, headers: dict[str, str], number: str, prefilled: str
) -> None:
    answer = client.get(f"{URL}/draft", {"number": number}, headers=headers).json()

    assert answer == {
        "customer_group": str(customers.pk),
        "kind": "person",
        "company": None,
        "external_id": "",
        "active": True,
        "fields": {"first_name": "", "last_name": "", "phone": prefilled, "mobile": "", "private_phone": ""},
    }


def test_a_draft_that_is_filled_in_is_a_contact(client: Client, headers: dict[str, str]) -> None:
    draft = client.get(f"{URL}/draft", {"number": "0021133990312", "kind": "company"}, headers=headers).json()
    draft["fields"]["name"] = "Alfreds Futterkiste"

    assert send(client, "post", "", draft, headers, 201)["fields"]["phone"]["canonical"] == "4921133990312"


# --- rights ---


@pytest.fixture
def hidden(agent: User) -> Contact:
    other = make_customer_group("secret")
    person = make_person(other, "Hidden", company=make_company(other, "Hidden Company"))
    Contact.objects.filter(pk=person.pk).update(external_id="H1")
    return person


def test_a_hidden_contact_answers_as_one_that_is_not_there(
    client: Client, customers: CustomerGroup, headers: dict[str, str], hidden: Contact
) -> None:
    def ask(method: str, contact_id: int) -> tuple[int, dict[str, Any]]:
        answer = getattr(client, method)(
            f"{URL}/{contact_id}", {"active": False}, content_type="application/json", headers=headers
        )
        return answer.status_code, {**answer.json(), "request_id": ""}

    for method in ("get", "patch", "delete"):
        assert ask(method, hidden.pk) == ask(method, 999_999_999)
        assert ask(method, hidden.pk)[0] == 404
    assert hidden.company is not None
    body = {"customer_group": "customers", "fields": {"last_name": "x"}}
    for company in (str(hidden.company.pk), "999999999"):
        refused = send(client, "post", "", {**body, "company": company}, headers, 400)
        assert (pointers(refused), refused["errors"][0]["detail"]) == (
            [("invalid-request", "#/company")],
            "The customer group has no such company.",
        )
    for group in ("secret", str(hidden.customer_group_id), "none"):
        refused = send(client, "post", "", {**body, "customer_group": group}, headers, 404)
        assert pointers(refused) == [("not-found", "#/customer_group")]
        assert client.get(f"{URL}/draft", {"customer_group": group}, headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("rights", "statuses"),
    [
        ({"view": False, "create": False, "edit": False}, (404, 404, 404, 403, 404)),
        ({"view": True, "create": False, "edit": False}, (200, 403, 403, 403, 403)),
        ({"view": False, "create": True, "edit": False}, (404, 404, 201, 200, 404)),
        ({"view": False, "create": False, "edit": True}, (404, 404, 403, 403, 404)),
        ({"view": True, "create": True, "edit": False}, (200, 403, 201, 200, 403)),
        ({"view": True, "create": False, "edit": True}, (200, 200, 403, 403, 204)),
    ],
)
def test_each_right_allows_just_its_own(
    client: Client, customers: CustomerGroup, rights: dict[str, bool], statuses: tuple[int, ...]
) -> None:
    user = make_user("other")
    give_rights(user, customers, **rights)
    headers = log_in(user)
    person = make_person(customers)

    def ask(method: str, path: str, body: object = None) -> int:
        answer = getattr(client, method)(URL + path, body, content_type="application/json", headers=headers)
        return int(answer.status_code)

    body = {"customer_group": "customers", "fields": {"last_name": "New"}}
    assert (
        ask("get", f"/{person.pk}"),
        ask("patch", f"/{person.pk}", {"fields": {"last_name": "Changed"}}),
        ask("post", "", body),
        ask("get", "/draft"),
        ask("delete", f"/{person.pk}"),
    ) == statuses


def test_a_right_that_is_taken_away_is_gone_with_the_next_request(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    person = make_person(customers)
    send(client, "patch", f"/{person.pk}", {"fields": {"last_name": "One"}}, headers)

    CustomerGroupRight.objects.update(can_edit=False)
    refused = send(client, "patch", f"/{person.pk}", {"fields": {"last_name": "Two"}}, headers, 403)
    assert refused["type"].endswith("/permission-denied")
    CustomerGroupRight.objects.all().delete()
    unknown = send(client, "patch", f"/{person.pk}", {"fields": {"last_name": "Two"}}, headers, 404)
    assert unknown["type"].endswith("/not-found")
    person.refresh_from_db()
    assert (person.fields["last_name"], person.version) == ("One", 2)


def test_who_may_only_create_does_not_learn_which_external_ids_there_are(
    client: Client, customers: CustomerGroup
) -> None:
    user = make_user("intake")
    give_rights(user, customers, view=False, create=True)
    headers = log_in(user)
    make_person(customers)
    Contact.objects.update(external_id="taken")

    def refuse(external_id: str) -> list[dict[str, Any]]:
        fields = {"fields": {"last_name": "x"}}
        answers = [
            send(client, "post", "", {"external_id": external_id, **fields}, headers, 403),
            send(client, "put", f"/by-external-id/{external_id}", fields, headers, 403),
        ]
        return [
            {name: value for name, value in each.items() if name in {"type", "title", "detail"}} for each in answers
        ]

    assert refuse("taken") == refuse("free")
    assert Contact.objects.count() == 1
