"""The pages of cases."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, CustomerGroup, Queue, QueueRight, User
from tests.make import (
    give_rights,
    make_case,
    make_company,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


@pytest.fixture
def agent(client: Client) -> User:
    user = make_user("agent1")
    client.force_login(user)
    return user


@pytest.fixture
def queue(agent: User, group: CustomerGroup) -> Queue:
    """A queue in which the agent may create cases of the group's contacts."""
    return make_queue("helpdesk", [group], give_rights(agent, group))


@pytest.fixture
def contact(group: CustomerGroup, queue: Queue) -> Contact:
    return make_person(group, company=make_company(group), phone="0211 339903-12")


def form_of(client: Client, contact: Contact, **values: str) -> dict[str, Any]:
    """Return what a browser sends that opens the form and fills it in."""
    form = client.get(f"/cases/new/?contact={contact.pk}").context["form"]
    queue = form["queue"].value()
    return {"key": form["key"].value(), "queue": queue or "", "subject": "Printer", **values}


def send(client: Client, contact: Contact, form: dict[str, Any]) -> Any:
    return client.post(f"/cases/new/?contact={contact.pk}", form)


def test_a_case_is_made_and_shown(client: Client, agent: User, contact: Contact, queue: Queue) -> None:
    form = form_of(client, contact, subject=" Printer\tburns ", description="Since noon.\r\nIt smells.\r\n")

    answer = send(client, contact, form)

    case = Case.objects.get()
    assert answer.headers["Location"] == f"/cases/{case.pk}/"
    assert (case.contact, case.queue, case.created_by) == (contact, queue, agent)
    assert (case.subject, case.description) == ("Printer burns", "Since noon.\nIt smells.")
    page = client.get(f"/cases/{case.pk}/").content.decode()
    assert f"The case #{case.pk} is created." in page
    assert f'<a href="/contacts/{contact.pk}/">Anders, Maria</a>' in page
    assert f'<a href="/contacts/{contact.company_id}/">Alfreds Futterkiste</a>' in page
    assert '<a href="phone:0021133990312">' in page
    assert '<p class="text">Since noon.\nIt smells.</p>' in page


def test_the_only_queue_is_chosen_and_of_several_none(
    client: Client, agent: User, contact: Contact, queue: Queue, group: CustomerGroup
) -> None:
    elsewhere = make_queue("elsewhere", [make_customer_group("other")], give_rights(agent, group))
    form = client.get(f"/cases/new/?contact={contact.pk}").context["form"]
    assert (form["queue"].value(), list(form.fields["queue"].queryset)) == (queue.pk, [queue])

    second = make_queue("second", [group], give_rights(agent, group))
    form = client.get(f"/cases/new/?contact={contact.pk}").context["form"]
    assert (form["queue"].value(), list(form.fields["queue"].queryset)) == (None, [queue, second])
    # Neither one that takes no such cases, nor one that is not his.
    other = Queue.objects.create(name="foreign")
    other.customer_groups.set([group])
    for wrong in (elsewhere.pk, other.pk, "999999", "x", ""):
        answer = send(client, contact, form_of(client, contact) | {"queue": wrong})
        assert list(answer.context["form"].errors) == ["queue"]
    assert Case.objects.count() == 0


def test_a_form_that_is_sent_twice_makes_one_case(client: Client, contact: Contact) -> None:
    form = form_of(client, contact)

    first, second = (send(client, contact, form).headers["Location"] for _ in range(2))

    assert first == second == f"/cases/{Case.objects.get().pk}/"
    # A form that is opened anew makes another one of the same words.
    send(client, contact, form_of(client, contact))
    assert Case.objects.count() == 2


def test_another_case_written_into_a_form_that_made_one_is_asked_for_once_more(
    client: Client, contact: Contact
) -> None:
    form = form_of(client, contact)
    send(client, contact, form)

    answer = send(client, contact, form | {"subject": "Another one"})

    message = "A case was created with this form before. Send it again to create another one."
    assert list(answer.context["form"].non_field_errors()) == [message]
    assert (answer.context["form"]["subject"].value(), Case.objects.count()) == ("Another one", 1)
    (key,) = re.findall(r'name="key" value="([^"]*)"', answer.content.decode())
    assert key != form["key"]
    send(client, contact, form | {"subject": "Another one", "key": key})
    assert Case.objects.count() == 2


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({"subject": ""}, {"subject": ["Say in a few words what it is about."]}),
        ({"subject": " \t "}, {"subject": ["Say in a few words what it is about."]}),
        ({"subject": "x" * 201}, {"subject": ["Ensure this value has at most 200 characters (it has 201)."]}),
        ({"subject": "x\x00"}, {"subject": ["Null characters are not allowed."]}),
        ({"description": "x" * 20_001}, {"description": None}),
        ({"description": "x\x00"}, {"description": None}),
    ],
)
def test_what_is_wrong_is_told_at_its_place_and_nothing_is_lost(
    client: Client, contact: Contact, values: dict[str, str], errors: dict[str, Any]
) -> None:
    form = form_of(client, contact, description="Since noon.") | values

    answer = send(client, contact, form)

    told = answer.context["form"].errors
    assert {name: errors[name] and list(messages) for name, messages in told.items()} == errors
    assert answer.context["form"]["key"].value() == form["key"]
    assert answer.context["form"]["description"].value() == form["description"]
    name = next(iter(errors))
    assert f'<a href="#id_{name}">' in answer.content.decode()
    assert Case.objects.count() == 0


