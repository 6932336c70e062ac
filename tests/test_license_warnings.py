"""Warnings of the licence: when there is one, who is shown it, and what the log says."""

import logging
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from license.models import Pool
from license.selectors import PoolState, list_pool_states
from license.tasks import log_warnings
from license.warnings import list_warnings
from tests.admin_pages import log_in_as, read
from tests.make import log_in, make_license, make_user


def make_state(name: str = "REST_USERS", *, licensed: int = 10, in_use: int = 0, days_left: int = 365) -> PoolState:
    return PoolState(name=name, licensed=licensed, in_use=in_use, expires_on=date(2027, 1, 31), days_left=days_left)


def let_expire_in(days: int) -> None:
    """Move the end of the licence to so many days from the day that it is for the database."""
    (state,) = list_pool_states()
    Pool.objects.update(expires_on=state.expires_on + timedelta(days=days - state.days_left))


def codes_of(*pools: PoolState) -> list[tuple[str, str]]:
    return [(warning.code, warning.severity) for warning in list_warnings(pools)]


@pytest.mark.parametrize(
    ("days_left", "expected"),
    [
        (31, []),
        (30, [("license-expires-soon", "warning")]),
        (0, [("license-expires-soon", "warning")]),
        (-1, [("license-expired", "error")]),
    ],
)
def test_the_end_of_a_licence_is_warned_of_from_thirty_days_before(
    days_left: int, expected: list[tuple[str, str]]
) -> None:
    assert codes_of(make_state(days_left=days_left)) == expected


@pytest.mark.parametrize(
    ("licensed", "in_use", "expected"),
    [
        (10, 8, []),
        (10, 9, [("seats-nearly-all-in-use", "warning")]),
        (10, 10, [("seats-all-in-use", "warning")]),
        # A licence for fewer seats was imported while they were in use.
        (5, 8, [("seats-all-in-use", "warning")]),
        (19, 17, []),
        (20, 18, [("seats-nearly-all-in-use", "warning")]),
        (1, 0, []),
    ],
)
def test_seats_are_warned_of_from_nine_tenths_on(licensed: int, in_use: int, expected: list[tuple[str, str]]) -> None:
    assert codes_of(make_state(licensed=licensed, in_use=in_use)) == expected


def test_no_licence_is_an_error() -> None:
    assert codes_of() == [("license-missing", "error")]


def test_a_pool_that_this_product_does_not_count_is_no_matter_and_no_licence() -> None:
    track = make_state("TRACK", days_left=-1, licensed=0)

    assert codes_of(make_state(), track) == []
    assert codes_of(track) == [("license-missing", "error")]


def test_errors_come_before_warnings() -> None:
    assert codes_of(make_state("NAMED_USERS", days_left=3), make_state(days_left=-1)) == [
        ("license-expired", "error"),
        ("license-expires-soon", "warning"),
    ]


def test_as_many_active_users_as_are_named_are_nothing_to_warn_of() -> None:
    named = make_state("NAMED_USERS", licensed=5, in_use=5)
    assert codes_of(make_state(), named) == []


@pytest.mark.parametrize(
    ("pools", "text"),
    [
        ([], "There is no licence for CM/Phone: no client can log in."),
        ([make_state(days_left=-1)], "The licence for REST_USERS expired on 31.01.2027."),
        ([make_state(days_left=0)], "The licence for REST_USERS expires today."),
        ([make_state(days_left=1)], "The licence for REST_USERS expires in 1 day, on 31.01.2027."),
        ([make_state(days_left=30)], "The licence for REST_USERS expires in 30 days, on 31.01.2027."),
        ([make_state(in_use=10)], "Every seat of REST_USERS is in use: 10 of 10."),
        ([make_state(in_use=9)], "Nearly every seat of REST_USERS is in use: 9 of 10."),
    ],
)
def test_a_warning_is_a_sentence(pools: list[PoolState], text: str) -> None:
    (warning,) = list_warnings(pools)

    with translation.override("en"):
        assert warning.text == text


def test_a_warning_speaks_the_language_in_which_it_is_read() -> None:
    (warning,) = list_warnings([make_state(days_left=0)])

    with translation.override("de"):
        assert warning.text == "Die Lizenz für REST_USERS läuft heute ab."


def read_banner(client: Client, url: str = "/admin/") -> str | None:
    page = read(client, url)
    if 'class="license-warnings"' not in page:
        return None
    return page.partition('class="license-warnings"')[2].partition("</section>")[0]


@pytest.mark.django_db
def test_staff_who_may_see_pools_are_warned_on_every_page(client: Client) -> None:
    make_license()
    let_expire_in(7)
    admin = log_in_as(client, "admin", is_superuser=True)

    for url in (
        "/admin/",
        "/admin/contacts/role/",
        "/admin/password_change/",
        f"/admin/contacts/user/{admin.pk}/change/",
    ):
        assert "The licence for REST_USERS expires in 7 days" in (read_banner(client, url) or ""), url


@pytest.mark.django_db
def test_a_popup_is_too_small_for_warnings(client: Client) -> None:
    log_in_as(client, "admin", is_superuser=True)

    assert read_banner(client, "/admin/contacts/role/add/") is not None
    assert read_banner(client, "/admin/contacts/role/add/?_popup=1") is None


@pytest.mark.django_db
def test_nothing_to_warn_of_shows_nothing(client: Client) -> None:
    make_license()
    log_in_as(client, "admin", is_superuser=True)

    assert read_banner(client) is None


@pytest.mark.django_db
def test_staff_without_the_permission_are_shown_nothing(client: Client) -> None:
    staff = log_in_as(client, "staff")
    assert read_banner(client) is None

    staff.user_permissions.add(Permission.objects.get(codename="view_pool"))
    assert "There is no licence" in (read_banner(client) or "")


@pytest.mark.django_db
def test_nobody_else_is_shown_anything(client: Client) -> None:
    assert read_banner(client, "/login/") is None

    user = make_user("agent1")
    user.user_permissions.add(Permission.objects.get(codename="view_pool"))
    client.force_login(user)
    assert read_banner(client, "/profile/") is None


@pytest.mark.django_db
def test_the_warnings_cost_a_page_one_query(client: Client) -> None:
    make_license(licensed=1)
    log_in(make_user("agent1"))
    log_in_as(client, "admin", is_superuser=True)

    with CaptureQueriesContext(connection) as queries:
        assert read_banner(client) is not None
    assert len([query for query in queries if "license_pool" in query["sql"]]) == 1


@pytest.mark.django_db
def test_the_log_says_each_warning_at_its_level(caplog: pytest.LogCaptureFixture) -> None:
    make_license(licensed=1)
    log_in(make_user("agent1"))
    let_expire_in(-1)

    with caplog.at_level(logging.WARNING), translation.override("de"):
        log_warnings()

    assert [(record.levelname, record.getMessage()[:30]) for record in caplog.records] == [
        ("ERROR", "license-expired: The licence f"),
        ("WARNING", "seats-all-in-use: Every seat o"),
    ]


@pytest.mark.django_db
def test_the_log_says_nothing_of_a_licence_in_order(caplog: pytest.LogCaptureFixture) -> None:
    make_license()

    log_warnings()

    assert caplog.records == []
