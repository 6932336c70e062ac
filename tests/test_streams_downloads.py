"""Installers out of the process that tells events: the same answers as of the web server, at the reader's pace."""

import contextlib
import hashlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.test import Client

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.contacts.models import User
from cmphone.management.commands.serve_demo import make_events_command, make_web_command, run_children, wait_until_ready
from cmphone.releases.models import ClientRelease
from cmphone.releases.services import add_release
from cmphone.streams.downloads import is_download
from tests.bench.serving import HOST, find_free_ports
from tests.make import log_in, make_user
from tests.streams import ask, name_services

pytestmark = pytest.mark.django_db(transaction=True)

# More than the buffers of both ends take by themselves.
SIZE = 24 << 20
INSTALLER = b"MZ" + bytes(range(256)) * (SIZE // 256)
PATH, PAGE = "/api/v1/client-releases/7.1/download", "/profile/client/7.1/"


@pytest.fixture
def agent() -> User:
    return make_user("agent1")


@pytest.fixture
def release(agent: User) -> ClientRelease:
    return add_release(ClientRelease(version="7.1"), content=[INSTALLER], file_name="cmphone-7.1.exe", by=None)


@pytest.fixture
def addresses(release: ClientRelease) -> Iterator[tuple[str, str]]:
    """Where the web server, with one process that answers one at a time, and the process that tells events are."""
    web, events = find_free_ports(2)
    commands = {"web": [*make_web_command(HOST, web), "--workers", "1"], "events": make_events_command(HOST, events)}
    with run_children(commands, name_services() | {"CMPHONE_PORTS": f"{web},{events}"}) as children:
        wait_until_ready(f"http://{HOST}:{web}", children)
        wait_until_ready(f"http://{HOST}:{events}", children, name="events")
        yield f"http://{HOST}:{web}", f"http://{HOST}:{events}"


def make_cookie(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


@contextlib.contextmanager
def read_slowly(url: str, headers: dict[str, str]) -> Iterator[socket.socket]:
    """Begin to download, and take nothing after the first bytes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10) as opened:
        lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
        opened.sendall("\r\n".join([*lines, "", ""]).encode())
        assert opened.recv(1_000).startswith(b"HTTP/1.1 200 ")
        yield opened


def test_slow_readers_hold_up_no_look_up(agent: User, addresses: tuple[str, str]) -> None:
    web, _ = addresses
    headers = log_in(agent)
    told = ask(web, "/api/v1/client-releases/latest", **headers)
    (url,) = [line for line in told.read().decode().split('"') if line.endswith("/download")]
    page = ask(web, "/profile/", Cookie=make_cookie(agent)).read().decode()
    (link,) = [each for each in page.split('"') if each.endswith(PAGE)]
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(read_slowly(url, headers))
            stack.enter_context(read_slowly(link, {"Cookie": make_cookie(agent)}))
        time.sleep(0.5)

        began = time.monotonic()
        answers = [ask(web, "/api/v1/lookup?number=0021133990312", **headers).status for _ in range(20)]
        # And others have it meanwhile.
        whole = ask(url.removesuffix(PATH), PATH, **headers).read()

    assert answers == [200] * 20
    assert hashlib.sha256(whole).hexdigest() == ClientRelease.objects.get().sha256
    assert time.monotonic() - began < 10


def test_both_processes_answer_alike(agent: User, addresses: tuple[str, str]) -> None:
    token, cookie = log_in(agent), {"Cookie": make_cookie(agent)}
    key = {"Authorization": f"Api-Key {create_api_key(user=agent, name='x', scopes=[Scope.LOOKUP])[1]}"}
    etag = f'"{ClientRelease.objects.get().sha256}"'
    asked = [
        (PATH, token, 200),
        (PATH, key, 200),
        (PATH, {}, 401),
        (PATH, cookie, 401),
        (PATH, token | {"Range": "bytes=1048570-1048580"}, 206),
        (PATH, token | {"Range": f"bytes={SIZE * 2}-"}, 416),
        (PATH, token | {"If-None-Match": etag}, 304),
        (PATH.replace("7.1", "7.2"), token, 404),
        (PAGE, cookie, 200),
        (PAGE, {}, 302),
        (PAGE.replace("7.1", "7.2"), cookie, 404),
    ]

    for path, headers, status in asked:
        answers = [ask(address, path, X_Request_ID="one", **headers) for address in addresses]
        assert [answer.status for answer in answers] == [status, status], path
        first, second = (
            {
                name.lower(): value.removeprefix(addresses[0])
                for name, value in answer.getheaders()
                if name.lower() not in {"date", "server", "set-cookie", "transfer-encoding", "connection"}
                and not (status == 304 and name.lower() == "content-length")
            }
            for answer in answers
        )
        assert first == second, path
        # Only the address of what a problem means has the port in it.
        bodies = [
            answer.read().replace(address.encode(), b"") for answer, address in zip(answers, addresses, strict=True)
        ]
        assert bodies[0] == bodies[1], path


def test_only_whole_paths_of_installers_are_downloads() -> None:
    assert is_download(PATH)
    assert is_download(PAGE)
    assert not is_download("/profile/client/")
    assert not is_download("/profile/client/7.1/x")
    assert not is_download(f"{PATH}/")
    assert not is_download("/profile/")
