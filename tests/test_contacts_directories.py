"""Contacts are pulled from a real directory: once each, and nobody is deactivated by what could not be read."""

import socket
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.directories import pulls, reading
from cmphone.contacts.directories.line import DirectoryFailed, DirectoryServer, Patience
from cmphone.contacts.directories.mapping import read_entry
from cmphone.contacts.directories.models import Directory, DirectoryEntry
from cmphone.contacts.directories.pulls import list_pulls, pull_directory
from cmphone.contacts.directories.reading import DirectorySearch, read_entries
from cmphone.contacts.directories.services import (
    find_directory_errors,
    get_server,
    goes_elsewhere,
    list_due_directories,
    preview_directory,
    set_password,
)
from cmphone.contacts.imports.models import ImportReport, ImportRun, ImportState
from cmphone.contacts.imports.work import work_off_runs
from cmphone.contacts.models import Contact, ContactChange, CustomerGroup, Way
from cmphone.contacts.services import ContactDraft, draft_contact, save_contact
from cmphone.contacts.tasks import pull_directory as pull_task
from cmphone.contacts.writing import Author
from tests.directories import (
    BASE,
    PASSWORD,
    READER,
    Slapd,
    Values,
    dn_of,
    make_entries,
    make_entry,
    relay,
    require_library,
    require_slapd,
)
from tests.locks import start
from tests.make import make_customer_group, make_user

pytestmark = pytest.mark.django_db(transaction=True)
CLOCK = Author(None, Way.DIRECTORY)
QUICK = Patience(connecting=1, answering=1, reading=20)
MARIA: Values = {"sn": "Anders", "telephoneNumber": "+49 211 33990312", "company": "Alfreds Futterkiste"}


@pytest.fixture(scope="module")
def slapd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slapd")


@pytest.fixture(scope="module")
def the_slapd(slapd_folder: Path) -> Iterator[Slapd]:
    slapd = Slapd(slapd_folder, require_slapd())
    yield slapd
    slapd.stop()


@pytest.fixture
def slapd(the_slapd: Slapd) -> Slapd:
    """A directory with two persons."""
    the_slapd.write_settings()
    restart(the_slapd, [("maria", MARIA), ("hanna", {"sn": "Moos", "ipPhone": "12"})])
    return the_slapd


def restart(slapd: Slapd, persons: Any) -> None:
    slapd.stop()
    slapd.load(make_entries(persons))
    slapd.start()


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")


def make_directory(slapd: Slapd, group: CustomerGroup, **values: object) -> Directory:
    directory = Directory(
        **{
            "name": "people",
            "customer_group": group,
            "uri": slapd.tls_uri,
            "ca_certificates": slapd.certificate,
            "bind_dn": READER,
            "base": BASE,
            "filter": "(objectClass=inetOrgPerson)",
            "external_id_attribute": "entryUUID",
            "company_attribute": "company|o",
            **values,
        }
    )
    set_password(directory, PASSWORD)
    assert find_directory_errors(directory) == {}
    directory.save()
    return directory


@pytest.fixture
def directory(slapd: Slapd, group: CustomerGroup) -> Directory:
    return make_directory(slapd, group)


def pull(directory: Directory, *, dry_run: bool = False) -> ImportRun:
    run = pull_directory(directory_id=directory.pk, by=CLOCK, dry_run=dry_run)
    assert run is not None
    directory.refresh_from_db()
    return ImportRun.objects.get(pk=run.pk)


def pull_well(directory: Directory, *, dry_run: bool = False) -> dict[str, int]:
    """Pull, and return what is not 0 of what became of the entries."""
    run = pull(directory, dry_run=dry_run)
    assert (run.state, run.error) == (ImportState.FINISHED, "")
    counts = {**run.counts, "deactivated": run.options.get("deactivated", 0)}
    return {name: count for name, count in counts.items() if count and name != "lines"}


def pull_badly(directory: Directory) -> str:
    """Pull in vain, and return why."""
    run = pull(directory)
    assert (run.state, directory.last_error) == (ImportState.FAILED, run.error)
    assert PASSWORD not in run.error
    return run.error


