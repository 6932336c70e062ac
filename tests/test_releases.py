"""The client's installers: kept whole, the newest offered, handed out in parts; what clients are told."""

import hashlib
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.contacts.models import User
from cmphone.properties.services import set_property
from cmphone.releases import services
from cmphone.releases.models import ClientRelease, ReleaseChunk
from cmphone.releases.services import add_release, find_latest_release
from cmphone.releases.versions import make_order
from tests.make import log_in, make_user

pytestmark = pytest.mark.django_db

INSTALLER = b"MZ" + bytes(range(2, 256)) + bytes(range(256)) * 4
LATEST, CONFIG = "/api/v1/client-releases/latest", "/api/v1/client-config"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "CHUNK", 100)


@pytest.fixture
def agent() -> User:
    return make_user("agent1")


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def make_release(version: str, content: bytes = INSTALLER, **values: Any) -> ClientRelease:
    pieces = [content[:7], content[7:1000], content[1000:]]
    return add_release(
        ClientRelease(version=version, **values), content=pieces, file_name=f"C:\\x\\cmphone-{version}.exe", by=None
    )


def read(response: Any) -> bytes:
    return response.getvalue() if response.streaming else response.content  # type: ignore[no-any-return]


# --- versions ---


def test_versions_are_ordered_as_numbers() -> None:
    assert sorted(["10.0", "2", "1.10.0.1", "1.10", "1.9"], key=make_order) == ["1.9", "1.10", "1.10.0.1", "2", "10.0"]
    assert make_order("1.2") == make_order("1.2.0.0")


@pytest.mark.parametrize("version", ["", "1.", ".1", "1.2.3.4.5", "1.2-beta", "v1", "1234567", "1.²", " 1"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make_release(version)

    assert list(refused.value.message_dict) == ["version"]
    assert ClientRelease.objects.count() == 0


def test_a_version_is_kept_once_however_it_is_written() -> None:
    make_release("1.2")

    with pytest.raises(ValidationError):
        make_release("1.2.0")

    assert ClientRelease.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("notes.txt", b"MZ"), ("setup.exe", b""), ("setup.exe", b"<html>"), ("setup.exe", b"MZ" + b"x" * 1_000_000)],
)
def test_what_is_no_installer_leaves_nothing(name: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "CHUNK", 1_000_000)
    monkeypatch.setattr(settings, "RELEASE_MAX_MB", 1)
    with pytest.raises(ValidationError) as refused:
        add_release(ClientRelease(version="1"), content=[content], file_name=name, by=None)

    assert list(refused.value.message_dict) == ["file"]
    assert (ClientRelease.objects.count(), ReleaseChunk.objects.count()) == (0, 0)


# --- REST ---


def test_the_newest_that_is_offered_is_the_latest(client: Client, headers: dict[str, str]) -> None:
    assert client.get(LATEST, headers=headers).status_code == 404
    make_release("1.9")
    newest = make_release("1.10", notes_en="Faster.", notes_de="Schneller.")
    make_release("1.2")

    answer = client.get(LATEST, headers=headers).json()

    assert {name: answer[name] for name in ("version", "size", "sha256", "url", "file_name", "notes")} == {
        "version": "1.10",
        "size": len(INSTALLER),
        "sha256": hashlib.sha256(INSTALLER).hexdigest(),
        "url": "http://testserver/api/v1/client-releases/1.10/download",
        "file_name": "cmphone-1.10.exe",
        "notes": "Faster.",
    }
    newest.is_offered = False
    newest.save()
    assert client.get(LATEST, headers=headers).json()["version"] == "1.9"
    assert client.get("/api/v1/client-releases/1.10/download", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "part", "content_range"),
    [
        (None, 200, INSTALLER, None),
        ("bytes=0-", 206, INSTALLER, "bytes 0-1279/1280"),
        ("bytes=0-0", 206, INSTALLER[:1], "bytes 0-0/1280"),
        ("bytes=99-100", 206, INSTALLER[99:101], "bytes 99-100/1280"),
        ("bytes=250-9999", 206, INSTALLER[250:], "bytes 250-1279/1280"),
        ("bytes=-5", 206, INSTALLER[-5:], "bytes 1275-1279/1280"),
        ("bytes=-99999", 206, INSTALLER, "bytes 0-1279/1280"),
        ("bytes=1280-", 416, b"", None),
        ("bytes=9-3", 200, INSTALLER, None),
        ("bytes=-0", 416, b"", None),
        # What is not understood is not asked for (RFC 9110).
        ("bytes=0-1,5-6", 200, INSTALLER, None),
        ("lines=1-2", 200, INSTALLER, None),
        ("bytes=-", 200, INSTALLER, None),
    ],
)
def test_a_part_is_handed_out(
    client: Client,
    headers: dict[str, str],
    asked: str | None,
    status: int,
    part: bytes,
    content_range: str | None,
) -> None:
    make_release("1.0")
    extra = {"Range": asked} if asked else {}

    answer = client.get("/api/v1/client-releases/1.0/download", headers=headers | extra)

    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, content_range)
    if status == 416:
        assert answer.json()["type"].endswith("/no-such-part")
    else:
        assert read(answer) == part
        assert answer.headers["Content-Length"] == str(len(part))
        assert answer.headers["Content-Disposition"] == 'attachment; filename="cmphone-1.0.exe"'


