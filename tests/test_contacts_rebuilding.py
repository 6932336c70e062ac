"""Building index and names anew: what makes what stale, and that nothing that happens meanwhile does harm."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.test import Client

from cmphone.contacts import rebuilding
from cmphone.contacts.models import Contact, CustomerGroup, Rebuild
from cmphone.contacts.rebuilding import find_stale, rebuild_stale_customer_groups
from cmphone.contacts.services import ContactDraft, save_configuration, save_contact, save_contacts
from cmphone.embedded import CHECKOUT
from cmphone.properties.services import set_property
from numbering.models import IndexEntry
from templates_store.models import DisplayNames
from templates_store.services import save_display_names
from tests.locks import start, wait_for_waiting
from tests.make import TESTS, give_rights, log_in, make_company, make_customer_group, make_person, make_user, save_again

COUNT = 60
Entries = list[tuple[object, ...]]

# Not inside one transaction: every batch is one of its own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group() -> CustomerGroup:
    """A group of the area 211 with COUNT persons, built."""
    group = make_customer_group("customers", country_prefix="49", area_prefix="211")
    drafts = [
        ContactDraft(group.id, "person", {"last_name": f"P{n}", "phone": f"87{n:05}", "mobile": "+33142685300"})
        for n in range(COUNT)
    ]
    save_contacts(drafts, by=TESTS)
    rebuild_stale_customer_groups()
    return group


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "BATCH", 7)


def change_area(group: CustomerGroup, area: str) -> None:
    group.area_prefix = area
    save_configuration([group])


def read_entries() -> Entries:
    columns = ("contact_id", "field", "raw", "canonical", "rule", "is_possible", "tail", "block", "kind", "scope")
    return list(IndexEntry.objects.order_by("contact_id", "field", "raw").values_list(*columns))


def entries_by_saving(group: CustomerGroup) -> Entries:
    """Return the entries that saving every contact gives, and leave everything as it was."""
    with transaction.atomic():
        IndexEntry.objects.all().delete()
        for contact in Contact.objects.filter(customer_group=group):
            save_again(contact)
        entries = read_entries()
        transaction.set_rollback(True)
    return entries


def rebuild_up_to(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebuild so many batches, and be interrupted then."""
    rebuild_batch = rebuilding._rebuild_batch
    done = iter(range(batches))

    def interrupt(subject: str, group_id: int) -> Rebuild | None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        return rebuild_batch(subject, group_id)

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "_rebuild_batch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rebuild_stale_customer_groups()


