"""Serves a loaded site, product and yardstick side by side, and asks them what a measurement rests on."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
import psycopg

from cmphone.embedded import CHECKOUT, hold_services
from cmphone.management.commands.serve_demo import (
    NICE,
    claim_serving,
    die_with_parent,
    make_web_command,
    run_children,
    wait_until_ready,
)
from tests.bench.calls import CLIENTS, Case, Request, post
from tests.bench.load import USERNAME
from tests.bench.place import BenchPlace
from tests.bench.rebuilding import STARTED
from tests.make import PASSWORD

HOST = "127.0.0.1"
ROWS_TO_TOUCH = f"""
    create table if not exists yardstick_session (id integer primary key, last_seen_at timestamptz);
    insert into yardstick_session select generate_series(0, {CLIENTS - 1}) on conflict do nothing
"""


@dataclass(frozen=True)
class Served:
    """A site that is served: where, and the tokens of the clients that are logged in."""

    place: BenchPlace
    product: str
    yardstick: str
    tokens: Sequence[str]
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Probe:
    """What some requests of a case were answered.  `matches` counts the look-ups in them by their result."""

    is_there: bool
    errors: int
    matches: Counter[str]


@contextlib.contextmanager
def serve(place: BenchPlace) -> Iterator[Served]:
    """Serve the site as long as the block runs; no worker is with it, whose work would disturb."""
    # Logs and services are where this says, also for a second site in the same process.
    os.environ["CMPHONE_VAR"] = str(place.var)
    ports = find_free_ports(2)
    product, yardstick = (f"http://{HOST}:{port}" for port in ports)
    commands = {
        "web": make_web_command(HOST, ports[0]),
        "yardstick": make_web_command(HOST, ports[1], "tests.bench.yardstick:application"),
    }
    with (
        claim_serving(place.var, product),
        hold_services() as services,
        run_children(commands, services) as children,
    ):
        environ = os.environ | services
        with psycopg.connect(services["CMPHONE_DATABASE_URL"]) as database:
            database.execute(ROWS_TO_TOUCH)
        for address in (product, yardstick):
            wait_until_ready(address, children)
        yield Served(place, product, yardstick, [log_in(product, f"client-{n}") for n in range(CLIENTS)], environ)


def find_free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        # All at once, or it may be one and the same.
        sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def log_in(address: str, client_id: str) -> str:
    """Take a seat, as a client does, and return the token."""
    credentials = {"username": USERNAME, "password": PASSWORD, "client_id": client_id}
    with contextlib.closing(connect(address)) as connection:
        status, answer = ask(connection, post("/api/v1/sessions", credentials))
    if status not in {200, 201}:
        sys.exit(f"The product does not let the user in: {status} {answer!r}")
    return str(orjson.loads(answer)["token"])


def probe(served: Served, case: Case, requests: Sequence[Request]) -> Probe:
    """Ask the product some of the requests, one after the other, and look at the answers."""
    errors = 0
    matches: Counter[str] = Counter()
    with contextlib.closing(connect(served.product)) as connection:
        for place, request in enumerate(requests[: max(1, case.probes // case.calls_per_request)]):
            status, body = ask(connection, request, served.tokens[0])
            if place == 0 and status in {404, 405}:
                return Probe(is_there=False, errors=0, matches=matches)
            if status not in {200, 201, 304}:
                errors += 1
                print(f"{case.title}: {status} {body[:300]!r}", file=sys.stderr)
            elif case.match:
                answer = orjson.loads(body)
                matches.update(each["match"] for each in answer.get("results", [answer]))
    return Probe(is_there=True, errors=errors, matches=matches)


def connect(address: str) -> http.client.HTTPConnection:
    """Return a connection to a server, which the caller closes."""
    return http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)


def ask(connection: http.client.HTTPConnection, request: Request, token: str = "") -> tuple[int, bytes]:
    """Return the status and the body of the answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if request.body:
        headers["Content-Type"] = "application/json"
    if request.if_none_match:
        headers["If-None-Match"] = request.if_none_match
    connection.request(request.method, request.path, request.body or None, headers)
    response = connection.getresponse()
    return response.status, response.read()


@contextlib.contextmanager
def rebuild_meanwhile(served: Served) -> Iterator[None]:
    """Let another process rebuild all customer groups, again and again, while the block runs."""
    process = subprocess.Popen(
        # As the worker is started.
        [*NICE, sys.executable, "-m", "tests.bench.rebuilding"],
        cwd=CHECKOUT,
        env=served.environ,
        stdout=subprocess.PIPE,
        text=True,
        # It brings the settings back when it is told to, and not by a Ctrl-C that is for us.
        start_new_session=True,
        preexec_fn=die_with_parent(os.getpid()),
    )
    assert process.stdout
    with process:
        try:
            if process.stdout.readline().strip() != STARTED:
                sys.exit("The rebuild did not start.")
            yield
            if process.poll() is not None:
                sys.exit("The rebuild ended by itself: what was measured beside it does not count.")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
