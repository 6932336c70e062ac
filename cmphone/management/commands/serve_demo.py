"""`make run`: the whole product on one machine, with the demo site in it, until Ctrl-C.

What a site in production starts, it starts with a service manager (docs/operations.md): this command is no
part of it.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from cmphone import demo
from cmphone.contacts.models import CustomerGroup, User
from cmphone.embedded import CHECKOUT, find_place, hold_services, var_folder
from cmphone.embedded_place import make_public

DEMO_CALL = "ring 0021133990312, answer, hang up"
READY_SECONDS = 60
# The web server of a run that was killed a moment ago may be on its way out.
PORT_SECONDS = 3
# A stopped web server finishes the answers it has begun.
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1
NICE = ("nice", "-n", "10")


class Command(BaseCommand):
    """Start everything, show that it works, and wait."""

    help = "Serve the demo site: database, web server and worker together, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=read_port, default=8000)

    def handle(self, *args: object, host: str, port: int, **options: Any) -> None:
        address = f"http://{find_own_name(host)}:{port}"
        try:
            with raise_on_signals(), claim_serving(var_folder(), address):
                for each in (port, port + 1):
                    ensure_port_is_free(host, each)
                empty_metrics(settings.METRICS_DIR)
                self._say("Starting …")
                with hold_services() as services:
                    self._prepare_database()
                    # Without a proxy that would make one address of both, events are at the next port.
                    environ = services | {"CMPHONE_PORTS": f"{port},{port + 1}"}
                    with run_children(list_commands(host, port), environ) as children:
                        wait_until_ready(address, children)
                        wait_until_ready(f"http://{find_own_name(host)}:{port + 1}", children, name="events")
                        self._show(address, services)
                        wait_for_end(children)
        except KeyboardInterrupt:
            self._say("\nStopped.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _prepare_database(self) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        if not CustomerGroup.objects.exists():
            self._say("Loading the demo site …")
            call_command("load_demo", verbosity=0)

    def _show(self, address: str, services: dict[str, str]) -> None:
        # Whoever has changed a demo password, or dropped the user, has no use for its line.
        users = User.objects.in_bulk([name for name, _, _ in demo.DEMO_LOGINS], field_name="username")
        logins = [login for login in demo.DEMO_LOGINS if login[0] in users and users[login[0]].check_password(login[1])]
        # From here on this process only waits, which needs no connection.
        connections.close_all()
        if logins:
            self._show_call(address, *logins[0][:2])
        self._say(f"\nAdministration  {address}/admin/\nAPI             {address}/api/docs/")
        self._say(f"Logs            {var_folder()}/log")
        if services:
            self._say(f"Data            {find_place().data}")
        for username, password, what in logins:
            self._say(f"Log in as       {username} / {password}   ({what})")
        self._say("\nCtrl-C stops it.")

    def _show_call(self, address: str, username: str, password: str) -> None:
        self._say(f"\nmanage.py phone {DEMO_CALL} --user {username} --url {address}\n")
        os.environ["CMPHONE_PASSWORD"] = password
        try:
            call_command("phone", *DEMO_CALL.split(), user=username, url=address)
        except CommandError as error:
            # The site may be in the middle of being set up: that is no reason not to serve it.
            self._say(f"That failed: {error}")
        finally:
            del os.environ["CMPHONE_PASSWORD"]


def read_port(text: str) -> int:
    """Return the port written in `text`."""
    # The one after it is taken, too.
    if text.isascii() and text.isdigit() and 0 < int(text) < 65535:
        return int(text)
    raise ArgumentTypeError(f"a port is a number from 1 to 65534, not {text}")


@contextlib.contextmanager
def raise_on_signals() -> Iterator[None]:
    """Turn the first signal to end into KeyboardInterrupt; what it sets going is not to be interrupted."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    # Ignored where somebody wants this to outlive the terminal.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def find_own_name(host: str) -> str:
    """Return `host` as this machine's own browser would write it."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared with, not listened on)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def claim_serving(var: Path, address: str) -> Iterator[None]:
    """Be the only one who serves out of `var`.

    Raises CommandError with the other's address, or when `var` is not ours to write to.
    """
    try:
        make_public(var)
        lock = (var / "serving.lock").open("a+")
    except OSError as error:
        raise CommandError(f"{var} cannot be used: {error}.  Go on as the user who started first.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CommandError(f"Already running on {lock.read()}.") from None
        lock.truncate(0)
        lock.write(f"{address}/ as process {os.getpid()}")
        lock.flush()
        yield


def empty_metrics(folder: Path) -> None:
    """Remove what the web processes of earlier runs counted, and nothing else that somebody keeps there."""
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)


def ensure_port_is_free(host: str, port: int) -> None:
    """Raise CommandError, naming what to do, when nothing can be served on `host` and `port`."""
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CommandError(f"Nothing can be served on {host}, port {port}: {error}.") from error
            if time.monotonic() > deadline:
                raise CommandError(
                    f"Port {port} is taken by another program.  Choose another one:  make run PORT={port + 1}"
                ) from error
            time.sleep(0.1)


def list_commands(host: str, port: int) -> dict[str, list[str]]:
    """Return the commands of the web server, of what tells events and of the worker, by the names of their logs."""
    schedule = var_folder() / "celerybeat-schedule"
    # Threads: a quarter of the memory of processes, and they stop at once.  Nice: telephones that ring go first.
    worker = (
        "-m celery -A cmphone worker --pool threads --concurrency 2 --without-gossip --without-mingle"
        f" --loglevel WARNING --beat --schedule {shlex.quote(str(schedule))}"
    )
    return {
        "web": make_web_command(host, port),
        "events": make_events_command(host, port + 1),
        "worker": [*NICE, sys.executable, *shlex.split(worker)],
    }


def make_web_command(host: str, port: int, application: str = "cmphone.wsgi:application") -> list[str]:
    """Return the command of a web server for a WSGI application."""
    options = (
        f"--interface wsgi --host {shlex.quote(host)} --port {port}"
        # A worker that was killed comes back; without that its end would be that of the web server.
        " --workers 2 --blocking-threads 1 --workers-kill-timeout 5 --respawn-failed-workers"
    )
    return [sys.executable, "-m", "granian", application, *shlex.split(options)]


def make_events_command(host: str, port: int) -> list[str]:
    """Return the command of the process that tells events."""
    options = (
        f"--interface asgi --host {shlex.quote(host)} --port {port} --workers 1 --respawn-failed-workers"
        # Every open stream counts as one request that is being answered.
        " --backpressure 6000 --workers-kill-timeout 5"
    )
    return [sys.executable, "-m", "granian", "cmphone.asgi:application", *shlex.split(options)]


@contextlib.contextmanager
def run_children(
    commands: dict[str, list[str]], services: dict[str, str]
) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """Run `commands`, with the addresses of the services, as long as the block runs; not a day longer."""
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            with find_log(name).open("w") as log:
                children[name] = subprocess.Popen(  # noqa: S603 (no part comes from outside)
                    command,
                    cwd=CHECKOUT,
                    env=os.environ | services,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C is for us; they are told to end in good order.
                    start_new_session=True,
                    preexec_fn=die_with_parent(os.getpid()),
                )
        yield children
    finally:
        for child in children.values():
            child.terminate()
        for child in children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
            # Its own children too, when it left any behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def die_with_parent(parent: int) -> Callable[[], None]:
    """Return what makes a child end when `parent` does, even by SIGKILL; on Linux only."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def find_log(name: str) -> Path:
    """Return the log of the child `name`."""
    return var_folder() / "log" / f"{name}.log"