def person(last_name: str) -> Contact:
    return Contact.objects.select_related("company").get(kind="person", fields__last_name=last_name)


def list_active() -> list[str]:
    active = Contact.objects.filter(kind="person", is_active=True)
    return sorted(contact.fields["last_name"] for contact in active)


def set_active(contact: Contact, is_active: bool) -> None:
    """As somebody does it in the administration."""
    rules = get_current_configuration().groups[contact.customer_group_id]
    draft = draft_contact(contact, rules)
    draft.is_active = is_active
    save_contact(draft, by=Author(None, Way.ADMIN))


def findings_of(run: ImportRun) -> list[list[object]]:
    return [finding for report in ImportReport.objects.filter(run=run).order_by("id") for finding in report.findings]


# --- in ---


def test_a_directory_pulled_twice_gives_the_same_contacts_once(directory: Directory) -> None:
    assert pull_well(directory) == {"created": 2, "companies_made": 1}
    before = list(Contact.objects.order_by("id").values())
    assert pull_well(directory) == {"unchanged": 2}

    assert list(Contact.objects.order_by("id").values()) == before
    maria = person("Anders")
    assert maria.fields == {"first_name": "Maria", "last_name": "Anders", "phone": "+49 211 33990312"}
    assert maria.company is not None
    assert maria.company.name == "Alfreds Futterkiste"
    assert person("Moos").fields["phone"] == "12"
    assert list(ContactChange.objects.values_list("way", "user_name").distinct()) == [("directory", "")]


def test_what_changes_in_the_directory_changes_in_the_contact(directory: Directory, slapd: Slapd) -> None:
    pull_well(directory)
    slapd.change(dn_of("maria"), "telephoneNumber", "+49 30 1234567")
    assert pull_well(directory) == {"changed": 1, "unchanged": 1}

    change = ContactChange.objects.get(contact=person("Anders"), is_new=False)
    assert change.changes == {"fields/phone": ["+49 211 33990312", "+49 30 1234567"]}


def test_an_emptied_attribute_leaves_the_contact_its_value(directory: Directory, slapd: Slapd) -> None:
    pull_well(directory)
    slapd.change(dn_of("maria"), "telephoneNumber")
    assert pull_well(directory) == {"unchanged": 2}
    assert person("Anders").fields["phone"] == "+49 211 33990312"

    Directory.objects.update(overwrite_empty=True)
    assert pull_well(directory) == {"changed": 1, "unchanged": 1}
    assert "phone" not in person("Anders").fields


def test_what_people_add_stays_and_what_the_directory_says_wins(directory: Directory) -> None:
    pull_well(directory)
    maria = person("Anders")
    fields = {**maria.fields, "mobile": "0170 1234567", "phone": "wrong"}
    save_contact(
        ContactDraft(maria.customer_group_id, "person", fields, maria.company, maria.external_id, contact=maria),
        by=CLOCK,
    )

    assert pull_well(directory) == {"changed": 1, "unchanged": 1}
    assert person("Anders").fields == {**fields, "phone": "+49 211 33990312"}


def test_entries_of_active_directory_are_known_by_their_guid(slapd: Slapd, group: CustomerGroup) -> None:
    guid = bytes(range(16))
    slapd.change(dn_of("maria"), "objectGUID", guid)
    slapd.change(dn_of("hanna"), "objectGUID", guid[::-1])
    slapd.change(dn_of("hanna"), "userAccountControl", "514")
    directory = make_directory(slapd, group, external_id_attribute="objectGUID")
    assert pull_well(directory) == {"created": 2, "companies_made": 1}

    assert person("Anders").external_id == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert list_active() == ["Anders"]
    slapd.change(dn_of("hanna"), "userAccountControl", "512")
    slapd.change(dn_of("maria"), "userAccountControl", "514")
    assert pull_well(directory) == {"changed": 2}
    assert list_active() == ["Moos"]