def test_without_a_contact_one_is_chosen_first(client: Client, contact: Contact) -> None:
    answer = client.get("/cases/new/", follow=True)

    assert answer.redirect_chain == [("/contacts/", 302)]
    assert "Choose the contact of the case first." in answer.content.decode()


def test_the_address_of_older_popups_leads_to_the_form(client: Client, contact: Contact) -> None:
    answer = client.get(f"/contacts/{contact.pk}/cases/new/")

    assert answer.headers["Location"] == f"/cases/new/?contact={contact.pk}"


def test_his_own_case_stays_his_to_read_without_the_queue_but_not_without_the_contact(
    client: Client, agent: User, contact: Contact, queue: Queue
) -> None:
    case = make_case(agent, contact, queue)
    QueueRight.objects.all().delete()
    assert client.get(f"/cases/{case.pk}/").status_code == 200
    assert client.get(f"/cases/new/?contact={contact.pk}").status_code == 403

    agent.groups.clear()
    assert client.get(f"/cases/{case.pk}/").status_code == 404


# --- all of them ---


def subjects(answer: Any) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/cases/[0-9]+/">(.*?)</a>', answer.content.decode())


def test_all_cases_that_he_may_read_are_listed_the_newest_first(
    client: Client, agent: User, contact: Contact, queue: Queue
) -> None:
    first, second = make_case(agent, contact, queue, "First"), make_case(agent, contact, queue, "Second")
    hidden_group = make_customer_group("hidden")
    other = make_user("agent2")
    hidden_queue = make_queue("elsewhere", [hidden_group, contact.customer_group], give_rights(other, hidden_group))
    give_rights(other, contact.customer_group)
    make_case(other, make_person(hidden_group), hidden_queue, "Of a hidden contact")
    make_case(other, contact, hidden_queue, "In a queue of others")

    answer = client.get("/cases/")

    assert subjects(answer) == ["Second", "First"]
    text = answer.content.decode()
    assert f'<a href="/contacts/{contact.pk}/">' in text
    assert f"#{second.pk}" in text
    assert f"#{first.pk}" in text
    assert "elsewhere" not in text
    assert client.get("/cases/", {"queue": str(hidden_queue.pk)}).status_code == 404
    assert client.get("/cases/", {"queue": "none"}).status_code == 404


def test_they_are_those_of_one_queue_where_that_is_chosen(
    client: Client, agent: User, contact: Contact, queue: Queue
) -> None:
    other = make_queue("second", [contact.customer_group], give_rights(agent, contact.customer_group))
    make_case(agent, contact, queue, "In the first")
    make_case(agent, contact, other, "In the second")

    answer = client.get("/cases/", {"queue": str(other.pk)})

    assert subjects(answer) == ["In the second"]
    assert f'<option value="{other.pk}" selected>' in answer.content.decode()
    assert subjects(client.get("/cases/", {"queue": ""})) == ["In the second", "In the first"]


def test_there_are_pages_of_them_and_many_take_as_many_statements_as_few(
    client: Client, agent: User, contact: Contact, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmphone.web.cases.PER_PAGE", 3)
    for number in range(2):
        make_case(agent, contact, queue, f"Case {number}")
    client.get("/cases/")
    with CaptureQueriesContext(connection) as few:
        assert subjects(client.get("/cases/")) == ["Case 1", "Case 0"]
    for number in range(2, 7):
        make_case(agent, contact, queue, f"Case {number}")

    with CaptureQueriesContext(connection) as many:
        page = client.get("/cases/", {"queue": str(queue.pk)})

    assert len(many) == len(few)
    seen = [subjects(page)]
    while page.context["next_url"]:
        page = client.get("/cases/" + page.context["next_url"])
        seen.append(subjects(page))
    assert seen == [["Case 6", "Case 5", "Case 4"], ["Case 3", "Case 2", "Case 1"], ["Case 0"]]
    assert subjects(client.get("/cases/" + page.context["first_url"])) == seen[0]
    assert subjects(client.get("/cases/", {"before": "x"})) == seen[0]


def test_who_has_none_is_told_how_one_begins(client: Client, agent: User) -> None:
    assert "There is no case here that you may read." in client.get("/cases/").content.decode()
