"""A client takes over the seat of its own user's idle session: only when all are taken, and the property allows it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection, transaction

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from cmphone.properties.registry import SESSION_TAKEOVER
from cmphone.properties.services import set_property
from license.importing import import_license
from license.models import EndReason, Session
from license.problems import NoFreeLicense
from license.selectors import find_session
from license.services import Claim, authenticate, claim_seat, end_timed_out_sessions, renew_session
from tests.licenses import make_license, make_section
from tests.locks import start, wait_for_waiting


def set_up(licenses: int = 2, takeover: str = "true") -> None:
    import_license(text=make_license(make_section(licenses=licenses)), imported_by=None)
    set_property(name=SESSION_TAKEOVER, value=takeover)


def claim(username: str = "agent1", client_id: str = "client") -> Claim:
    return claim_seat(user=User.objects.get_or_create(username=username)[0], client_id=client_id)


def age(claimed: Claim, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update license_session set last_seen_at = statement_timestamp() - make_interval(secs => %s) where id = %s",
            [seconds, claimed.session.id],
        )


def reason_of(claimed: Claim) -> object:
    with pytest.raises(NotAuthenticated) as caught:
        authenticate(claimed.token)
    return caught.value.members.get("reason")


@pytest.mark.django_db
class TestTakeover:
    def test_the_longest_idle_session_of_the_user_gives_its_seat(self) -> None:
        set_up()
        older, old = claim(client_id="laptop"), claim(client_id="desk")
        age(older, 200)
        age(old, 160)

        new = claim(client_id="home")

        assert (new.is_new, new.licensed, new.in_use) == (True, 2, 2)
        assert reason_of(older) == "replaced"
        assert authenticate(old.token)
        ended = Session.objects.get(id=older.session.id)
        assert (ended.end_reason, ended.ended_at) == (EndReason.REPLACED, new.session.started_at)

    def test_never_without_the_property(self) -> None:
        set_up(licenses=1, takeover="false")
        old = claim()
        age(old, 299)
        with pytest.raises(NoFreeLicense):
            claim(client_id="home")
        assert authenticate(old.token)

    def test_never_that_of_a_stranger(self) -> None:
        set_up(licenses=1)
        old = claim("agent2")
        age(old, 299)
        with pytest.raises(NoFreeLicense):
            claim()
        assert authenticate(old.token)

    def test_never_one_that_is_not_idle(self) -> None:
        set_up(licenses=1)
        old = claim()
        age(old, 149)
        with pytest.raises(NoFreeLicense):
            claim(client_id="home")
        assert authenticate(old.token)

    def test_never_while_a_seat_is_free(self) -> None:
        set_up()
        old = claim()
        age(old, 299)
        assert claim(client_id="home").in_use == 2
        assert authenticate(old.token)

    def test_never_while_more_are_in_use_than_licensed(self) -> None:
        set_up()
        old = claim()
        age(old, 200)
        claim("agent2")
        import_license(text=make_license(make_section(licenses=1)), imported_by=None)
        with pytest.raises(NoFreeLicense) as caught:
            claim(client_id="home")
        assert caught.value.members == {"licensed": 1, "in_use": 2}
        assert authenticate(old.token)

    def test_a_client_that_comes_back_renews_its_own_seat_and_takes_no_other(self) -> None:
        set_up()
        old, own = claim(client_id="laptop"), claim(client_id="desk")
        age(old, 200)
        age(own, 250)
        assert not claim(client_id="desk").is_new
        assert authenticate(old.token)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.fixture
    def threads(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(max_workers=4) as executor:
            yield executor

    def test_a_sign_of_life_on_its_way_saves_the_session(self, threads: ThreadPoolExecutor) -> None:
        set_up(licenses=1)
        old = claim()
        age(old, 200)
        with transaction.atomic():
            session = find_session(old.token)
            assert session is not None
            renew_session(session)
            new = start(threads, partial(claim, client_id="home"))
            wait_for_waiting()
        with pytest.raises(NoFreeLicense):
            new.result(timeout=10)
        assert authenticate(old.token)

    def test_a_sign_of_life_that_comes_too_late_learns_that_it_was_replaced(self, threads: ThreadPoolExecutor) -> None:
        set_up(licenses=1)
        old = claim()
        age(old, 200)
        session = find_session(old.token)
        assert session is not None
        with transaction.atomic():
            claim(client_id="home")
            late = start(threads, partial(renew_session, session))
            wait_for_waiting()
        with pytest.raises(NotAuthenticated) as caught:
            late.result(timeout=10)
        assert caught.value.members == {"reason": "replaced"}

    def test_of_two_clients_of_the_user_one_takes_it_over(self, threads: ThreadPoolExecutor) -> None:
        set_up(licenses=1)
        age(claim(), 200)
        with transaction.atomic():
            claim(client_id="first")
            second = start(threads, partial(claim, client_id="second"))
            wait_for_waiting()
        with pytest.raises(NoFreeLicense):
            second.result(timeout=10)
        assert end_timed_out_sessions() == 0
        assert list(Session.objects.filter(ended_at=None).values_list("client_id", flat=True)) == ["first"]
