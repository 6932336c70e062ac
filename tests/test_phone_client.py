"""The reference client against a server: calls, seats, ended sessions, changed templates, and servers that are away."""

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from pytest_django.live_server_helper import LiveServer

from cmphone.calls.models import Call
from cmphone.contacts.models import Contact, User
from cmphone.embedded import CHECKOUT
from cmphone.phone.popup_text import clean, make_text
from cmphone.phone.server import Answer, Refused, Server, TryLater
from cmphone.phone.session import Backoff, Session
from cmphone.phone.templates import Templates
from cmphone.properties.models import SystemProperty
from cmphone.properties.registry import COUNTRY_PREFIX, REST_SESSION_TIMEOUT
from cmphone.properties.selectors import get_versions
from cmphone.properties.services import mark_configuration_changed, set_property
from cmphone.releases.models import ClientRelease
from cmphone.releases.services import add_release
from license.models import Session as Seat
from license.services import claim_seat, end_session, release_seat
from templates_store.popup_store import get_popups, publish_popups
from tests.bench.serving import find_free_ports
from tests.make import (
    PASSWORD,
    give_rights,
    make_company,
    make_customer_group,
    make_license,
    make_person,
    make_queue,
    make_user,
)
from tests.phones import Phone, serve

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = "0021133990312"
CALLER = "+49 211 33990312 – Maria Anders (Alfreds Futterkiste)"


@pytest.fixture(autouse=True)
def agent() -> User:
    make_license(2)
    customers = make_customer_group("customers", area_prefix="211")
    make_person(customers, "Anders", company=make_company(customers), phone="0211 339903-12")
    make_person(customers, "Berg", phone="0211 555001")
    make_person(customers, "Cramer", phone="0211 555001")
    user = make_user("agent1", password=PASSWORD)
    make_queue("helpdesk", [customers], give_rights(user, customers, create=True))
    # A heartbeat every second, which is more than an administrator may want.
    SystemProperty.objects.update_or_create({"value": "4"}, name=REST_SESSION_TIMEOUT)
    with transaction.atomic():
        mark_configuration_changed()
    return user


@pytest.fixture
def phone(live_server: LiveServer, tmp_path: Path) -> Iterator[Phone]:
    phone = Phone(live_server.url, tmp_path)
    phone.wait_for("is logged in")
    yield phone
    phone.hang_up()


def end_seats() -> None:
    for seat in Seat.objects.filter(ended_at=None):
        end_session(seat)


# --- calls ---


def test_a_call_pops_up_is_answered_and_hung_up(phone: Phone) -> None:
    popup = phone.type(f"ring {NUMBER} 12", until="New case")

    contact = Contact.objects.get(name="Anders, Maria")
    assert popup[0] == f"> ring {NUMBER} 12"
    assert popup[1].startswith("| Incoming call ")
    assert popup[2:] == [
        "| +49 211 33990312",
        "| Düsseldorf DE",
        "| Maria Anders (Alfreds Futterkiste)",
        "| customers en",
        f"| Open contact: {phone.url}/contacts/{contact.pk}/",
        f"| New case: {phone.url}/cases/new/?contact={contact.pk}",
    ]
    assert phone.type("answer", until="Answered")[-1] == f"Answered: {CALLER}"
    assert phone.type("hang up", until="Ended")[-1] == f"Ended: {CALLER}"
    assert phone.hang_up()
    call = Call.objects.get()
    assert (call.state, call.is_missed, call.line, call.reporter) == ("ended", False, "12", User.objects.get())
    assert Seat.objects.get().end_reason == "logged-out"


def test_a_missed_call_is_listed_called_back_and_done(phone: Phone) -> None:
    phone.type(f"ring {NUMBER}", until="New case")
    assert phone.type("miss", until="Missed")[-1] == f"Missed: {CALLER}"

    assert phone.type("missed", until="1. ")[-1].endswith(f"Z  {CALLER}")
    assert phone.type("call back", until="Dial")[-1] == f"Dial: phone:{NUMBER}"
    assert phone.type("done 1", until="Done")[-1] == f"Done: {CALLER}"
    assert phone.type("missed", until="No missed")[-1] == "No missed calls."

    call = Call.objects.get()
    assert (call.called_back_by, call.done_by) == (call.reporter, call.reporter)
    assert phone.hang_up()


