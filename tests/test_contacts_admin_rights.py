"""Who sees and does what on the admin pages of contacts: what is hidden answers as what is not there."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from cmphone.contacts.models import Contact, CustomerGroupRight, User
from tests.admin_pages import (
    NOWHERE,
    contact_form,
    list_names,
    log_in_as,
    read,
    read_messages,
    url_of,
)
from tests.make import (
    give_rights,
    make_company,
    make_customer_group,
    make_person,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(client: Client) -> User:
    """Somebody with staff status and, so far, without any right."""
    return log_in_as(client, "agent1")


def same_answer(client: Client, method: str, url: str, hidden: Contact, data: dict[str, object] | None = None) -> bool:
    """Say whether the address of a hidden contact answers as one where there is nothing."""

    def ask(pk: int) -> tuple[object, ...]:
        filled = {key: str(value).replace("PK", str(pk)) for key, value in (data or {}).items()}
        response = getattr(client, method)(url.replace("0", str(pk), 1) if "/0/" in url else url, filled)
        body = response.content.decode().replace(str(pk), "PK")
        body = re.sub(r"[0-9a-f]{32}", "", re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", body))
        texts = [text.replace(str(pk), "PK") for text in read_messages(client)]
        return response.status_code, response.headers.get("Location", "").replace(str(pk), "PK"), body, texts

    return ask(hidden.pk) == ask(NOWHERE)


@pytest.fixture
def hidden(agent: User) -> Contact:
    """A contact in a group of which the agent has no right, though he has all on another."""
    # So long an id stands nowhere else in a page.
    with connection.cursor() as cursor:
        cursor.execute("select setval(pg_get_serial_sequence('contacts_contact', 'id'), 7000000)")
    group, other = make_customer_group(country_prefix="49"), make_customer_group("secret", country_prefix="49")
    give_rights(agent, group, create=True, edit=True)
    make_person(group, "Visible", phone="0211 7654321")
    company = make_company(other, "Hidden Company", phone="0211 1234567")
    return make_person(other, "Hidden", company=company, phone="0211 1234568")


@pytest.mark.parametrize("page", ["change", "history", "delete"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_address_of_a_hidden_contact_answers_as_one_of_none(
    client: Client, hidden: Contact, page: str, method: str
) -> None:
    url = url_of(page, 0)
    assert same_answer(client, method, url, hidden, {"post": "yes", **contact_form(fields__last_name="Taken over")})
    hidden.refresh_from_db()
    assert hidden.fields["last_name"] == "Hidden"


def test_the_console_s_links_to_a_hidden_contact_tell_nothing(client: Client, hidden: Contact) -> None:
    assert same_answer(client, "get", "/contacts/0/", hidden)


@pytest.mark.parametrize("action", ["activate", "deactivate", "delete_selected"])
def test_an_action_does_not_reach_a_hidden_contact(client: Client, hidden: Contact, action: str) -> None:
    data: dict[str, object] = {"action": action, "_selected_action": "PK", "post": "yes"}
    assert same_answer(client, "post", url_of("changelist"), hidden, data)
    client.post(url_of("changelist"), {**data, "_selected_action": hidden.pk, "select_across": 1})
    hidden.refresh_from_db()
    assert hidden.is_active
    assert Contact.objects.filter(customer_group=hidden.customer_group).count() == 2


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"_facets": "True"},
        {"q": "Hidden"},
        {"q": "0211 1234568"},
        {"q": "211"},
        {"kind__exact": "company", "_facets": "True"},
        {"company__isnull": "False"},
        {"all": ""},
    ],
)
def test_the_list_is_as_if_there_were_no_hidden_contacts(client: Client, agent: User, query: dict[str, str]) -> None:
    group, other = make_customer_group(country_prefix="49"), make_customer_group("secret", country_prefix="49")
    give_rights(agent, group)
    make_person(group, "Visible", phone="0211 7654321")
    before = read(client, url_of("changelist", **query))
    company = make_company(other, "Hidden Company", phone="0211 1234567")
    make_person(other, "Hidden", company=company, phone="0211 1234568")
    assert read(client, url_of("changelist", **query)) == before
    assert "secret" not in before


def test_a_hidden_customer_group_in_the_address_is_none(client: Client, hidden: Contact) -> None:
    give_rights(User.objects.get(), make_customer_group("third"))
    assert list_names(client, customer_group__id__exact=hidden.customer_group_id) == []
    shown = read(client, url_of("add", customer_group=hidden.customer_group_id, kind="person"))
    assert shown.replace(str(hidden.customer_group_id), "") == read(
        client, url_of("add", customer_group=NOWHERE, kind="person")
    ).replace(str(NOWHERE), "").replace(str(hidden.customer_group_id), "")
    assert "secret" not in shown


def test_the_choice_of_companies_has_no_hidden_one(client: Client, hidden: Contact) -> None:
    query: dict[str, Any] = {"app_label": "contacts", "model_name": "contact", "field_name": "company"}
    for extra in ({}, {"customer_group": hidden.customer_group_id}, {"term": "Hidden"}, {"term": "0211 1234567"}):
        response = client.get(reverse("admin:autocomplete"), {**query, **extra})
        assert response.json() == {"results": [], "pagination": {"more": False}}


def test_a_hidden_company_cannot_be_chosen(client: Client, hidden: Contact) -> None:
    visible = Contact.objects.get(name="Visible, Maria")
    data = contact_form(fields__last_name="Visible", company="PK")
    assert hidden.company is not None
    assert same_answer(client, "post", url_of("change", visible.pk), hidden.company, data)
    visible.refresh_from_db()
    assert visible.company is None


def test_the_recent_actions_do_not_name_a_contact_that_became_hidden(client: Client, agent: User) -> None:
    group = make_customer_group()
    role = give_rights(agent, group, create=True, edit=True)
    client.post(url_of("add", customer_group=group.pk, kind="person"), contact_form(fields__last_name="Anders"))
    assert "Anders" in read_messages(client)[0]
    agent.groups.remove(role)
    assert "Anders" not in read(client, reverse("admin:index"))


@pytest.mark.parametrize("is_staff", [True, False])
def test_without_any_right_there_are_no_contacts(client: Client, is_staff: bool) -> None:
    contact = make_person(make_customer_group())
    user = make_user("nobody", is_staff=is_staff)
    # Django's permissions give no contact.
    user.user_permissions.set(Permission.objects.filter(content_type__model="contact"))
    client.force_login(user)
    urls = [
        url_of("changelist"),
        url_of("add"),
        *(url_of(page, contact.pk) for page in ("change", "history", "delete")),
    ]
    query = {"app_label": "contacts", "model_name": "contact", "field_name": "company"}
    urls.append(f"{reverse('admin:autocomplete')}?{urlencode(query)}")
    for url in urls:
        for method in ("get", "post"):
            response = getattr(client, method)(url)
            assert response.status_code in {302, 403, 405}, url
            assert (
                response.status_code != 302
                or "/login/" in response.headers["Location"]
                or "/change/" in url
                or ("/history/" in url)
            )
            assert b"Anders" not in response.content
    if is_staff:
        assert "/admin/contacts/contact/" not in read(client, reverse("admin:index"))


def test_whoever_may_only_view_changes_nothing(client: Client, agent: User) -> None:
    group = make_customer_group(country_prefix="49")
    give_rights(agent, group)
    contact = make_person(group, phone="0211 1234567")
    page = read(client, url_of("change", contact.pk))
    assert "<strong>phone:</strong> 0211 1234567" in page
    assert "4921112345" in page
    assert 'name="_save"' not in page
    assert client.post(url_of("change", contact.pk), contact_form(fields__last_name="Berg")).status_code == 403
    assert client.get(url_of("add")).status_code == 403
    assert client.post(url_of("delete", contact.pk), {"post": "yes"}).status_code == 403
    client.post(url_of("changelist"), {"action": "deactivate", "_selected_action": [contact.pk]})
    contact.refresh_from_db()
    assert (contact.fields["last_name"], contact.is_active) == ("Anders", True)


def test_the_right_to_edit_one_group_is_none_on_another(client: Client, agent: User) -> None:
    group, other = make_customer_group(), make_customer_group("other")
    give_rights(agent, group, edit=True)
    give_rights(agent, other)
    mine, theirs = make_person(group), make_person(other)
    assert client.post(url_of("change", theirs.pk), contact_form(fields__last_name="Berg")).status_code == 403
    client.post(url_of("changelist"), {"action": "deactivate", "_selected_action": [mine.pk, theirs.pk]})
    assert read_messages(client) == ["1 contact was changed.", "1 contact you may not change."]
    assert Contact.objects.get(is_active=True) == theirs


def test_the_right_to_create_alone_shows_nothing(client: Client, agent: User) -> None:
    group, other = make_customer_group(), make_customer_group("other")
    give_rights(agent, group, view=False, create=True)
    make_person(group)
    assert client.get(url_of("changelist")).status_code == 403
    page = read(client, url_of("add"))
    assert f"customer_group={group.pk}" in page
    assert f"customer_group={other.pk}" not in page
    url = url_of("add", customer_group=group.pk, kind="person")
    response = client.post(url, contact_form(fields__last_name="Berg"))
    assert (response.status_code, response.headers["Location"]) == (302, reverse("admin:index"))
    assert Contact.objects.filter(name="Berg,").exists()


def test_a_taken_right_is_gone_with_the_next_request(client: Client, agent: User) -> None:
    group = make_customer_group()
    role = give_rights(agent, group)
    make_person(group)
    assert list_names(client) == ["Anders, Maria"]
    CustomerGroupRight.objects.filter(role=role).delete()
    assert client.get(url_of("changelist")).status_code == 403
