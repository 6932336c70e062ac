"""New contacts that are sent twice: a double click, or a page that was loaded again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from cmphone.contacts.editing import KeyIsTaken, create_contact, delete_contact
from cmphone.contacts.models import Contact, CreationKey, CustomerGroup, User, Way
from cmphone.contacts.writing import Author
from cmphone.problems import InvalidRequest
from tests.locks import start, wait_for_waiting
from tests.make import give_rights, make_customer_group, make_queue, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


@pytest.fixture
def agent(client: Client, group: CustomerGroup) -> User:
    user = make_user("agent1")
    make_queue("helpdesk", [group], give_rights(user, group, create=True, edit=True))
    client.force_login(user)
    return user


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def create(user: User, name: str = "Anders", *, key: str | None = "k") -> Contact:
    return create_contact(user, {"fields": {"last_name": name}}, by=Author(user, Way.PAGE), key=key)


def list_names() -> list[str]:
    return sorted(contact.fields["last_name"] for contact in Contact.objects.all())


def test_of_two_at_once_with_one_key_the_second_waits_and_gets_the_first_one_s_contact(
    agent: User, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        first = create(agent)
        second = start(threads, partial(create, agent))
        wait_for_waiting()
        assert not second.done()
    assert second.result(10) == first
    assert Contact.objects.count() == 1


def test_where_the_first_fails_the_second_makes_the_contact(agent: User, threads: ThreadPoolExecutor) -> None:
    with transaction.atomic():
        create(agent)
        second = start(threads, partial(create, agent))
        wait_for_waiting()
        transaction.set_rollback(True)
    made = second.result(10)
    assert Contact.objects.get() == made


def test_another_contact_of_the_same_key_is_refused_and_one_of_another_user_made(
    agent: User, group: CustomerGroup
) -> None:
    other = make_user("agent2")
    give_rights(other, group, create=True)
    first = create(agent)

    with pytest.raises(KeyIsTaken):
        create(agent, "Berg")

    assert create(other) != first
    assert create(agent, "Berg", key=None) != first
    assert list_names() == ["Anders", "Anders", "Berg"]


def test_what_is_no_key_is_refused(agent: User) -> None:
    with pytest.raises(InvalidRequest):
        create(agent, key="with space")

    assert Contact.objects.count() == CreationKey.objects.count() == 0


def test_with_its_contact_or_its_user_a_key_is_gone(agent: User) -> None:
    first = create(agent)
    delete_contact(agent, first.pk)

    assert CreationKey.objects.count() == 0
    assert create(agent).pk != first.pk
    agent.delete()
    assert CreationKey.objects.count() == 0


def form_of(client: Client, **values: str) -> dict[str, Any]:
    """Return what a browser sends that opens the form and fills it in."""
    form = client.get("/contacts/new/").context["form"]
    return {"key": form["key"].value(), "fields/last_name": "Anders", **values}


def test_a_form_that_is_sent_twice_makes_one_contact_and_leads_to_it_twice(client: Client, agent: User) -> None:
    form = form_of(client)

    first, second = (client.post("/contacts/new/", form) for _ in range(2))

    contact = Contact.objects.get()
    assert first["Location"] == second["Location"] == f"/cases/new/?contact={contact.pk}"


def test_another_contact_in_a_form_that_was_sent_is_made_when_it_is_sent_again(client: Client, agent: User) -> None:
    form = form_of(client)
    client.post("/contacts/new/", form)

    refused = client.post("/contacts/new/", form | {"fields/last_name": "Berg"})
    again = client.post(
        "/contacts/new/", form | {"fields/last_name": "Berg", "key": refused.context["form"]["key"].value()}
    )

    assert list(refused.context["form"].non_field_errors()) == [
        "A contact was created with this form before. Send it again to create another one."
    ]
    assert again.status_code == 302
    assert list_names() == ["Anders", "Berg"]
