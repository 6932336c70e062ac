"""Popup files for clients: manifest, files and zip, of the version in force or of one that a manifest named."""

import hashlib
import io
import zipfile
from typing import Any

import pytest
from django.test import Client

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.api.popup_templates import make_document
from license.models import Session
from templates_store.models import PopupVersion
from templates_store.popup_store import ensure_published, get_popups, publish_popups
from tests.make import PASSWORD, log_in, make_license, make_user

pytestmark = pytest.mark.django_db

MANIFEST = "/api/v1/popup-templates"
FILE = f"{MANIFEST}/de/match.html"
STYLES = f"{MANIFEST}/en/popup.css"
ZIP = f"{MANIFEST}.zip"
EVERY = (MANIFEST, FILE, STYLES, ZIP)
HEX = "a" * 64


def publish(content: str = "<p>Grüße</p>") -> PopupVersion:
    return publish_popups(changes={("de", "match.html"): content}, by=None)


@pytest.fixture
def headers() -> dict[str, str]:
    return log_in(make_user())


def get(client: Client, path: str, headers: dict[str, str], **more: str) -> Any:
    return client.get(path, headers=headers | {name.replace("_", "-"): value for name, value in more.items()})


class TestManifest:
    def test_it_names_every_file_with_its_size_hash_and_address(self, client: Client, headers: dict[str, str]) -> None:
        version = publish()

        answer = get(client, MANIFEST, headers)

        assert answer.status_code == 200
        body = answer.json()
        assert set(body) == {"version", "files"}
        assert body["version"] == str(version)
        content = "<p>Grüße</p>".encode()
        assert [each for each in body["files"] if (each["language"], each["name"]) == ("de", "match.html")] == [
            {
                "language": "de",
                "name": "match.html",
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "url": f"http://testserver/api/v1/popup-templates/de/match.html?version={version}",
            }
        ]
        assert [(each["language"], each["name"]) for each in body["files"]] == sorted(get_popups().files)

    def test_every_address_in_it_gives_what_it_says(self, client: Client, headers: dict[str, str]) -> None:
        for each in get(client, MANIFEST, headers).json()["files"]:
            answer = get(client, each["url"].removeprefix("http://testserver"), headers)
            assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (each["size"], each["sha256"])

    def test_its_version_is_that_of_log_in_and_heartbeat(self, client: Client) -> None:
        make_license()
        make_user("agent", password=PASSWORD)
        version = publish()
        credentials = {"username": "agent", "password": PASSWORD, "client_id": "1"}

        session = client.post("/api/v1/sessions", credentials, content_type="application/json").json()
        headers = {"Authorization": f"Bearer {session['token']}"}

        assert session["templates_version"] == get(client, MANIFEST, headers).json()["version"] == str(version)
        version = publish("<p>other</p>")
        beat = client.put("/api/v1/sessions/current", headers=headers).json()
        assert beat["templates_version"] == get(client, MANIFEST, headers).json()["version"] == str(version)

    def test_the_manifest_of_an_older_version_can_be_had(self, client: Client, headers: dict[str, str]) -> None:
        old = publish("<p>old</p>")
        publish("<p>new</p>")

        assert get(client, f"{MANIFEST}?version={old}", headers).json()["version"] == str(old)


class TestFiles:
    def test_without_version_it_is_the_one_in_force(self, client: Client, headers: dict[str, str]) -> None:
        old = publish("<p>old</p>")
        new = publish("<p>new</p>")

        assert get(client, FILE, headers).content == b"<p>new</p>"
        assert get(client, f"{FILE}?version={new}", headers).content == b"<p>new</p>"
        assert get(client, f"{FILE}?version={old}", headers).content == b"<p>old</p>"

    @pytest.mark.parametrize(
        ("path", "content_type"),
        [
            (MANIFEST, "application/json"),
            (FILE, "text/html; charset=utf-8"),
            (STYLES, "text/css; charset=utf-8"),
            (ZIP, "application/zip"),
        ],
    )
    def test_headers_say_what_it_is_and_how_long_it_keeps(
        self, client: Client, headers: dict[str, str], path: str, content_type: str
    ) -> None:
        version = publish()

        current, versioned = get(client, path, headers), get(client, f"{path}?version={version}", headers)

        for answer in (current, versioned):
            assert answer.headers["Content-Type"] == content_type
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Length"] == str(len(answer.content))
            assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert current.headers["Cache-Control"] == "private, no-cache"
        # The manifest begins its addresses with the host, which may be called otherwise some day.
        keeps = "private, no-cache" if path == MANIFEST else "private, max-age=31536000, immutable"
        assert versioned.headers["Cache-Control"] == keeps

    def test_a_file_that_is_opened_in_a_browser_does_nothing(self, client: Client, headers: dict[str, str]) -> None:
        assert get(client, FILE, headers).headers["Content-Security-Policy"] == "default-src 'none'; sandbox"

    def test_the_zip_has_all_files_and_the_same_bytes_each_time(self, client: Client, headers: dict[str, str]) -> None:
        version = publish()
        answer = get(client, ZIP, headers)

        assert answer.headers["Content-Disposition"] == f'attachment; filename="popup-templates-{version}.zip"'
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            files = {tuple(name.split("/")): archive.read(name) for name in archive.namelist()}
        assert files == get_popups().files
        publish("<p>other</p>")
        assert get(client, f"{ZIP}?version={version}", headers).content == answer.content

    @pytest.mark.parametrize("accept", ["text/html", "text/css,*/*;q=0.1", "application/zip", "image/png", "*/*"])
    @pytest.mark.parametrize("path", [FILE, STYLES, ZIP])
    def test_it_is_what_it_is_whatever_a_client_accepts(
        self, client: Client, headers: dict[str, str], path: str, accept: str
    ) -> None:
        assert get(client, path, headers, Accept=accept).status_code == 200

    @pytest.mark.parametrize("path", EVERY)
    def test_head_has_the_headers_and_no_body(self, client: Client, headers: dict[str, str], path: str) -> None:
        full, head = get(client, path, headers), client.head(path, headers=headers)

        assert (head.status_code, head.content) == (200, b"")
        for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control"):
            assert head.headers[name] == full.headers[name]
        unchanged = client.head(path, headers=headers | {"If-None-Match": full.headers["ETag"]})
        assert unchanged.status_code == 304

    @pytest.mark.parametrize(
        "path",
        [
            *(
                f"{path}?version={version}"
                for path in EVERY
                for version in ("4711", "0", "-1", "x", "", "%00", "9" * 40)
            ),
            *(f"{MANIFEST}/fr/match.html", f"{MANIFEST}/de/other.html", f"{MANIFEST}/de/match.htm"),
            *(f"{MANIFEST}/de/..%2fmatch.html", f"{MANIFEST}/de", f"{MANIFEST}/", f"{MANIFEST}/DE/match.html"),
            f"{MANIFEST}/%00/match.html",
        ],
    )
    def test_what_there_is_not_is_a_404_problem(self, client: Client, headers: dict[str, str], path: str) -> None:
        ensure_published()

        answer = get(client, path, headers, Accept="application/json")

        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"].endswith("/problems/not-found")

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    @pytest.mark.parametrize("path", EVERY)
    def test_it_is_only_read(self, client: Client, headers: dict[str, str], path: str, method: str) -> None:
        answer = getattr(client, method)(path, headers=headers)

        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (405, "method-not-allowed")


