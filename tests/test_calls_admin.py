"""The admin pages of cases: found, shown and added by roles; what is hidden answers as what is not there."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, CustomerGroup, Queue, QueueRight, User
from tests.admin_pages import NOWHERE, errors_of, log_in_as, read, read_messages, url_of
from tests.make import give_rights, make_case, make_company, make_customer_group, make_person, make_queue, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(client: Client) -> User:
    return log_in_as(client, "agent1")


@pytest.fixture
def root() -> User:
    return make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


@pytest.fixture
def queue(agent: User, group: CustomerGroup) -> Queue:
    """The queue of the agent, who may view the group."""
    return make_queue("helpdesk", [group], give_rights(agent, group))


@pytest.fixture
def hidden(root: User, queue: Queue) -> Case:
    """A case of a contact that the agent may not view, in a queue that he has no right on."""
    secret = make_customer_group("secret")
    contact = make_company(secret, "Hidden Company")
    return make_case(root, contact, make_queue("vault", [secret], give_rights(root, secret)), "Hidden subject")


def case_url(page: str, *arguments: object, **query: Any) -> str:
    url = reverse(f"admin:calls_case_{page}", args=arguments)
    return f"{url}?{urlencode(query)}" if query else url


def list_subjects(client: Client, **query: Any) -> list[str]:
    response = client.get(case_url("changelist", **query))
    assert response.status_code == 200, response.headers
    return [case.subject for case in response.context["cl"].result_list]


def case_form(contact: Contact, queue: Queue, **values: object) -> dict[str, object]:
    return {"contact": contact.pk, "queue": queue.pk, "subject": "Printer", "description": "", **values}


def same_answer(client: Client, method: str, url: str, pk: int, data: dict[str, object] | None = None) -> bool:
    """Say whether an address, or a form, with PK for a hidden record answers as one with that of none."""

    def ask(pk: int) -> tuple[object, ...]:
        filled = {key: str(value).replace("PK", str(pk)) for key, value in (data or {}).items()}
        response = getattr(client, method)(url.replace("PK", str(pk)), filled)
        body = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())
        body = re.sub(r"[0-9a-f]{32}", "", body).replace(str(pk), "PK")
        texts = [text.replace(str(pk), "PK") for text in read_messages(client)]
        return response.status_code, response.headers.get("Location", "").replace(str(pk), "PK"), body, texts

    return ask(pk) == ask(NOWHERE)


# --- the list ---


def test_a_case_is_found_by_number_subject_and_contact(
    client: Client, agent: User, group: CustomerGroup, queue: Queue
) -> None:
    one = make_case(agent, make_person(group), queue, "Printer burns")
    make_case(agent, make_person(group, "Berg"), queue, "Scanner")
    assert list_subjects(client) == ["Scanner", "Printer burns"]
    for text in (str(one.pk), f"#{one.pk}", "PRINTER", "anders", "burns anders"):
        assert list_subjects(client, q=text) == ["Printer burns"], text
    for text in ("0" * 5000, "9" * 40, "'; drop table", "#", "\x00"):
        assert set(list_subjects(client, q=text)) in ({"Scanner", "Printer burns"}, set())


def test_the_list_is_filtered_by_queue_and_contact(
    client: Client, agent: User, group: CustomerGroup, queue: Queue
) -> None:
    sales = make_queue("sales", [group], give_rights(agent, group))
    contact = make_person(group)
    make_case(agent, contact, queue, "Printer")
    make_case(agent, contact, sales, "Offer")
    make_case(agent, make_person(group, "Berg"), sales, "Order")
    assert list_subjects(client, queue=sales.pk) == ["Order", "Offer"]
    assert list_subjects(client, contact=contact.pk) == ["Offer", "Printer"]
    assert list_subjects(client, contact=contact.pk, queue=sales.pk) == ["Offer"]
    for nothing in ("x", "0", "9" * 30):
        assert list_subjects(client, queue=nothing) == list_subjects(client, contact=nothing) == []


def test_a_case_is_shown_with_its_contact_and_cannot_be_changed(
    client: Client, agent: User, group: CustomerGroup, queue: Queue
) -> None:
    contact = make_person(group)
    case = make_case(agent, contact, queue, "<b>Printer</b>", "one\ntwo")
    url = case_url("change", case.pk)
    page = read(client, url)
    assert f'<a href="{url_of("change", contact.pk)}">Anders, Maria</a>' in page
    assert "&lt;b&gt;Printer&lt;/b&gt;" in page
    assert "one<br>two" in page
    assert 'name="_save"' not in page
    assert client.post(url, case_form(contact, queue, subject="Other")).status_code == 403
    assert client.post(case_url("delete", case.pk), {"post": "yes"}).status_code == 403
    assert Case.objects.get().subject == "<b>Printer</b>"


def test_a_superuser_deletes_a_case_but_changes_none(
    client: Client, agent: User, group: CustomerGroup, queue: Queue, root: User
) -> None:
    contact = make_person(group)
    case = make_case(agent, contact, queue)
    client.force_login(root)
    assert client.post(case_url("change", case.pk), case_form(contact, queue, subject="Other")).status_code == 403
    client.post(case_url("delete", case.pk), {"post": "yes"})
    assert Case.objects.count() == 0


# --- adding ---


def test_a_case_is_added_from_the_page_of_its_contact(
    client: Client, agent: User, group: CustomerGroup, queue: Queue
) -> None:
    contact = make_person(group)
    elsewhere = make_queue("elsewhere", [make_customer_group("other")], give_rights(agent, group))
    page = read(client, url_of("change", contact.pk))
    link = case_url("add", contact=contact.pk)
    assert f'href="{link}"' in page

    form = client.get(link).context["adminform"].form
    assert form["contact"].value() == str(contact.pk)
    assert list(form.fields["queue"].queryset) == [queue]
    # There is no other one to choose.
    assert form["queue"].value() == queue.pk
    assert client.get(case_url("add")).context["adminform"].form["queue"].value() is None
    client.post(link, case_form(contact, queue, subject=" Printer\tburns ", description="Since noon."))

    case = Case.objects.get()
    assert (case.contact, case.queue, case.subject, case.description) == (
        contact,
        queue,
        "Printer burns",
        "Since noon.",
    )
    assert case.created_by == agent
    assert list_subjects(client, contact=contact.pk) == ["Printer burns"]
    # Without a contact in the address every queue is offered, and the two are held against each other.
    assert errors_of(client.post(case_url("add"), case_form(contact, elsewhere))) == {
        "queue": ["This queue takes no cases of the contact's customer group. Choose another one."]
    }
    assert Case.objects.count() == 1


def test_what_is_missing_is_told_at_its_place(client: Client, agent: User, group: CustomerGroup, queue: Queue) -> None:
    contact = make_person(group)
    form = case_form(contact, queue, subject="  ", description="x" * 20_001) | {"queue": ""}
    errors = errors_of(client.post(case_url("add"), form))
    assert {name: len(messages) for name, messages in errors.items()} == {"queue": 1, "subject": 1, "description": 1}
    assert Case.objects.count() == 0


def test_the_choice_of_contacts_has_those_that_a_case_can_be_made_of(
    client: Client, agent: User, group: CustomerGroup, hidden: Case
) -> None:
    viewed = make_customer_group("viewed")
    give_rights(agent, viewed)
    make_person(viewed, "Viewed")
    mine, company = make_person(group), make_company(group)
    url = reverse("admin:autocomplete")
    query = {"app_label": "calls", "model_name": "case", "field_name": "contact"}
    found = client.get(url, query).json()["results"]
    assert {each["id"] for each in found} == {str(mine.pk), str(company.pk)}
    for term in ("Hidden", "Viewed"):
        assert client.get(url, {**query, "term": term}).json()["results"] == []


def test_the_log_of_changes_has_the_number_alone(
    client: Client, agent: User, group: CustomerGroup, queue: Queue
) -> None:
    client.post(case_url("add"), case_form(make_person(group), queue, subject="Secret of Anders"))
    entry = LogEntry.objects.get()
    assert entry.object_repr == f"#{Case.objects.get().pk}"
    assert not re.search("Anders|Secret", entry.change_message)


# --- what is hidden ---


@pytest.mark.parametrize("page", ["change", "history", "delete"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_address_of_a_hidden_case_answers_as_one_of_none(
    client: Client, hidden: Case, page: str, method: str
) -> None:
    url = case_url(page, 0).replace("/0/", "/PK/")
    assert same_answer(client, method, url, hidden.pk, {"post": "yes", "subject": "Taken over"})
    assert same_answer(client, method, "/cases/PK/", hidden.pk)
    hidden.refresh_from_db()
    assert hidden.subject == "Hidden subject"


@pytest.mark.parametrize("query", [{}, {"q": "Hidden"}, {"_facets": "True"}, {"o": "4"}, {"all": ""}])
def test_the_list_is_as_if_there_were_no_hidden_cases(
    client: Client, agent: User, group: CustomerGroup, queue: Queue, root: User, query: dict[str, str]
) -> None:
    make_case(agent, make_person(group), queue)
    before = read(client, case_url("changelist", **query))
    secret = make_customer_group("secret")
    vault = make_queue("vault", [secret, group], give_rights(root, secret))
    hidden = make_case(root, make_person(secret, "Hidden"), vault, "Hidden")
    # Of a contact that he may view, but in a queue that he has no right on.
    make_case(root, Contact.objects.get(customer_group=group), vault, "Hidden")
    # In his queue, but of a contact that he may not view.
    queue.customer_groups.add(secret)
    make_case(root, hidden.contact, queue, "Hidden")
    assert read(client, case_url("changelist", **query)) == before
    assert "vault" not in before


def test_hidden_contacts_and_queues_in_an_address_are_none(client: Client, hidden: Case) -> None:
    for parameter, pk in (("contact", hidden.contact_id), ("queue", hidden.queue_id)):
        assert same_answer(client, "get", f"{case_url('changelist')}?{parameter}=PK", pk)
    assert same_answer(client, "get", f"{case_url('add')}?contact=PK", hidden.contact_id)
    assert same_answer(client, "get", "/contacts/PK/cases/new/", hidden.contact_id)


def test_a_hidden_contact_or_queue_cannot_be_chosen(
    client: Client, hidden: Case, group: CustomerGroup, queue: Queue
) -> None:
    contact = make_person(group)
    for name, pk in (("contact", hidden.contact_id), ("queue", hidden.queue_id)):
        form = case_form(contact, queue) | {name: "PK"}
        assert same_answer(client, "post", case_url("add"), pk, form)
    assert Case.objects.count() == 1


def test_his_own_case_stays_his_to_read_without_the_queue_but_not_without_the_contact(
    client: Client, agent: User, group: CustomerGroup, queue: Queue
) -> None:
    case = make_case(agent, make_person(group), queue)
    QueueRight.objects.all().delete()
    assert list_subjects(client) == list_subjects(client, queue=queue.pk) == ["Printer"]
    assert client.get(case_url("add")).status_code == 403
    assert "Add case" not in read(client, url_of("change", case.contact_id))
    give_rights(agent, make_customer_group("other"))
    agent.groups.remove(agent.groups.order_by("id")[0])
    assert list_subjects(client) == []
    assert client.get(case_url("change", case.pk)).status_code == 302


@pytest.mark.parametrize("is_staff", [True, False, None])
def test_without_any_right_there_are_no_cases(client: Client, hidden: Case, is_staff: bool | None) -> None:
    client.logout()
    if is_staff is not None:
        user = make_user("nobody", is_staff=is_staff)
        # Django's permissions give no case.
        user.user_permissions.set(Permission.objects.filter(content_type__model="case"))
        client.force_login(user)
    urls = [case_url("changelist"), case_url("add"), *(case_url(p, hidden.pk) for p in ("change", "history", "delete"))]
    query = {"app_label": "calls", "model_name": "case", "field_name": "contact"}
    for url in (*urls, f"{reverse('admin:autocomplete')}?{urlencode(query)}"):
        for method in ("get", "post"):
            response = getattr(client, method)(url)
            assert response.status_code in ({403, 405} if is_staff and str(hidden.pk) not in url else {302, 403, 405})
            assert b"Hidden" not in response.content
    if is_staff:
        assert "/admin/calls/" not in read(client, reverse("admin:index"))


# --- deleting what has cases ---


def test_the_page_that_deletes_a_contact_says_that_its_cases_keep_it(
    client: Client, agent: User, group: CustomerGroup, queue: Queue, root: User
) -> None:
    contact = make_person(group)
    case = make_case(root, contact, queue)
    # Whoever may delete the contact need not be one who reads its cases.
    QueueRight.objects.all().delete()
    give_rights(agent, group, edit=True)
    selected = {"action": "delete_selected", "_selected_action": [contact.pk]}
    for page in (
        read(client, url_of("delete", contact.pk)),
        client.post(url_of("changelist"), selected).content.decode(),
    ):
        assert "<li>The cases of the contact</li>" in page
        assert "Make it inactive instead" in page
        assert 'name="post"' not in page
        assert str(case) not in page
    client.post(url_of("delete", contact.pk), {"post": "yes"})
    client.post(url_of("changelist"), {**selected, "post": "yes"})
    assert Contact.objects.filter(pk=contact.pk).exists()
    Case.objects.all().delete()
    assert "Make it inactive instead" not in read(client, url_of("delete", contact.pk))
    client.post(url_of("delete", contact.pk), {"post": "yes"})
    assert not Contact.objects.filter(pk=contact.pk).exists()


def test_the_page_that_deletes_a_queue_names_none_of_its_cases(client: Client, agent: User, hidden: Case) -> None:
    agent.user_permissions.set(Permission.objects.filter(content_type__model="queue"))
    vault = hidden.queue
    selected = {"action": "delete_selected", "_selected_action": [vault.pk]}
    for page in (
        read(client, url_of("delete", vault.pk, model="queue")),
        client.post(url_of("changelist", model="queue"), selected).content.decode(),
    ):
        assert "The cases in the queue" in page
        assert f"#{hidden.pk}" not in page
    client.post(url_of("delete", vault.pk, model="queue"), {"post": "yes"})
    client.post(url_of("changelist", model="queue"), {**selected, "post": "yes"})
    assert Queue.objects.filter(pk=vault.pk).exists()


def test_every_page_opens_in_both_languages(
    client: Client, agent: User, group: CustomerGroup, queue: Queue, root: User
) -> None:
    case = make_case(agent, make_person(group), queue)
    client.force_login(root)
    for language in ("de", "en"):
        for url in (
            case_url("changelist"),
            case_url("add", contact=case.contact_id),
            *(case_url(page, case.pk) for page in ("change", "history", "delete")),
        ):
            assert client.get(url, headers={"Accept-Language": language}).status_code == 200, url
