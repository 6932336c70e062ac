"""Seats: given, renewed, refused and given back, by one client after the other."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from cmphone.properties.registry import REST_SESSION_TIMEOUT
from cmphone.properties.services import set_property
from license.importing import import_license
from license.models import EndReason, Pool, ReplacedToken, Session
from license.problems import LicenseExpired, LicenseMissing, NoFreeLicense
from license.selectors import (
    IS_LIVE,
    LiveSession,
    find_live_session,
    find_pool_state,
    find_session,
    list_sessions,
    site_day,
)
from license.services import (
    Claim,
    authenticate,
    claim_seat,
    end_session,
    end_timed_out_sessions,
    release_seat,
    renew_session,
)
from license.tasks import end_timed_out_sessions as end_timed_out_sessions_task
from license.tokens import hash_token, make_token
from tests.licenses import make_license, make_section

pytestmark = pytest.mark.django_db

TIMEOUT = timedelta(seconds=300)


@pytest.fixture(autouse=True)
def two_seats() -> None:
    import_license(text=make_license(make_section(licenses=2)), imported_by=None)


def make_user(username: str = "agent1") -> User:
    return User.objects.get_or_create(username=username)[0]


def claim(username: str = "agent1", client_id: str = "client") -> Claim:
    return claim_seat(user=make_user(username), client_id=client_id)


def age(session: Session, seconds: float) -> None:
    """Make it so that the last sign of life of a session was so long ago; negative: the clock was set back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update license_session set last_seen_at = statement_timestamp() - make_interval(secs => %s) where id = %s",
            [seconds, session.id],
        )


