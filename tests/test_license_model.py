"""Seats against a model of their rules: whatever clients, administrators and clocks do, in whatever order."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.models import Max, Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from cmphone.properties.registry import REST_SESSION_TIMEOUT, SESSION_TAKEOVER
from cmphone.properties.services import set_property
from license.importing import import_license
from license.models import HourlyUsage, Session
from license.problems import NoFreeLicense
from license.selectors import IS_LIVE, find_pool_state, list_sessions
from license.services import authenticate, claim_seat, end_session, end_timed_out_sessions, release_seat
from tests.licenses import make_license, make_section

pytestmark = pytest.mark.django_db

# Ages of sessions are multiples of it, in seconds: no rule takes that long, and so time itself changes nothing.
TICK = 10
# Their halves and quarters are multiples, too.
TIMEOUTS = (80, 240, 400)
USERNAMES = ("agent1", "agent2")
CLIENTS = ("a", "b", "c")
LICENSES = [make_license(make_section(licenses=licensed)) for licensed in range(5)]


@dataclass(eq=False)
class Seat:
    """A session as the model has it.  `age`: seconds since the last sign of life, negative where that is to come;
    `reason`: why it ended; None: it has not, as far as anybody has written down.
    """

    id: int
    username: str
    client_id: str
    token: str
    age: int = 0
    reason: str | None = None


class Seats(RuleBasedStateMachine):
    """Each rule does one thing to the product and to the model, and compares what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.users = {username: User.objects.create(username=username) for username in USERNAMES}
        self.seats: list[Seat] = []
        # Tokens that a newer one replaced.
        self.replaced: list[str] = []
        self.licensed = 2
        self.timeout = 240
        self.may_take_over = False
        self.counts = Counter[str]()
        self.peak = 0
        import_license(text=LICENSES[self.licensed], imported_by=None)
        set_property(name=REST_SESSION_TIMEOUT, value=str(self.timeout))

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    def is_alive(self, seat: Seat) -> bool:
        return seat.reason is None and seat.age < self.timeout

    @property
    def alive(self) -> list[Seat]:
        return [seat for seat in self.seats if self.is_alive(seat)]

    @rule(
        who=st.lists(st.sampled_from([(username, client) for username in USERNAMES for client in CLIENTS]), min_size=1)
    )
    def claim(self, who: list[tuple[str, str]]) -> None:
        for username, client_id in who:
            self._claim(username, client_id)

    def _claim(self, username: str, client_id: str) -> None:
        _stop_time()
        self._tidy()
        alive = self.alive
        own = next((seat for seat in alive if (seat.username, seat.client_id) == (username, client_id)), None)
        idle = [seat for seat in alive if seat.username == username and seat.age >= self.timeout / 2]
        oldest = max((seat.age for seat in alive), default=0)
        is_full = own is None and len(alive) >= self.licensed
        can_take_over = self.may_take_over and len(alive) == self.licensed and bool(idle)
        claim = partial(claim_seat, user=self.users[username], client_id=client_id)
        if is_full and not can_take_over:
            with pytest.raises(NoFreeLicense) as caught:
                claim()
            assert caught.value.members == {"licensed": self.licensed, "in_use": len(alive)}
            assert caught.value.retry_after is not None
            assert 0 <= self.timeout - oldest - caught.value.retry_after < TICK
            self._count("refused", len(alive))
            return
        claimed = claim()
        assert claimed.licensed == self.licensed
        assert claimed.is_new == (own is None)
        if own:
            assert (claimed.session.id, claimed.in_use) == (own.id, len(alive))
            self.replaced.append(own.token)
            own.token, own.age = claimed.token, 0
            return
        if is_full:
            # Of several that have been idle as long, it may be any.
            candidates = {seat.id: seat for seat in idle if seat.age == max(seat.age for seat in idle)}
            candidates[Session.objects.get(id__in=candidates, end_reason="replaced").id].reason = "replaced"
        self.seats.append(Seat(claimed.session.id, username, client_id, claimed.token))
        assert claimed.in_use == len(self.alive) <= self.licensed
        self._count("claims", claimed.in_use)

    @precondition(lambda self: self.seats)
    @rule(data=st.data())
    def show_life(self, data: st.DataObject) -> None:
        self._show_life(data.draw(st.sampled_from(self.seats)))

    @precondition(lambda self: self.replaced)
    @rule(data=st.data())
    def show_replaced_token(self, data: st.DataObject) -> None:
        assert _reason_of(data.draw(st.sampled_from(self.replaced))) == "replaced"

    @precondition(lambda self: self.seats)
    @rule(
        data=st.data(),
        way=st.sampled_from([(release_seat, "logged-out"), (end_session, "ended-by-administrator")]),
    )
    def end(self, data: st.DataObject, way: tuple[Callable[[Session], bool], str]) -> None:
        seat = data.draw(st.sampled_from(self.seats))
        _stop_time()
        end_it, reason = way
        assert end_it(Session.objects.get(id=seat.id)) == self.is_alive(seat)
        if self.is_alive(seat):
            seat.reason = reason

    @rule(ticks=st.one_of(st.integers(1, 45), st.integers(-45, -1), st.sampled_from([-1440, -360, 360, 1440])))
    def let_time_pass(self, ticks: int) -> None:
        """Time passes, or the clock is set forward or back, also by hours."""
        for seat in self.seats:
            seat.age += ticks * TICK
        with connection.cursor() as cursor:
            cursor.execute(
                "update license_session set last_seen_at = last_seen_at - shift, started_at = started_at - shift, "
                "ended_at = ended_at - shift from make_interval(secs => %s) as shift",
                [ticks * TICK],
            )

    @rule()
    def reap(self) -> None:
        _stop_time()
        assert end_timed_out_sessions() == self._tidy()

    @rule(licensed=st.integers(0, len(LICENSES) - 1))
    def import_license(self, licensed: int) -> None:
        import_license(text=LICENSES[licensed], imported_by=None)
        self.licensed = licensed

    @rule(may_take_over=st.booleans())
    def set_takeover(self, may_take_over: bool) -> None:
        set_property(name=SESSION_TAKEOVER, value="true" if may_take_over else "false")
        self.may_take_over = may_take_over

    @rule(timeout=st.sampled_from(TIMEOUTS))
    def set_timeout(self, timeout: int) -> None:
        set_property(name=REST_SESSION_TIMEOUT, value=str(timeout))
        self.timeout = timeout

    @invariant()
    def in_use_is_as_many_as_live(self) -> None:
        _stop_time()
        state = find_pool_state()
        assert state is not None
        assert (state.licensed, state.in_use) == (self.licensed, len(self.alive))
        told = list_sessions().filter(IS_LIVE).values_list("user__username", "client_id")
        assert sorted(told) == sorted((seat.username, seat.client_id) for seat in self.alive)

    @invariant()
    def use_is_counted(self) -> None:
        used = HourlyUsage.objects.aggregate(Sum("claims"), Sum("refused"), Max("peak"))
        expected = [self.counts["claims"], self.counts["refused"], self.peak]
        assert [value or 0 for value in used.values()] == expected

    @invariant()
    def no_client_has_two_seats(self) -> None:
        assert len({(seat.username, seat.client_id) for seat in self.alive}) == len(self.alive)

    def _show_life(self, seat: Seat) -> None:
        _stop_time()
        if not self.is_alive(seat):
            # Nobody is told that he has logged out.
            reason = None if seat.reason == "logged-out" else seat.reason or "timed-out"
            assert _reason_of(seat.token) == reason
            return
        session = authenticate(seat.token)
        assert (session.id, session.user.username, session.client_id) == (seat.id, seat.username, seat.client_id)
        if not 0 <= seat.age < min(60, self.timeout / 4):
            seat.age = 0

    def _tidy(self) -> int:
        """Do what claims and the reaper do to all sessions, and say how many have timed out."""
        timed_out = [seat for seat in self.seats if seat.reason is None and not self.is_alive(seat)]
        for seat in timed_out:
            seat.reason = "timed-out"
        for seat in self.alive:
            seat.age = max(0, seat.age)
        return len(timed_out)

    def _count(self, what: str, in_use: int) -> None:
        self.counts[what] += 1
        self.peak = max(self.peak, in_use)


def _stop_time() -> None:
    """Take the moments off which the test itself has taken since the last time."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update license_session
            set last_seen_at = now - make_interval(secs => tick * floor(extract(epoch from now - last_seen_at) / tick))
            from (values (statement_timestamp(), %s)) as clock (now, tick)
            """,
            [TICK],
        )


def _reason_of(token: str) -> object:
    with pytest.raises(NotAuthenticated) as caught:
        authenticate(token)
    return caught.value.members.get("reason")


def test_seats_follow_their_rules_in_whatever_order_things_happen() -> None:
    run_state_machine_as_test(
        Seats,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
