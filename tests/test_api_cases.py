"""Cases through the API: made once, listed, and only by whom and to whom the rights of contact and queue allow."""

import re
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.access.services import create_api_key
from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, CustomerGroup, CustomerGroupRight, Queue, QueueRight, User
from tests.make import give_rights, log_in, make_case, make_customer_group, make_person, make_queue, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/cases"
NOWHERE = 999_999_999


class Place(NamedTuple):
    """A customer group with one contact, and the queue of its cases."""

    group: CustomerGroup
    contact: Contact
    queue: Queue
    url: str


@pytest.fixture
def place() -> Place:
    group = make_customer_group("customers")
    queue = Queue.objects.create(name="helpdesk", label_de="Hilfe", label_en="Help")
    queue.customer_groups.add(group)
    contact = make_person(group)
    return Place(group, contact, queue, f"/api/v1/contacts/{contact.pk}/cases")


@pytest.fixture
def root() -> User:
    return make_user("root", is_superuser=True)


def give_queue(user: User, queue: Queue, *, can_create: bool = True) -> Group:
    """Give the user a new role with this right on a queue."""
    role = Group.objects.create(name=f"{user.username}-{queue.name}")
    QueueRight.objects.create(role=role, queue=queue, can_create=can_create)
    user.groups.add(role)
    return role


@pytest.fixture
def agent(place: Place) -> User:
    """Somebody who may view the contact and create cases in the queue."""
    user = User.objects.create(username="agent1", first_name="Anna", last_name="Bell", language="en")
    give_rights(user, place.group)
    give_queue(user, place.queue)
    return user


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def body_of(place: Place, **values: object) -> dict[str, object]:
    return {"contact": str(place.contact.pk), "queue": "helpdesk", "subject": "Printer", **values}


def post(
    client: Client, headers: dict[str, str], body: dict[str, object], *, url: str = URL, key: str | None = None
) -> Any:
    extra = {"Idempotency-Key": key} if key is not None else {}
    return client.post(url, body, content_type="application/json", headers=headers | extra)


def list_ids(client: Client, headers: dict[str, str], **parameters: str | int) -> list[int]:
    answer = client.get(URL, parameters, headers=headers)
    assert answer.status_code == 200, answer.content
    return [int(case["id"]) for case in answer.json()["results"]]


def list_errors(answer: Any) -> list[tuple[str, str]]:
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "invalid-request")
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


def without_id(answer: Any) -> tuple[int, dict[str, object]]:
    return answer.status_code, {key: value for key, value in answer.json().items() if key != "request_id"}


# --- making ---


def test_a_case_is_made_and_answered_with_all_it_is(
    client: Client, place: Place, agent: User, headers: dict[str, str]
) -> None:
    answer = post(client, headers, body_of(place, subject="  Printer\n  burns ", description="Since noon.\n"))

    case = Case.objects.get()
    assert answer.status_code == 201
    body = dict(answer.json())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body.pop("created_at"))
    assert body == {
        "id": str(case.pk),
        "queue": {"id": str(place.queue.pk), "name": "Help", "internal_name": "helpdesk"},
        "contact": {"id": str(place.contact.pk), "name": "Anders, Maria"},
        "customer_group": {"id": str(place.group.pk), "name": "customers en", "internal_name": "customers"},
        "subject": "Printer burns",
        "description": "Since noon.",
        "created_by": {"id": str(agent.pk), "display_name": "Anna Bell"},
        "url": f"http://testserver/cases/{case.pk}/",
    }
    shown = client.get(f"{URL}/{case.pk}", headers=headers)
    assert shown.json() == answer.json()
    assert client.get(URL, headers=headers).json() == {"results": [answer.json()], "next": None}


def test_a_queue_is_named_by_its_id_or_its_internal_name(client: Client, place: Place, headers: dict[str, str]) -> None:
    for named in (place.queue.pk, str(place.queue.pk), "helpdesk"):
        assert post(client, headers, body_of(place, queue=named)).status_code == 201
    for named in ("Helpdesk", "Help", "0", "-1", "9" * 30, "²", "1.0"):
        assert list_errors(post(client, headers, body_of(place, queue=named))) == [("#/queue", "does_not_exist")]


