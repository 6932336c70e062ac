"""Errors of every path have one shape, in the language of the client, and tell nothing they should not."""

import json
import logging

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path
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


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret of the inside")


def lose_database(request: HttpRequest) -> HttpResponse:
    raise OperationalError("could not connect to db-host-7")


urlpatterns = [path("fail", fail), path("lose", lose_database)]
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
