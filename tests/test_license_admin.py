"""The admin pages of licence and sessions."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory
from django.urls import reverse

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from license.importing import import_license
from license.models import LicenseFile, Pool, Session
from license.services import authenticate, claim_seat
from tests.licenses import make_license, make_section

pytestmark = pytest.mark.django_db

PAGES = ("licensefile", "pool", "session")


@pytest.fixture(autouse=True)
def license_in_force() -> None:
    import_license(text=make_license(make_section(), make_section("TRACK", licenses=5)), imported_by=None)


@pytest.fixture
def agent() -> User:
    return User.objects.create(username="agent1")


def log_in(client: Client, *, is_superuser: bool = False, rights: tuple[str, ...] = ()) -> None:
    user = User.objects.create(username="admin", is_staff=True, is_superuser=is_superuser)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="license", codename__in=rights))
    client.force_login(user)


def read_list(client: Client, page: str, **query: str) -> str:
    response = client.get(reverse(f"admin:license_{page}_changelist"), query, headers={"accept-language": "en"})
    assert response.status_code == 200
    return response.content.decode()


def end_sessions(client: Client, *sessions: Session) -> int:
    response = client.post(
        reverse("admin:license_session_changelist"),
        {"action": "end_sessions", "confirmed": "yes", "_selected_action": [str(session.pk) for session in sessions]},
    )
    return response.status_code


def test_the_pools_show_their_use(client: Client, agent: User) -> None:
    claim_seat(user=agent, client_id="client")
    log_in(client, is_superuser=True)
    page = read_list(client, "pool")
    assert 'class="field-licensed">10<' in page
    assert 'class="field-in_use">1<' in page
    assert 'class="field-in_use">–<' in page
    assert 'class="field-state">in force<' in page


def test_a_pool_that_does_not_count_says_why(client: Client) -> None:
    log_in(client, is_superuser=True)
    Pool.objects.filter(name="TRACK").update(expires_on="2020-01-01")
    assert 'class="field-state">expired<' in read_list(client, "pool")
    LicenseFile.objects.update(public_key="another")
    assert "signed for another key" in read_list(client, "pool")


def test_the_sessions_can_be_looked_at_and_filtered(client: Client, agent: User) -> None:
    claim_seat(user=agent, client_id="PC-live", workstation="Empfang", line="12", client_version="6.18")
    ended = claim_seat(user=agent, client_id="PC-timed-out").session
    Session.objects.filter(id=ended.id).update(last_seen_at="2026-01-01T00:00Z")
    log_in(client, is_superuser=True)
    page = read_list(client, "session")
    for text in ("PC-live", "Empfang", "6.18", ">active<", "PC-timed-out", ">timed out<"):
        assert text in page
    live = read_list(client, "session", state="live")
    assert ("PC-live" in live, "PC-timed-out" in live) == (True, False)
    others = read_list(client, "session", state="ended")
    assert ("PC-live" in others, "PC-timed-out" in others) == (False, True)
    assert "PC-live" in read_list(client, "session", q="empfang")


def test_an_administrator_ends_sessions(client: Client, agent: User) -> None:
    claims = [claim_seat(user=agent, client_id=str(number)) for number in range(3)]
    log_in(client, is_superuser=True)
    assert end_sessions(client, claims[0].session, claims[1].session) == 302
    for claim in claims[:2]:
        with pytest.raises(NotAuthenticated) as caught:
            authenticate(claim.token)
        assert caught.value.members == {"reason": "ended-by-administrator"}
    assert authenticate(claims[2].token)
    assert "2 sessions ended." in read_list(client, "session")


def test_nothing_can_be_added_changed_or_deleted_in_a_list(client: Client, agent: User) -> None:
    session = claim_seat(user=agent, client_id="client").session
    log_in(client, is_superuser=True)
    rows = {"licensefile": LicenseFile.objects.get().pk, "pool": Pool.objects.all()[0].pk, "session": session.pk}
    for page, row in rows.items():
        if page != "licensefile":  # To add one is to import it.
            assert client.get(reverse(f"admin:license_{page}_add")).status_code == 403
        address = reverse(f"admin:license_{page}_change", args=[row])
        assert client.get(address).status_code == 200
        assert client.post(address, {}).status_code == 403
        if page != "session":
            delete = reverse(f"admin:license_{page}_delete", args=[row])
            assert client.post(delete, {"post": "yes"}).status_code == 403
        assert "delete_selected" not in read_list(client, page)


def test_staff_sees_what_its_permissions_name(client: Client, agent: User) -> None:
    session = claim_seat(user=agent, client_id="client").session
    log_in(client, rights=("view_session",))
    assert "client" in read_list(client, "session")
    assert "end_sessions" not in read_list(client, "session")
    end_sessions(client, session)
    assert Session.objects.get().ended_at is None
    for page in ("licensefile", "pool"):
        assert client.get(reverse(f"admin:license_{page}_changelist")).status_code == 403


def test_staff_with_the_permission_may_end_sessions(client: Client, agent: User) -> None:
    session = claim_seat(user=agent, client_id="client").session
    log_in(client, rights=("view_session", "end_session"))
    end_sessions(client, session)
    assert Session.objects.get().end_reason == "ended-by-administrator"


def test_agents_see_none_of_it(client: Client, agent: User) -> None:
    client.force_login(agent)
    for page in PAGES:
        assert client.get(reverse(f"admin:license_{page}_changelist")).status_code == 302


def test_sessions_do_not_stand_in_the_way_of_deleting_their_user(rf: RequestFactory, agent: User) -> None:
    claim_seat(user=agent, client_id="client")
    claim_seat(user=agent, client_id="client")
    request = rf.get("/")
    request.user = User.objects.create(username="admin", is_staff=True, is_superuser=True)
    users = admin.ModelAdmin(User, admin.site)
    _, _, missing_permissions, protected = users.get_deleted_objects(User.objects.filter(id=agent.pk), request)
    assert (missing_permissions, protected) == (set(), [])
