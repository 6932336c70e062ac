"""Log-ins that fail are braked, by name and address, and nobody is locked out by strangers."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from cmphone.access.brake import LONGEST_WAIT, wait_after
from cmphone.access.models import FailedLogin
from cmphone.access.tasks import remove_forgotten_failures
from cmphone.contacts.models import User
from license.models import Session
from tests.make import PASSWORD, make_license, make_user

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (4, 0), (5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900), (11, 900), (10**9, 900)],
)
def test_the_wait_doubles_up_to_the_longest(failures: int, seconds: int) -> None:
    assert wait_after(failures, free=5) == timedelta(seconds=seconds)
    assert timedelta(minutes=15) == LONGEST_WAIT


@pytest.fixture(autouse=True)
def cheap_passwords(settings: Settings) -> None:
    # Hundreds of log-ins: what a hash costs is no part of this.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def agent() -> User:
    make_license(100)
    return make_user("agent1", password=PASSWORD)


def log_in(client: Client, username: str = "agent1", password: str = PASSWORD, address: str = HERE, **meta: Any) -> Any:
    body = {"username": username, "password": password, "client_id": f"client-{address}"}
    headers = {"accept-language": "en"}
    return client.post(
        "/api/v1/sessions", body, content_type="application/json", headers=headers, REMOTE_ADDR=address, **meta
    )


def fail(client: Client, count: int, username: str = "agent1", address: str = HERE) -> list[int]:
    return [log_in(client, username, "wrong", address).status_code for _ in range(count)]


def let_pass(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update access_failedlogin set last_failed_at = last_failed_at - make_interval(secs => %s)", [seconds]
        )


@pytest.mark.django_db
class TestBrake:
    def test_after_five_failures_even_the_right_password_has_to_wait(self, client: Client, agent: User) -> None:
        assert fail(client, 5) == [401] * 5

        answer = log_in(client)

        assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (429, "throttled")
        assert 0 < int(answer.headers["Retry-After"]) <= 30
        assert answer.json()["detail"].startswith("Too many log-ins have failed. Try again in ")
        assert Session.objects.count() == 0

    def test_the_wait_ends_and_then_the_right_password_ends_the_row(self, client: Client, agent: User) -> None:
        fail(client, 5)
        let_pass(30)

        assert log_in(client).status_code == 201

        assert fail(client, 5) == [401] * 5
        assert log_in(client).status_code == 429

    def test_each_further_failure_doubles_the_wait(self, client: Client, agent: User) -> None:
        fail(client, 5)
        let_pass(30)
        assert fail(client, 1) == [401]

        assert 30 < int(log_in(client).headers["Retry-After"]) <= 60

    def test_who_is_told_to_wait_does_not_lengthen_the_wait(self, client: Client, agent: User) -> None:
        fail(client, 5)
        assert fail(client, 20) == [429] * 20

        assert int(log_in(client).headers["Retry-After"]) <= 30

    def test_strangers_elsewhere_lock_nobody_out(self, client: Client, agent: User) -> None:
        assert fail(client, 7, address=ELSEWHERE) == [401] * 5 + [429] * 2

        assert log_in(client).status_code == 201

    def test_another_name_from_the_same_address_does_not_wait(self, client: Client, agent: User) -> None:
        fail(client, 6)
        make_user("agent2", password=PASSWORD)

        assert log_in(client, "agent2").status_code == 201

    def test_names_that_do_not_exist_are_braked_alike(self, client: Client, agent: User) -> None:
        assert fail(client, 7, "nobody") == [401] * 5 + [429] * 2

    def test_after_an_hour_failures_are_forgotten(self, client: Client, agent: User) -> None:
        fail(client, 4)
        let_pass(3601)

        assert fail(client, 4) == [401] * 4
        assert log_in(client).status_code == 201

    def test_a_clock_set_back_holds_nobody_up(self, client: Client, agent: User) -> None:
        fail(client, 5)
        let_pass(-7200)

        assert log_in(client).status_code == 201

    def test_sixty_people_behind_one_address_are_no_failures(self, client: Client, agent: User) -> None:
        hashed = agent.password
        User.objects.bulk_create(User(username=f"colleague{n}", password=hashed) for n in range(60))

        statuses = [log_in(client, f"colleague{n}").status_code for n in range(60)]

        assert statuses == [201] * 60
        assert FailedLogin.objects.count() == 0

    def test_trying_many_names_from_one_address_is_braked_but_not_for_who_is_at_home_there(
        self, client: Client, agent: User
    ) -> None:
        make_user("agent2", password=PASSWORD)
        assert log_in(client, "agent1").status_code == 201
        FailedLogin.objects.create(name_hash=b"", address=HERE, failures=99, last_failed_at="2000-01-01T00:00Z")
        FailedLogin.objects.update(last_failed_at=Session.objects.get().started_at)
        assert fail(client, 1, "guess100") == [401]

        assert fail(client, 1, "guess101") == [429]
        assert log_in(client, "agent2").status_code == 429
        assert log_in(client, "agent2", address=ELSEWHERE).status_code == 201
        assert log_in(client, "agent1").status_code == 200

    def test_the_tidying_job_removes_what_counts_no_more(self, client: Client, agent: User) -> None:
        fail(client, 1)
        remove_forgotten_failures()
        assert FailedLogin.objects.count() == 2
        let_pass(3601)
        remove_forgotten_failures()
        assert FailedLogin.objects.count() == 0

    def test_no_name_is_kept(self, client: Client, agent: User) -> None:
        fail(client, 1, "my-password-in-the-wrong-field")

        assert all(b"password" not in bytes(row.name_hash) for row in FailedLogin.objects.all())

    def test_a_log_in_costs_five_statements(self, client: Client, agent: User) -> None:
        def count_statements() -> list[str]:
            with CaptureQueriesContext(connection) as queries:
                assert log_in(client).status_code in {200, 201}
            return [each["sql"] for each in queries if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]

        assert len(count_statements()) == 5
        assert len(count_statements()) == 5

    def test_the_page_of_the_administration_is_braked_alike(self, client: Client, agent: User) -> None:
        fail(client, 5)

        assert client.login(username="agent1", password=PASSWORD), "without a request there is nothing to brake"
        assert log_in(client).status_code == 429


@pytest.mark.django_db
class TestAddress:
    """Where a request comes from."""

    def test_behind_a_proxy_it_is_what_the_proxy_added(self, client: Client, agent: User) -> None:
        with override_settings(BEHIND_PROXY=True):
            assert log_in(client, HTTP_X_FORWARDED_FOR="203.0.113.9, 198.51.100.7").status_code == 201
        assert Session.objects.get().address == "198.51.100.7"

    def test_without_a_proxy_nobody_chooses_his_address(self, client: Client, agent: User) -> None:
        log_in(client, HTTP_X_FORWARDED_FOR="203.0.113.9")
        assert Session.objects.get().address == HERE

    def test_the_zone_of_an_address_is_left_out(self, client: Client, agent: User) -> None:
        assert log_in(client, address="fe80::1%eth0").status_code == 201
        assert Session.objects.get().address == "fe80::1"

    @pytest.mark.parametrize("text", ["", "unix", "1.2.3", "fe80::1::2"])
    def test_what_is_no_address_is_none(self, client: Client, agent: User, text: str) -> None:
        assert log_in(client, address=text).status_code == 201
        assert Session.objects.get().address is None
