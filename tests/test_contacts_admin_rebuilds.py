"""How far index and names are, on the pages of the administration."""

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cmphone.contacts.models import CustomerGroup, Rebuild, User
from cmphone.contacts.rebuilding import find_progress, rebuild_stale_customer_groups
from tests.admin_pages import log_in_as, read, url_of
from tests.make import give_rights, make_contact_model, make_customer_group, make_person

pytestmark = pytest.mark.django_db

NOON = "2026-03-02 13:02:00+00:00"


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


def make_rebuild_under_way(group: CustomerGroup) -> None:
    rebuild_stale_customer_groups()
    now = timezone.now()
    Rebuild.objects.filter(customer_group=group, subject="numbers").update(
        total=1_000_000, done=430_000, changed=12, finished_at=None, started_at=now, updated_at=now
    )


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize("page", ["list", "form"])
def test_a_rebuild_under_way_is_told_with_its_numbers_and_since_when(
    client: Client, administrator: User, page: str
) -> None:
    group = make_customer_group()
    make_rebuild_under_way(group)
    url = url_of("changelist", model="customergroup")
    text = read(client, url if page == "list" else url_of("change", group.pk, model="customergroup"))
    assert "numbers: 43 %, 430,000 of 1,000,000 contacts, since 14:02" in text
    assert "<progress class='rebuild-bar' max='100' value='43' aria-label='numbers'>" in text
    assert "display names: " not in text


@time_machine.travel(NOON, tick=False)
def test_it_is_told_in_german(client: Client, administrator: User) -> None:
    make_rebuild_under_way(make_customer_group())
    client.cookies["django_language"] = "de"
    assert "430.000" in read(client, url_of("changelist", model="customergroup"))


def test_what_has_not_begun_waits_and_what_is_done_is_up_to_date(client: Client, administrator: User) -> None:
    group = make_customer_group()
    page = read(client, url_of("changelist", model="customergroup"))
    assert "numbers: waiting to be built anew" in page
    assert "display names: waiting to be built anew" in page
    rebuild_stale_customer_groups()
    for url in (url_of("changelist", model="customergroup"), url_of("change", group.pk, model="customergroup")):
        page = read(client, url)
        assert "up to date" in page
        assert "waiting" not in page


def test_a_rebuild_that_changed_settings_have_overtaken_counts_for_nothing() -> None:
    group = make_customer_group()
    make_rebuild_under_way(group)
    assert [(each.subject, each.row and each.row.percent) for each in find_progress()[group.pk]] == [("numbers", 43)]
    CustomerGroup.objects.update(area_prefix="211")
    from cmphone.properties.services import set_property

    set_property(name="dial.uri.scheme", value="tel")
    assert [(each.subject, each.row) for each in find_progress()[group.pk]] == [("numbers", None)]


def test_the_list_of_groups_asks_once_however_many_there_are(client: Client, administrator: User) -> None:
    model = make_contact_model()

    def count() -> int:
        read(client, url_of("changelist", model="customergroup"))
        with CaptureQueriesContext(connection) as queries:
            read(client, url_of("changelist", model="customergroup"))
        return len([query for query in queries if "contacts_rebuild" in query["sql"]])

    make_customer_group(model=model)
    assert count() == 1
    for number in range(5):
        make_customer_group(f"g{number}", model=model)
    assert count() == 1


@time_machine.travel(NOON, tick=False)
def test_the_page_of_rebuilds_lists_them_to_look_at(client: Client, administrator: User) -> None:
    group = make_customer_group()
    make_person(group)
    make_rebuild_under_way(group)
    page = read(client, url_of("changelist", model="rebuild"))
    assert "43 %</span>" in page
    assert "430,000 / 1,000,000" in page
    assert "2 Mar 2026 14:02" in page
    assert [page.count(f">{state}</td>") for state in ("under way", "up to date", "waiting")] == [1, 1, 0]
    row = Rebuild.objects.get(subject="numbers")
    assert client.get(url_of("add", model="rebuild")).status_code == 403
    assert client.post(url_of("delete", row.pk, model="rebuild"), {"post": "yes"}).status_code == 403
    assert client.post(url_of("change", row.pk, model="rebuild"), {"done": 0}).status_code == 403
    client.post(url_of("changelist", model="rebuild"), {"action": "delete_selected", "_selected_action": row.pk})
    assert Rebuild.objects.count() == 2


def test_rebuilds_are_for_those_who_may_view_customer_groups(client: Client) -> None:
    agent = log_in_as(client, "agent1")
    group = make_customer_group()
    give_rights(agent, group)
    make_rebuild_under_way(group)
    agent.user_permissions.set(Permission.objects.filter(codename="view_rebuild"))
    assert client.get(url_of("changelist", model="rebuild")).status_code == 403
    assert "contacts/rebuild/" not in read(client, "/admin/")
    agent.user_permissions.set(Permission.objects.filter(codename="view_customergroup"))
    assert "customers en" in read(client, url_of("changelist", model="rebuild"))
    assert "contacts/rebuild/" in read(client, "/admin/")