def test_two_entries_with_one_id_are_one_contact_and_the_second_is_refused(slapd: Slapd, group: CustomerGroup) -> None:
    directory = make_directory(slapd, group, external_id_attribute="givenName")
    run = pull(directory)

    assert (run.counts["created"], run.counts["refused"]) == (1, 1)
    message = "Another entry has this value, too: it cannot identify them."
    assert [message, "Maria", True] in [finding[2:] for finding in findings_of(run)]
    assert pull(directory).counts["unchanged"] == 1


def test_an_unencrypted_connection_and_start_tls_bring_in_the_same(slapd: Slapd, group: CustomerGroup) -> None:
    plain = make_directory(slapd, group, uri=slapd.uri, ca_certificates="", is_plain_allowed=True)
    assert pull_well(plain) == {"created": 2, "companies_made": 1}
    start_tls = make_directory(slapd, group, name="StartTLS", uri=slapd.uri, start_tls=True)
    assert pull_well(start_tls) == {"unchanged": 2}


def test_five_thousand_entries_come_in_without_being_held_at_once(
    slapd: Slapd, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart(slapd, ((f"p{number}", {"description": "x" * 10_000}) for number in range(5_000)))
    directory.attribute_map += "\ndescription = private_phone"
    directory.external_id_attribute = "uid"
    directory.company_attribute = ""
    directory.save()
    monkeypatch.setattr(pulls, "import_records", lambda records, **_: [None for _ in records])
    tracemalloc.start()
    try:
        assert pull(directory).state == ImportState.FINISHED
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All of them have 50 MB.
    assert peak < 20_000_000
    monkeypatch.undo()

    directory.attribute_map = "sn = last_name\ngivenName = first_name"
    directory.save()
    assert pull_well(directory) == {"created": 5_000}
    assert pull_well(directory) == {"unchanged": 5_000}


# --- out, and back ---


def test_who_vanished_is_deactivated_and_comes_back(directory: Directory, slapd: Slapd) -> None:
    pull_well(directory)
    slapd.remove(dn_of("hanna"))
    run = pull(directory)
    assert run.options["deactivated"] == 1
    assert findings_of(run) == [[2, "", "Missing in the directory: deactivated.", "Moos, Maria", False]]
    assert pull_well(directory) == {"unchanged": 1}
    hanna = person("Moos")
    assert (hanna.is_active, hanna.fields["phone"]) == (False, "12")
    last = ContactChange.objects.filter(contact=hanna).latest("id")
    assert (last.changes, last.way) == ({"is_active": [True, False]}, "directory")

    # The server gives it an id of its own, as to every new entry.
    uuid = hanna.external_id
    directory.external_id_attribute = "description"
    directory.save()
    slapd.change(dn_of("maria"), "description", person("Anders").external_id)
    slapd.add(dn_of("hanna"), make_entry("hanna", sn="Moos", description=uuid))
    assert pull_well(directory) == {"changed": 1, "unchanged": 1}
    assert list_active() == ["Anders", "Moos"]
    assert Contact.objects.filter(kind="person").count() == 2


def test_whom_people_deactivated_no_directory_brings_back(directory: Directory, slapd: Slapd) -> None:
    pull_well(directory)
    set_active(person("Moos"), False)
    assert pull_well(directory) == {"unchanged": 2}
    assert list_active() == ["Anders"]

    entries = list(DirectoryEntry.objects.values_list("external_id", "missing_since"))
    hide(directory, "hanna")
    assert pull_well(directory) == {"unchanged": 1}
    assert DirectoryEntry.objects.filter(missing_since=None).count() == 1
    show_all(directory)
    assert pull_well(directory) == {"unchanged": 2}
    assert list_active() == ["Anders"]
    assert sorted(DirectoryEntry.objects.values_list("external_id", "missing_since")) == sorted(entries)


def hide(directory: Directory, *uids: str) -> None:
    without = "".join(f"(!(uid={uid}))" for uid in uids)
    Directory.objects.filter(pk=directory.pk).update(filter=f"(&(objectClass=inetOrgPerson){without})")


def show_all(directory: Directory) -> None:
    hide(directory)


def test_whom_people_brought_back_no_pull_deactivates_again(directory: Directory) -> None:
    pull_well(directory)
    hide(directory, "hanna")
    assert pull_well(directory) == {"unchanged": 1, "deactivated": 1}
    set_active(person("Moos"), True)
    assert pull_well(directory) == {"unchanged": 1}
    assert list_active() == ["Anders", "Moos"]

    # Back in the directory it may vanish anew.
    show_all(directory)
    pull_well(directory)
    hide(directory, "hanna")
    assert pull_well(directory) == {"unchanged": 1, "deactivated": 1}


def test_who_is_in_another_directory_stays_active(directory: Directory, slapd: Slapd, group: CustomerGroup) -> None:
    pull_well(directory)
    other = make_directory(slapd, group, name="other")
    pull_well(other)
    hide(directory, "hanna")
    assert pull_well(directory) == {"unchanged": 1}
    assert list_active() == ["Anders", "Moos"]
    hide(other, "hanna")
    assert pull_well(other) == {"unchanged": 1, "deactivated": 1}


def test_contacts_of_other_origin_are_left_alone(directory: Directory, group: CustomerGroup) -> None:
    save_contact(ContactDraft(group.pk, "person", {"last_name": "Other"}, external_id="x"), by=CLOCK)
    pull_well(directory)
    assert list_active() == ["Anders", "Moos", "Other"]


# --- brakes ---


@pytest.fixture
def many(slapd: Slapd, directory: Directory) -> Directory:
    """A directory with 60 entries, which have been pulled."""
    restart(slapd, ((f"p{number}", {}) for number in range(60)))
    assert pull_well(directory) == {"created": 60}
    return directory


def test_more_missing_than_allowed_deactivate_nobody(many: Directory) -> None:
    hide(many, *(f"p{number}" for number in range(13)))
    run = pull(many)
    message = (
        "13 of 60 contacts are missing in the directory: more than 20 %, so none of them was deactivated. "
        "If that is right, raise the share for one pull."
    )
    assert (run.state, run.error, many.last_error) == (ImportState.FINISHED, message, message)
    assert len(list_active()) == 60

    many.most_missing = 22
    many.save()
    assert pull_well(many) == {"unchanged": 47, "deactivated": 13}
    assert (len(list_active()), many.last_error) == (47, "")


def test_a_few_missing_are_deactivated_whatever_their_share_is(many: Directory) -> None:
    Directory.objects.update(most_missing=1)
    hide(many, *(f"p{number}" for number in range(10)))
    assert pull_well(many) == {"unchanged": 50, "deactivated": 10}


def test_nothing_at_all_deactivates_nobody(directory: Directory) -> None:
    pull_well(directory)
    Directory.objects.update(filter="(uid=nobody)", most_missing=100)
    run = pull(directory)
    message = "The directory has no entries at all, so nobody was deactivated. Check the base and the filter."
    assert (run.state, run.error) == (ImportState.FINISHED, message)
    assert list_active() == ["Anders", "Moos"]


def test_an_entry_that_cannot_be_identified_deactivates_nobody(directory: Directory, slapd: Slapd) -> None:
    slapd.change(dn_of("maria"), "employeeNumber", "1")
    slapd.change(dn_of("hanna"), "employeeNumber", "2")
    Directory.objects.update(external_id_attribute="employeeNumber")
    pull_well(directory)
    slapd.change(dn_of("hanna"), "employeeNumber")
    run = pull(directory)

    assert run.error == "1 entry has no usable employeeNumber, so nobody missing was deactivated."
    assert run.counts["refused"] == 1
    assert list_active() == ["Anders", "Moos"]


def test_a_server_killed_in_the_middle_deactivates_nobody(
    many: Directory, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody could be told apart from who is not there: they are all later ones.
    monkeypatch.setattr(reading, "PAGE", 10)
    monkeypatch.setattr(pulls, "BATCH", 15)
    count = 0

    def read_until_it_dies(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 25:
            slapd.stop(9)
        return read_entry(*arguments)

    monkeypatch.setattr(pulls, "read_entry", read_until_it_dies)
    assert pull_badly(many) == f"The connection to the directory at {slapd.tls_uri} broke off."
    assert len(list_active()) == 60
    assert many.last_success_at is not None

    monkeypatch.undo()
    slapd.start()
    assert pull_well(many) == {"unchanged": 60}


def test_a_search_that_the_server_limits_deactivates_nobody(many: Directory, slapd: Slapd) -> None:
    slapd.stop()
    slapd.write_settings("sizelimit 20")
    slapd.start()
    message = "The directory ended the search early: it limits this user. Raise that, or narrow the filter."
    assert pull_badly(many).startswith(message)
    assert len(list_active()) == 60


def test_a_pull_that_was_killed_is_completed_by_the_next_without_doubles(
    slapd: Slapd, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart(slapd, ((f"p{number}", {}) for number in range(1_200)))

    class Killed(BaseException):
        pass

    def die(self: object) -> str:
        raise Killed

    original = pulls._Pull._note

    def note(self: Any, result: Any) -> None:
        original(self, result)
        if self._totals.lines > 600:
            raise Killed

    monkeypatch.setattr(pulls._Pull, "_note", note)
    with pytest.raises(Killed):
        pull_directory(directory_id=directory.pk, by=CLOCK)
    assert Contact.objects.filter(kind="person").count() == 500
    assert list_pulls(directory)[0].state == ImportState.RUNNING
    monkeypatch.undo()

    assert pull_well(directory) == {"created": 700, "unchanged": 500}
    assert [run.state for run in list_pulls(directory)] == [ImportState.FINISHED, ImportState.FAILED]
    assert list_pulls(directory)[1].error == "It was interrupted. The next one goes on."


def test_a_dry_run_says_what_would_be_and_changes_nothing(directory: Directory, slapd: Slapd) -> None:
    assert pull_well(directory, dry_run=True) == {"created": 2, "companies_made": 1}
    assert (Contact.objects.count(), DirectoryEntry.objects.count(), directory.last_started_at) == (0, 0, None)

    pull_well(directory)
    slapd.change(dn_of("maria"), "telephoneNumber", "no number")
    slapd.remove(dn_of("hanna"))
    before = list(Contact.objects.order_by("id").values())
    run = pull(directory, dry_run=True)
    assert (run.counts["changed"], run.options["deactivated"]) == (1, 1)
    assert findings_of(run) == [
        [1, "telephoneNumber|ipPhone", "This cannot be read as a number; it is kept as typed.", "no number", False],
        [2, "", "Missing in the directory: deactivated.", "Moos, Maria", False],
    ]
    assert list(Contact.objects.order_by("id").values()) == before


# --- who pulls when ---


def test_of_two_pulls_at_once_the_second_leaves(directory: Directory) -> None:
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as threads:
        cursor.execute("select pg_advisory_lock(hashtext('directory'), %s)", [directory.pk])
        second = start(threads, lambda: pull_directory(directory_id=directory.pk, by=CLOCK))
        assert second.result(20) is None
        cursor.execute("select pg_advisory_unlock(hashtext('directory'), %s)", [directory.pk])

    assert ImportRun.objects.count() == 0
    assert pull_well(directory) == {"created": 2, "companies_made": 1}


def test_directories_are_due_when_their_interval_is_over(directory: Directory) -> None:
    assert list_due_directories() == []
    Directory.objects.update(is_active=True, interval_minutes=30)
    assert list_due_directories() == [directory.pk]
    pull_task(directory.pk, only_if_due=True)
    assert (ImportRun.objects.count(), list_due_directories()) == (1, [])

    # The one that waited for the worker all the while.
    pull_task(directory.pk, only_if_due=True)
    assert ImportRun.objects.count() == 1
    Directory.objects.update(last_started_at=timezone.now() - timedelta(minutes=30))
    assert list_due_directories() == [directory.pk]


def test_the_history_names_who_pulled(directory: Directory) -> None:
    user = make_user("admin")
    pull_task(directory.pk, user_id=user.pk)
    assert set(ContactChange.objects.values_list("way", "user_name")) == {("directory", "admin")}
    assert list_pulls(directory)[0].user == user


# --- what goes wrong ---


def test_a_wrong_password_is_told_without_it(directory: Directory) -> None:
    set_password(directory, "wrong horse")
    directory.save()
    assert pull_badly(directory) == "The directory refuses the user name or the password."


def test_a_wrong_base_is_told(directory: Directory) -> None:
    Directory.objects.update(base="ou=nowhere,dc=example,dc=com")
    message = "The directory has no entry “ou=nowhere,dc=example,dc=com” to search below, or does not show it."
    assert pull_badly(directory) == message
    Directory.objects.update(base="nowhere")
    assert pull_badly(directory).startswith("The user name or the base of the search is no distinguished name")


def test_a_certificate_of_nobody_known_is_told(directory: Directory, slapd: Slapd) -> None:
    Directory.objects.update(ca_certificates="")
    assert pull_badly(directory) == (
        f"The certificate of {slapd.tls_uri} is not accepted: self-signed certificate. It has to be valid, for the "
        "host name in the address, and of an authority that is trusted here."
    )
    Directory.objects.update(ca_certificates=slapd.certificate, uri=slapd.tls_uri.replace("127.0.0.1", "localhost"))
    assert "not valid for 'localhost'" in pull_badly(directory)
    Directory.objects.update(uri=slapd.uri.replace("ldap:", "ldaps:"))
    assert pull_badly(directory) == f"{slapd.uri.replace('ldap:', 'ldaps:')} does not agree on an encrypted connection."


def test_a_directory_that_is_not_there_is_told(directory: Directory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"ldaps://127.0.0.1:{listener.getsockname()[1]}"
    Directory.objects.update(uri=uri)
    assert pull_badly(directory) == f"There is no directory at {uri}: Connection refused."


def test_settings_that_cannot_be_are_told_before_anybody_is_asked(directory: Directory) -> None:
    Directory.objects.update(filter="(uid=*", attribute_map="sn = surname")
    assert pull_badly(directory) == (
        "This is no filter. Example: (objectClass=person) The contact model has no field surname. "
        "It has: first_name, last_name, phone, mobile, private_phone."
    )


def test_a_password_is_kept_sealed_and_lost_with_the_key(directory: Directory, settings: Any) -> None:
    assert PASSWORD not in directory.sealed_password
    assert get_server(directory).password == PASSWORD
    assert PASSWORD not in repr(get_server(directory))
    settings.SECRET_KEY = "another one"
    assert pull_badly(directory).startswith("The password cannot be read, as CMPHONE_SECRET_KEY is another one now.")


@pytest.mark.parametrize("after", [1, 200, 700, 30_000])
@pytest.mark.parametrize("way", ["plain", "start_tls", "ldaps"])
def test_a_server_that_falls_silent_at_any_moment_is_left_in_time(slapd: Slapd, way: str, after: int) -> None:
    restart(slapd, ((f"p{number}", {}) for number in range(1_000)))
    port = slapd.tls_port if way == "ldaps" else slapd.port
    with relay(port, after=after, hangs=True) as relayed:
        scheme = "ldaps" if way == "ldaps" else "ldap"
        server = DirectoryServer(
            f"{scheme}://127.0.0.1:{relayed}",
            start_tls=way == "start_tls",
            is_plain_allowed=way == "plain",
            ca_certificates=slapd.certificate,
            bind_dn=READER,
            password=PASSWORD,
            patience=QUICK,
        )
        before = time.monotonic()
        with pytest.raises(DirectoryFailed) as raised:
            list(read_entries(server, DirectorySearch(BASE, "(uid=*)"), ["cn"]))
        assert raised.value.detail == f"The directory at {server.uri} does not answer in time."
        assert time.monotonic() - before < 5


def test_a_server_that_refuses_start_tls_gets_no_password() -> None:
    require_library()
    heard = b""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:

        def refuse() -> None:
            nonlocal heard
            listener.settimeout(10)
            client, _ = listener.accept()
            with client:
                heard += client.recv(1_000)
                # As Active Directory writes lengths; the code is 53, unwilling.
                client.sendall(bytes.fromhex("3084000000100201017884000000070a013504000400"))
                heard += client.recv(1_000)

        refused = threads.submit(refuse)
        server = DirectoryServer(
            f"ldap://127.0.0.1:{listener.getsockname()[1]}",
            start_tls=True,
            bind_dn=READER,
            password=PASSWORD,
            patience=QUICK,
        )
        with pytest.raises(DirectoryFailed, match="refuses StartTLS"):
            list(read_entries(server, DirectorySearch(BASE, "(uid=*)"), ["cn"]))
        refused.result(5)
    assert PASSWORD.encode() not in heard
    assert len(heard) == 31


def test_without_the_library_people_are_told_what_to_install(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ldap", None)
    assert "pip install -r requirements-ldap.txt" in pull_badly(directory)


# --- settings ---


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        ({"uri": "http://x"}, "uri", "Write ldaps://host or ldap://host"),
        ({"uri": "ldaps://host/dc=example"}, "uri", "Write ldaps://host or ldap://host"),
        ({"uri": "ldaps://host:99999999"}, "uri", "Write ldaps://host or ldap://host"),
        ({"uri": "ldap://host"}, "uri", "This connection would not be encrypted."),
        ({"uri": "ldaps://host", "start_tls": True}, "uri", "ldaps:// is encrypted from the beginning"),
        ({"ca_certificates": "none"}, "ca_certificates", "These are no certificates in PEM form."),
        ({"filter": "uid=*"}, "filter", "This is no filter."),
        ({"attribute_map": "# none"}, "attribute_map", "Map at least one attribute."),
        ({"attribute_map": "sn = name"}, "attribute_map", "The contact model has no field name. It has: first_name"),
        ({"external_id_attribute": "uid|cn"}, "external_id_attribute", "Name one attribute."),
        ({"company_attribute": "a b"}, "company_attribute", "“a b” is no name of an attribute."),
    ],
)
def test_settings_are_checked(group: CustomerGroup, values: dict[str, Any], name: str, message: str) -> None:
    fitting: dict[str, Any] = {"uri": "ldaps://host", "base": BASE, "customer_group": group}
    assert find_directory_errors(Directory(**fitting)) == {}
    errors = find_directory_errors(Directory(**{**fitting, **values}))
    assert list(errors) == [name]
    assert errors[name][0].startswith(message)


def test_a_preview_shows_contacts_and_makes_none(directory: Directory, slapd: Slapd) -> None:
    slapd.change(dn_of("hanna"), "jpegPhoto", b"\xff\xd8\xff\xe0")
    directory.attribute_map = "jpegPhoto|givenName = first_name\nsn = last_name"
    preview = preview_directory(directory)
    assert list(preview.fields) == ["first_name", "last_name"]
    shown = {each.name: each for each in preview.entries}
    assert list(shown) == ["Anders, Maria", "Moos, Maria"]
    assert [each.is_known for each in preview.entries] == [False, False]
    assert shown["Anders, Maria"].record.company == "Alfreds Futterkiste"
    assert list(shown["Moos, Maria"].record.warnings) == [("jpegPhoto", "This value is no text and is left out.")]
    assert Contact.objects.count() == 0
    pull(directory)
    assert [each.is_known for each in preview_directory(directory).entries] == [True, True]


def test_a_password_goes_only_where_it_was_meant_to_go() -> None:
    before = Directory(uri="ldaps://a", bind_dn="cn=x")
    assert not goes_elsewhere(before, Directory(uri="ldaps://a", bind_dn="cn=x", base="dc=other"))
    assert goes_elsewhere(before, Directory(uri="ldaps://b", bind_dn="cn=x"))


def test_the_worker_of_imported_files_leaves_a_pull_alone(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(self: object) -> None:
        seen.append((work_off_runs(), ImportRun.objects.get().state))

    monkeypatch.setattr(pulls._Pull, "run", look)
    pull_directory(directory_id=directory.pk, by=CLOCK)
    assert seen == [(0, ImportState.RUNNING)]
