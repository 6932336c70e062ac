"""`python -m tests.bench.streams`: many open streams, what they cost, and how long a call takes to its page.

A site of its own is made, served by the real processes, and thrown away.  Every user has a client that is logged in
and listens; calls are reported by HTTP, and the time is taken from before the report to the event at the client.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

USERS_OF_A_LINE = 10
CALL_ID = re.compile(rb'"call_id":"([^"]+)"')
IDLE_SECONDS = 20
LAST_SECONDS = 3
HOST = "127.0.0.1"


@dataclass
class Call:
    """One that is reported, with the times by the clock of this process: `told` by the token of who was told."""

    id: bytes
    listeners: Sequence["Client"]
    began: float = 0.0
    answered: float = 0.0
    told: dict[str, float] = field(default_factory=dict)


@dataclass
class Client:
    """One that is logged in and listens."""

    token: str
    line: str
    caller: str
    awaits: dict[bytes, Call] = field(default_factory=dict)
    greeted: asyncio.Event = field(default_factory=asyncio.Event)


def main() -> None:
    """Do what the command line says."""
    parser = ArgumentParser(prog="python -m tests.bench.streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rate", type=float, default=5, help="calls a second")
    parser.add_argument("--line", action="store_true", help=f"every call is one of {USERS_OF_A_LINE} users")
    options = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="cmphone-streams-")).resolve()
    top.chmod(0o755)
    for name in [name for name in os.environ if name.startswith("CMPHONE_")]:
        del os.environ[name]
    os.environ |= {"CMPHONE_VAR": str(top / "var"), "DJANGO_SETTINGS_MODULE": "cmphone.settings"}
    try:
        run(options)
    finally:
        shutil.rmtree(top)


def run(options: Namespace) -> None:
    """Serve the site, listen, call, and say how it was."""
    import django

    django.setup()
    from cmphone.embedded import hold_services
    from cmphone.management.commands.serve_demo import (
        make_events_command,
        make_web_command,
        run_children,
        wait_until_ready,
    )
    from tests.bench.serving import find_free_ports

    ports = find_free_ports(2)
    web, events = (f"http://{HOST}:{port}" for port in ports)
    commands = {"web": make_web_command(HOST, ports[0]), "events": make_events_command(HOST, ports[1])}
    with hold_services() as services:
        clients = make_site(options.streams)
        with run_children(commands, services) as children:
            wait_until_ready(web, children)
            wait_until_ready(events, children, name="events")
            worker = find_worker(children["events"].pid)
            asyncio.run(measure(options, clients, web, events, worker))


def make_site(count: int) -> list[Client]:
    """Make users with a contact for each, and log them in."""
    from django.core.management import call_command
    from django.db import connections

    from cmphone.calls.models import Line
    from cmphone.contacts.models import User
    from license.services import claim_seat
    from tests.make import give_rights, make_customer_group, make_license, make_person, make_user

    call_command("migrate", verbosity=0)
    make_license(count)
    group = make_customer_group(country_prefix="49", area_prefix="211")
    role = give_rights(make_user("first"), group, create=True)
    users = User.objects.bulk_create(User(username=f"agent{number}", password="!") for number in range(count))
    for user in users:
        user.groups.add(role)
    clients = []
    for number, user in enumerate(users):
        caller = f"0211 {4_000_000 + number}"
        make_person(group, phone=caller)
        line = f"line {number // USERS_OF_A_LINE}"
        Line.objects.get_or_create(name=line)[0].users.add(user)
        clients.append(Client(claim_seat(user=user, client_id="1").token, line, caller))
    connections.close_all()
    return clients


def find_worker(parent: int) -> int:
    """Return the process that streams, whose parent was started."""
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])


def read_memory(process: int) -> int:
    """Return the resident memory in MB."""
    (line,) = [each for each in Path(f"/proc/{process}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return round(int(line.split()[1]) / 1024)


def read_seconds(process: int) -> float:
    """Return the processor time that it has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(options: Namespace, clients: Sequence[Client], web: str, events: str, worker: int) -> None:
    """Listen and call, and print the figures."""
    empty, began = read_memory(worker), time.perf_counter()
    async with asyncio.TaskGroup() as listening:
        listeners = [listening.create_task(listen(client, events)) for client in clients]
        await asyncio.gather(*(client.greeted.wait() for client in clients))
        print(f"{len(clients)} streams opened in {time.perf_counter() - began:.1f} s")
        print(f"resident memory: {empty} MB without streams, {read_memory(worker)} MB with them")
        with measuring(worker, "nobody calls"):
            await asyncio.sleep(IDLE_SECONDS)
        with measuring(worker, f"{options.rate:g} calls a second"):
            calls = await make_calls(options, clients, web)
        print(f"resident memory at the end: {read_memory(worker)} MB")
        for listener in listeners:
            listener.cancel()
    report("until the report is answered", [call.answered - call.began for call in calls])
    report("until the event is there", [at - call.began for call in calls for at in call.told.values()])
    expected = sum(len(call.listeners) for call in calls)
    told = sum(len(call.told) for call in calls)
    print(f"events: {told} of {expected}")
    sys.exit(0 if told == expected else 1)


