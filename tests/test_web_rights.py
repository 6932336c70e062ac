"""Who gets which of the pages of contacts and cases: a table."""

from dataclasses import dataclass

import pytest
from django.test import Client

from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, CustomerGroup, CustomerGroupRight, Queue, QueueRight, Role, User
from tests.make import give_rights, make_case, make_customer_group, make_person, make_queue, make_user

pytestmark = pytest.mark.django_db

BROWSER = {"accept": "text/html"}


@dataclass(frozen=True)
class World:
    group: CustomerGroup
    contact: Contact
    queue: Queue
    case: Case


@pytest.fixture
def world() -> World:
    group = make_customer_group("customers")
    contact = make_person(group, "Anders", phone="0211 1234567")
    root = make_user("root", is_superuser=True)
    queue = make_queue("helpdesk", [group], give_rights(root, group))
    return World(group, contact, queue, make_case(root, contact, queue))


def make_somebody(who: str, world: World) -> User:
    user = make_user(who, is_staff=who == "staff", is_superuser=who == "superuser")
    view, create, edit = ({"view", "create", "edit"} & set(who.split("+")) >= {right} for right in RIGHTS)
    if view or create or edit:
        give_rights(user, world.group, view=view, create=create, edit=edit)
    if "cases" in who.split("+"):
        role = Role.objects.create(name=f"cases of {who}")
        QueueRight.objects.create(role=role, queue=world.queue, can_create=True)
        user.groups.add(role)
    if who == "others":
        give_rights(user, make_customer_group("other"), create=True, edit=True)
    return user


RIGHTS = ("view", "create", "edit")
PAGES = ("list", "contact", "edit", "new", "new case", "case")
# 200 of the list: the contact is in it.
TABLE = {
    "anonymous": (302, 302, 302, 302, 302, 302),
    "nobody": (404, 404, 404, 403, 404, 404),
    "staff": (404, 404, 404, 403, 404, 404),
    "others": (404, 404, 404, 200, 404, 404),
    "cases": (404, 404, 404, 403, 404, 404),
    "create": (404, 404, 404, 200, 404, 404),
    "edit": (404, 404, 404, 403, 404, 404),
    "create+cases": (404, 404, 404, 200, 404, 404),
    "view": (200, 200, 403, 403, 403, 404),
    "view+cases": (200, 200, 403, 403, 200, 200),
    "view+create": (200, 200, 403, 200, 403, 404),
    "view+edit": (200, 200, 200, 403, 403, 404),
    "view+create+edit+cases": (200, 200, 200, 200, 200, 200),
    "superuser": (200, 200, 200, 200, 200, 200),
}


@pytest.mark.parametrize("who", TABLE)
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_table_of_rights(client: Client, world: World, who: str, method: str) -> None:
    if who != "anonymous":
        client.force_login(make_somebody(who, world))
    urls = {
        "list": "/contacts/",
        "contact": f"/contacts/{world.contact.pk}/",
        "edit": f"/contacts/{world.contact.pk}/edit/",
        "new": "/contacts/new/",
        "new case": f"/cases/new/?contact={world.contact.pk}",
        "case": f"/cases/{world.case.pk}/",
    }
    statuses = []
    for page in PAGES:
        # What is only read takes no other method.
        is_form = page in {"edit", "new", "new case"}
        answer = getattr(client, method if is_form else "get")(urls[page], headers=BROWSER)
        is_missing = page == "list" and answer.status_code == 200 and "Anders" not in answer.content.decode()
        # What somebody sends without a form that began with this version is not saved.
        status = 200 if answer.status_code == 412 else answer.status_code
        statuses.append(404 if is_missing else status)
        if not is_form and who != "anonymous":
            assert client.post(urls[page], headers=BROWSER).status_code == 405

    assert dict(zip(PAGES, statuses, strict=True)) == dict(zip(PAGES, TABLE[who], strict=True))
    assert (Contact.objects.count(), Case.objects.count()) == (1, 1)


@pytest.mark.parametrize("page", ["/contacts/PK/", "/contacts/PK/edit/", "/cases/new/?contact=PK"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_hidden_contact_is_as_one_that_does_not_exist(client: Client, world: World, page: str, method: str) -> None:
    client.force_login(make_somebody("others", world))

    bodies = []
    for pk in (world.contact.pk, 999_999, 10**30):
        headers = {**BROWSER, "x-request-id": "same"}
        answer = getattr(client, method)(page.replace("PK", str(pk)), headers=headers)
        bodies.append((answer.status_code, answer.content))

    expected = 405 if method == "post" and page == "/contacts/PK/" else 404
    assert [status for status, _ in bodies] == [expected] * 3
    assert bodies[0] == bodies[1] == bodies[2]


def test_a_case_in_a_queue_that_is_not_his_does_not_exist(client: Client, world: World) -> None:
    client.force_login(make_somebody("view", world))

    bodies = []
    for pk in (world.case.pk, 999_999, 10**30):
        answer = client.get(f"/cases/{pk}/", headers={**BROWSER, "x-request-id": "same"})
        bodies.append((answer.status_code, answer.content))

    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0][0] == 404
    assert "Printer" not in client.get(f"/contacts/{world.contact.pk}/").content.decode()


def test_a_page_offers_what_its_reader_may_do_and_nothing_else(client: Client, world: World) -> None:
    user = make_somebody("view", world)
    client.force_login(user)
    offers = ["New case", "Edit", "History"]

    def list_offers() -> list[str]:
        page = client.get(f"/contacts/{world.contact.pk}/").content.decode()
        return [offer for offer in offers if f">{offer}</a>" in page]

    assert list_offers() == []
    CustomerGroupRight.objects.update(can_edit=True)
    assert list_offers() == ["Edit"]
    User.objects.filter(pk=user.pk).update(is_staff=True)
    assert list_offers() == ["Edit", "History"]
    role = Role.objects.create(name="cases")
    QueueRight.objects.create(role=role, queue=world.queue, can_create=True)
    user.groups.add(role)
    assert list_offers() == offers


def test_a_right_that_goes_between_form_and_answer_goes_for_good(client: Client, world: World) -> None:
    user = make_somebody("view+create+edit+cases", world)
    client.force_login(user)
    user.groups.clear()

    form = {"fields/last_name": "New", "version": "1", "queue": str(world.queue.pk), "subject": "x"}
    for url, status in {
        f"/contacts/{world.contact.pk}/edit/": 404,
        f"/cases/new/?contact={world.contact.pk}": 404,
        "/contacts/new/": 403,
    }.items():
        assert client.post(url, form, headers=BROWSER).status_code == status
    assert (Contact.objects.get().name, Case.objects.count()) == ("Anders, Maria", 1)


def test_a_form_from_elsewhere_writes_nothing(world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_somebody("view+create+edit+cases", world))

    form = {"fields/last_name": "New", "version": "1", "queue": str(world.queue.pk), "subject": "x"}
    for url in (
        f"/contacts/{world.contact.pk}/edit/",
        f"/cases/new/?contact={world.contact.pk}",
        "/contacts/new/",
    ):
        assert browser.post(url, form, headers=BROWSER).status_code == 403
    assert (Contact.objects.get().name, Case.objects.count()) == ("Anders, Maria", 1)