def test_a_download_of_another_file_begins_anew(client: Client, headers: dict[str, str]) -> None:
    release = make_release("1.0")
    url = "/api/v1/client-releases/1.0/download"

    same = {"Range": "bytes=1000-", "If-Range": f'"{release.sha256}"'}
    assert client.get(url, headers=headers | same).status_code == 206
    assert client.get(url, headers=headers | same | {"If-Range": '"other"'}).status_code == 200
    assert client.get(url, headers=headers | {"If-None-Match": f'"{release.sha256}"'}).status_code == 304


def test_installers_are_for_those_who_are_known(client: Client, agent: User) -> None:
    make_release("1.0")
    _, secret = create_api_key(name="k", user=agent, scopes=[Scope.MONITORING])

    for url in (LATEST, "/api/v1/client-releases/1.0/download"):
        assert client.get(url).status_code == 401
        assert client.get(url, headers={"Authorization": f"Api-Key {secret}"}).status_code == 200
    assert client.get("/profile/client/1.0/").status_code == 302


# --- what clients are told ---


def test_clients_are_told_of_the_site_and_of_changes(client: Client, agent: User, headers: dict[str, str]) -> None:
    answer = client.get(CONFIG, headers=headers)
    told = answer.json()

    assert {name: told[name] for name in ("dial_uri_scheme", "prefixes", "language", "latest_release")} == {
        "dial_uri_scheme": "phone",
        "prefixes": {
            "country": "49",
            "international": "",
            "internal_line_access": "0",
            "external_line_access": "0",
        },
        "language": "en",
        "latest_release": None,
    }
    assert told["urls"] == {
        "contact": "http://testserver/contacts/{id}/",
        "new_contact": "http://testserver/contacts/new/?number={number}",
        "new_case": "http://testserver/cases/new/?contact={id}",
    }
    assert told["events_url"].endswith("/api/v1/events")
    known = {"If-None-Match": answer.headers["ETag"]}
    assert client.get(CONFIG, headers=headers | known).status_code == 304
    make_release("2.0")
    set_property(name="dial.uri.scheme", value="tel")
    set_property(name="page.contact.url", value="https://crm.example.com/{external_id}")
    changed = client.get(CONFIG, headers=headers | known)
    assert changed.status_code == 200
    assert (changed.json()["dial_uri_scheme"], changed.json()["latest_release"]["version"]) == ("tel", "2.0")
    assert changed.json()["urls"]["contact"] == "https://crm.example.com/{external_id}"


# --- pages ---


def test_the_profile_offers_the_newest_and_says_how_to_install_it(client: Client, agent: User) -> None:
    client.force_login(agent)
    assert "no installer here yet" in client.get("/profile/").content.decode()
    make_release("1.9")
    make_release("1.10", notes_en="<b>Faster.</b>")

    page = client.get("/profile/").content.decode()

    assert "Download version 1.10" in page
    assert "&lt;b&gt;Faster." in page
    assert "Uninstall the old version first" in page
    assert "http://testserver" in page
    assert read(client.get("/profile/client/1.9/")) == INSTALLER
    assert client.get("/profile/client/3/").status_code == 404


def test_an_administrator_uploads_and_withdraws(client: Client) -> None:
    root = make_user("root", is_staff=True, is_superuser=True)
    client.force_login(root)
    add = reverse("admin:releases_clientrelease_add")

    def upload(version: str, name: str = "setup.msi") -> Any:
        file = SimpleUploadedFile(name, INSTALLER)
        return client.post(add, {"version": version, "file": file, "is_offered": "on", "notes_de": "", "notes_en": ""})

    assert upload("2.0").status_code == 302
    release = ClientRelease.objects.get()
    assert (release.size, release.uploaded_by, release.file_name) == (len(INSTALLER), root, "setup.msi")
    assert "There is this version already." in upload("2.0.0").content.decode()
    assert "Choose an installer" in upload("3", "setup.pdf").content.decode()
    change = reverse("admin:releases_clientrelease_change", args=[release.pk])
    client.post(change, {"notes_de": "", "notes_en": ""})
    assert find_latest_release() is None


def test_log_out_everywhere_ends_other_browsers_and_clients_but_not_this_one(
    client: Client, agent: User, headers: dict[str, str]
) -> None:
    other = Client()
    for browser in (client, other):
        browser.force_login(agent)
        assert browser.get("/profile/").status_code == 200

    client.post("/profile/log-out-elsewhere/")

    assert client.get("/profile/").status_code == 200
    assert other.get("/profile/").status_code == 302
    assert client.get("/api/v1/customer-groups", headers=headers).json()["reason"] == "ended-by-user"