async def listen(client: Client, address: str) -> None:
    """Listen as long as this task runs."""
    reader, writer = await asyncio.open_connection(HOST, urlsplit(address).port, limit=1_000_000)
    try:
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {client.token}\r\n\r\n"
        writer.write(head.encode())
        while line := await reader.readline():
            if line.startswith(b"event: hello"):
                client.greeted.set()
            elif (found := CALL_ID.search(line)) and (call := client.awaits.get(found[1])):
                call.told[client.token] = time.perf_counter()
    finally:
        writer.close()


async def make_calls(options: Namespace, clients: Sequence[Client], web: str) -> list[Call]:
    """Report calls one after the other, and return them when their events had time to come."""
    calls = []
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as threads:
        begin = time.perf_counter()
        for number in range(options.calls):
            await asyncio.sleep(begin + number / options.rate - time.perf_counter())
            client = random.choice(clients)
            listeners = [each for each in clients if options.line and each.line == client.line] or [client]
            call = Call(f"call-{number}-of-the-benchmark".encode(), listeners)
            for each in listeners:
                each.awaits[call.id] = call
            calls.append(call)
            loop.run_in_executor(threads, report_call, call, client, web, options.line)
        await asyncio.sleep(LAST_SECONDS)
    return calls


def report_call(call: Call, client: Client, web: str, is_of_line: bool) -> None:
    """Report that it rings, over a connection of its own, and note when that was answered."""
    body = {
        "call_id": call.id.decode(),
        "direction": "incoming",
        "number": client.caller,
        "line": client.line if is_of_line else "",
        "started_at": datetime.now(UTC).isoformat(),
    }
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"}
    with contextlib.closing(HTTPConnection(urlsplit(web).netloc, timeout=30)) as connection:
        call.began = time.perf_counter()
        connection.request("POST", "/api/v1/calls", json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        call.answered = time.perf_counter()
    if response.status != 201:
        print(f"{response.status} {text!r}", file=sys.stderr)


@contextlib.contextmanager
def measuring(process: int, what: str) -> Iterator[None]:
    """Print how busy the process is while the block runs."""
    before, began = read_seconds(process), time.perf_counter()
    yield
    print(f"{what}: {(read_seconds(process) - before) / (time.perf_counter() - began):.1%} of a core")


def report(what: str, seconds: Sequence[float]) -> None:
    """Print how long it took."""
    ordered = sorted(seconds)
    parts = {"median": 0.5, "p95": 0.95, "p99": 0.99}
    shown = ", ".join(f"{name} {ordered[int(len(ordered) * part)] * 1000:.1f}" for name, part in parts.items())
    print(f"{what}, ms: {shown}, longest {ordered[-1] * 1000:.1f}")


if __name__ == "__main__":
    main()
