"""The admin page of use over time: what is shown, to whom, and the file."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cmphone.contacts.models import User
from tests.make import log_in as take_seat
from tests.make import make_license, make_user
from tests.usage import make_usage

pytestmark = pytest.mark.django_db

# A Tuesday, 12:20 in Berlin.
NOW = "2026-11-24T11:20:00+00:00"


@pytest.fixture(autouse=True)
def now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in(client, is_superuser=True)


def log_in(client: Client, *, is_superuser: bool = False, rights: tuple[str, ...] = ()) -> User:
    user = make_user("admin", is_staff=True, is_superuser=is_superuser)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="license", codename__in=rights))
    client.force_login(user)
    return user


def get(client: Client, page: str = "changelist", *, language: str = "en", **query: Any) -> Any:
    return client.get(reverse(f"admin:license_hourlyusage_{page}"), query, headers={"accept-language": language})


def show(client: Client, *, language: str = "en", **query: Any) -> str:
    response = get(client, language=language, **query)
    assert response.status_code == 200, response.headers
    return str(response.content.decode())


def list_hours(client: Client, **query: Any) -> list[str]:
    return re.findall(r'class="field-local_hour">([^<]*)<', show(client, **query))


def read_figures(client: Client, **query: Any) -> dict[str, str]:
    pairs = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", show(client, **query))
    return {name: " ".join(re.sub("<[^>]*>", "", text).split()) for name, text in pairs}


def read_errors(client: Client, **query: Any) -> list[str]:
    """Return what is wrong with the days that were asked for; nothing else is shown then."""
    page = show(client, **query)
    assert "<svg class" not in page
    assert "result_list" not in page
    assert "<dl" not in page
    alert = re.search(r'<div role="alert">(.*?)</div>', page, re.DOTALL)
    assert alert is not None
    return [text.strip() for text in re.findall(">([^<]+)<", alert[1]) if text.strip()]


# --- who ---


def test_who_may_view_the_use_sees_it_and_changes_nothing(client: Client) -> None:
    usage = make_usage("2026-11-24T10:00Z")
    log_in(client, rights=("view_hourlyusage",))
    assert list_hours(client) == ["Tue 24 Nov 2026, 11:00"]
    assert get(client, "csv").status_code == 200
    assert "delete_selected" not in show(client)
    assert get(client, "add").status_code == 403
    for page in ("change", "delete"):
        address = reverse(f"admin:license_hourlyusage_{page}", args=[usage.pk])
        assert client.post(address, {"post": "yes"}).status_code == 403


def test_staff_without_the_permission_sees_neither_page_nor_file(client: Client) -> None:
    make_usage("2026-11-24T10:00Z")
    log_in(client, rights=("view_pool", "view_session"))
    assert get(client).status_code == 403
    assert get(client, "csv").status_code == 403
    assert "hourlyusage" not in client.get(reverse("admin:index")).content.decode()


def test_others_are_sent_to_the_log_in(client: Client) -> None:
    assert get(client).status_code == get(client, "csv").status_code == 302
    client.force_login(make_user())
    assert get(client).status_code == get(client, "csv").status_code == 302


# --- what is shown ---


def test_a_page_without_any_figures_says_so(client: Client, administrator: User) -> None:
    make_license(10)
    page = show(client)
    assert "No figures yet" in page
    assert "<svg class" not in page
    assert read_figures(client) == {"in use now": "0", "licences": "10", "free": "10", "days left": "26700"}


def test_a_period_without_figures_says_so(client: Client, administrator: User) -> None:
    make_usage("2026-11-01T10:00Z")
    page = show(client)
    assert "No figures in this period" in page
    assert "<svg class" not in page
    assert list_hours(client) == []


def test_the_figures_are_those_of_now_and_of_the_period(client: Client, administrator: User) -> None:
    take_seat(make_user())
    make_usage("2026-11-17T22:00Z", 10, refused=100)
    make_usage("2026-11-19T08:00Z", 7, refused=2)
    make_usage("2026-11-20T13:00Z", 9, refused=3)
    make_usage("2026-11-21T13:00Z", 9)
    assert read_figures(client) == {
        "in use now": "1",
        "licences": "10",
        "free": "9",
        "days left": "26700",
        "highest peak in the period": "9 Fri 20 Nov 2026, 14:00",
        "refused in the period": "5",
    }


def test_a_licence_that_has_expired_and_one_without_the_pool_say_so(client: Client, administrator: User) -> None:
    assert read_figures(client) == {"now": "not in the licence in force"}
    pool = make_license(10)
    pool.expires_on = date(2026, 11, 23)
    pool.save()
    assert read_figures(client)["days left"] == "expired"


def test_a_period_begins_and_ends_with_the_days_of_the_site(client: Client, administrator: User) -> None:
    for hour in ("2026-11-17T22:00Z", "2026-11-17T23:00Z", "2026-11-24T22:00Z", "2026-11-24T23:00Z"):
        make_usage(hour)
    assert list_hours(client) == ["Tue 24 Nov 2026, 23:00", "Wed 18 Nov 2026, 00:00"]
    days = {"first_day": "2026-11-25", "last_day": "2026-11-25"}
    assert list_hours(client, **days) == ["Wed 25 Nov 2026, 00:00"]
    assert list_hours(client, **days, period="24-hours") == ["Wed 25 Nov 2026, 00:00"]


@pytest.mark.parametrize(
    ("period", "first", "before"),
    [
        ("24-hours", "2026-11-23T12:00Z", "2026-11-23T11:00Z"),
        ("7-days", "2026-11-17T23:00Z", "2026-11-17T22:00Z"),
        ("31-days", "2026-10-24T22:00Z", "2026-10-24T21:00Z"),
        ("12-months", "2025-11-24T23:00Z", "2025-11-24T22:00Z"),
        ("nonsense", "2026-11-17T23:00Z", "2026-11-17T22:00Z"),
    ],
)
def test_each_period_begins_where_it_says(
    client: Client, administrator: User, period: str, first: str, before: str
) -> None:
    make_usage(before, 1)
    make_usage(first, 2)
    assert re.findall(r'class="field-peak">(\d+)<', show(client, period=period)) == ["2"]


def test_the_hour_that_clocks_show_twice_says_which_it_is(client: Client, administrator: User) -> None:
    for hour in ("2026-10-24T23:00Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"):
        make_usage(hour)
    assert list_hours(client, period="31-days") == [
        "Sun 25 Oct 2026, 03:00",
        "Sun 25 Oct 2026, 02:00 CET",
        "Sun 25 Oct 2026, 02:00 CEST",
        "Sun 25 Oct 2026, 01:00",
    ]


def test_the_picture_is_drawn_and_described(client: Client, administrator: User) -> None:
    make_usage("2026-11-24T10:00Z", 10, claims=4, refused=3)
    make_usage("2026-11-24T11:00Z", 5, licensed=20)
    page = show(client, language="de")
    # Numbers of SVG have a point, whatever the language is.
    assert 'd="M92.262 100V50H92.857V75H93.452V100Z"' in page
    assert 'd="M92.262 50V50H92.857V0H93.452"' in page
    assert '<circle cx="92.559%" cy="40.0%" r="4"/>' in page
    page = show(client)
    assert '<title id="chart-title">Use of REST_USERS, 18 Nov 2026 to 24 Nov 2026</title>' in page
    assert "Highest peak: 10 (licences: 10), Tue 24 Nov 2026, 11:00. Clients refused: 3." in page
    assert "<title>Tue 24 Nov 2026, 11:00 – peak: 10, licences: 10, claims: 4, refused: 3</title></rect>" in page


@pytest.mark.parametrize(
    ("period", "titles"),
    [
        ({"period": "12-months"}, ["Sun 1 Nov 2026", "Tue 24 Nov 2026"]),
        ({"first_day": "2020-01-01", "last_day": "2026-12-31"}, ["November 2026"]),
    ],
)
def test_a_point_of_a_long_period_names_its_day_or_month(
    client: Client, administrator: User, period: dict[str, str], titles: list[str]
) -> None:
    make_usage("2026-10-31T23:00Z")
    make_usage("2026-11-24T10:00Z")
    assert re.findall("<rect [^>]*><title>(.*?) – ", show(client, **period)) == titles


def test_of_several_pools_one_is_chosen(client: Client, administrator: User) -> None:
    make_usage("2026-11-24T08:00Z")
    assert "<select" not in show(client)
    make_usage("2026-11-24T09:00Z", pool="A&B")
    assert list_hours(client) == list_hours(client, pool="no such") == ["Tue 24 Nov 2026, 09:00"]
    assert list_hours(client, pool="A&B") == ["Tue 24 Nov 2026, 10:00"]
    page = show(client, pool="A&B")
    assert "<option selected>A&amp;B</option>" in page
    assert 'href="?pool=A%26B&amp;period=31-days"' in page
    assert "Use of A&amp;B, " in page
    # Also beside an error.
    page = show(client, pool="A&B", first_day="x")
    assert "<option selected>A&amp;B</option>" in page
    assert 'href="?pool=A%26B&amp;period=31-days"' in page


def test_the_table_is_sorted_and_in_pages_and_keeps_the_choice(client: Client, administrator: User) -> None:
    for number in range(200):
        make_usage(f"2026-11-{10 + number // 24}T{number % 24:02}:00Z", number)
    page = show(client, period="31-days", o="3")
    assert re.findall(r'class="field-peak">(\d+)<', page)[:3] == ["0", "1", "2"]
    assert '?o=3&amp;p=2&amp;period=31-days"' in page
    assert len(list_hours(client, period="31-days", p="2")) == 200 - 168


def test_the_page_takes_as_many_statements_whatever_it_shows(client: Client, administrator: User) -> None:
    make_license()
    counts = []
    for number in (1, 100):
        for hour in range(number):
            make_usage(f"2026-11-{18 + hour // 24 + number // 100}T{hour % 24:02}:00Z")
        with CaptureQueriesContext(
            connection,
        ) as statements:
            show(client)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 12


# --- days that are none ---


@pytest.mark.parametrize(
    ("first", "last", "errors"),
    [
        ("2026-02-31", "2026-03-01", ["From: Enter a valid date."]),
        ("31.02.2026", "gestern", ["From: Enter a valid date.", "To: Enter a valid date."]),
        ("2026-03-02", "2026-03-01", ["The first day is after the last: exchange them."]),
        ("2016-01-01", "2026-01-01", ["At most 10 years can be shown at once."]),
        ("2026-03-02", "", ["Enter both days, or none for one of the periods above."]),
        ("", "2026-03-02", ["Enter both days, or none for one of the periods above."]),
        ("0001-01-01", "0001-01-02", 2 * ["Ensure this value is greater than or equal to 2000-01-01."]),
        ("9999-12-30", "9999-12-31", 2 * ["Ensure this value is less than or equal to 2099-12-31."]),
        ("\0", "2026-03-01", ["From: Enter a valid date."]),
    ],
)
def test_days_that_are_none_are_told_and_nothing_is_shown(
    client: Client, administrator: User, first: str, last: str, errors: list[str]
) -> None:
    make_usage("2026-11-24T10:00Z")
    told = read_errors(client, first_day=first, last_day=last)
    assert [text.split(": ", 1)[-1] if "Ensure" in text else text for text in told] == errors
    response = get(client, "csv", first_day=first, last_day=last)
    assert response.status_code == 302
    assert 'role="alert"' in client.get(response.url).content.decode()


def test_the_longest_period_and_one_day_are_none_too_many(client: Client, administrator: User) -> None:
    make_usage("2026-11-24T10:00Z")
    for days in ({"first_day": "2017-01-01", "last_day": "2026-12-31"}, {"first_day": "2026-11-24"}):
        assert len(list_hours(client, **{"last_day": "2026-11-24", **days})) == 1


@pytest.mark.parametrize("query", [{"p": "x"}, {"o": "99.x"}, {"pool": "\0"}, {"period": "\0"}, {"all": ""}])
def test_whatever_else_stands_in_the_address_is_left_out(
    client: Client, administrator: User, query: dict[str, str]
) -> None:
    make_usage("2026-11-24T10:00Z")
    assert list_hours(client, **query) == ["Tue 24 Nov 2026, 11:00"]


# --- the file ---


def test_the_file_has_every_hour_of_the_period_and_the_pool(client: Client, administrator: User) -> None:
    make_usage("2026-10-25T01:00Z", 4, licensed=5)
    make_usage("2026-10-25T00:00Z", 5, licensed=10, claims=2, refused=1)
    make_usage("2026-10-25T00:00Z", pool="TRACK")
    make_usage("2026-10-25T23:00Z")
    days = {"first_day": "2026-10-25", "last_day": "2026-10-25"}
    response = get(client, "csv", **days)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="use-REST_USERS-2026-10-25-2026-10-25.csv"'
    assert response.content.decode() == (
        "\ufeffpool,hour,licences,peak,claims,refused\r\n"
        "REST_USERS,2026-10-25T02:00:00+02:00,10,5,2,1\r\n"
        "REST_USERS,2026-10-25T02:00:00+01:00,5,4,0,0\r\n"
    )
    german = get(client, "csv", language="de", **days).content.decode().splitlines()
    assert german[1] == "REST_USERS;2026-10-25T02:00:00+02:00;10;5;2;1"
    assert [line.count(";") for line in german] == [5, 5, 5]


def test_the_link_to_the_file_asks_for_what_is_shown(client: Client, administrator: User) -> None:
    make_usage("2026-11-24T10:00Z")
    csv = reverse("admin:license_hourlyusage_csv")
    for query, link in (
        ({}, "pool=REST_USERS&amp;period=7-days"),
        ({"period": "12-months"}, "pool=REST_USERS&amp;period=12-months"),
        (
            {"first_day": "2026-11-24", "last_day": "2026-11-25"},
            "pool=REST_USERS&amp;first_day=2026-11-24&amp;last_day=2026-11-25",
        ),
    ):
        assert f'href="{csv}?{link}"' in show(client, **query)


def test_the_name_of_a_pool_is_no_formula_and_no_header(client: Client, administrator: User) -> None:
    make_usage("2026-11-24T10:00Z", pool='=1"\r\nX: y')
    response = get(client, "csv")
    assert "\n" not in response["Content-Disposition"]
    assert "'=1" in response.content.decode()