def test_a_case_of_a_contact_is_made_at_its_address(client: Client, place: Place, headers: dict[str, str]) -> None:
    body: dict[str, object] = {"queue": "helpdesk", "subject": "Printer", "contact": str(NOWHERE)}
    answer = post(client, headers, body, url=place.url)

    assert (answer.status_code, answer.json()["contact"]["id"]) == (201, str(place.contact.pk))
    assert list_errors(post(client, headers, {}, url=place.url)) == [("#/queue", "required"), ("#/subject", "required")]


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({"subject": ""}, [("#/subject", "blank")]),
        ({"subject": " \n "}, [("#/subject", "blank")]),
        ({"subject": "x" * 201}, [("#/subject", "max_length")]),
        ({"subject": "a\0b"}, [("#/subject", "null_characters_not_allowed")]),
        ({"subject": None}, [("#/subject", "null")]),
        ({"subject": ["a"]}, [("#/subject", "invalid")]),
        ({"description": "x" * 20_001}, [("#/description", "max_length")]),
        ({"contact": ""}, [("#/contact", "blank")]),
        ({"contact": "x"}, [("#/contact", "does_not_exist")]),
        ({"contact": "9" * 30}, [("#/contact", "does_not_exist")]),
        ({"contact": NOWHERE, "queue": "none"}, [("#/contact", "does_not_exist"), ("#/queue", "does_not_exist")]),
    ],
)
def test_what_is_wrong_is_told_by_its_place_and_nothing_is_made(
    client: Client, place: Place, headers: dict[str, str], values: dict[str, object], errors: list[tuple[str, str]]
) -> None:
    assert list_errors(post(client, headers, body_of(place, **values))) == errors
    assert Case.objects.count() == 0


def test_details_follow_the_language_of_the_request(client: Client, place: Place, headers: dict[str, str]) -> None:
    other = make_customer_group("other")
    place.queue.customer_groups.set([other])
    answer = post(client, headers | {"Accept-Language": "en"}, body_of(place))
    assert [error["detail"] for error in answer.json()["errors"]] == [
        "This queue takes no cases of the contact's customer group. Choose another one."
    ]


# --- sent again ---


def test_a_request_sent_again_makes_no_second_case(client: Client, place: Place, headers: dict[str, str]) -> None:
    first = post(client, headers, body_of(place), key="call-17")
    # The same queue by another name, at another address, is the same case.
    again = post(client, headers, body_of(place, queue=str(place.queue.pk)), key="call-17", url=place.url)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert Case.objects.count() == 1


@pytest.mark.parametrize(
    "values", [{"subject": "Scanner"}, {"description": "more"}, {"queue": "sales"}, {"contact": 0}]
)
def test_a_key_is_of_one_case(
    client: Client, place: Place, agent: User, headers: dict[str, str], values: dict[str, object]
) -> None:
    sales = Queue.objects.create(name="sales")
    sales.customer_groups.add(place.group)
    give_queue(agent, sales)
    other = make_person(place.group, "Berg")
    if "contact" in values:
        values = {"contact": str(other.pk)}
    assert post(client, headers, body_of(place), key="k").status_code == 201

    answer = post(client, headers, body_of(place, **values), key="k")

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "conflict")
    assert Case.objects.count() == 1
    assert post(client, headers, body_of(place, **values), key="another").status_code == 201


def test_a_key_is_the_user_s_own(client: Client, place: Place, headers: dict[str, str], root: User) -> None:
    assert post(client, headers, body_of(place), key="k").status_code == 201
    assert post(client, log_in(root, "other"), body_of(place, subject="Scanner"), key="k").status_code == 201
    assert Case.objects.count() == 2


def test_without_a_key_two_requests_make_two_cases(client: Client, place: Place, headers: dict[str, str]) -> None:
    assert [post(client, headers, body_of(place)).status_code for _ in range(2)] == [201, 201]
    assert Case.objects.count() == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 101, "schlüssel"])
