"""The admin pages of calls and lines, and the right of a role to see the calls of another one."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from cmphone.calls.models import Call, CallRight, Line
from cmphone.calls.services import call_back, change_call, report_call
from cmphone.contacts.models import User
from tests.admin_pages import NOWHERE, formset_errors, log_in_as, read
from tests.make import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> User:
    return log_in_as(client, "root", is_superuser=True)


@pytest.fixture
def agent() -> User:
    return make_user("agent1")


def url_of(page: str, *arguments: object, model: str = "call", **query: Any) -> str:
    url = reverse(f"admin:calls_{model}_{page}", args=arguments)
    return f"{url}?{urlencode(query)}" if query else url


def list_ids(client: Client, **query: Any) -> list[str]:
    response = client.get(url_of("changelist", **query))
    assert response.status_code == 200, response.headers
    return [call.call_id for call in response.context["cl"].result_list]


def report(user: User, call_id: str, number: str = "0021133990312", **values: Any) -> Call:
    return report_call(user, **{"call_id": call_id, "direction": "incoming", "number": number, **values})


def test_the_list_shows_what_became_of_each_call(client: Client, root: User, agent: User) -> None:
    report(agent, "missed", line="12")
    change_call(agent, "missed", state="ended", done=True)
    report(agent, "withheld", "anonymous")

    page = read(client, url_of("changelist"))

    assert '<td class="field-shown_number">+49 211 33990312</td>' in page
    assert '<td class="field-what_became">missed</td>' in page
    assert '<td class="field-seen_to">agent1</td>' in page
    assert '<td class="field-shown_number">withheld</td>' in page
    assert '<td class="field-what_became">ringing</td>' in page


def test_calls_are_filtered_by_missed_seen_to_day_direction_and_line(client: Client, root: User, agent: User) -> None:
    Line.objects.create(name="12", label="Hotline")
    report(agent, "old", line="12", started_at=timezone.now() - timedelta(days=2))
    report(agent, "missed", line="12")
    change_call(agent, "missed", state="ended")
    report(agent, "out", direction="outgoing")

    assert list_ids(client) == ["out", "missed", "old"]
    assert list_ids(client, is_missed__exact=1) == ["missed"]
    assert list_ids(client, is_missed__exact=1, done="yes") == []
    assert list_ids(client, is_missed__exact=1, done="no") == ["missed"]
    assert list_ids(client, line="12") == ["missed", "old"]
    assert list_ids(client, direction__exact="outgoing") == ["out"]
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    assert list_ids(client, started_at__gte=today.isoformat()) == ["out", "missed"]
    assert "Hotline (12)" in read(client, url_of("changelist"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0211 33990312", ["c1"]),
        ("+49 (211) 339903", ["c1"]),
        ("33", ["c3"]),
        ("agent1", ["c3", "c1"]),
        ("c1", ["c1"]),
        ("nobody", []),
        ("\x00", ["c3", "c1"]),
        ("9" * 5000, []),
    ],
)
def test_a_call_is_found_by_number_line_user_and_id(
    client: Client, root: User, agent: User, text: str, found: list[str]
) -> None:
    report(agent, "c1")
    report(agent, "c3", "0033142685300", line="33")

    assert list_ids(client, q=text) == found


def test_the_page_of_a_call_says_all_that_is_known_and_changes_nothing(client: Client, root: User, agent: User) -> None:
    call = report(agent, "{6F96}", line="12")
    change_call(agent, "{6F96}", state="ended")
    call_back(agent, "{6F96}")

    page = read(client, url_of("change", call.pk))

    for text in ("+49 211 33990312", "0021133990312", "{6F96}", "missed", "agent1"):
        assert f'<div class="readonly">{text}</div>' in page
    assert 'name="_save"' not in page
    before = Call.objects.values().get()
    assert client.post(url_of("change", call.pk), {"done_at": ""}).status_code == 403
    assert client.post(url_of("delete", call.pk), {"post": "yes"}).status_code == 403
    assert client.get(url_of("add")).status_code == 403
    assert Call.objects.values().get() == before


def test_only_superusers_see_calls(client: Client, agent: User) -> None:
    staff = log_in_as(client, "staff")
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="calls"))
    call = report(agent, "c1")

    for pk in (call.pk, NOWHERE):
        for page in ("change", "history", "delete"):
            assert client.get(url_of(page, pk)).status_code == client.get(url_of(page, NOWHERE)).status_code
            assert client.get(url_of(page, pk)).status_code in {302, 403}
    assert client.get(url_of("changelist")).status_code == 403
    assert url_of("changelist") not in read(client, reverse("admin:index"))
    assert url_of("changelist", model="line") in read(client, reverse("admin:index"))


def test_a_line_is_made_with_its_users(client: Client, root: User, agent: User) -> None:
    values = {"name": "12", "label": "Hotline", "users": [agent.pk]}
    assert client.post(url_of("add", model="line"), values).status_code == 302

    line = Line.objects.get()
    assert (str(line), [*line.users.all()]) == ("Hotline (12)", [agent])
    assert "agent1" in read(client, url_of("changelist", model="line"))
    again = client.post(url_of("add", model="line"), values)
    assert again.context["adminform"].form.errors == {"name": ["Line with this Name already exists."]}


def role_form(role: Group, *seen: Group) -> dict[str, object]:
    form: dict[str, object] = {"name": role.name}
    for prefix in ("customer_group_rights", "queue_rights", "call_rights"):
        form |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    form["call_rights-TOTAL_FORMS"] = len(seen)
    for place, each in enumerate(seen):
        form |= {f"call_rights-{place}-seen_role": each.pk, f"call_rights-{place}-role": role.pk}
    return form


def test_a_role_is_given_the_right_to_see_the_calls_of_another_one(client: Client, root: User) -> None:
    leader, agent = Group.objects.create(name="leader"), Group.objects.create(name="agent")
    url = reverse("admin:contacts_role_change", args=[leader.pk])
    assert "Calls: whose the role may see beside one&#x27;s own" in read(client, url)

    assert client.post(url, role_form(leader, agent)).status_code == 302

    assert [(right.role, right.seen_role) for right in CallRight.objects.all()] == [(leader, agent)]


def test_a_right_is_given_once(client: Client, root: User) -> None:
    leader, agent = Group.objects.create(name="leader"), Group.objects.create(name="agent")
    url = reverse("admin:contacts_role_change", args=[leader.pk])

    response = client.post(url, role_form(leader, agent, agent))

    assert formset_errors(response)
    assert not CallRight.objects.exists()


def test_the_page_that_deletes_a_user_lists_no_events(client: Client, root: User, agent: User) -> None:
    report(agent, "c1")

    page = read(client, reverse("admin:contacts_user_delete", args=[agent.pk]))
    assert "call event" not in page.lower()
    assert client.post(reverse("admin:contacts_user_delete", args=[agent.pk]), {"post": "yes"}).status_code == 302
    assert Call.objects.get().reporter is None
