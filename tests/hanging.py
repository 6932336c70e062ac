"""Services that hang: a socket that takes calls and says nothing, and real servers that are stopped."""

import contextlib
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from cmphone.embedded import find_place
from cmphone.embedded_servers import Server, make_postgres, make_valkey


@contextlib.contextmanager
def silent_socket(name: str) -> Iterator[Path]:
    """Give the path of a Unix socket that takes every call and never answers."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / name
        listener.bind(str(path))
        listener.listen(50)
        yield path


@contextlib.contextmanager
def new_connections_to(host: Path) -> Iterator[None]:
    """Let whoever connects to the database from now on find the socket in the folder `host`; we stay connected."""
    values = connections.settings["default"]
    before = values["HOST"]
    values["HOST"] = str(host)
    try:
        yield
    finally:
        values["HOST"] = before


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Stop the embedded server like a process that is frozen, and let it go on afterwards."""
    processes = server.find_processes()
    if not processes:
        pytest.skip("The service is not an embedded one.")
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def find_postgres() -> Server:
    return make_postgres(find_place(), durable=False)


def find_valkey() -> Server:
    return make_valkey(find_place(), durable=False)


def wait_for_threads_to_end(names: set[str]) -> None:
    """Return when no thread of one of these names is left: what hung has been let go."""
    deadline = time.monotonic() + 10
    while names & {thread.name for thread in threading.enumerate()}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