def test_a_key_that_is_none_is_refused(client: Client, place: Place, headers: dict[str, str], key: str) -> None:
    answer = post(client, headers | {"Accept-Language": "en"}, body_of(place), key=key)
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "Send as Idempotency-Key 1 to 100 printable ASCII characters without space.",
    )
    assert Case.objects.count() == 0


def test_a_key_sent_again_after_the_right_went_is_refused_as_a_first_one(
    client: Client, place: Place, headers: dict[str, str]
) -> None:
    assert post(client, headers, body_of(place), key="k").status_code == 201
    CustomerGroupRight.objects.all().delete()
    assert list_errors(post(client, headers, body_of(place), key="k")) == [("#/contact", "does_not_exist")]


# --- the list ---


def test_the_list_is_paged_the_newest_first(client: Client, place: Place, agent: User, headers: dict[str, str]) -> None:
    ids = [make_case(agent, place.contact, place.queue, f"Case {number}").pk for number in range(5)]
    first = client.get(URL, {"page_size": 2}, headers=headers).json()
    newer = make_case(agent, place.contact, place.queue, "Newer")
    Case.objects.filter(pk=ids[3]).delete()

    pages, following = [first], first["next"]
    while following:
        pages.append(client.get(following.removeprefix("http://testserver"), headers=headers).json())
        following = pages[-1]["next"]

    assert [int(case["id"]) for page in pages for case in page["results"]] == ids[::-1]
    assert list_ids(client, headers) == [newer.pk, ids[4], ids[2], ids[1], ids[0]]


def test_the_list_is_narrowed_by_contact_and_queue(
    client: Client, place: Place, agent: User, headers: dict[str, str]
) -> None:
    sales = Queue.objects.create(name="sales")
    sales.customer_groups.add(place.group)
    give_queue(agent, sales)
    berg = make_person(place.group, "Berg")
    one = make_case(agent, place.contact, place.queue).pk
    two = make_case(agent, place.contact, sales).pk
    three = make_case(agent, berg, sales).pk

    assert list_ids(client, headers, contact=place.contact.pk) == [two, one]
    assert list_ids(client, headers, queue="sales") == [three, two]
    assert list_ids(client, headers, queue=sales.pk, contact=berg.pk) == [three]
    assert list_ids(client, headers, queue="helpdesk", contact=berg.pk) == []


def test_a_cursor_is_of_one_list(client: Client, place: Place, agent: User, headers: dict[str, str]) -> None:
    for _ in range(2):
        make_case(agent, place.contact, place.queue)
    following = client.get(URL, {"page_size": 1}, headers=headers).json()["next"]
    cursor = following.partition("cursor=")[2]
    for parameters in ({"cursor": "x"}, {"cursor": cursor, "queue": "helpdesk"}):
        assert list_errors(client.get(URL, parameters, headers=headers)) == [("#/cursor", "invalid")]


def test_the_list_takes_as_many_queries_for_many_cases(
    client: Client, place: Place, agent: User, headers: dict[str, str]
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(URL, headers=headers)
        return len(queries)

    make_case(agent, place.contact, place.queue)
    count()
    few = count()
    for number in range(20):
        make_case(agent, make_person(place.group, f"A{number}"), place.queue)
    assert count() == few


def test_a_case_keeps_the_name_of_a_user_who_is_gone(client: Client, place: Place, agent: User, root: User) -> None:
    case = make_case(agent, place.contact, place.queue)
    agent.delete()
    shown = client.get(f"{URL}/{case.pk}", headers=log_in(root)).json()
    assert shown["created_by"] == {"id": None, "display_name": "Anna Bell"}


def test_a_contact_with_cases_is_not_deleted(
    client: Client, place: Place, agent: User, headers: dict[str, str]
) -> None:
    case = make_case(agent, place.contact, place.queue)
    CustomerGroupRight.objects.update(can_edit=True)
    url = f"/api/v1/contacts/{place.contact.pk}"
    answer = client.delete(url, headers=headers | {"Accept-Language": "en"})
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "There are cases of this contact. Make it inactive instead.",
    )
    case.delete()
    assert client.delete(url, headers=headers).status_code == 204


