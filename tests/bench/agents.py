"""`python -m tests.bench.agents`: a site's agents at work for some minutes, and how many calls a second it can take.

The processes are those of `make run`, with PostgreSQL, Valkey and the worker; agents take their seats by the service,
as a log-in is mostly a password hash, which is slow by intention.  Clients, servers and database share the machine.
"""

import asyncio
import gc
import math
import os
import random
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import django
import psycopg

from tests.bench.calls import CASES
from tests.bench.load import SEATS, USERNAME, add_arguments
from tests.bench.place import BenchPlace, find_top, settle
from tests.bench.processes import Cost, measure_all, read_busy_seconds
from tests.bench.workday import HOST, Caller, Figures, Workday

# Of a hundred calls.
MIX = {"exact": 75, "miss": 15, "company": 5, "withheld": 5}
LIMIT = 0.050
# Everybody comes within so many seconds.
SPREAD = 10
CLIENT_ID = "workday"
MOST_AGENTS, MOST_CALLS, MOST_MINUTES = 5_000, 1_000, 60


@dataclass(frozen=True)
class Spent:
    """What the processes cost, what the whole machine's processors did and did not get, and when that was."""

    costs: Mapping[str, Cost]
    busy: float
    stolen: float
    at: float


def main() -> None:
    """Do what the command line says."""
    options = read_options()
    top = find_top()
    place = BenchPlace(top, options.numbers, options.seed)
    environ = dict(os.environ)
    settle(place)
    django.setup()
    from cmphone.management.commands.serve_demo import raise_on_signals
    from tests.bench.__main__ import load_in_a_process

    try:
        with raise_on_signals():
            load_in_a_process(place, environ, rebuild=options.rebuild)
            sys.exit(0 if run(place, options) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def read_options() -> Namespace:
    """Read the command line."""
    parser = ArgumentParser(prog="python -m tests.bench.agents", description=__doc__)
    add_arguments(parser)
    parser.set_defaults(numbers=100_000)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--calls", type=float, default=5, help="calls a second, and as many plain look-ups")
    parser.add_argument("--minutes", type=float, default=5, help="0: no workday, only what --limit asks for")
    parser.add_argument("--limit", default="", help="then these calls a second, until it is too much: 10,20,50,100,200")
    parser.add_argument("--seconds", type=float, default=30, help="of each step towards the limit")
    options = parser.parse_args()
    options.limit = [float(each) for each in options.limit.split(",") if each]
    if not 0 < options.agents <= MOST_AGENTS:
        parser.error(f"--agents is from 1 to {MOST_AGENTS}.")
    if any(not 0 < each <= MOST_CALLS for each in (options.calls, *options.limit)):
        parser.error(f"Calls a second are more than 0, and {MOST_CALLS} at most.")
    if not (0 <= options.minutes <= MOST_MINUTES and 0 < options.seconds <= MOST_MINUTES * 60):
        parser.error(f"It takes {MOST_MINUTES} minutes at most.")
    return options


def run(place: BenchPlace, options: Namespace) -> bool:
    """Serve the site, let the agents work, and print the figures; return whether all was as it should be."""
    from cmphone.embedded import find_place, hold_services
    from cmphone.embedded_servers import make_postgres, make_valkey
    from cmphone.management.commands.serve_demo import (
        claim_serving,
        list_commands,
        make_events_command,
        run_children,
        wait_until_ready,
    )
    from tests.bench.report import describe_machine
    from tests.bench.serving import find_free_ports

    web, events = find_free_ports(2)
    commands = list_commands(HOST, web) | {"events": make_events_command(HOST, events)}
    print(describe_machine(), flush=True)
    with claim_serving(place.var, f"http://{HOST}:{web}"), hold_services() as services:
        tokens = prepare_agents(options.agents)
        with run_children(commands, services) as children:
            wait_until_ready(f"http://{HOST}:{web}", children)
            wait_until_ready(f"http://{HOST}:{events}", children, name="events")
            roots = {
                "web": children["web"].pid,
                "events": children["events"].pid,
                "worker": children["worker"].pid,
                "PostgreSQL": find_root(make_postgres(find_place(), durable=True).find_processes()),
                "Valkey": find_root(make_valkey(find_place(), durable=True).find_processes()),
                "the agents": os.getpid(),
            }
            day = Workday(tokens, make_callers(place), web=web, events=events)
            return asyncio.run(work(day, options, roots, services["CMPHONE_DATABASE_URL"]))


def prepare_agents(count: int) -> list[str]:
    """Make the users who are not there yet, with the roles of the benchmark's user; begin a new day; return tokens."""
    from django.db import connections

    from cmphone.calls.models import Call
    from cmphone.contacts.models import User
    from license.models import Pool, Session
    from license.services import claim_seat
    from tests.bench.load import tidy

    Call.objects.all().delete()
    Session.objects.filter(client_id=CLIENT_ID).delete()
    Pool.objects.update(licensed=SEATS + count)
    names = [f"agent-{number}" for number in range(count)]
    User.objects.bulk_create([User(username=name, password="!") for name in names], ignore_conflicts=True)
    users = User.objects.filter(username__in=names)
    for role in User.objects.get(username=USERNAME).groups.all():
        role.user_set.add(*users)
    tokens = [claim_seat(user=user, client_id=CLIENT_ID).token for user in users]
    tidy()
    connections.close_all()
    return tokens


def make_callers(place: BenchPlace, count: int = 5_000) -> list[Caller]:
    """Return who calls: mostly contacts."""
    cases = {case.name: case for case in CASES}
    callers = [
        Caller(call.presented, cases[name].match)
        for name, share in MIX.items()
        for call in cases[name].make_calls(place.site, count * share // 100)
    ]
    random.Random(place.seed).shuffle(callers)
    return callers


def find_root(numbers: Sequence[int]) -> int:
    """Return the process that was started first, which is the parent of the others."""
    return min(numbers)


async def work(day: Workday, options: Namespace, roots: Mapping[str, int], database: str) -> bool:
    """Let everybody come, and take calls; return whether the workday was as it should be."""
    # What is there now stays: no pause for looking at it.
    gc.freeze()
    is_well = True
    async with day.at_work(SPREAD):
        print(f"{len(day.agents)} agents at work\n", flush=True)
        if options.minutes:
            is_well = await take_and_tell(day, options.calls, options.minutes * 60, roots, database)
        for rate in options.limit:
            if not await take_and_tell(day, rate, options.seconds, roots, database):
                break
    return is_well


async def take_and_tell(day: Workday, rate: float, seconds: float, roots: Mapping[str, int], database: str) -> bool:
    """Let calls come, print what was measured, and return whether there was no error and the look-ups were fast.

    A look-up that finds another one than it should is an error.
    """
    before = spend(roots)
    load = os.getloadavg()[0]
    middle = asyncio.create_task(look_in(seconds, roots, database))
    figures = await day.take_calls(rate, seconds)
    if figures.unexpected:
        figures.errors["found another than expected"] = figures.unexpected
    after, connections = await middle
    print(f"### {rate:g} calls a second for {seconds:g} s; load {load:.1f} before, {os.getloadavg()[0]:.1f} after\n")
    tell_times(figures)
    tell_costs(before, after)
    asked = sum(len(times) for what, times in figures.times.items() if not what.startswith(("event", "(")))
    print(f"\n{figures.calls:,} calls, {asked / (after.at - before.at):.0f} requests a second of all kinds")
    print(f"database connections: {connections}")
    print(f"errors: {dict(figures.errors) or 'none'}\n", flush=True)
    return not figures.errors and pick(figures.times["look-up"], 0.99) < LIMIT


async def look_in(seconds: float, roots: Mapping[str, int], database: str) -> tuple[Spent, int]:
    """Return what the processes have cost when the time is over, and how many connections the database has then."""
    await asyncio.sleep(seconds)
    spent = spend(roots)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        cursor = await connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        (count,) = await cursor.fetchone() or (0,)
    return spent, count


def spend(roots: Mapping[str, int]) -> Spent:
    """Return what everything has cost so far."""
    return Spent(measure_all(roots), *read_busy_seconds(), time.perf_counter())


def tell_times(figures: Figures) -> None:
    """Print how long each thing took."""
    print("| what | count | p50, ms | p95 | p99 | longest |\n|---|---:|---:|---:|---:|---:|")
    for what, seconds in sorted(figures.times.items()):
        shown = " | ".join(f"{pick(seconds, part) * 1000:.1f}" for part in (0.5, 0.95, 0.99, 1))
        print(f"| {what} | {len(seconds):,} | {shown} |")


def tell_costs(before: Spent, after: Spent) -> None:
    """Print what each process cost."""
    passed = after.at - before.at
    print("\n| processes | number | cores | waiting for one | memory, MB | largest one, resident |")
    print("|---|---:|---:|---:|---:|---:|")
    sum_of_ours = 0.0
    for name, cost in after.costs.items():
        taken = cost.seconds - before.costs[name].seconds
        sum_of_ours += taken
        waited = cost.waited - before.costs[name].waited
        print(
            f"| {name} | {cost.processes} | {taken / passed:.2f} | {waited / passed:.2f} | {cost.memory:.0f}"
            f" | {cost.largest:.0f} |"
        )
    others = after.busy - before.busy - sum_of_ours
    print(f"| others on the machine | | {others / passed:.2f} of {os.cpu_count()} | | | |")
    print(f"| kept by its host | | {(after.stolen - before.stolen) / passed:.2f} | | | |")


def pick(seconds: Sequence[float], part: float) -> float:
    """Return the time within which this part of them was."""
    ordered = sorted(seconds)
    return ordered[max(math.ceil(len(ordered) * part), 1) - 1] if ordered else 0.0


if __name__ == "__main__":
    main()