@pytest.mark.usefixtures("small_batches")
def test_an_interrupted_rebuild_goes_on_where_it_was(group: CustomerGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    change_area(group, "30")
    rebuild_up_to(4, monkeypatch)
    row = Rebuild.objects.get(customer_group=group, subject="numbers")
    # The first batch found no more companies.
    assert (row.done, row.total, row.finished_at, row.percent) == (3 * 7, COUNT, None, 35)

    assert rebuild_stale_customer_groups() == COUNT

    row.refresh_from_db()
    assert (row.done, row.changed, row.percent) == (COUNT, COUNT, 100)
    assert find_stale() == []
    assert read_entries() == entries_by_saving(group)


@pytest.mark.usefixtures("small_batches")
def test_settings_that_come_back_in_the_middle_of_a_rebuild_are_built_in_full(
    group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_entries()
    change_area(group, "30")
    rebuild_up_to(4, monkeypatch)
    assert read_entries() != before
    change_area(group, "211")

    assert find_stale() == [("numbers", group.id)]
    rebuild_stale_customer_groups()

    assert read_entries() == before


def test_a_rebuild_that_is_killed_goes_on_and_leaves_no_doubles(group: CustomerGroup) -> None:
    change_area(group, "30")
    code = (
        "import django; django.setup()\n"
        "from cmphone.contacts import rebuilding\n"
        "rebuilding.BATCH = 7\n"
        "import time\n"
        "rebuilding.rebuild_stale_customer_groups(lambda text: (print(text, flush=True), time.sleep(0.2)))\n"
    )
    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}@/{settings['NAME']}?host={settings['HOST']}"
    environ = os.environ | {"CMPHONE_DATABASE_URL": url}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for _ in range(3):
            assert process.stdout.readline().startswith("customers: numbers, ")
        process.send_signal(signal.SIGKILL)
    wait_until_nobody_rebuilds()
    row = Rebuild.objects.get(customer_group=group, subject="numbers")
    assert 0 < row.done < COUNT

    assert rebuild_stale_customer_groups() == COUNT

    row.refresh_from_db()
    assert row.changed == COUNT
    assert read_entries() == entries_by_saving(group)


def wait_until_nobody_rebuilds() -> None:
    """Return when the database has noticed that the process is gone, whose lock goes with it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_locks where locktype = 'advisory'")
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.02)
    raise AssertionError("The lock is still held.")


@pytest.mark.usefixtures("small_batches")
def test_look_ups_find_by_old_entries_until_the_new_ones_are_there(
    client: Client, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()
    give_rights(user, group)
    headers = log_in(user)
    change_area(group, "30")
    rebuild_up_to(4, monkeypatch)

    def match(number: str) -> str:
        return str(client.get("/api/v1/lookup", {"number": number}, headers=headers).json()["match"])

    last = f"87{COUNT - 1:05}"
    assert [match(number) for number in ("+49308700000", "+492118700000")] == ["exact", "none"]
    assert [match(number) for number in (f"+4930{last}", f"+49211{last}")] == ["none", "exact"]


def test_a_contact_saved_during_a_batch_waits_and_is_right(group: CustomerGroup) -> None:
    contact = Contact.objects.order_by("id")[3]
    change_area(group, "30")
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            rebuilding._rebuild_batch("numbers", group.id)
            rebuilding._rebuild_batch("numbers", group.id)
            saved = start(
                threads,
                lambda: save_contact(ContactDraft(group.id, "person", {"phone": "9999999"}, contact=contact), by=TESTS),
            )
            wait_for_waiting()
        saved.result(10)

    assert [entry.canonical for entry in IndexEntry.objects.filter(contact=contact)] == ["49309999999"]
    rebuild_stale_customer_groups()
    assert read_entries() == entries_by_saving(group)


def test_a_second_rebuild_leaves_the_group_to_the_first(group: CustomerGroup) -> None:
    change_area(group, "30")
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtext('rebuild numbers'), %s)", [group.id])
    with ThreadPoolExecutor() as threads:
        assert start(threads, rebuild_stale_customer_groups).result(10) == 0
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_unlock(hashtext('rebuild numbers'), %s)", [group.id])

    assert rebuild_stale_customer_groups() == COUNT


def test_saving_makes_nothing_stale(group: CustomerGroup) -> None:
    for number in range(50):
        make_person(group, f"Q{number}", phone=f"65{number:05}")

    assert find_stale() == []


@pytest.mark.parametrize(
    ("name", "value", "stale"),
    [
        ("internal.line.access.prefix", "9", []),
        ("dial.uri.scheme", "tel", []),
        ("lookup.match.tail", "false", []),
        ("external.line.access.prefix", "", ["numbers"]),
        ("international.access.prefix", "011", ["numbers"]),
    ],
)
def test_a_property_makes_stale_what_is_read_by_it(
    group: CustomerGroup, name: str, value: str, stale: list[str]
) -> None:
    set_property(name=name, value=value)

    assert find_stale() == [(subject, group.id) for subject in stale]


def test_a_template_makes_names_stale_and_no_numbers(group: CustomerGroup) -> None:
    names = DisplayNames.objects.get(contact_model=group.contact_model, object="person")
    names.default = "{{ last_name }}!"
    save_configuration([names])

    assert find_stale() == [("names", group.id)]


@pytest.mark.usefixtures("small_batches")
def test_old_names_are_told_until_the_new_ones_replace_them_and_an_interrupted_rebuild_goes_on(
    client: Client, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()
    give_rights(user, group)
    headers = log_in(user)
    templates = {"default": "{{ last_name }}", "details": "{{ last_name }} {{ number }}", "list": ""}
    save_display_names(contact_model=group.contact_model, object="person", language="en", **templates)
    rebuild_up_to(4, monkeypatch)

    def name(number: int) -> str:
        answer = client.get("/api/v1/lookup", {"number": f"+4921187{number:05}"}, headers=headers).json()
        return str(answer["contacts"][0]["name"])

    assert [name(0), name(COUNT - 1)] == ["P0 +49 211 8700000", f"P{COUNT - 1}"]
    row = Rebuild.objects.get(customer_group=group, subject="names")
    assert (row.done, row.changed, row.finished_at) == (3 * 7, 3 * 7, None)

    assert rebuild_stale_customer_groups() == COUNT

    row.refresh_from_db()
    assert (row.done, row.changed) == (COUNT, COUNT)
    assert name(COUNT - 1) == f"P{COUNT - 1} +49 211 87{COUNT - 1:05}"


def test_names_that_are_rendered_anew_are_those_that_saving_gives(group: CustomerGroup) -> None:
    company = make_company(group, "Alfreds")
    for number, fields in enumerate(({}, {"phone": "12"}, {"first_name": "'\"{\\}, \U0001f4a5"})):
        make_person(group, f"Q{number}", company=company if number else None, **fields)
    columns = ("id", "name", "name_details", "name_list", "names")
    details = "{{ first_name }}{{ company.name }}{{ customer_group }}{{ phone|phone }}{{ number }}"
    for object, language in (("person", ""), ("company", "en"), ("person", "de")):
        templates = {"default": "", "details": details + language, "list": ""}
        save_display_names(contact_model=group.contact_model, object=object, language=language, **templates)
    rebuild_stale_customer_groups()
    rebuilt = list(Contact.objects.order_by("id").values(*columns))
    assert len({str(each["names"]) for each in rebuilt}) > 4

    for contact in Contact.objects.select_related("company").order_by("kind", "id"):
        save_again(contact)

    assert list(Contact.objects.order_by("id").values(*columns)) == rebuilt


def test_a_group_that_is_deleted_meanwhile_ends_its_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    group = make_customer_group("gone")
    stale = rebuilding.find_stale()
    save_configuration([group], delete=True)
    monkeypatch.setattr(rebuilding, "find_stale", lambda: stale)

    assert rebuild_stale_customer_groups() == 0