def set_clock(*, forward: float) -> None:
    """Make it so that the clock of the database was set forward by so many hours; negative: back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update license_session set last_seen_at = last_seen_at - shift, started_at = started_at - shift, "
            "ended_at = ended_at - shift from make_interval(secs => %s) as shift",
            [forward * 3600],
        )


def in_use() -> int:
    state = find_pool_state()
    assert state is not None
    return state.in_use


def reason_of(token: str) -> object:
    with pytest.raises(NotAuthenticated) as caught:
        authenticate(token)
    assert caught.value.status == 401
    return caught.value.members.get("reason")


def database_day() -> date:
    with connection.cursor() as cursor:
        cursor.execute("select statement_timestamp()")
        return site_day(cursor.fetchone()[0])


class TestClaim:
    """Log-in: a seat is claimed or renewed."""

    def test_a_client_gets_a_seat_and_a_token(self) -> None:
        claimed = claim_seat(
            user=make_user(),
            client_id="PC-17",
            client_version="6.18.0",
            workstation="Empfang",
            line="12",
            address="2001:db8::17",
        )
        assert (claimed.is_new, claimed.licensed, claimed.in_use) == (True, 2, 1)
        assert claimed.session.timeout == TIMEOUT
        assert claimed.session.expires_at == claimed.session.started_at + TIMEOUT
        session = authenticate(claimed.token)
        assert session == claimed.session
        assert session.user.username == "agent1"
        assert session.pool.name == "REST_USERS"
        assert (session.client_id, session.client_version, session.workstation, session.line, session.address) == (
            "PC-17",
            "6.18.0",
            "Empfang",
            "12",
            "2001:db8::17",
        )

    def test_the_token_is_stored_nowhere(self) -> None:
        claimed = claim()
        assert claimed.token not in repr(claimed)
        assert bytes(Session.objects.get().token_hash) == hash_token(claimed.token)
        assert len(claimed.token) == 43
        assert make_token() != make_token()

    def test_renewing_a_held_seat_does_not_take_a_second_one(self) -> None:
        first = claim()
        again = claim_seat(user=make_user(), client_id="client", client_version="2", line="13", address="10.0.0.1")
        assert (again.is_new, again.in_use, again.session.id) == (False, 1, first.session.id)
        assert again.session.started_at == first.session.started_at
        assert again.session.timeout == TIMEOUT
        session = authenticate(again.token)
        assert (session.client_version, session.line, session.address) == ("2", "13", "10.0.0.1")

    def test_the_token_before_a_renewal_is_dead_and_told_so(self) -> None:
        tokens = [claim().token for _ in range(3)]
        assert [reason_of(token) for token in tokens[:2]] == ["replaced", "replaced"]
        assert authenticate(tokens[2])
        assert ReplacedToken.objects.count() == 2

    def test_a_full_pool_refuses_the_next_client_with_figures(self) -> None:
        first = claim(client_id="1").session
        claim(client_id="2")
        age(first, 100)
        with pytest.raises(NoFreeLicense) as caught:
            claim(client_id="3")
        problem = caught.value
        assert (problem.status, problem.slug) == (409, "no-free-license")
        assert problem.members == {"licensed": 2, "in_use": 2}
        assert problem.retry_after == 200
        assert Session.objects.count() == 2

    def test_a_full_pool_renews_the_seats_that_are_held(self) -> None:
        claim(client_id="1")
        claim(client_id="2")
        assert claim(client_id="1").in_use == 2

    def test_the_same_client_of_two_users_is_two_seats(self) -> None:
        claim("agent1", "shared")
        assert claim("agent2", "shared").in_use == 2

    def test_a_pool_without_seats_says_so(self) -> None:
        import_license(text=make_license(make_section(licenses=0)), imported_by=None)
        with pytest.raises(NoFreeLicense) as caught:
            claim()
        assert caught.value.members == {"licensed": 0, "in_use": 0}
        assert caught.value.retry_after == 300

    def test_after_shrinking_new_claims_wait_until_use_has_fallen(self) -> None:
        sessions = [claim(client_id=str(number)).session for number in range(2)]
        import_license(text=make_license(make_section(licenses=1)), imported_by=None)
        assert claim(client_id="0").in_use == 2
        release_seat(sessions[0])
        with pytest.raises(NoFreeLicense) as caught:
            claim(client_id="new")
        assert caught.value.members == {"licensed": 1, "in_use": 1}
        release_seat(sessions[1])
        assert claim(client_id="new").in_use == 1

    def test_without_a_licence_nobody_gets_a_seat(self) -> None:
        Pool.objects.all().delete()
        with pytest.raises(LicenseMissing) as caught:
            claim()
        assert (caught.value.status, caught.value.slug) == (403, "license-missing")

    def test_a_licence_of_another_key_counts_no_more(self, settings: Settings) -> None:
        settings.LICENSE_PUBLIC_KEY = "A" * 43 + "="
        with pytest.raises(LicenseMissing):
            claim()
        assert find_pool_state() is None

    def test_a_claim_costs_three_statements(self) -> None:
        user = make_user()

        def count_statements() -> int:
            with CaptureQueriesContext(connection) as queries:
                claim_seat(user=user, client_id="client")
            return sum("SAVEPOINT" not in query["sql"] for query in queries)

        assert count_statements() == 3
        renewing = count_statements()
        assert renewing == 3
        age(Session.objects.get(), 301)
        after_a_time_out = count_statements()
        assert after_a_time_out == 3
        assert Session.objects.count() == 2


class TestExpiry:
    """The last day of a licence counts in full, where the site is."""

    @pytest.mark.parametrize(
        ("moment", "zone", "day"),
        [
            (datetime(2026, 12, 31, 22, 59, tzinfo=UTC), "Europe/Berlin", date(2026, 12, 31)),
            (datetime(2026, 12, 31, 23, 1, tzinfo=UTC), "Europe/Berlin", date(2027, 1, 1)),
            (datetime(2026, 6, 30, 21, 59, tzinfo=UTC), "Europe/Berlin", date(2026, 6, 30)),
            (datetime(2026, 6, 30, 22, 1, tzinfo=UTC), "Europe/Berlin", date(2026, 7, 1)),
            (datetime(2026, 12, 31, 23, 1, tzinfo=UTC), "UTC", date(2026, 12, 31)),
            (datetime(2027, 1, 1, 7, 59, tzinfo=UTC), "America/Los_Angeles", date(2026, 12, 31)),
        ],
    )
    def test_a_day_ends_at_midnight_of_the_site(
        self, settings: Settings, moment: datetime, zone: str, day: date
    ) -> None:
        settings.TIME_ZONE = zone
        assert site_day(moment) == day

    def test_a_seat_is_given_on_the_last_day_and_not_on_the_next(self) -> None:
        today = database_day()
        Pool.objects.update(expires_on=today)
        assert claim().in_use == 1
        Pool.objects.update(expires_on=today - timedelta(days=1))
        with pytest.raises(LicenseExpired) as caught:
            claim(client_id="other")
        assert (caught.value.status, caught.value.slug) == (403, "license-expired")
        state = find_pool_state()
        assert state is not None
        assert state.days_left == -1

    def test_the_zone_of_the_site_decides(self, settings: Settings) -> None:
        # 25 hours apart: it is never the same day in both.
        settings.TIME_ZONE = "Pacific/Pago_Pago"
        Pool.objects.update(expires_on=database_day())
        assert claim().in_use == 1
        settings.TIME_ZONE = "Pacific/Kiritimati"
        with pytest.raises(LicenseExpired):
            claim()

    def test_a_session_outlives_its_licence_but_is_not_renewed(self) -> None:
        claimed = claim()
        Pool.objects.update(expires_on=date(2020, 1, 1))
        assert authenticate(claimed.token)
        with pytest.raises(LicenseExpired):
            claim()
        assert authenticate(claimed.token)


class TestAuthenticate:
    """Every call of a client: who it is, and that it lives."""

    def test_it_is_one_statement(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        token = claim().token
        with django_assert_num_queries(1):
            session = authenticate(token)
            assert session.user.username == "agent1"
            assert session.expires_at
            renew_session(session)

    def test_a_sign_of_life_is_written_once_a_minute(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        claimed = claim()
        age(claimed.session, 59)
        with django_assert_num_queries(1):
            authenticate(claimed.token)
        age(claimed.session, 61)
        with django_assert_num_queries(2):
            session = authenticate(claimed.token)
        assert session.expires_at == session.read_at + TIMEOUT
        assert timedelta(0) <= Session.objects.get().last_seen_at - session.last_seen_at < timedelta(seconds=10)
        with django_assert_num_queries(1):
            authenticate(claimed.token)

    def test_a_sign_of_life_is_written_in_a_quarter_of_a_short_time_out(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        claimed = claim()
        set_property(name=REST_SESSION_TIMEOUT, value="40")
        age(claimed.session, 9)
        with django_assert_num_queries(1):
            authenticate(claimed.token)
        age(claimed.session, 11)
        before = Session.objects.get().last_seen_at
        with django_assert_num_queries(2):
            authenticate(claimed.token)
        assert timedelta(seconds=11) <= Session.objects.get().last_seen_at - before < timedelta(seconds=21)

    @pytest.mark.parametrize("timeout", ["40", "600"])
    @pytest.mark.parametrize("seconds", [-7200, -1, 0, 9, 11, 39, 41, 59, 61, 599, 601])
    def test_the_short_question_sees_what_the_long_one_sees(self, timeout: str, seconds: float) -> None:
        claimed = claim()
        set_property(name=REST_SESSION_TIMEOUT, value=timeout)
        age(claimed.session, seconds)
        session = find_session(claimed.token)
        assert session is not None

        live = find_live_session(claimed.token)

        assert live == (None if session.is_timed_out else LiveSession(session.templates_version, session.is_touch_due))

    def test_the_short_question_is_answered_for_living_sessions_of_active_users_only(self) -> None:
        claimed = claim()
        assert find_live_session("nobody") is None
        User.objects.update(is_active=False)
        assert find_live_session(claimed.token) is None
        User.objects.update(is_active=True)
        assert find_live_session(claimed.token) is not None
        release_seat(claimed.session)
        assert find_live_session(claimed.token) is None

    def test_a_clock_set_back_is_put_right_by_the_next_sign_of_life(self) -> None:
        claimed = claim()
        age(claimed.session, -7200)
        session = authenticate(claimed.token)
        assert session.last_seen_at == session.read_at
        assert in_use() == 1

    def test_a_thousand_clients_write_a_sign_of_life_once_a_minute_each(self) -> None:
        import_license(text=make_license(make_section(licenses=1000)), imported_by=None)
        tokens = [claim(client_id=str(number)).token for number in range(1000)]

        def count_writes() -> int:
            with CaptureQueriesContext(connection) as queries:
                for token in tokens:
                    authenticate(token)
            # Of a prepared statement Django does not know the text.
            return sum("UPDATE" in (query["sql"] or "") for query in queries)

        # As often as clients call whose time-out is a minute.
        writes = []
        for seconds in (15, 30, 45, 60):
            with connection.cursor() as cursor:
                cursor.execute(
                    "update license_session set last_seen_at = statement_timestamp() - make_interval(secs => %s)",
                    [seconds],
                )
            writes.append(count_writes())
        assert writes == [0, 0, 0, 1000]
        assert count_writes() == 0

    @pytest.mark.parametrize(
        "token",
        ["", "x", "é", "\ud800", "\x00", "a" * 1_000_000, "' or 1=1 --"],
        ids=["", "x", "é", "lone", "NUL", "huge", "SQL"],
    )
    def test_an_unknown_token_has_no_reason(self, token: str) -> None:
        claim()
        assert reason_of(token) is None

    def test_a_deactivated_user_is_out_at_once(self) -> None:
        token = claim().token
        User.objects.update(is_active=False)
        assert reason_of(token) is None
        User.objects.update(is_active=True)
        assert authenticate(token)

    def test_a_session_ended_between_reading_and_writing_is_dead(self) -> None:
        claimed = claim()
        age(claimed.session, 100)
        session = find_session(claimed.token)
        assert session is not None
        end_session(session)
        with pytest.raises(NotAuthenticated) as caught:
            renew_session(session)
        assert caught.value.members == {"reason": "ended-by-administrator"}

    def test_a_sign_of_life_that_was_held_up_does_not_take_back_a_later_one(self) -> None:
        claimed = claim()
        age(claimed.session, 100)
        held_up = find_session(claimed.token)
        assert held_up is not None
        held_up.read_at -= timedelta(seconds=200)
        held_up.last_seen_at -= timedelta(seconds=200)
        authenticate(claimed.token)
        renew_session(held_up)
        age_now = list_sessions().get().read_at - Session.objects.get().last_seen_at
        assert age_now < timedelta(seconds=30)

    def test_a_token_replaced_between_reading_and_writing_is_dead(self) -> None:
        claimed = claim()
        age(claimed.session, 100)
        session = find_session(claimed.token)
        assert session is not None
        claim()
        with pytest.raises(NotAuthenticated) as caught:
            renew_session(session)
        assert caught.value.members == {"reason": "replaced"}

    def test_a_session_timed_out_between_reading_and_writing_stays_so(self) -> None:
        claimed = claim()
        age(claimed.session, 100)
        session = find_session(claimed.token)
        assert session is not None
        age(claimed.session, 301)
        with pytest.raises(NotAuthenticated) as caught:
            renew_session(session)
        assert caught.value.members == {"reason": "timed-out"}
        assert in_use() == 0


class TestEnd:
    """Seats are given back."""

    def test_logging_out_frees_the_seat_at_once(self) -> None:
        claimed = claim()
        assert release_seat(claimed.session)
        session = Session.objects.get()
        assert (session.end_reason, in_use()) == (EndReason.LOGGED_OUT, 0)
        assert session.ended_at is not None
        assert reason_of(claimed.token) is None

    def test_logging_out_twice_changes_nothing(self) -> None:
        session = claim().session
        assert release_seat(session)
        ended_at = Session.objects.get().ended_at
        assert not release_seat(session)
        assert not end_session(session)
        assert (Session.objects.get().ended_at, Session.objects.get().end_reason) == (ended_at, "logged-out")

    def test_logging_out_late_does_not_end_the_next_session_of_the_client(self) -> None:
        first = claim()
        release_seat(first.session)
        second = claim()
        assert second.is_new
        assert not release_seat(first.session)
        assert authenticate(second.token)

    def test_an_administrator_ends_a_session_with_its_next_request(self) -> None:
        claimed = claim()
        assert end_session(claimed.session)
        assert reason_of(claimed.token) == "ended-by-administrator"
        assert in_use() == 0
        assert claim().is_new

    def test_deleting_a_user_frees_the_seats(self) -> None:
        claim()
        claim()
        User.objects.all().delete()
        assert (in_use(), Session.objects.count(), ReplacedToken.objects.count()) == (0, 0, 0)


class TestTimeOut:
    """Who gives no sign of life loses the seat by the clock, whether or not anybody tidies."""

    def test_a_crashed_client_blocks_nobody_longer_than_the_time_out(self) -> None:
        claim(client_id="1")
        crashed = claim(client_id="2")
        age(crashed.session, 299)
        with pytest.raises(NoFreeLicense) as caught:
            claim(client_id="3")
        assert caught.value.retry_after == 1
        age(crashed.session, 300)
        assert claim(client_id="3").in_use == 2
        assert reason_of(crashed.token) == "timed-out"

    def test_a_timed_out_session_holds_no_seat_and_has_no_way_back(self) -> None:
        claimed = claim()
        age(claimed.session, 301)
        assert in_use() == 0
        assert list(list_sessions().filter(IS_LIVE)) == []
        assert reason_of(claimed.token) == "timed-out"
        assert not release_seat(claimed.session)
        assert not end_session(claimed.session)
        assert reason_of(claimed.token) == "timed-out"

    def test_a_timed_out_client_claims_anew(self) -> None:
        old = claim()
        age(old.session, 1000)
        new = claim()
        assert (new.is_new, new.in_use) == (True, 1)
        assert new.session.id != old.session.id
        ended = list_sessions().get(id=old.session.id)
        assert (ended.end_reason, reason_of(old.token)) == (EndReason.TIMED_OUT, "timed-out")
        assert ended.ended_at == ended.expires_at

    def test_a_timed_out_client_may_find_its_seat_taken(self) -> None:
        age(claim(client_id="1").session, 301)
        claim(client_id="2")
        claim(client_id="3")
        with pytest.raises(NoFreeLicense):
            claim(client_id="1")

    def test_a_new_time_out_counts_at_once_in_both_directions(self) -> None:
        claimed = claim()
        age(claimed.session, 100)
        set_property(name=REST_SESSION_TIMEOUT, value="60")
        assert in_use() == 0
        assert reason_of(claimed.token) == "timed-out"
        set_property(name=REST_SESSION_TIMEOUT, value="200")
        assert in_use() == 1
        session = authenticate(claimed.token)
        assert session.timeout == timedelta(seconds=200)

    def test_the_reaper_writes_down_what_is_so_already(self) -> None:
        alive = claim(client_id="1")
        dead = claim(client_id="2")
        age(dead.session, 1000)
        assert end_timed_out_sessions() == 1
        assert end_timed_out_sessions() == 0
        ended = list_sessions().get(id=dead.session.id)
        assert (ended.end_reason, ended.ended_at) == (EndReason.TIMED_OUT, ended.expires_at)
        assert reason_of(dead.token) == "timed-out"
        assert authenticate(alive.token)

    def test_the_reaper_runs_as_a_task(self) -> None:
        age(claim().session, 301)
        end_timed_out_sessions_task()
        assert Session.objects.get().end_reason == EndReason.TIMED_OUT


class TestClock:
    """The clock of the database decides, and it may be set; that of a web server's machine decides nothing."""

    def test_set_forward_it_ends_every_session_and_doubles_none(self) -> None:
        old = [claim(client_id=name).token for name in "ab"]
        set_clock(forward=3)
        assert in_use() == 0
        assert [reason_of(token) for token in old] == ["timed-out", "timed-out"]
        assert [claim(client_id=name).in_use for name in "cd"] == [1, 2]
        for name in "ab":
            with pytest.raises(NoFreeLicense) as caught:
                claim(client_id=name)
            assert caught.value.members == {"licensed": 2, "in_use": 2}
        assert [reason_of(token) for token in old] == ["timed-out", "timed-out"]

    def test_set_forward_and_back_again_it_gives_back_what_nobody_else_has(self) -> None:
        tokens = [claim(client_id=name).token for name in "ab"]
        set_clock(forward=3)
        assert in_use() == 0
        set_clock(forward=-3)
        assert in_use() == 2
        assert all(authenticate(token) for token in tokens)

    def test_set_forward_and_back_again_it_does_not_give_back_what_somebody_else_has(self) -> None:
        old = [claim(client_id=name).token for name in "ab"]
        set_clock(forward=3)
        new = [claim(client_id=name).token for name in "cd"]
        set_clock(forward=-3)
        assert in_use() == 2
        assert [reason_of(token) for token in old] == ["timed-out", "timed-out"]
        assert all(authenticate(token) for token in new)

    def test_set_back_it_ends_no_session_and_doubles_none(self) -> None:
        tokens = [claim(client_id=name).token for name in "ab"]
        set_clock(forward=-3)
        with pytest.raises(NoFreeLicense) as caught:
            claim(client_id="c")
        assert caught.value.members == {"licensed": 2, "in_use": 2}
        assert all(authenticate(token) for token in tokens)
        assert claim(client_id="a").in_use == 2

    def test_set_back_it_tells_nobody_to_wait_longer_than_a_time_out(self) -> None:
        for name in "ab":
            claim(client_id=name)
        set_clock(forward=-3)
        with pytest.raises(NoFreeLicense) as caught:
            claim(client_id="c")
        assert caught.value.retry_after == 300

    @pytest.mark.parametrize("tidying", ["a refused claim", "a renewed seat", "the reaper"])
    def test_set_back_it_keeps_the_seat_of_a_crashed_client_no_longer_than_a_time_out(self, tidying: str) -> None:
        crashed = claim(client_id="crashed")
        claim(client_id="other")
        set_clock(forward=-3)
        match tidying:
            case "a refused claim":
                with pytest.raises(NoFreeLicense):
                    claim(client_id="new")
            case "a renewed seat":
                claim(client_id="other")
            case "the reaper":
                assert end_timed_out_sessions() == 0
        set_clock(forward=299 / 3600)
        assert in_use() == 2
        set_clock(forward=1 / 3600)
        assert in_use() == 0
        assert claim(client_id="new").in_use == 1
        assert reason_of(crashed.token) == "timed-out"

    @pytest.mark.parametrize("hours", [-72, -5, 5, 72])
    def test_a_web_server_whose_own_clock_is_wrong_counts_right(self, hours: int) -> None:
        Pool.objects.update(expires_on=database_day())
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours)):
            tokens = [claim(client_id=name).token for name in "ab"]
            session = authenticate(tokens[0])
            assert session.expires_at == session.started_at + TIMEOUT
            for name, age_of_it in [("c", 0.0), ("d", 299.0)]:
                age(session, age_of_it)
                with pytest.raises(NoFreeLicense) as caught:
                    claim(client_id=name)
                assert caught.value.retry_after in {300 - age_of_it, 300}
            assert end_timed_out_sessions() == 0
            assert all(authenticate(token) for token in tokens)
            age(session, 300)
            assert reason_of(tokens[0]) == "timed-out"
            assert claim(client_id="e").in_use == 2
            Pool.objects.update(expires_on=database_day() - timedelta(days=1))
            with pytest.raises(LicenseExpired):
                claim(client_id="f")
        # What it wrote is in the time of the database.
        assert in_use() == 2
