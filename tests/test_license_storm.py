"""Seats in a storm: a real web server with several processes, many clients at once, and what they need is killed."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cmphone.embedded import CHECKOUT, find_place, hold_services
from cmphone.embedded_servers import Server, make_postgres, make_valkey
from cmphone.management.commands.serve_demo import make_web_command, run_children, wait_until_ready
from license.tokens import hash_token
from tests.storm.clients import ask, claim
from tests.storm.site import CALLER, SEATS

HOST = "127.0.0.1"
WORKERS = 4
CLIENT_PROCESSES = 4
LIVE = "select count(*) from license_session where ended_at is null and last_seen_at > now() - interval '300 s'"


@dataclass(frozen=True)
class Site:
    """A site that is served, with its servers, so that they can be killed."""

    address: str
    database_url: str
    web: "subprocess.Popen[bytes]"
    postgres: Server
    valkey: Server

    def read(self, statement: str, *values: object) -> list[Any]:
        with psycopg.connect(self.database_url, autocommit=True) as database:
            return database.execute(statement.encode(), values or None).fetchall()

    def write(self, statement: str) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as database:
            database.execute(statement.encode())

    def list_workers(self) -> list[int]:
        """Return the processes of the web server that answer requests, the oldest first."""
        text = Path(f"/proc/{self.web.pid}/task/{self.web.pid}/children").read_text()
        return sorted(map(int, text.split()), key=find_start)

    def crash_database(self) -> None:
        """Let PostgreSQL end as in a crash, with what it has not written yet unwritten."""
        replace(self.postgres, stop_signals=(signal.SIGQUIT, signal.SIGKILL)).stop()


def find_start(process: int) -> int:
    """Return when a process began, in the kernel's clock."""
    # The second field may hold spaces.
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    top = Path(tempfile.mkdtemp(prefix="cmphone-storm-")).resolve()
    top.chmod(0o755)
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    address = f"http://{HOST}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMPHONE_VAR", str(top / "var"))
        # Durable, as a site in production is: what is committed outlives a crash.
        with hold_services() as services:
            environ = services | {"DJANGO_SETTINGS_MODULE": "tests.storm.settings"}
            subprocess.run(
                [sys.executable, "-m", "tests.storm.site"], cwd=CHECKOUT, env=os.environ | environ, check=True
            )
            command = [*make_web_command(HOST, port), "--workers", str(WORKERS)]
            with run_children({"web": command}, environ) as children:
                wait_until_ready(address, children)
                place = find_place()
                yield Site(
                    address,
                    services["CMPHONE_DATABASE_URL"],
                    children["web"],
                    make_postgres(place, durable=True),
                    make_valkey(place, durable=True),
                )
    shutil.rmtree(top)


@pytest.fixture
def site(served: Site) -> Site:
    """The site, with every seat free and nothing counted."""
    served.write("truncate license_session, license_hourlyusage, license_replacedtoken")
    return served


@contextlib.contextmanager
def clients(site: Site, kind: str, client_ids: Sequence[int]) -> Iterator[list["subprocess.Popen[str]"]]:
    """Clients in several processes, which are ready to begin all at once."""
    with contextlib.ExitStack() as stack:
        processes = []
        for first in range(CLIENT_PROCESSES):
            mine = [str(client_id) for client_id in client_ids[first::CLIENT_PROCESSES]]
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.storm.clients", site.address, kind, *mine],
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        yield processes


def tell(processes: Sequence["subprocess.Popen[str]"]) -> None:
    """Send every process the line for which it waits."""
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


def collect(processes: Sequence["subprocess.Popen[str]"]) -> list[Any]:
    """Return what the clients of all processes report."""
    reports = []
    for process in processes:
        text, _ = process.communicate(timeout=60)
        reports += json.loads(text)
    return reports


@dataclass
class Watch:
    """What somebody sees who looks at the database all the time, as far as it answers."""

    most: int = 0
    looks: int = 0
    away: int = 0


@contextlib.contextmanager
def watch_seats(site: Site) -> Iterator[Watch]:
    """Count the living sessions again and again while the block runs."""
    watch = Watch()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                with psycopg.connect(site.database_url, autocommit=True) as database:
                    while not over.wait(0.01):
                        row = database.execute(LIVE).fetchone()
                        assert row
                        watch.most = max(watch.most, row[0])
                        watch.looks += 1
            except psycopg.OperationalError:
                watch.away += 1
                over.wait(0.05)

    with ThreadPoolExecutor(max_workers=1) as threads:
        looking = threads.submit(look)
        try:
            yield watch
        finally:
            over.set()
            looking.result()


def wait_for_workers(site: Site) -> None:
    """Return when the web server has all its processes, and each time it is asked, it answers."""
    give_up_at = time.monotonic() + 30
    good = 0
    while good < 5 * WORKERS:
        assert time.monotonic() < give_up_at
        try:
            is_good = len(site.list_workers()) == WORKERS and ask(site.address, "GET", "/health/ready").status == 200
        except OSError:
            is_good = False
        good = good + 1 if is_good else 0


