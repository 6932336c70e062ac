"""Clients that load the popup files while administrators publish: never files of two versions."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from templates_store.popup_sets import list_versions
from templates_store.popup_store import ensure_published, get_popups, publish_popups, roll_back
from templates_store.popups import NAMES
from tests.locks import start
from tests.make import log_in, make_user

pytestmark = pytest.mark.django_db(transaction=True)

MANIFEST = "/api/v1/popup-templates"
# Each publication writes its mark into all of these, so that a mixture shows.
MARKED = [(language, name) for language in ("de", "en") for name in NAMES if name.endswith(".html")]


def publish(mark: str) -> str:
    changes = dict.fromkeys(MARKED, f"<p>{mark}</p>")
    return str(publish_popups(changes=changes, by=None))


def marks(files: dict[tuple[str, str], bytes]) -> set[bytes]:
    return {files[key] for key in MARKED}


@dataclass
class PopupClient:
    """A CM/Phone client as far as it concerns popups.  `between` is called before every request."""

    headers: dict[str, str]
    between: Callable[[], object] = lambda: None
    http: Client = field(default_factory=Client)
    etag: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Any:
        self.between()
        return self.http.get(path, headers=self.headers | headers)

    def beat(self) -> str:
        self.between()
        return str(self.http.put("/api/v1/sessions/current", headers=self.headers).json()["templates_version"])

    def reload(self) -> None:
        """Load the manifest and what it names, all or nothing."""
        answer = self.get(MANIFEST, **({"If-None-Match": self.etag} if self.etag else {}))
        if answer.status_code == 304:
            return
        assert answer.status_code == 200
        manifest, files = answer.json(), {}
        for each in manifest["files"]:
            file = self.get(each["url"].removeprefix("http://testserver"))
            assert file.status_code == 200
            assert (len(file.content), hashlib.sha256(file.content).hexdigest()) == (each["size"], each["sha256"])
            files[each["language"], each["name"]] = file.content
        self.manifest, self.etag, self.files = manifest, answer.headers["ETag"], files

    def reload_by_zip(self) -> bytes:
        """Load the zip of the manifest's version."""
        version = self.get(MANIFEST).json()["version"]
        return bytes(self.get(f"{MANIFEST}.zip?version={version}").content)


@pytest.fixture
def headers() -> dict[str, str]:
    publish("first")
    return log_in(make_user())


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as executor:
        yield executor


def count_requests(headers: dict[str, str]) -> int:
    requests = itertools.count()
    client = PopupClient(headers, between=lambda: next(requests))
    client.reload()
    return next(requests)


def test_whenever_an_administrator_publishes_a_client_has_files_of_one_version(headers: dict[str, str]) -> None:
    steps = count_requests(headers)
    assert steps == 1 + 2 * len(NAMES)
    for step in range(steps):
        before = get_popups().version
        place = itertools.count()

        def disturb(step: int = step, place: "itertools.count[int]" = place) -> None:
            if next(place) == step:
                publish(f"step {step}")

        client = PopupClient(headers, between=disturb)
        client.reload()

        # Before the manifest it is the new one, and later the old one: all of it.
        expected = get_popups().version if step == 0 else before
        assert client.manifest["version"] == expected
        assert client.files == get_popups(expected).files
        client.between = lambda: None
        assert client.beat() == get_popups().version
        client.reload()
        assert client.manifest["version"] == get_popups().version
        assert marks(client.files) == {f"<p>step {step}</p>".encode()}


def test_with_a_publication_before_every_single_request_it_is_still_one_version(headers: dict[str, str]) -> None:
    place = itertools.count()
    client = PopupClient(headers, between=lambda: publish(f"request {next(place)}"))

    client.reload()

    assert marks(client.files) == {b"<p>request 0</p>"}
    # More versions have come since than a process keeps in memory.
    assert int(get_popups().version) - int(client.manifest["version"]) == 2 * len(NAMES)


def test_a_client_that_has_the_version_in_force_loads_nothing(headers: dict[str, str]) -> None:
    client = PopupClient(headers)
    client.reload()
    files = client.files

    client.reload()

    assert client.files is files
    assert client.beat() == client.manifest["version"]


def test_many_clients_and_publishers_at_once(headers: dict[str, str], threads: ThreadPoolExecutor) -> None:
    first = int(get_popups().version)
    done = threading.Event()

    def administrate(name: str) -> list[str]:
        return [publish(f"{name} {number}") for number in range(6)]

    def roll_back_again_and_again() -> list[str]:
        return [str(roll_back(first, by=None, note=str(number))) for number in range(3)]

    def use() -> list[set[bytes]]:
        client = PopupClient(headers)
        seen: list[set[bytes]] = []
        while not done.is_set() or not seen:
            client.reload()
            seen.append(marks(client.files))
        client.reload()
        assert client.manifest["version"] == client.beat()
        return seen

    clients = [start(threads, use) for _ in range(3)]
    publishers = [start(threads, lambda name=name: administrate(name)) for name in ("anna", "bert")]  # type: ignore[misc]
    publishers.append(start(threads, roll_back_again_and_again))
    published = [version for future in publishers for version in future.result(timeout=60)]
    done.set()

    # One file, in each of its languages, has one mark: that of the version.
    for future in clients:
        assert all(len(marks_of_one) == 1 for marks_of_one in future.result(timeout=60))
    # Whoever publishes gets a number of his own; a roll-back to what is in force already makes none.
    numbers = [version.number for version in list_versions()]
    assert numbers == list(range(numbers[0], first - 1, -1))
    assert len(set(published)) >= 12
    assert {str(number) for number in numbers[:-1]} | {str(first)} >= set(published)


def test_a_zip_is_of_one_version_too(headers: dict[str, str]) -> None:
    version = get_popups().version
    requests = itertools.count()
    client = PopupClient(headers, between=lambda: publish("other") if next(requests) == 1 else None)

    assert client.reload_by_zip() == get_popups(version).zip
    assert get_popups().version != version


def test_a_client_logged_in_before_anything_was_published_learns_of_it() -> None:
    client = PopupClient(log_in(make_user()))
    before = client.beat()

    version = ensure_published()

    assert client.beat() == str(version) != before
    client.reload()
    assert client.manifest["version"] == str(version)