def test_several_contacts_and_a_withheld_number_are_shown_as_that(phone: Phone) -> None:
    choice = phone.type("ring 0211555001", until="New contact")

    names = [line for line in choice if "Berg" in line or "Cramer" in line]
    assert "| Who is calling?" in choice
    assert [name.partition(":")[0] for name in names] == ["| Berg", "| Cramer"]
    phone.type("miss", until="Missed")
    assert phone.type("ring withheld", until="does not show")[2:] == [
        "| Number withheld",
        "| Unknown caller",
        "| The caller does not show a number.",
    ]


def test_contacts_are_found_and_the_status_is_shown(phone: Phone) -> None:
    assert phone.type("find 555001", until="Cramer")[1:] == [
        "Berg, Maria  49211555001",
        "Cramer, Maria  49211555001",
    ]
    assert phone.type("find nobody", until="Nobody")[-1] == "Nobody was found."
    assert phone.type("status", until="wait")[1:] == [
        f"agent1 (agent1), {phone.url}",
        f"Configuration: version {read_config_version()}",
        f"Popup templates: version {get_popups().version}",
        "Reports that wait: 0",
    ]
    assert phone.hang_up()


def read_config_version() -> str:
    return get_versions()[0]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("dance", "There is no such command; help lists them."),
        ("answer", "There is no call."),
        ("hang up", "There is no call."),
        ("done", "There is no such missed call; missed lists them."),
        ("call back x", "There is no such missed call; missed lists them."),
        (f"ring {'1' * 1000}", "The request is not valid."),
    ],
)
def test_what_cannot_be_done_is_said_and_makes_the_end_a_bad_one(phone: Phone, command: str, answer: str) -> None:
    assert answer in phone.type(command, until=answer)[-1]
    assert not phone.hang_up()


def test_a_refused_report_holds_up_no_other(phone: Phone) -> None:
    phone.type(f"ring {'1' * 1000}", until="not valid")
    phone.type("miss", until="There is no such thing.")
    phone.type(f"ring {NUMBER}", until="New case")
    assert Call.objects.get().state == "ringing"


def test_a_client_that_quits_leaves_no_call_ringing(phone: Phone) -> None:
    phone.type(f"ring {NUMBER}", until="New case")
    assert phone.hang_up()
    assert phone.shown[-1] == f"Missed: {CALLER}"
    assert Call.objects.get().state == "ended"


# --- seats and sessions ---


def test_a_client_waits_for_a_seat_until_one_is_free(live_server: LiveServer, tmp_path: Path) -> None:
    others = [claim_seat(user=make_user(f"other{n}"), client_id="c").session for n in range(2)]
    phone = Phone(live_server.url, tmp_path)
    (line,) = phone.wait_for("Trying again")
    assert line.startswith("Every seat of the licence is taken. All 2 seats are in use. Trying again in ")
    release_seat(others[0])

    phone.wait_for("is logged in")
    assert phone.hang_up()


def test_a_session_ended_by_an_administrator_ends_the_client_and_says_so(phone: Phone) -> None:
    end_seats()

    assert not phone.wait_for_end()
    assert phone.shown[-1] == "Log in first. An administrator ended this session."
    # It did not come in again.
    assert [seat.end_reason for seat in Seat.objects.all()] == ["ended-by-administrator"]


def test_a_session_that_ended_is_noticed_by_a_report_too_and_what_is_lost_is_told(phone: Phone) -> None:
    phone.type(f"ring {NUMBER}", until="New case")
    SystemProperty.objects.filter(name=REST_SESSION_TIMEOUT).update(value="300")
    end_seats()
    phone.type("answer", until="1 report was not delivered.")

    assert not phone.wait_for_end()
    assert phone.shown[-2:] == ["Log in first. An administrator ended this session.", "1 report was not delivered."]


def test_a_client_that_was_replaced_stops(phone: Phone, agent: User) -> None:
    claim_seat(user=agent, client_id=phone.client_id)

    assert not phone.wait_for_end()
    assert phone.shown[-1] == "Log in first. This client has logged in again since."
    assert Seat.objects.get().ended_at is None


def test_a_session_that_timed_out_is_taken_anew_once(phone: Phone) -> None:
    Seat.objects.update(last_seen_at="2026-01-01T00:00:00Z")

    phone.type(f"ring {NUMBER}", until="New case")
    assert phone.hang_up()
    assert list(Seat.objects.order_by("id").values_list("end_reason", flat=True)) == ["timed-out", "logged-out"]