# --- rights ---


@pytest.mark.parametrize(
    ("view", "queue", "served", "errors"),
    [
        ("own", "own", True, []),
        ("none", "none", True, [("#/contact", "does_not_exist"), ("#/queue", "does_not_exist")]),
        ("own", "none", True, [("#/queue", "does_not_exist")]),
        ("own", "other", True, [("#/queue", "does_not_exist")]),
        ("own", "denied", True, [("#/queue", "does_not_exist")]),
        ("none", "own", True, [("#/contact", "does_not_exist")]),
        ("other", "own", True, [("#/contact", "does_not_exist")]),
        # To create and to edit contacts is not to view them.
        ("blind", "own", True, [("#/contact", "does_not_exist")]),
        ("own", "own", False, [("#/queue", "not_served")]),
        ("super", "none", True, []),
        ("super", "none", False, [("#/queue", "not_served")]),
    ],
)
def test_a_case_takes_view_and_queue_and_a_queue_that_serves_the_group(
    client: Client, place: Place, view: str, queue: str, served: bool, errors: list[tuple[str, str]]
) -> None:
    other = make_customer_group("other")
    other_queue = Queue.objects.create(name="sales")
    other_queue.customer_groups.set([place.group, other])
    if not served:
        place.queue.customer_groups.set([other])
    user = make_user("agent1", is_superuser=view == "super")
    match view:
        case "own":
            give_rights(user, place.group)
        case "other":
            give_rights(user, other)
        case "blind":
            give_rights(user, place.group, view=False, create=True, edit=True)
    match queue:
        case "own":
            give_queue(user, place.queue)
        case "denied":
            give_queue(user, place.queue, can_create=False)
        case "other":
            give_queue(user, other_queue)
    headers = log_in(user)

    answer = post(client, headers, body_of(place))
    assert ([] if answer.status_code == 201 else list_errors(answer)) == errors
    assert Case.objects.count() == (not errors)
    # What is not his gives to the letter what there is not.
    nowhere = body_of(
        place,
        **({"contact": str(NOWHERE)} if ("#/contact", "does_not_exist") in errors else {}),
        **({"queue": "no-such-queue"} if ("#/queue", "does_not_exist") in errors else {}),
    )
    if errors:
        assert without_id(post(client, headers, nowhere)) == without_id(answer)

    at_contact = post(client, headers, body_of(place), url=place.url)
    if ("#/contact", "does_not_exist") in errors:
        missing = post(client, headers, body_of(place), url=f"/api/v1/contacts/{NOWHERE}/cases")
        assert without_id(at_contact) == without_id(missing)
        assert at_contact.status_code == 404
    else:
        assert ([] if at_contact.status_code == 201 else list_errors(at_contact)) == errors

    groups = client.get("/api/v1/customer-groups", headers=headers).json()["results"]
    mine = next((group for group in groups if group["id"] == str(place.group.pk)), None)
    if mine is not None:
        may_here = "helpdesk" in [each["internal_name"] for each in mine["queues"]]
        assert may_here is (errors == [])
        assert mine["rights"]["create_case"] is bool(mine["queues"])


