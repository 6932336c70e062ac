"""The one log-in page, the way out, and where everybody is led."""

from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.test import Client, override_settings

from cmphone.contacts.models import User
from cmphone.problems import Throttled
from tests.make import PASSWORD, make_user

pytestmark = pytest.mark.django_db

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def agent() -> User:
    return make_user("agent1", password=PASSWORD)


def log_in(client: Client, password: str = PASSWORD, *, to: str = "", username: str = "agent1") -> Any:
    return client.post("/login/", {"username": username, "password": password, "next": to}, headers=BROWSER)


def follow(client: Client, url: str) -> tuple[int, str]:
    """Return the status and the path at which a browser arrives."""
    answer = client.get(url, headers=BROWSER, follow=True)
    return answer.status_code, answer.request["PATH_INFO"]


def user_of(client: Client) -> str:
    """Return who is logged in, or nothing."""
    answer = client.get("/profile/")
    return answer.context["user"].username if answer.status_code == 200 else ""


def test_an_agent_without_staff_status_logs_in_and_comes_to_the_console(client: Client, agent: User) -> None:
    assert log_in(client).headers["Location"] == "/"
    assert follow(client, "/") == (200, "/")
    assert user_of(client) == "agent1"


def test_an_administrator_comes_to_the_console_and_on_to_the_administration(client: Client) -> None:
    make_user("admin", password=PASSWORD, is_staff=True)

    log_in(client, username="admin")

    assert '<a href="/admin/">' in client.get("/", headers=BROWSER).content.decode()
    assert '<a href="/profile/">' in client.get("/admin/").content.decode()
    assert follow(client, "/profile/") == (200, "/profile/")


def test_who_is_not_logged_in_is_asked_to_and_led_on_to_where_he_wanted(client: Client) -> None:
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    wanted = "/admin/license/session/?state=live"
    assert follow(client, wanted) == (200, "/login/")
    page = client.get(wanted, headers=BROWSER, follow=True)

    answer = log_in(client, username="admin", to=page.context["next"])

    assert answer.headers["Location"] == wanted


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_nobody_is_led_away_from_the_site(client: Client, agent: User, to: str) -> None:
    assert log_in(client, to=to).headers["Location"] == "/"
    assert client.get("/login/", {"next": to}).headers["Location"] == "/"


@pytest.mark.parametrize(
    ("url", "arrives_at"),
    [
        ("/login/", "/"),
        ("/login/?next=/login/", "/"),
        ("/login/?next=/login/%3Fnext%3D/login/", "/"),
        ("/login/?next=/admin/login/", "/admin/"),
    ],
)
def test_who_is_logged_in_already_is_not_led_in_a_circle(
    client: Client, agent: User, url: str, arrives_at: str
) -> None:
    make_user("admin", is_staff=True)
    client.force_login(User.objects.get(username="admin"))

    assert follow(client, url) == (200, arrives_at)


def test_without_staff_status_the_administration_says_why_it_is_closed(client: Client, agent: User) -> None:
    client.force_login(agent)

    answer = client.get("/admin/contacts/contact/", headers=BROWSER, follow=True)

    assert (answer.status_code, answer.request["PATH_INFO"]) == (403, "/admin/login/")
    assert "is for users with staff status, and agent1 has none." in answer.content.decode()
    assert user_of(client) == "agent1"


@pytest.mark.parametrize(("username", "password"), [("agent1", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)])
def test_a_wrong_log_in_does_not_tell_what_is_wrong(client: Client, agent: User, username: str, password: str) -> None:
    make_user("gone", password=PASSWORD, is_active=False)

    answer = log_in(client, password, username=username)

    assert answer.status_code == 200
    assert answer.context["form"].non_field_errors() == [
        "Please enter a correct username and password. Note that both fields may be case-sensitive."
    ]
    assert user_of(client) == ""


class FullBrake(ModelBackend):
    """Tries nobody's password."""

    def authenticate(self, *args: Any, **kwargs: Any) -> Any:
        raise Throttled("Too many log-ins have failed. Try again in 30 seconds.", retry_after=30)


@override_settings(AUTHENTICATION_BACKENDS=["tests.test_web_log_in.FullBrake"])
def test_who_has_to_wait_is_told_for_how_long(client: Client, agent: User) -> None:
    answer = log_in(client, to="/profile/")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.context["form"].non_field_errors() == ["Too many log-ins have failed. Try again in 30 seconds."]
    assert (answer.context["form"]["username"].value(), answer.context["next"]) == ("agent1", "/profile/")
    assert user_of(client) == ""


def test_wrong_log_ins_are_braked_on_the_page_as_they_are_in_the_api(client: Client, agent: User) -> None:
    statuses = [log_in(client, "wrong").status_code for _ in range(6)]

    assert (statuses[0], statuses[-1]) == (200, 429)
    # The right password is not tried, either.
    assert log_in(client).status_code == 429


def test_the_page_speaks_the_language_of_the_browser(client: Client) -> None:
    german = client.get("/login/", headers={"Accept-Language": "de-DE,de;q=0.9"}).content.decode()
    english = client.get("/login/", headers={"Accept-Language": "fr"}).content.decode()

    assert ('<html lang="de">' in german, "Passwort" in german) == (True, True)
    assert ('<html lang="en">' in english, "Password" in english) == (True, True)


@pytest.mark.parametrize("url", ["/logout/", "/admin/logout/"])
def test_logging_out_takes_a_form_and_leads_to_the_log_in_page(client: Client, agent: User, url: str) -> None:
    client.force_login(agent)

    assert client.get(url).status_code == 405
    assert user_of(client) == "agent1"

    answer = client.post(url, follow=True)
    assert answer.request["PATH_INFO"] == "/login/"
    assert [str(message) for message in answer.context["messages"]] == ["You are logged out."]
    assert user_of(client) == ""


@pytest.mark.parametrize("url", ["/login/", "/logout/", "/admin/login/", "/admin/logout/"])
def test_a_form_from_elsewhere_logs_nobody_in_or_out(agent: User, url: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(agent)

    assert browser.post(url, {"username": "agent1", "password": PASSWORD}).status_code == 403
    assert user_of(browser) == "agent1"
