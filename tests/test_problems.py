"""Errors of every path have one shape, in the language of the client, and tell nothing they should not."""

import json
import logging

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path
from django.utils import translation

from cmphone import problems
from cmphone.problems import Problem, Unavailable, as_problem, shape_problem

MEMBERS = {"type", "title", "status", "detail", "request_id", "errors"}


@pytest.mark.parametrize(
    ("method", "url", "status", "slug"),
    [
        ("get", "/no/such/path", 404, "not-found"),
        ("get", "/api/v1/no-such-resource", 404, "not-found"),
        ("patch", "/api/v1/lookup", 405, "method-not-allowed"),
        ("get", "/problems/no-such-problem", 404, "not-found"),
        ("post", "/problems/not-found", 405, "method-not-allowed"),
    ],
)
def test_an_error_of_any_path_is_a_problem(client: Client, method: str, url: str, status: int, slug: str) -> None:
    answer = getattr(client, method)(url)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    body = answer.json()
    assert set(body) == MEMBERS
    assert (body["type"], body["status"]) == (f"http://testserver/problems/{slug}", status)
    assert body["request_id"] == answer.headers["X-Request-ID"]


def test_titles_and_details_are_in_the_language_of_the_client(client: Client) -> None:
    german = client.get("/no/such/path", headers={"Accept-Language": "de-DE,de;q=0.9"}).json()
    english = client.get("/no/such/path", headers={"Accept-Language": "en"}).json()

    assert (german["title"], english["title"]) == ("Das gibt es nicht.", "There is no such thing.")


def test_a_client_may_name_its_request_but_not_write_into_the_log(client: Client) -> None:
    named = client.get("/no/such/path", headers={"X-Request-ID": "abc-123"})
    forged = client.get("/no/such/path", headers={"X-Request-ID": "abc\tforged line"})

    assert named.json()["request_id"] == "abc-123"
    assert "forged" not in forged.json()["request_id"]


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("method", "url", "status", "title"),
    [
        ("get", "/no/such/page", 404, "There is no such thing."),
        ("get", "/problems/no-such-problem", 404, "There is no such thing."),
        ("post", "/problems/not-found", 405, "This address does not take this method."),
    ],
)
def test_a_browser_is_answered_with_a_page(client: Client, method: str, url: str, status: int, title: str) -> None:
    answer = getattr(client, method)(url, headers={"Accept": BROWSER, "X-Request-ID": "abc-123"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    page = answer.content.decode()
    assert (f"<h1>{title}</h1>" in page, "abc-123" in page, '<a href="/">' in page) == (True, True, True)
    assert "Accept" in answer.headers["Vary"].split(", ")
    assert answer.headers.get("Allow") == ("GET, HEAD" if status == 405 else None)


def test_a_page_is_in_the_language_of_the_browser(client: Client) -> None:
    answer = client.get("/no/such/page", headers={"Accept": BROWSER, "Accept-Language": "de"})

    assert '<html lang="de">' in answer.content.decode()
    assert "<h1>Das gibt es nicht.</h1>" in answer.content.decode()


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/problem+json",
        "text/html;q=0.5, application/problem+json",
        "nonsense",
    ],
)
def test_who_does_not_ask_for_a_page_is_answered_with_json(client: Client, accept: str) -> None:
    answer = client.get("/no/such/page", headers={"Accept": accept})

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("url", ["/api/v1/no-such-resource", "/api/v1/lookup", "/health/no-such", "/metrics/no-such"])
def test_where_machines_ask_even_a_browser_is_answered_with_json(client: Client, url: str) -> None:
    answer = client.delete(url, headers={"Accept": BROWSER})

    assert (answer.status_code // 100, answer.headers["Content-Type"]) == (4, "application/problem+json")


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["{", "[" * 100_000, '{"username": ' * 100_000])
def test_json_that_cannot_be_read_is_an_error_of_the_caller(client: Client, body: str) -> None:
    answer = client.post("/api/v1/sessions", body, content_type="application/json")

    assert (answer.status_code, answer.json()["type"]) == (400, "http://testserver/problems/invalid-request")


def test_a_form_that_is_too_old_is_told_so_on_a_page() -> None:
    answer = Client(enforce_csrf_checks=True).post("/login/", headers={"Accept": BROWSER})

    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert "The form is too old or came from elsewhere. Load the page again." in answer.content.decode()


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret of the inside")


def lose_database(request: HttpRequest) -> HttpResponse:
    raise OperationalError("could not connect to db-host-7")


urlpatterns = [path("fail", fail), path("lose", lose_database), path("", include("cmphone.urls"))]
handler404 = problems.answer_404
handler500 = problems.answer_500


@override_settings(ROOT_URLCONF="tests.test_problems")
def test_a_fault_of_ours_tells_nothing_of_the_inside_but_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(raise_request_exception=False)

    with caplog.at_level(logging.ERROR):
        answer = client.get("/fail")

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (500, "server-error")
    assert "secret" not in answer.content.decode()
    assert "secret of the inside" in caplog.text


@override_settings(ROOT_URLCONF="tests.test_problems")
def test_a_database_that_is_away_is_unavailable_and_may_be_tried_again() -> None:
    answer = Client(raise_request_exception=False).get("/lose")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "db-host-7" not in answer.content.decode()


@override_settings(ROOT_URLCONF="tests.test_problems")
def test_a_browser_gets_a_page_even_where_the_database_is_away() -> None:
    client = Client(raise_request_exception=False)

    faults = [client.get(url, headers={"Accept": BROWSER}) for url in ("/fail", "/lose")]

    # These tests have no database: the page asks it nothing.
    assert [answer.status_code for answer in faults] == [500, 503]
    assert faults[1].headers["Retry-After"] == "5"
    for answer in faults:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "secret of the inside" not in answer.content.decode()
        assert "db-host-7" not in answer.content.decode()


@override_settings(ALLOWED_HOSTS=["cmphone.example"])
def test_a_wrong_host_is_refused_without_echoing_it(client: Client) -> None:
    answer = client.get("/health/live", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-request"
    assert "evil" not in answer.content.decode()


def test_djangos_validation_errors_have_pointers() -> None:
    problem = as_problem(ValidationError({"fields/phone": ["Enter text."], "__all__": ["Too much."]}))

    assert problem.errors == [
        {"pointer": "#/fields/phone", "code": "invalid", "detail": "Enter text."},
        {"pointer": "#", "code": "invalid", "detail": "Too much."},
    ]


def test_a_problem_carries_its_members_and_when_to_try_again() -> None:
    answer = shape_problem(Unavailable("Later.", retry_after=7, licensed=3), RequestFactory().get("/"))

    assert (json.loads(answer.content)["licensed"], answer["Retry-After"]) == (3, "7")


def list_slugs() -> list[str]:
    from cmphone.web.problems import list_problems

    return sorted({each.slug for each in list_problems(Problem)})


@pytest.mark.parametrize("slug", list_slugs())
def test_the_type_of_every_problem_is_a_page(client: Client, slug: str) -> None:
    answer = client.get(f"/problems/{slug}")

    assert answer.status_code == 200
    assert slug in answer.content.decode()


def test_every_title_is_translated() -> None:
    from cmphone.web.problems import list_problems

    for problem in list_problems(Problem):
        with translation.override("de"):
            german = str(problem.title)
        with translation.override("en"):
            assert german != str(problem.title)