def test_a_session_that_timed_out_is_not_taken_with_a_password_that_is_none_any_more(phone: Phone, agent: User) -> None:
    agent.set_password("another one")
    agent.save()
    Seat.objects.update(last_seen_at="2026-01-01T00:00:00Z")

    assert not phone.wait_for_end()
    assert phone.shown[-1] == "Log in first. User name or password is wrong, or the user is not active."


def test_a_wrong_password_is_tried_once(live_server: LiveServer, tmp_path: Path) -> None:
    phone = Phone(live_server.url, tmp_path, password="wrong")
    assert not phone.wait_for_end()
    assert phone.shown == ["Log in first. User name or password is wrong, or the user is not active."]


def test_heartbeats_keep_the_seat(phone: Phone) -> None:
    # Longer than the time-out.
    time.sleep(5)
    assert Seat.objects.get().ended_at is None
    phone.type("missed", until="No missed calls.")
    assert phone.hang_up()
    assert Seat.objects.get().end_reason == "logged-out"


# --- templates, configuration, releases ---


def read_cache(folder: Path) -> dict[tuple[str, str], bytes]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return {(file["language"], file["name"]): (folder / file["sha256"]).read_bytes() for file in manifest["files"]}


def test_changed_templates_are_loaded_and_only_those(phone: Phone) -> None:
    assert phone.wait_for("Popup templates")[-1].endswith(" files loaded.")
    assert read_cache(phone.folder) == get_popups().files

    version = publish_popups(changes={("en", "match.html"): "<p>Hello {{ contacts[0].name }}</p>"}, by=None)

    assert phone.wait_for(", 1 file loaded")[-1] == f"Popup templates: version {version}, 1 file loaded."
    assert read_cache(phone.folder) == get_popups().files
    # Nothing of the version before is left.
    assert len(list(phone.folder.iterdir())) == len(set(get_popups().hashes.values())) + 1
    assert phone.type(f"ring {NUMBER}", until="Hello")[-1] == "| Hello Maria Anders (Alfreds Futterkiste)"


def test_a_changed_configuration_is_loaded(phone: Phone) -> None:
    set_property(name=COUNTRY_PREFIX, value="43")
    phone.wait_for("The configuration has changed.")
    assert phone.type("status", until="Configuration")[-1] == f"Configuration: version {read_config_version()}"


@pytest.mark.parametrize(("version", "is_told"), [("1.10", True), ("1.0.0", False), ("0.9", False)])
def test_a_newer_release_is_told(live_server: LiveServer, tmp_path: Path, version: str, is_told: bool) -> None:
    add_release(ClientRelease(version=version), content=[b"MZ installer"], file_name="setup.exe", by=None)
    phone = Phone(live_server.url, tmp_path)
    phone.wait_for("is logged in")
    assert phone.hang_up()
    told = [line for line in phone.shown if "newer release" in line]
    url = f"{live_server.url}/api/v1/client-releases/{version}/download"
    assert told == ([f"There is a newer release, {version}: {url}"] if is_told else [])