@pytest.mark.parametrize(
    ("view", "queue", "made", "readable"),
    [
        (True, True, False, True),
        (True, True, True, True),
        (True, False, True, True),
        (True, False, False, False),
        (False, True, False, False),
        (False, True, True, False),
        (False, False, True, False),
        (False, False, False, False),
    ],
)
def test_a_case_is_read_by_whom_views_its_contact_and_has_its_queue_or_made_it(
    client: Client, place: Place, root: User, view: bool, queue: bool, made: bool, readable: bool
) -> None:
    user = make_user("agent1")
    case = make_case(root, place.contact, place.queue)
    # Another one that is in his reach, so that his list is not empty for want of any right.
    group = make_customer_group("mine")
    mine = make_queue("mine", [group], give_rights(user, group))
    own = make_case(user, make_person(group), mine)
    if made:
        Case.objects.filter(pk=case.pk).update(created_by=user)
    if view:
        give_rights(user, place.group)
    if queue:
        give_queue(user, place.queue)
    headers = log_in(user)

    assert list_ids(client, headers) == [own.pk, *([case.pk] if readable else [])]
    answer = client.get(f"{URL}/{case.pk}", headers=headers)
    missing = client.get(f"{URL}/{NOWHERE}", headers=headers)
    assert (answer.status_code, missing.status_code) == (200 if readable else 404, 404)
    if not readable:
        assert without_id(answer) == without_id(missing)
    by_contact = client.get(URL, {"contact": place.contact.pk}, headers=headers)
    by_queue = client.get(URL, {"queue": "helpdesk"}, headers=headers)
    if not view:
        assert without_id(by_contact) == without_id(client.get(URL, {"contact": NOWHERE}, headers=headers))
    if not queue and not readable:
        assert without_id(by_queue) == without_id(client.get(URL, {"queue": "none"}, headers=headers))
        assert by_queue.status_code == 404
    elif not readable:
        assert by_queue.json()["results"] == []


def test_nobody_reads_or_makes_cases_without_showing_who_he_is(client: Client, place: Place, root: User) -> None:
    case = make_case(root, place.contact, place.queue)
    for answer in (
        client.get(URL),
        client.get(f"{URL}/{case.pk}"),
        client.get(f"{URL}/{NOWHERE}"),
        post(client, {}, body_of(place)),
        post(client, {}, body_of(place), url=place.url),
    ):
        assert answer.status_code == 401
        assert b"Anders" not in answer.content
    assert Case.objects.count() == 1


@pytest.mark.parametrize(("scopes", "status"), [(["contacts"], 201), (["lookup", "calls"], 403)])
def test_a_program_makes_cases_by_a_key_for_contacts(
    client: Client, place: Place, agent: User, scopes: list[str], status: int
) -> None:
    key = create_api_key(name="CRM", user=agent, scopes=scopes)[1]
    headers = {"Authorization": f"Api-Key {key}"}
    assert post(client, headers, body_of(place)).status_code == status
    assert post(client, headers, body_of(place), url=place.url).status_code == status
    assert client.get(URL, headers=headers).status_code == (200 if status == 201 else 403)
    assert Case.objects.count() == (2 if status == 201 else 0)


@pytest.mark.parametrize("what", ["role", "queue right", "queue denied", "view", "queue's group"])
def test_a_right_that_is_taken_is_gone_with_the_next_request(
    client: Client, place: Place, agent: User, headers: dict[str, str], root: User, what: str
) -> None:
    case = make_case(root, place.contact, place.queue)
    assert list_ids(client, headers) == [case.pk]
    assert post(client, headers, body_of(place)).status_code == 201
    match what:
        case "role":
            agent.groups.clear()
        case "queue right":
            QueueRight.objects.all().delete()
        case "queue denied":
            QueueRight.objects.update(can_create=False)
        case "view":
            CustomerGroupRight.objects.update(can_view=False)
        case _:
            place.queue.customer_groups.clear()
    assert post(client, headers, body_of(place)).status_code == 400
    assert Case.objects.count() == 2
    is_read = client.get(f"{URL}/{case.pk}", headers=headers).status_code
    assert is_read == (200 if what == "queue's group" else 404)


def test_the_queues_of_a_group_are_those_in_which_one_may_make_its_cases(
    client: Client, place: Place, agent: User, headers: dict[str, str]
) -> None:
    other = make_customer_group("other")
    for name, group in (("sales", place.group), ("elsewhere", other)):
        queue = Queue.objects.create(name=name)
        queue.customer_groups.add(group)
        if name == "elsewhere":
            give_queue(agent, queue)
    (group_of_mine,) = client.get("/api/v1/customer-groups", headers=headers).json()["results"]
    assert group_of_mine["queues"] == [{"id": str(place.queue.pk), "name": "Help", "internal_name": "helpdesk"}]