def test_of_200_clients_at_once_exactly_ten_get_the_ten_seats(site: Site) -> None:
    with watch_seats(site) as watch, clients(site, "rush", range(200)) as processes:
        tell(processes)
        answers = collect(processes)

    assert Counter(answer["status"] for answer in answers) == {201: SEATS, 409: 200 - SEATS}
    refused = [answer for answer in answers if answer["status"] == 409]
    assert {(answer["type"].rsplit("/", 1)[1], answer["licensed"], answer["in_use"]) for answer in refused} == {
        ("no-free-license", SEATS, SEATS)
    }
    granted = [answer for answer in answers if answer["status"] == 201]
    # Nobody was told a figure that another was told as well.
    assert sorted(answer["license"]["in_use"] for answer in granted) == list(range(1, SEATS + 1))
    assert site.read(LIVE) == [(SEATS,)]
    assert site.read("select count(*) from license_session") == [(SEATS,)]
    # Two rows if the clock has just struck.
    assert site.read("select sum(claims), sum(refused), max(peak) from license_hourlyusage") == [
        (SEATS, 200 - SEATS, SEATS)
    ]
    assert watch.most == SEATS


def test_no_seat_is_doubled_or_lost_while_web_server_and_database_are_killed(site: Site) -> None:
    with watch_seats(site) as watch, clients(site, "restless", range(24)) as processes:
        tell(processes)
        for kill in range(WORKERS):
            time.sleep(1)
            # The oldest: one that dies twice in a few seconds is not started again.
            os.kill(site.list_workers()[0], signal.SIGKILL)
            if kill % 2:
                time.sleep(0.3)
                site.crash_database()
                time.sleep(0.2)
                site.postgres.ensure_running()
        wait_for_workers(site)
        tell(processes)
        reports = collect(processes)

    assert [fault for report in reports for fault in report["faults"]] == []
    counts = sum((Counter(report["counts"]) for report in reports), Counter[str]())
    assert set(counts) >= {"POST 201", "POST 200", "POST 409", "PUT 200", "DELETE 204", "POST 503", "no answer"}, counts
    assert watch.most == SEATS
    assert watch.looks > 100
    assert watch.away > 0

    # What was told is so, and nothing else is: each client knows whether it holds a seat, and with which token.
    told = {(report["client_id"], hash_token(report["token"])) for report in reports if report["token"]}
    assert set(site.read("select client_id, token_hash from license_session where ended_at is null")) == told
    for report in reports:
        if report["token"]:
            assert ask(site.address, "PUT", "/api/v1/sessions/current", token=report["token"]).status == 200

    site.write("update license_session set last_seen_at = last_seen_at - interval '300 s' where ended_at is null")
    answers = [claim(site.address, str(1000 + number)) for number in range(SEATS + 1)]
    assert [answer.status for answer in answers] == [201] * SEATS + [409]
    assert site.read(LIVE) == [(SEATS,)]


def test_when_the_database_is_back_nobody_sees_that_it_was_away(site: Site) -> None:
    token = claim(site.address, "1").body["token"]

    def beat_in_every_worker() -> set[int]:
        return {ask(site.address, "PUT", "/api/v1/sessions/current", token=token).status for _ in range(5 * WORKERS)}

    assert beat_in_every_worker() == {200}
    site.crash_database()
    away = ask(site.address, "PUT", "/api/v1/sessions/current", token=token)
    assert (away.status, away.body["type"].rsplit("/", 1)[1]) == (503, "unavailable")
    site.postgres.ensure_running()
    assert beat_in_every_worker() == {200}


def test_clients_go_on_without_redis(site: Site) -> None:
    """What waits until it is back are the jobs of the worker: readings and names follow changed settings later, ended
    sessions and forgotten failures stay in their tables, hours without a log-in are missing in the use over time, and
    the end of timed-out sessions is written down by the next claim only.  Their seats are free all the same.
    """
    site.valkey.stop()
    try:
        claimed = claim(site.address, "1")
        assert claimed.status == 201
        token = claimed.body["token"]
        site.write("update license_session set last_seen_at = last_seen_at - interval '100 s'")
        assert ask(site.address, "PUT", "/api/v1/sessions/current", token=token).status == 200
        found = ask(site.address, "GET", f"/api/v1/lookup?number={CALLER.replace('+', '%2B')}", token=token)
        assert (found.status, found.body["match"]) == (200, "exact")
        assert claim(site.address, "1").status == 200
        ready = ask(site.address, "GET", "/health/ready")
        assert (ready.status, ready.body["checks"]) == (200, {"database": "ok", "redis": "unavailable"})
        site.write("update license_session set last_seen_at = last_seen_at - interval '300 s'")
        assert [claim(site.address, str(number)).status for number in range(2, SEATS + 2)] == [201] * SEATS
    finally:
        site.valkey.ensure_running()
    assert ask(site.address, "GET", "/health/ready").body["checks"]["redis"] == "ok"
