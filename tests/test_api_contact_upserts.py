"""Contacts written through the API by their external ids: one, and many at once."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts import upserting
from cmphone.contacts.models import Contact, ContactChange, CustomerGroup, User
from cmphone.contacts.services import ContactDraft, save_contact
from numbering.models import IndexEntry
from tests.locks import start, wait_for_waiting
from tests.make import TESTS, give_rights, log_in, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/contacts"


@pytest.fixture
def customers() -> CustomerGroup:
    return make_customer_group("customers", country_prefix="49", area_prefix="211")


@pytest.fixture
def agent(customers: CustomerGroup) -> User:
    user = make_user("agent1")
    give_rights(user, customers, create=True, edit=True)
    return user


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def put(
    client: Client, external_id: str, body: object, headers: dict[str, str], status: int, query: str = ""
) -> dict[str, Any]:
    answer = client.put(
        f"{URL}/by-external-id/{external_id}{query}", body, content_type="application/json", headers=headers
    )
    assert answer.status_code == status, answer.content
    return dict(answer.json())


def upsert(
    client: Client, headers: dict[str, str], *contacts: object, query: str = "", status: int = 200
) -> list[dict[str, Any]]:
    body = {"contacts": contacts}
    answer = client.post(f"{URL}/bulk{query}", body, content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return list(answer.json()["results"])


def outcomes(results: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(result["outcome"], result["status"]) for result in results]


def person(external_id: str, last_name: str = "Anders", **values: object) -> dict[str, object]:
    return {"external_id": external_id, "fields": {"last_name": last_name}, **values}


# --- one ---


def test_the_first_makes_and_the_next_changes(client: Client, headers: dict[str, str]) -> None:
    made = put(client, "crm/7", {"fields": {"last_name": "Anders", "phone": "0211 1"}}, headers, 201)
    changed = put(client, "crm/7", {"fields": {"last_name": "Zeisig", "phone": ""}}, headers, 200)

    assert (made["id"], made["external_id"]) == (changed["id"], "crm/7")
    # What is empty overwrites nothing, unless that is asked for.
    assert (changed["fields"]["last_name"], changed["fields"]["phone"]["raw"]) == ("Zeisig", "0211 1")
    emptied = put(client, "crm/7", {"fields": {"phone": ""}}, headers, 200, "?overwrite_empty=true")
    assert "phone" not in emptied["fields"]
    assert [change.is_new for change in ContactChange.objects.order_by("id")] == [True, False, False]


def test_the_body_says_nothing_else_than_the_address(client: Client, headers: dict[str, str]) -> None:
    refused = put(client, "7", {"external_id": "8", "fields": {"last_name": "x"}}, headers, 400)

    assert [error["pointer"] for error in refused["errors"]] == ["#/external_id"]
    assert Contact.objects.count() == 0


def test_a_version_that_is_not_there_is_refused(client: Client, headers: dict[str, str]) -> None:
    body = {"fields": {"last_name": "Anders"}}
    put(client, "7", body, {**headers, "If-Match": '"1"'}, 412)
    put(client, "7", body, headers, 201)
    put(client, "7", {"fields": {"last_name": "B"}}, {**headers, "If-Match": '"1"'}, 200)
    put(client, "7", {"fields": {"last_name": "C"}}, {**headers, "If-Match": '"1"'}, 412)

    assert Contact.objects.get().fields["last_name"] == "B"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("many", [False, True])
def test_who_comes_second_with_an_external_id_changes_what_the_first_made(
    client: Client, customers: CustomerGroup, headers: dict[str, str], many: bool
) -> None:
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            save_contact(ContactDraft(customers.pk, "person", {"last_name": "A"}, external_id="7"), by=TESTS)
            if many:
                sent = [person("6"), person("7", "B"), person("8")]
                second: Future[Any] = start(threads, lambda: upsert(client, headers, *sent))
            else:
                second = start(threads, lambda: put(client, "7", {"fields": {"last_name": "B"}}, headers, 200))
            wait_for_waiting()
        answer = second.result(10)

    if many:
        assert outcomes(answer) == [("created", 201), ("changed", 200), ("created", 201)]
    assert Contact.objects.get(external_id="7").fields == {"last_name": "B"}


# --- many ---


def test_each_has_its_own_result_in_order(client: Client, agent: User, headers: dict[str, str]) -> None:
    give_rights(agent, make_customer_group("read only"))
    upsert(client, headers, person("1", customer_group="customers"), person("2"))

    results = upsert(
        client,
        headers,
        person("1", "Changed"),
        person("2"),
        person("3", "New"),
        {"external_id": "4", "fields": {"shoe_size": "44"}},
        {"fields": {"last_name": "Without"}},
        7,
        person("5", customer_group="read only"),
        person("6", customer_group="none"),
        person("7", company={"external_id": "none"}),
        {"fields": {"last_name": 8}, "external_id": "8"},
    )

    assert outcomes(results) == [
        ("changed", 200),
        ("unchanged", 200),
        ("created", 201),
        ("refused", 400),
        ("created", 201),
        ("refused", 400),
        ("refused", 403),
        ("refused", 404),
        ("refused", 400),
        ("refused", 400),
    ]
    assert [[error["pointer"] for error in result["errors"]] for result in results] == [
        [],
        [],
        [],
        ["#/contacts/3/fields/shoe_size"],
        [],
        ["#/contacts/5"],
        [],
        ["#/contacts/7/customer_group"],
        ["#/contacts/8/company"],
        ["#/contacts/9/fields/last_name"],
    ]
    assert [result["type"] for result in results[3:]] == [
        "invalid-request",
        None,
        "invalid-request",
        "permission-denied",
        "not-found",
        "invalid-request",
        "invalid-request",
    ]
    ids = dict(Contact.objects.values_list("external_id", "pk"))
    assert [result["id"] for result in results[:3]] == [str(ids["1"]), str(ids["2"]), str(ids["3"])]
    assert Contact.objects.count() == 4


def test_the_same_twice_in_one_request_is_made_and_then_changed(client: Client, headers: dict[str, str]) -> None:
    results = upsert(client, headers, person("1", "A"), person("2"), person("1", "B"), person("1", "B"))

    assert outcomes(results) == [("created", 201), ("created", 201), ("changed", 200), ("unchanged", 200)]
    assert Contact.objects.get(external_id="1").fields == {"last_name": "B"}


def test_a_person_may_come_before_its_company(client: Client, headers: dict[str, str]) -> None:
    company = {"external_id": "C1", "kind": "company", "fields": {"name": "Alfreds Futterkiste"}}

    results = upsert(client, headers, person("1", company={"external_id": "C1"}), company)

    assert outcomes(results) == [("created", 201)] * 2
    assert Contact.objects.get(external_id="1").company == Contact.objects.get(external_id="C1")


def test_a_dry_run_answers_the_same_and_changes_nothing(client: Client, headers: dict[str, str]) -> None:
    upsert(client, headers, person("1"))
    sent = [person("1", "Changed"), person("2"), {"fields": {}}]

    tried = upsert(client, headers, *sent, query="?dry_run=true")
    assert Contact.objects.get().fields == {"last_name": "Anders"}
    done = upsert(client, headers, *sent)

    assert outcomes(tried) == outcomes(done) == [("changed", 200), ("created", 201), ("refused", 400)]
    assert [result["id"] for result in tried] == [done[0]["id"], None, None]


@pytest.mark.parametrize("body", [{}, {"contacts": {}}, {"contacts": [], "more": 1}, "7", {"contacts": [{}] * 1_001}])
def test_what_is_no_list_of_up_to_a_thousand_is_refused_whole(
    client: Client, headers: dict[str, str], body: object
) -> None:
    answer = client.post(f"{URL}/bulk", body, content_type="application/json", headers=headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/contacts")


def test_a_hidden_contact_of_an_external_id_is_not_there(client: Client, agent: User, headers: dict[str, str]) -> None:
    hidden = make_person(make_customer_group("secret"), "Hidden")
    Contact.objects.filter(pk=hidden.pk).update(external_id="7")

    results = upsert(client, headers, person("7"), person("7", customer_group="secret"))

    assert outcomes(results) == [("created", 201), ("refused", 404)]
    hidden.refresh_from_db()
    assert (hidden.version, hidden.fields["last_name"]) == (1, "Hidden")


@pytest.mark.django_db(transaction=True)
def test_a_batch_takes_as_many_statements_as_one(client: Client, headers: dict[str, str]) -> None:
    upsert(client, headers, person("0"))

    def count(first: int, number: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            upsert(client, headers, *(person(str(first + n)) for n in range(number)))
        return len(captured)

    assert count(1, 1) == count(2, upserting.BATCH)
    assert IndexEntry.objects.count() == 0