class TestUnchanged:
    @pytest.mark.parametrize("path", EVERY)
    def test_what_a_client_has_is_not_sent_again(self, client: Client, headers: dict[str, str], path: str) -> None:
        full = get(client, path, headers)

        answer = get(client, path, headers, If_None_Match=full.headers["ETag"])

        assert (answer.status_code, answer.content) == (304, b"")
        for name in ("ETag", "Cache-Control", "Content-Length"):
            assert answer.headers[name] == full.headers[name]
        assert "Content-Type" not in answer.headers

    @pytest.mark.parametrize("path", [MANIFEST, FILE, ZIP])
    def test_what_has_changed_is_sent(self, client: Client, headers: dict[str, str], path: str) -> None:
        before = get(client, path, headers)
        publish()

        after = get(client, path, headers, If_None_Match=before.headers["ETag"])

        assert after.status_code == 200
        assert after.headers["ETag"] != before.headers["ETag"]

    def test_a_file_that_another_version_has_as_well_keeps_its_etag(
        self, client: Client, headers: dict[str, str]
    ) -> None:
        before = get(client, STYLES, headers)
        version = publish()

        answer = get(client, f"{STYLES}?version={version}", headers, If_None_Match=before.headers["ETag"])

        assert answer.status_code == 304

    @pytest.mark.parametrize(
        ("if_none_match", "unchanged"),
        [
            (f'"{HEX}"', True),
            (f'W/"{HEX}"', True),
            (f'"other", "{HEX}"', True),
            (f'W/"other",W/"{HEX}" , "third"', True),
            ("*", True),
            (" * ", True),
            ("", False),
            ('"other"', False),
            ('"*"', False),
            (HEX, False),
            (f'w/"{HEX}"', False),
            (f'"{HEX.upper()}"', False),
            (f'"{HEX}', False),
            ('""', False),
            ("nonsense", False),
        ],
    )
    def test_etags_are_compared_as_rfc_9110_says(self, if_none_match: str, unchanged: bool) -> None:
        document = make_document(b"x", digest=HEX)

        assert document.is_unchanged(if_none_match) is unchanged


class TestWhoMay:
    @pytest.mark.parametrize("path", [*EVERY, f"{FILE}?version=4711", f"{MANIFEST}/fr/other.html"])
    @pytest.mark.parametrize("authorization", ["", "Bearer nobody", "Api-Key nobody", "Basic YTpi"])
    def test_nobody_unknown(self, client: Client, path: str, authorization: str) -> None:
        version = ensure_published()

        answer = client.get(path, headers={"Authorization": authorization, "If-None-Match": "*"})

        assert answer.status_code == 401
        assert answer.json()["type"].endswith("/problems/not-authenticated")
        assert PopupVersion.objects.get() == version

    @pytest.mark.parametrize("path", EVERY)
    def test_no_ended_session(self, client: Client, headers: dict[str, str], path: str) -> None:
        Session.objects.update(ended_at="2026-01-01T00:00Z", end_reason="ended-by-administrator")

        answer = get(client, path, headers)

        assert (answer.status_code, answer.json()["reason"]) == (401, "ended-by-administrator")

    @pytest.mark.parametrize("path", EVERY)
    @pytest.mark.parametrize(
        ("scope", "status"), [("lookup", 200), ("calls", 200), ("contacts", 403), ("monitoring", 403)]
    )
    def test_keys_with_the_scope_of_look_ups_or_calls(self, client: Client, path: str, scope: str, status: int) -> None:
        _, secret = create_api_key(name="pbx", user=make_user(), scopes=[Scope(scope)])

        assert client.get(path, headers={"Authorization": f"Api-Key {secret}"}).status_code == status


def test_the_first_client_to_ask_gets_the_products_files(client: Client, headers: dict[str, str]) -> None:
    assert not PopupVersion.objects.exists()

    assert get(client, FILE, headers).status_code == 200

    assert PopupVersion.objects.get().source == "shipped"
