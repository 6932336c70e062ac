"""Superusers set directories up; nobody else sees them, and nobody the password."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from kombu.exceptions import OperationalError

from cmphone.contacts.directories.models import Directory, DirectoryEntry
from cmphone.contacts.directories.pulls import pull_directory
from cmphone.contacts.directories.services import get_server, set_password
from cmphone.contacts.models import Contact, ContactChange, CustomerGroup, Way
from cmphone.contacts.writing import Author
from tests.admin_pages import errors_of, log_in_as, read, read_messages, url_of
from tests.directories import PASSWORD, require_library
from tests.make import give_rights, make_customer_group, make_person

pytestmark = pytest.mark.django_db
BASE = "dc=example,dc=com"


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


def make_directory(group: CustomerGroup, **values: object) -> Directory:
    directory = Directory(
        **{
            "name": "people",
            "customer_group": group,
            "uri": "ldaps://127.0.0.1:1",
            "bind_dn": f"cn=reader,{BASE}",
            "base": BASE,
            **values,
        }
    )
    set_password(directory, PASSWORD)
    directory.save()
    return directory


def form_of(group: CustomerGroup, **values: object) -> dict[str, object]:
    return {
        "name": "people",
        "customer_group": group.pk,
        "uri": "ldaps://dc1.example.com",
        "ca_certificates": "",
        "bind_dn": f"cn=reader,{BASE}",
        "password": "",
        "base": BASE,
        "scope": "subtree",
        "filter": "(objectClass=person)",
        "attribute_map": "sn = last_name\ntelephoneNumber = phone",
        "external_id_attribute": "objectGUID",
        "company_attribute": "",
        "interval_minutes": "60",
        "most_missing": "20",
        **values,
    }


def directory_url(page: str, *arguments: object) -> str:
    return url_of(page, *arguments, model="directory")


def test_a_directory_is_set_up_and_its_password_shown_nowhere(client: Client, group: CustomerGroup) -> None:
    log_in_as(client, "admin", is_superuser=True)
    answer = client.post(directory_url("add"), form_of(group, password=PASSWORD, is_active="on"))
    assert answer.status_code == 302

    directory = Directory.objects.get()
    assert get_server(directory).password == PASSWORD
    assert directory.is_active
    assert PASSWORD not in directory.sealed_password
    for url in (
        directory_url("change", directory.pk),
        directory_url("changelist"),
        directory_url("history", directory.pk),
    ):
        page = read(client, url)
        assert PASSWORD not in page
        assert directory.sealed_password not in page
    assert PASSWORD not in "".join(LogEntry.objects.values_list("change_message", flat=True))


def test_what_is_wrong_stands_beside_its_field(client: Client, group: CustomerGroup) -> None:
    log_in_as(client, "admin", is_superuser=True)
    wrong = form_of(group, uri="ldap://host", filter="uid=*", attribute_map="sn = surname", interval_minutes="1")
    errors = errors_of(client.post(directory_url("add"), wrong))
    assert errors == {
        "interval_minutes": ["Ensure this value is greater than or equal to 5."],
        "uri": ["This connection would not be encrypted. Use ldaps:// or StartTLS, or allow it."],
        "filter": ["This is no filter. Example: (objectClass=person)"],
        "attribute_map": [
            "The contact model has no field surname. It has: first_name, last_name, phone, mobile, private_phone."
        ],
        "password": ["Enter the password of this user."],
    }
    assert Directory.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"uri": "ldaps://elsewhere.example.com"},
        {"bind_dn": "cn=other"},
        {"uri": "ldap://dc1.example.com", "is_plain_allowed": "on"},
    ],
)
def test_a_password_is_entered_again_where_it_would_go_elsewhere(
    client: Client, group: CustomerGroup, change: dict[str, object]
) -> None:
    directory = make_directory(group, uri="ldaps://dc1.example.com")
    log_in_as(client, "admin", is_superuser=True)
    url = directory_url("change", directory.pk)
    assert client.post(url, form_of(group, base="ou=people")).status_code == 302
    directory.refresh_from_db()
    assert (directory.base, get_server(directory).password) == ("ou=people", PASSWORD)

    errors = errors_of(client.post(url, form_of(group, **change)))
    message = "Enter the password again: it would be sent elsewhere, or in another way, than before."
    assert errors == {"password": [message]}
    assert client.post(url, form_of(group, password="another", **change)).status_code == 302
    directory.refresh_from_db()
    assert get_server(directory).password == "another"


def test_without_a_user_there_is_no_password(client: Client, group: CustomerGroup) -> None:
    directory = make_directory(group, uri="ldaps://dc1.example.com")
    log_in_as(client, "admin", is_superuser=True)
    client.post(directory_url("change", directory.pk), form_of(group, bind_dn=""))
    directory.refresh_from_db()
    assert directory.sealed_password == ""


def test_a_directory_stays_with_its_group_when_contacts_came_from_it(client: Client, group: CustomerGroup) -> None:
    directory = make_directory(group)
    DirectoryEntry.objects.create(directory=directory, contact=make_person(group), external_id="1")
    other = make_customer_group("other")
    log_in_as(client, "admin", is_superuser=True)
    client.post(directory_url("change", directory.pk), form_of(other, password=PASSWORD))
    directory.refresh_from_db()
    assert (directory.customer_group, directory.uri) == (group, "ldaps://dc1.example.com")


def test_deleting_a_directory_leaves_its_contacts(client: Client, group: CustomerGroup) -> None:
    directory = make_directory(group)
    person = make_person(group)
    DirectoryEntry.objects.create(directory=directory, contact=person, external_id="1")
    log_in_as(client, "admin", is_superuser=True)
    client.post(directory_url("delete", directory.pk), {"post": "yes"})
    assert (Directory.objects.count(), DirectoryEntry.objects.count()) == (0, 0)
    assert list(Contact.objects.all()) == [person]


def test_a_test_of_a_connection_says_what_is_wrong(client: Client, group: CustomerGroup) -> None:
    require_library()
    directory = make_directory(group)
    log_in_as(client, "admin", is_superuser=True)
    url = directory_url("preview", directory.pk)
    assert client.get(url).status_code == 405
    page = client.post(url).content.decode()
    assert "There is no directory at ldaps://127.0.0.1:1: Connection refused." in page
    assert PASSWORD not in page


def test_a_pull_is_handed_to_the_background(
    client: Client, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_directory(group)
    user = log_in_as(client, "admin", is_superuser=True)
    sent: list[Any] = []
    monkeypatch.setattr(
        "cmphone.contacts.tasks.pull_directory.delay", lambda *args, **names: sent.append((args, names))
    )
    for values in ({"dry_run": "1"}, {}):
        answer = client.post(directory_url("pull", directory.pk), values)
        assert answer.headers["Location"] == directory_url("change", directory.pk) + "#pulls"
    assert sent == [
        ((directory.pk,), {"user_id": user.pk, "dry_run": True}),
        ((directory.pk,), {"user_id": user.pk, "dry_run": False}),
    ]
    assert read_messages(client)[-1].startswith("It has been handed to the background jobs")


def test_a_queue_that_is_away_is_told(client: Client, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_directory(group)
    log_in_as(client, "admin", is_superuser=True)

    def fail(*_arguments: object, **_names: object) -> None:
        raise OperationalError

    monkeypatch.setattr("cmphone.contacts.tasks.pull_directory.delay", fail)
    client.post(directory_url("pull", directory.pk))
    assert read_messages(client) == ["The queue of background jobs is away. Try again later."]


def test_the_last_pulls_stand_on_the_page(client: Client, group: CustomerGroup) -> None:
    require_library()
    directory = make_directory(group)
    pull_directory(directory_id=directory.pk, by=Author(None, Way.DIRECTORY))
    log_in_as(client, "admin", is_superuser=True)
    page = read(client, directory_url("change", directory.pk))
    assert '<div class="pull-error">There is no directory at ldaps://127.0.0.1:1: Connection refused.</div>' in page
    assert "There is no directory at ldaps://127.0.0.1:1" in read(client, directory_url("changelist"))


@pytest.mark.parametrize("page", ["changelist", "add", "change", "delete", "history", "preview", "pull"])
def test_nobody_but_superusers_sees_directories(client: Client, group: CustomerGroup, page: str) -> None:
    directory = make_directory(group)
    user = log_in_as(client, "clerk")
    give_rights(user, group, create=True, edit=True)
    url = directory_url(page, *([] if page in {"changelist", "add"} else [directory.pk]))
    for answer in (client.get(url), client.post(url)):
        assert answer.status_code in {403, 404}
        assert "people" not in answer.content.decode()
    assert ContactChange.objects.count() == 0
