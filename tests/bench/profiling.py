"""Where the time of one look-up goes, in one process and without HTTP: `make bench ARGS=--profile`."""

import io
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar
from wsgiref.util import setup_testing_defaults

import orjson
import psycopg
from django.db import connection

from cmphone.access.credentials import Credentials
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
BASE_URL = "https://cmphone.example.com"
P = ParamSpec("P")
R = TypeVar("R")


class Stopwatch:
    """Keeps how long each part took, and the statements that went to the database."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.statements: list[tuple[str, Any]] = []

    def run(self, part: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, and count its time for this part."""
        started = time.perf_counter()
        result = function(*args, **kwargs)
        self.times[part].append(time.perf_counter() - started)
        return result

    def run_statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]
    ) -> Any:
        """Run a statement as Django's execute_wrapper wants it."""
        self.statements.append((sql, params))
        return self.run("statement", execute, sql, params, many, context)

    def median(self, part: str) -> float:
        """Return the median of the seconds that the part took, without the first times."""
        return statistics.median(self.times[part][WARM_UP:])


def profile_look_up(place: BenchPlace, machine: str) -> str:
    """Return a Markdown table with the median of each part, of exact hits."""
    calls = EXACT.make_calls(place.site, 2 * (WARM_UP + COUNT))
    numbers = [call.presented for call in calls[::2]]
    watch = Stopwatch()
    with hold_services():
        token = claim_seat(user=User.objects.get(username=USERNAME), client_id="profile").token
        # Of other callers: PostgreSQL has just read what belongs to those before.
        environs = [make_environ(request, token) for request in EXACT.ask(calls[1::2])]
        configuration = get_current_configuration()
        # One after the other for each number, so that whatever disturbs disturbs every part.
        for number, environ in zip(numbers, environs, strict=True):
            watch.run("reading", read_presented, number, configuration.site, configuration.inside_plans)
            with connection.execute_wrapper(watch.run_statement):
                answer = watch.run("look-up", look_up, [number], who=Credentials("bearer", token))
            described = watch.run("description", describe, answer)
            watch.run("orjson", orjson.dumps, described)
            watch.run("WSGI", call_application, environ)
        planned, executed = explain(watch.statements[-EXPLAINED:])
    around = watch.median("WSGI") - sum(watch.median(part) for part in ("look-up", "description", "orjson"))
    parts = {
        "reading the number": watch.median("reading"),
        "the statement, there and back": watch.median("statement"),
        "&nbsp;&nbsp;of which PostgreSQL runs it": executed,
        "&nbsp;&nbsp;(planning it, which is saved where it is prepared)": planned,
        "look-up, all of it": watch.median("look-up"),
        "describing the answer": watch.median("description"),
        "orjson": watch.median("orjson"),
        "the whole WSGI call": watch.median("WSGI"),
        "&nbsp;&nbsp;of which what is around them": around,
    }
    return "\n".join(
        [
            f"One exact hit in {place.numbers:,} numbers; medians of {COUNT:,}."
            f"  {len(watch.statements) / len(numbers):.2f} statements a look-up.",
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
    # With parameters as PostgreSQL itself writes them.
    with psycopg.RawCursor(connection.connection) as cursor:
        for sql, params in statements:
            # Without times for each step, which cost more than the steps.
            cursor.execute(f"explain (analyze, timing off, format json) {sql}", params)
            (answer,) = cursor.fetchone() or ("[]",)
            plans += orjson.loads(answer) if isinstance(answer, str) else answer
    milliseconds = (statistics.median(plan[key] for plan in plans) for key in ("Planning Time", "Execution Time"))
    planned, executed = (each / 1000 for each in milliseconds)
    return planned, executed