def wait_until_ready(address: str, children: "dict[str, subprocess.Popen[bytes]]", *, name: str = "web") -> None:
    """Return when the child with this name answers at `address` that it is ready.

    Raises CommandError when it does not in time, or a child has ended.
    """
    url = f"{address}/health/{'ready' if name == 'web' else 'live'}"
    # Straight to it: a proxy in the environment has no part in this.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + READY_SECONDS
    while True:
        ensure_alive(children)
        try:
            with opener.open(url, timeout=5):
                return
        except urllib.error.HTTPError as error:
            reason = f"{error}: {error.read(500).decode(errors='replace')}"
        except OSError as error:
            reason = str(error)
        if time.monotonic() > deadline:
            raise CommandError(f"{url} does not become ready.  {reason}\n{read_tail(name)}")
        time.sleep(0.05)


def wait_for_end(children: "dict[str, subprocess.Popen[bytes]]") -> None:
    """Wait; only KeyboardInterrupt, or a child which ends by itself, ends it."""
    while True:
        ensure_alive(children)
        time.sleep(0.5)


def ensure_alive(children: "dict[str, subprocess.Popen[bytes]]") -> None:
    """Raise CommandError, with the end of its log, when a child has ended."""
    for name, child in children.items():
        if child.poll() is not None:
            raise CommandError(f"The {name} process ended by itself ({child.returncode}).\n{read_tail(name)}")


def read_tail(name: str) -> str:
    """Return the end of a child's log, to be shown."""
    lines = find_log(name).read_text(errors="replace").splitlines()[-15:]
    return "\n".join([f"The end of {find_log(name)}:", *(f"    {line}" for line in lines)])
