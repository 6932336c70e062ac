"""Where the time of one look-up goes, in one process and without HTTP: `make bench ARGS=--profile`."""

import io
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from wsgiref.util import setup_testing_defaults

import orjson
from django.db import connection

from cmphone.api.lookup import describe_call
from cmphone.contacts.callers import Answer, look_up
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.models import User
from cmphone.embedded import hold_services
from cmphone.wsgi import application
from license.services import claim_seat
from numbering.reading import read_presented
from tests.bench.calls import EXACT, Request
from tests.bench.load import USERNAME
from tests.bench.place import BenchPlace

WARM_UP, COUNT, EXPLAINED = 200, 2_000, 200
T = TypeVar("T")
BASE_URL = "https://cmphone.example.com"


class Watch:
    """Sees the statements that go to the database, and how long each takes with its way there and back."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.statements: list[tuple[str, Any]] = []

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]
    ) -> Any:
        started = time.perf_counter()
        result = execute(sql, params, many, context)
        self.times.append(time.perf_counter() - started)
        self.statements.append((sql, params))
        return result


def profile_look_up(place: BenchPlace, machine: str) -> str:
    """Return a Markdown table with the median of each part, of exact hits."""
    calls = EXACT.make_calls(place.site)[: WARM_UP + COUNT]
    numbers = [call.presented for call in calls]
    with hold_services():
        token = claim_seat(user=User.objects.get(username=USERNAME), client_id="profile").token
        environs = [make_environ(request, token) for request in EXACT.ask(calls)]
        configuration = get_current_configuration()
        read = take_times(lambda text: read_presented(text, configuration.site, configuration.inside_plans), numbers)
        looked_up = take_times(lambda text: look_up([text], who=token), numbers)
        with connection.execute_wrapper(watch := Watch()):
            found = [look_up([text], who=token) for text in numbers]
        described = take_times(describe, found)
        encoded = take_times(orjson.dumps, [describe(answer) for answer in found])
        served = take_times(call_application, environs)
        planned, executed = explain(watch.statements[-EXPLAINED:])
    statement = statistics.median(watch.times[WARM_UP:])
    parts = {
        "reading the number": read,
        "the statement, there and back": statement,
        "&nbsp;&nbsp;of which PostgreSQL runs it": executed,
        "&nbsp;&nbsp;(planning it, which is saved where it is prepared)": planned,
        "look-up, all of it": looked_up,
        "describing the answer": described,
        "orjson": encoded,
        "the whole WSGI call": served,
        "&nbsp;&nbsp;of which what is around them": served - looked_up - described - encoded,
    }
    return "\n".join(
        [
            f"One exact hit in {place.numbers:,} numbers; medians of {COUNT:,}.  {len(watch.times) / len(found):.2f} "
            "statements a look-up.",
            "",
            machine,
            "",
            "| part | µs |",
            "|---|---:|",
            *(f"| {name} | {seconds * 1_000_000:.0f} |" for name, seconds in parts.items()),
        ]
    )


def describe(answer: Answer) -> dict[str, object]:
    """Return the answer to one look-up as the API gives it."""
    return describe_call(answer.calls[0], answer, base_url=BASE_URL)


def take_times(function: Callable[[T], object], arguments: Sequence[T]) -> float:
    """Return the median of the seconds that the function takes, after some calls to warm up."""
    times = []
    for argument in arguments:
        started = time.perf_counter()
        function(argument)
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:])


def make_environ(request: Request, token: str) -> dict[str, Any]:
    """Return a GET request as a WSGI server hands it over."""
    path, _, query = request.path.partition("?")
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query, "HTTP_AUTHORIZATION": f"Bearer {token}"}
    setup_testing_defaults(environ)
    return environ | {"wsgi.input": io.BytesIO()}


def call_application(environ: dict[str, Any]) -> None:
    """Let the product answer, to the last byte."""
    response = application(environ, start_response)
    list(response)
    if close := getattr(response, "close", None):
        close()


def start_response(status: str, _headers: object, _error: object = None, /) -> Callable[[bytes], object]:
    """Take the status of an answer, which has to be 200."""
    if status != "200 OK":
        raise AssertionError(status)
    return io.BytesIO().write


def explain(statements: Sequence[tuple[str, Any]]) -> tuple[float, float]:
    """Return the medians of the seconds that PostgreSQL plans and runs these statements."""
    plans = []
    with connection.cursor() as cursor:
        for sql, params in statements:
            # Without times for each step, which cost more than the steps.
            cursor.execute(f"explain (analyze, timing off, format json) {sql}", params)
            (answer,) = cursor.fetchone()
            plans += orjson.loads(answer) if isinstance(answer, str) else answer
    milliseconds = (statistics.median(plan[key] for plan in plans) for key in ("Planning Time", "Execution Time"))
    planned, executed = (each / 1000 for each in milliseconds)
    return planned, executed
