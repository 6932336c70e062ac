"""The use of each hour is written down by claims, refusals and a look every minute; sessions are kept for a while."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from cmphone.properties.registry import SESSION_ARCHIVE
from cmphone.properties.services import set_property
from license.importing import import_license
from license.models import HourlyUsage, Pool, ReplacedToken, Session
from license.problems import NoFreeLicense
from license.services import Claim, authenticate, claim_seat, release_seat
from license.tasks import record_use, remove_archived_sessions
from tests.licenses import make_license, make_section

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_seats() -> None:
    import_license(text=make_license(make_section(licenses=2), make_section("TRACK")), imported_by=None)


def claim(client_id: str = "client") -> Claim:
    return claim_seat(user=User.objects.get_or_create(username="agent1")[0], client_id=client_id)


def refuse(client_id: str) -> None:
    with pytest.raises(NoFreeLicense):
        claim(client_id)


def used() -> list[tuple[Any, ...]]:
    rows = HourlyUsage.objects.order_by("hour", "pool_name")
    return list(rows.values_list("pool_name", "licensed", "peak", "claims", "refused"))


def let_an_hour_pass() -> None:
    HourlyUsage.objects.update(hour=HourlyUsage.objects.get().hour - timedelta(hours=1))


class TestHours:
    def test_claims_refusals_and_the_peak_are_kept(self) -> None:
        first, second = claim("1"), claim("2")
        refuse("3")
        refuse("3")
        release_seat(first.session)
        release_seat(second.session)
        claim("4")

        assert used() == [("REST_USERS", 2, 2, 3, 2)]
        hour = HourlyUsage.objects.get().hour.astimezone(UTC)
        assert (hour.minute, hour.second, hour.microsecond) == (0, 0, 0)
        assert timedelta(0) <= datetime.now(UTC) - hour < timedelta(hours=1, minutes=1)

    def test_renewing_is_no_claim(self) -> None:
        claim()
        claim()
        assert used() == [("REST_USERS", 2, 1, 1, 0)]

    def test_each_hour_has_a_row_of_its_own(self) -> None:
        claim("1")
        let_an_hour_pass()
        claim("2")
        assert used() == [("REST_USERS", 2, 1, 1, 0), ("REST_USERS", 2, 2, 1, 0)]

    def test_an_hour_in_which_nobody_logs_in_has_the_use_that_goes_on(self) -> None:
        claim("1")
        claim("2")
        let_an_hour_pass()
        record_use()
        record_use()
        assert used() == [("REST_USERS", 2, 2, 2, 0), ("REST_USERS", 2, 2, 0, 0)]

    def test_a_look_does_not_lower_the_peak_but_follows_the_licence(self) -> None:
        release_seat(claim().session)
        import_license(text=make_license(make_section(licenses=7)), imported_by=None)
        record_use()
        assert used() == [("REST_USERS", 7, 1, 1, 0)]

    def test_without_a_licence_there_is_nothing_to_look_at(self) -> None:
        Pool.objects.all().delete()
        record_use()
        assert used() == []

    def test_a_refusal_leaves_nothing_else_behind(self) -> None:
        claim("1")
        claim("2")
        refuse("3")
        assert Session.objects.count() == 2


class TestArchive:
    """Sessions that have ended are kept for server.session.archive.timeout days."""

    def end(self, claimed: Claim, days: float) -> None:
        release_seat(claimed.session)
        with connection.cursor() as cursor:
            cursor.execute(
                "update license_session set ended_at = statement_timestamp() - make_interval(secs => %s) where id = %s",
                [days * 86_400, claimed.session.id],
            )

    def test_what_ended_long_ago_is_removed_and_nothing_else(self) -> None:
        self.end(claim("old"), 31.1)
        self.end(claim("recent"), 30.9)
        claim("live")
        remove_archived_sessions()
        remove_archived_sessions()
        assert set(Session.objects.values_list("client_id", flat=True)) == {"recent", "live"}

    def test_a_session_that_lives_is_kept_however_old(self) -> None:
        claimed = claim()
        Session.objects.update(started_at="2000-01-01T00:00Z")
        remove_archived_sessions()
        assert authenticate(claimed.token)

    def test_the_property_counts_at_once(self) -> None:
        self.end(claim(), 2)
        set_property(name=SESSION_ARCHIVE, value="1")
        remove_archived_sessions()
        assert not Session.objects.exists()

    def test_tokens_that_were_replaced_long_ago_go_too(self) -> None:
        first = claim()
        claim()
        remove_archived_sessions()
        assert ReplacedToken.objects.count() == 1
        ReplacedToken.objects.update(replaced_at="2000-01-01T00:00Z")
        remove_archived_sessions()
        assert (ReplacedToken.objects.count(), Session.objects.count()) == (0, 1)
        with pytest.raises(NotAuthenticated):
            authenticate(first.token)

    def test_it_costs_the_same_for_many(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for number in range(5):
            self.end(claim(str(number)), 40)
        with django_assert_num_queries(4):
            remove_archived_sessions()
        assert not Session.objects.exists()
