"""Seats under contention: one connection holds the lock, and the others must wait and then answer rightly."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.test import Client

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated, Unavailable
from license import waiting
from license.importing import import_license
from license.models import LicenseFile, Pool, Session
from license.problems import NoFreeLicense
from license.selectors import find_pool_state, find_session
from license.services import Claim, authenticate, claim_seat, release_seat, renew_session
from tests.licenses import make_license, make_section
from tests.locks import start, wait_for_waiting
from tests.make import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as executor:
        yield executor


@pytest.fixture
def user() -> User:
    import_license(text=make_license(make_section(licenses=1)), imported_by=None)
    return User.objects.create(username="agent1")


def lock_pool() -> None:
    Pool.objects.select_for_update().get()


def age(session: Session, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update license_session set last_seen_at = statement_timestamp() - make_interval(secs => %s) where id = %s",
            [seconds, session.id],
        )


def outcome_of(future: "Future[Claim]") -> Claim | NoFreeLicense:
    try:
        return future.result(timeout=10)
    except NoFreeLicense as problem:
        return problem


def test_a_claim_waits_for_the_lock_and_is_then_refused_with_the_right_figures(
    threads: ThreadPoolExecutor, user: User
) -> None:
    with transaction.atomic():
        claim_seat(user=user, client_id="first")
        second = start(threads, partial(claim_seat, user=user, client_id="second"))
        wait_for_waiting()
        assert not second.done()
    problem = outcome_of(second)
    assert isinstance(problem, NoFreeLicense)
    assert problem.members == {"licensed": 1, "in_use": 1}
    assert Session.objects.count() == 1


def test_a_claim_that_waited_for_one_that_failed_gets_the_seat(threads: ThreadPoolExecutor, user: User) -> None:
    with transaction.atomic():
        claim_seat(user=user, client_id="first")
        second = start(threads, partial(claim_seat, user=user, client_id="second"))
        wait_for_waiting()
        transaction.set_rollback(True)
    assert isinstance(outcome_of(second), Claim)
    assert Session.objects.get().client_id == "second"


def test_of_two_clients_that_come_first_only_one_takes_the_last_seat(threads: ThreadPoolExecutor, user: User) -> None:
    with transaction.atomic():
        lock_pool()
        futures = [start(threads, partial(claim_seat, user=user, client_id=name)) for name in ("a", "b")]
        wait_for_waiting(2)
    outcomes = [outcome_of(future) for future in futures]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Claim", "NoFreeLicense"]
    assert Session.objects.count() == 1


def test_two_logins_of_the_same_client_at_once_are_one_seat(threads: ThreadPoolExecutor, user: User) -> None:
    with transaction.atomic():
        lock_pool()
        futures = [start(threads, partial(claim_seat, user=user, client_id="same")) for _ in range(2)]
        wait_for_waiting(2)
    claims = [outcome_of(future) for future in futures]
    assert sorted(claim.is_new for claim in claims if isinstance(claim, Claim)) == [False, True]
    session = Session.objects.get()
    tokens = {claim.is_new: claim.token for claim in claims if isinstance(claim, Claim)}
    assert authenticate(tokens[False]) == session
    with pytest.raises(NotAuthenticated) as caught:
        authenticate(tokens[True])
    assert caught.value.members == {"reason": "replaced"}


def test_a_claim_counts_by_the_time_after_its_wait(threads: ThreadPoolExecutor, user: User) -> None:
    old = claim_seat(user=user, client_id="old").session
    with transaction.atomic():
        lock_pool()
        waiting = start(threads, partial(claim_seat, user=user, client_id="new"))
        wait_for_waiting()
        # The claim's transaction began before this: by its now() the old session would live for a moment more.
        age(old, 299.9)
        time.sleep(0.2)
    claim = outcome_of(waiting)
    assert isinstance(claim, Claim)
    assert claim.in_use == 1


def test_a_claim_waits_for_an_import_and_counts_by_the_new_licence(threads: ThreadPoolExecutor, user: User) -> None:
    claim_seat(user=user, client_id="first")
    with transaction.atomic():
        import_license(text=make_license(make_section(licenses=3)), imported_by=None)
        second = start(threads, partial(claim_seat, user=user, client_id="second"))
        wait_for_waiting()
    claim = outcome_of(second)
    assert isinstance(claim, Claim)
    assert (claim.licensed, claim.in_use) == (3, 2)


def test_imports_come_one_after_the_other(threads: ThreadPoolExecutor) -> None:
    first_text, second_text = (
        make_license(make_section(licenses=3), make_section("TRACK")),
        make_license(make_section(licenses=4), make_section("ADDONS")),
    )
    with transaction.atomic():
        import_license(text=first_text, imported_by=None)
        second = start(threads, partial(import_license, text=second_text, imported_by=None))
        wait_for_waiting()
    second.result(timeout=10)
    assert dict(Pool.objects.values_list("name", "licensed")) == {"REST_USERS": 4, "ADDONS": 10}
    assert LicenseFile.objects.count() == 2


def test_a_claim_gives_up_after_its_limit(
    threads: ThreadPoolExecutor, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_AT_MOST", timedelta(seconds=0.3))
    with transaction.atomic():
        lock_pool()
        started_at = time.monotonic()
        futures = [start(threads, partial(claim_seat, user=user, client_id=name)) for name in "abc"]
        for future in futures:
            with pytest.raises(Unavailable) as caught:
                future.result(timeout=10)
            assert (caught.value.status, caught.value.retry_after) == (503, 1)
        assert time.monotonic() - started_at < 5
    assert Session.objects.count() == 0
    assert claim_seat(user=user, client_id="a").is_new


def test_a_log_in_gives_up_after_its_limit_and_is_told_when_to_try_again(
    threads: ThreadPoolExecutor, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.set_password(PASSWORD)
    user.save()
    body = {"username": user.username, "password": PASSWORD, "client_id": "client"}
    log_in = partial(Client().post, "/api/v1/sessions", body, content_type="application/json")
    monkeypatch.setattr(waiting, "WAIT_AT_MOST", timedelta(seconds=0.3))
    with transaction.atomic():
        lock_pool()
        answer = start(threads, log_in).result(timeout=10)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["type"].endswith("/problems/unavailable")
    assert answer.json()["detail"] == "Others hold the licence for too long. Try again."
    assert Session.objects.count() == 0
    assert log_in().status_code == 201


def test_the_limit_ends_with_the_claim(user: User) -> None:
    claim_seat(user=user, client_id="client")
    with connection.cursor() as cursor:
        cursor.execute("show statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_a_sign_of_life_in_the_last_moment_keeps_the_seat(threads: ThreadPoolExecutor, user: User) -> None:
    token = claim_seat(user=user, client_id="old").token
    age(Session.objects.get(), 299)
    with transaction.atomic():
        session = find_session(token)
        assert session is not None
        renew_session(session)
        time.sleep(1.2)
        # To everybody else the session's time is over by now, as the sign of life is not committed.
        other = start(threads, partial(claim_seat, user=user, client_id="new"))
        wait_for_waiting()
    problem = outcome_of(other)
    assert isinstance(problem, NoFreeLicense)
    assert problem.members == {"licensed": 1, "in_use": 1}
    assert authenticate(token)


def test_a_sign_of_life_that_comes_too_late_finds_the_seat_given_away(threads: ThreadPoolExecutor, user: User) -> None:
    token = claim_seat(user=user, client_id="old").token
    age(Session.objects.get(), 299.5)
    session = find_session(token)
    assert session is not None
    time.sleep(0.6)
    with transaction.atomic():
        assert claim_seat(user=user, client_id="new").in_use == 1
        late = start(threads, partial(renew_session, session))
        with pytest.raises(NotAuthenticated) as caught:
            late.result(timeout=10)
    assert caught.value.members == {"reason": "timed-out"}


def test_logging_out_while_another_client_claims_frees_the_seat(threads: ThreadPoolExecutor, user: User) -> None:
    old = claim_seat(user=user, client_id="old").session
    with transaction.atomic():
        lock_pool()
        waiting = start(threads, partial(claim_seat, user=user, client_id="new"))
        wait_for_waiting()
        # Giving back waits for nobody.
        assert start(threads, partial(release_seat, old)).result(timeout=10)
    assert isinstance(outcome_of(waiting), Claim)


def test_many_clients_at_once_get_exactly_the_seats_there_are(threads: ThreadPoolExecutor, user: User) -> None:
    import_license(text=make_license(make_section(licenses=5)), imported_by=None)
    futures = [start(threads, partial(claim_seat, user=user, client_id=str(number))) for number in range(40)]
    outcomes = [outcome_of(future) for future in futures]
    assert sum(isinstance(outcome, Claim) for outcome in outcomes) == 5
    for outcome in outcomes:
        if isinstance(outcome, NoFreeLicense):
            assert outcome.members == {"licensed": 5, "in_use": 5}
    state = find_pool_state()
    assert state is not None
    assert state.in_use == Session.objects.count() == 5