class FakeSession(Session):
    """Answers what a test says; what has no answer is away."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def request(self, method: str, path: str, body: Any = None, *, etag: str = "") -> Answer:
        self.asked.append(path)
        if path not in self.answers:
            raise TryLater("away")
        return self.answers[path]


def make_manifest(version: str, **files: bytes) -> Answer:
    listed = [
        {"language": "en", "name": name, "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    ]
    return Answer(200, f'"{version}"', json.dumps({"version": version, "files": listed}).encode())


MANIFEST = "/api/v1/popup-templates"


def test_a_version_is_taken_into_use_whole_or_not_at_all(tmp_path: Path) -> None:
    session = FakeSession(
        {MANIFEST: make_manifest("1", a=b"old"), f"{MANIFEST}/en/a?version=1": Answer(200, "", b"old")}
    )
    templates = Templates(tmp_path, session)
    assert templates.load() == 1

    session.answers = {
        MANIFEST: make_manifest("2", a=b"new", b=b"new, too"),
        f"{MANIFEST}/en/a?version=2": Answer(200, "", b"new"),
    }
    with pytest.raises(TryLater):
        templates.load()
    assert (templates.version, read_cache(tmp_path)) == ("1", {("en", "a"): b"old"})

    # What has arrived is not loaded again.
    session.asked.clear()
    session.answers[f"{MANIFEST}/en/b?version=2"] = Answer(200, "", b"damaged")
    with pytest.raises(TryLater, match="damaged"):
        templates.load()
    session.answers[f"{MANIFEST}/en/b?version=2"] = Answer(200, "", b"new, too")
    assert templates.load() == 1
    assert f"{MANIFEST}/en/a?version=2" not in session.asked
    assert read_cache(tmp_path) == {("en", "a"): b"new", ("en", "b"): b"new, too"}
    assert Templates(tmp_path, session).version == "2"


def test_a_cache_that_is_damaged_is_loaded_anew(tmp_path: Path) -> None:
    session = FakeSession(
        {MANIFEST: make_manifest("1", a=b"old"), f"{MANIFEST}/en/a?version=1": Answer(200, "", b"old")}
    )
    Templates(tmp_path, session).load()
    (tmp_path / hashlib.sha256(b"old").hexdigest()).unlink()
    templates = Templates(tmp_path, session)
    assert templates.version == ""
    assert templates.load() == 1
    (tmp_path / "manifest.json").write_text("[")
    assert Templates(tmp_path, session).version == ""


def test_a_manifest_names_no_file_outside_of_the_folder(tmp_path: Path) -> None:
    listed = [{"language": "en", "name": "a", "sha256": "../evil"}]
    answer = Answer(200, "", json.dumps({"version": "1", "files": listed}).encode())
    with pytest.raises(TryLater, match="manifest"):
        Templates(tmp_path / "cache", FakeSession({MANIFEST: answer})).load()
    assert not (tmp_path / "evil").exists()


# --- servers that are away ---


def test_reports_made_while_the_server_is_away_come_late_and_as_they_were(tmp_path: Path) -> None:
    (port,) = find_free_ports(1)
    with serve(port) as address:
        phone = Phone(address, tmp_path)
        phone.type(f"ring {NUMBER}", until="New case")
    phone.type("answer", until="The report waits")
    phone.type("hang up", until="The report waits")
    phone.type("ring 0211555001", until="The report waits")
    assert Call.objects.get().state == "ringing"
    before = len(phone.shown)
    with serve(port):
        # The heartbeat finds it; nobody types anything.
        lines = phone.wait_for("New contact", after=before)
        assert phone.hang_up()

    first, second = Call.objects.order_by("id")
    late = [line for line in lines if not line.startswith(("No server", "|"))]
    assert late == [f"Answered: {CALLER}", f"Ended: {CALLER}"]
    assert "| Who is calling?" in lines
    assert first.answered_at is not None
    assert first.ended_at is not None
    assert first.started_at < first.answered_at <= first.ended_at <= second.started_at
    # As it was, rather than when it was reported.
    assert second.started_at < second.reported_at
    assert (first.is_missed, second.is_missed) == (False, True)


def test_a_client_waits_for_a_server_that_is_away(tmp_path: Path) -> None:
    (port,) = find_free_ports(1)
    phone = Phone(f"http://127.0.0.1:{port}", tmp_path)
    phone.wait_for("Trying again")
    with serve(port):
        phone.wait_for("is logged in")
        assert phone.hang_up()


def test_retries_become_rarer_and_obey_the_server() -> None:
    backoff = Backoff()
    waits = [backoff.next(TryLater("")) for _ in range(8)]
    for wait, least in zip(waits, [1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert least <= wait <= 1.25 * least
    assert 100 <= Backoff().next(TryLater("", retry_after=100)) <= 125


def test_what_is_not_cmphone_is_named(live_server: LiveServer) -> None:
    with pytest.raises(Refused, match=r"\AThere is no such thing\.\Z"):
        Server(live_server.url + "/elsewhere").send("POST", "/api/v1/sessions", {})
    with pytest.raises(TryLater, match=r"\AWhat answers is not cmphone\.\Z"):
        _ = Answer(200, "", b"<html>Welcome to our hotel").json
    for url in ("cmphone.example.com", "ftp://cmphone.example.com", "https://"):
        with pytest.raises(ValueError, match=url):
            Server(url)


# --- what a terminal is shown ---

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2028\ud800"


def test_nothing_that_controls_a_terminal_gets_through() -> None:
    assert clean("Ünï – “日本語” 😀\nsecond") == "Ünï – “日本語” 😀\nsecond"
    assert clean(HOSTILE) == "�]0;owned��[2J�31m�gnp.exe��"


def test_hostile_templates_numbers_and_server_texts_do_not_reach_the_terminal(phone: Phone) -> None:
    mark = "\x1b[31m\x9b\u202e"
    publish_popups(changes={("en", "nomatch.html"): "<p>evil&#27;[2J&#155;&#x202e;</p>{{ number.raw }}"}, by=None)
    phone.wait_for("1 file loaded")
    assert "| evil" in phone.type("ring \x1b]0;owned\x07123", until="| evil")[-1]
    phone.type("miss", until="issed")
    phone.type(f"find {mark}", until="Nobody")
    phone.type(mark, until="no such command")
    phone.hang_up()
    assert [line for line in phone.shown if clean(line) != line] == []


def test_a_popup_is_read_as_people_see_it() -> None:
    html = """<!doctype html><html><head><title>No</title><style>p { color: red }</style></head><body>
        <header><p>Rings  <time>14:03</time></p><h1><bdi>+49</bdi></h1></header>
        <span aria-hidden="true">M<br><img src="x">x</span><svg><path d="1"/><text>No</text></svg>
        <ul><li>one</li><li>two &amp; a
        half</li></ul><a href="https://crm.example.com/?a=1&amp;b=2">Open</a><a>bare</a></body></html>"""
    assert make_text(html) == [
        "Rings 14:03",
        "+49",
        "one",
        "two & a half",
        "Open: https://crm.example.com/?a=1&b=2",
        "bare:",
    ]
    assert make_text("<p>left <b>open<p>next") == ["left open", "next"]


# --- the command ---


def run_command(server: LiveServer, tmp_path: Path, *words: str, user: str = "agent1") -> str:
    output = io.StringIO()
    call_command("phone", *words, user=user, url=server.url, state=str(tmp_path / "state"), stdout=output)
    return output.getvalue()


def test_the_command_line_may_hold_commands(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMPHONE_PASSWORD", PASSWORD)
    User.objects.update(language="de")
    shown = run_command(live_server, tmp_path, "ring", f"{NUMBER},", "answer,", "hang", "up").splitlines()
    assert f"> ring {NUMBER}" in shown
    assert any(line.startswith("| Eingehender Anruf") for line in shown)
    assert [line for line in shown if line.startswith(">")] == [f"> ring {NUMBER}", "> answer", "> hang up"]
    assert Call.objects.get().is_missed is False
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_the_command_says_what_goes_wrong_at_once(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMPHONE_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match=r"Log in first\. User name or password is wrong"):
        run_command(live_server, tmp_path, "status", user="nobody")
    with pytest.raises(CommandError, match="Not everything went well"):
        run_command(live_server, tmp_path, "dance")
    with pytest.raises(CommandError, match=r"No server answers at http://127.0.0.1:1 "):
        call_command("phone", "status", user="agent1", url="http://127.0.0.1:1", state=str(tmp_path))
    with pytest.raises(CommandError, match="is no address of a server"):
        call_command("phone", "status", user="agent1", url="cmphone", state=str(tmp_path))
    for number in range(2):
        claim_seat(user=make_user(f"other{number}"), client_id="c")
    with pytest.raises(CommandError, match="All 2 seats are in use"):
        run_command(live_server, tmp_path, "status")


def start_command(server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "subprocess.Popen[str]":
    monkeypatch.setenv("CMPHONE_PASSWORD", PASSWORD)
    return subprocess.Popen(
        [sys.executable, "manage.py", "phone", "--user", "agent1", "--url", server.url, "--state", str(tmp_path)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_commands_come_out_of_a_pipe(live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_command(live_server, tmp_path, monkeypatch) as process:
        shown, errors = process.communicate(f"ring {NUMBER}\n\nanswer\nhang up\nquit\nring 1\n")
    assert (process.returncode, errors) == (0, "")
    assert shown.splitlines()[-1] == f"Ended: {CALLER}"
    with start_command(live_server, tmp_path, monkeypatch) as process:
        _, errors = process.communicate("dance")
    assert (process.returncode, errors) == (1, "CommandError: Not everything went well.\n")
    # One installation: the same id each time.
    assert Seat.objects.values_list("client_id", flat=True).distinct().count() == 1


def test_a_command_that_waits_for_input_ends_with_its_session(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_command(live_server, tmp_path, monkeypatch) as process:
        assert process.stdout
        assert process.stderr
        while "is logged in" not in process.stdout.readline():
            pass
        end_seats()
        assert process.stdout.readline() == "Log in first. An administrator ended this session.\n"
        assert process.stderr.read() == "CommandError: Not everything went well.\n"
        assert process.wait(10) == 1
