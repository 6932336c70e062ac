"""Imports that a worker works off: what is reported, and that kills, cancels and lost rights do no harm."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from cmphone.contacts.imports import importing, runs, work
from cmphone.contacts.imports.models import ImportFileChunk, ImportReport, ImportRun
from cmphone.contacts.imports.report import list_findings, list_report_lines, read_totals
from cmphone.contacts.imports.runs import cancel_run, create_run, discard_run, reuse_file, start_run
from cmphone.contacts.imports.types import BatchResult, Totals
from cmphone.contacts.imports.work import remove_old_runs, work_off_runs
from cmphone.contacts.models import Contact, ContactChange, CustomerGroup, CustomerGroupRight, User
from cmphone.contacts.services import save_configuration
from cmphone.embedded import CHECKOUT
from cmphone.problems import Conflict, InvalidRequest, NotFound
from cmphone.properties.services import set_property
from numbering.models import IndexEntry
from tests.locks import start, wait_for_waiting
from tests.make import give_rights, make_customer_group, make_user

COUNT = 60
LINES = "last_name,phone,company\n" + "".join(f"P{n},0211 87{n:05},Alfreds\n" for n in range(COUNT))

# Not inside one transaction: every batch is one of its own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group("customers", country_prefix="49")


@pytest.fixture
def user(group: CustomerGroup) -> User:
    """Somebody who may import into the group, and reads English."""
    user = make_user("importer", language="en")
    give_rights(user, group, create=True, edit=True)
    return user


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 7)


def make_run(user: User, group: CustomerGroup, content: str = LINES, *, dry_run: bool = False) -> ImportRun:
    """A run that waits for a worker."""
    pieces = [content.encode()]
    run = create_run(user=user, customer_group_id=group.pk, file_name="contacts.csv", content=pieces)
    start_run(run, user=user, dry_run=dry_run)
    run.refresh_from_db()
    return run


def interrupt_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work runs off for so many batches, and be interrupted then."""
    write = work._Ledger.write
    left = iter(range(batches))

    def interrupt(ledger: work._Ledger, result: BatchResult) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(ledger, result)

    with monkeypatch.context() as patch:
        patch.setattr(work._Ledger, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            work_off_runs()


def report_of(run: ImportRun) -> list[list[object]]:
    """Return the lines of the report without its header."""
    return [list(line) for chunk in list_report_lines(run, "en") for line in chunk][1:]


def test_a_run_imports_its_file_reports_every_line_and_keeps_no_file(user: User, group: CustomerGroup) -> None:
    content = (
        "last_name,kind,phone,name,hobby\n"
        "Anders,,0211 33990312,Alfreds,chess\n"
        "Berg,robot,,,\n"
        "Chang,,see note,,\n"
        "Anders,,0211 33990312,,\n"
    )
    run = make_run(user, group, content)
    assert (run.state, run.source, run.total) == ("waiting", "csv", 4)
    assert ImportFileChunk.objects.count() == 1

    assert work_off_runs() == 1

    run.refresh_from_db()
    assert (run.state, run.place, run.percent, run.error) == ("finished", 4, 100, "")
    assert read_totals(run) == Totals(lines=4, created=2, unchanged=1, refused=1, unreadable_numbers=1)
    anders, chang = Contact.objects.order_by("id")
    # Nobody has said what to do with hobbies: they were shown as left out before it began.
    left_out = "1 value was left out: a contact of this kind (person) has no field for it."
    unreadable = "This cannot be read as a number; it is kept as typed."
    assert report_of(run) == [
        ["", "", "", "name", "warning", left_out, ""],
        [2, "created", anders.pk, "", "", "", ""],
        [3, "refused", "", "kind", "refused", "Write person or company.", "robot"],
        [4, "created", chang.pk, "phone", "warning", unreadable, "see note"],
        [5, "unchanged", anders.pk, "", "", "", ""],
    ]
    assert [(each.finding.column, each.contact_id) for each in list_findings(run, limit=9)] == [
        ("name", None),
        ("kind", None),
        ("phone", chang.pk),
    ]
    assert list(ContactChange.objects.values_list("user_name", "way").distinct()) == [("importer", "csv")]
    assert ImportFileChunk.objects.count() == 0
    assert work_off_runs() == 0


def test_a_large_file_is_kept_in_pieces_and_read_as_it_was(
    user: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "CHUNK", 100)
    run = make_run(user, group)
    assert run.chunks.count() == -(-len(LINES) // 100)
    work_off_runs()
    run.refresh_from_db()
    assert read_totals(run) == Totals(lines=COUNT, created=COUNT, companies_made=1)


@pytest.mark.usefixtures("small_batches")
def test_a_dry_run_reports_the_same_and_changes_nothing(user: User, group: CustomerGroup) -> None:
    content = LINES + "P1,0211 8700001,\n,,\nP1,,Alfreds\n"
    dry = make_run(user, group, content, dry_run=True)
    work_off_runs()
    assert Contact.objects.count() == IndexEntry.objects.count() == ContactChange.objects.count() == 0

    dry.refresh_from_db()
    assert (dry.state, dry.place) == ("finished", COUNT + 2)
    draft = reuse_file(dry, user=user)
    with pytest.raises(Conflict):
        reuse_file(dry, user=user)
    start_run(draft, user=user, dry_run=False)
    work_off_runs()

    draft.refresh_from_db()
    assert read_totals(draft) == read_totals(dry)
    assert read_totals(dry) == Totals(lines=COUNT + 2, created=COUNT + 2, companies_made=1, duplicates=1)
    # The one knows no contacts, and so names the line.
    assert [line[:2] for line in report_of(draft)] == [line[:2] for line in report_of(dry)]
    assert {line[2] for line in report_of(dry)} == {""}
    assert "line above" in str(report_of(dry)[COUNT][5])
    assert Contact.objects.count() == COUNT + 3


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("dry_run", [False, True], ids=["import", "dry run"])
def test_an_interrupted_run_goes_on_and_leaves_no_doubles(
    user: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    run = make_run(user, group, dry_run=dry_run)
    interrupt_after(3, monkeypatch)
    run.refresh_from_db()
    assert (run.state, run.place, run.percent) == ("running", 21, 35)
    assert Contact.objects.count() == (0 if dry_run else 22)

    assert work_off_runs() == 1

    run.refresh_from_db()
    assert (run.state, run.place) == ("finished", COUNT)
    assert read_totals(run) == Totals(lines=COUNT, created=COUNT, companies_made=1)
    assert [line[0] for line in report_of(run)] == list(range(2, COUNT + 2))
    assert Contact.objects.count() == (0 if dry_run else COUNT + 1)


def test_a_run_that_is_killed_goes_on_and_leaves_no_doubles(user: User, group: CustomerGroup) -> None:
    run = make_run(user, group)
    code = (
        "import django; django.setup()\n"
        "import time\n"
        "from cmphone.contacts.imports import importing, work\n"
        "importing.BATCH = 7\n"
        "write = work._Ledger.write\n"
        "def slowly(ledger, result):\n"
        "    write(ledger, result)\n"
        "    print('written', flush=True)\n"
        "    time.sleep(0.2)\n"
        "work._Ledger.write = slowly\n"
        "work.work_off_runs()\n"
    )
    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}@/{settings['NAME']}?host={settings['HOST']}"
    environ = os.environ | {"CMPHONE_DATABASE_URL": url}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for _ in range(3):
            assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    wait_until_nobody_imports()
    run.refresh_from_db()
    # In the middle of the third batch, whose contacts went with it.
    assert (run.state, run.place) == ("running", 14)
    assert Contact.objects.count() == 14 + 1

    assert work_off_runs() == 1

    run.refresh_from_db()
    assert (run.state, run.place) == ("finished", COUNT)
    assert read_totals(run) == Totals(lines=COUNT, created=COUNT, companies_made=1)
    assert [line[0] for line in report_of(run)] == list(range(2, COUNT + 2))
    assert Contact.objects.filter(kind="person").values("fields__last_name").distinct().count() == COUNT
    assert Contact.objects.count() == IndexEntry.objects.count() + 1 == COUNT + 1


def wait_until_nobody_imports() -> None:
    """Return when the database has noticed that the process is gone, whose lock goes with it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_locks where locktype = 'advisory'")
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.02)
    raise AssertionError("The lock is still held.")


def test_a_second_worker_leaves_all_to_the_first(user: User, group: CustomerGroup) -> None:
    make_run(user, group)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(f"select pg_advisory_lock({work._LOCK})")
        assert work_off_runs() == 0
    finally:
        other.close()
    wait_until_nobody_imports()
    assert work_off_runs() == 1


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("dry_run", [False, True], ids=["import", "dry run"])
def test_a_run_that_is_cancelled_ends_before_its_next_batch(
    user: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    run = make_run(user, group, dry_run=dry_run)
    interrupt_after(3, monkeypatch)
    cancel_run(run)
    assert work_off_runs() == 0
    with pytest.raises(Conflict):
        cancel_run(run)

    run.refresh_from_db()
    assert (run.state, run.place, len(report_of(run))) == ("cancelled", 21, 21)
    assert Contact.objects.count() == (0 if dry_run else 22)
    # The file of a dry run may be imported yet.
    assert run.chunks.exists() == dry_run


@pytest.mark.usefixtures("small_batches")
def test_a_cancel_during_a_batch_waits_for_it_and_is_kept(user: User, group: CustomerGroup) -> None:
    run = make_run(user, group)
    work._begin(run)
    ledger = work._Ledger(run)
    result = BatchResult(Totals(lines=7), [], [], {})
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            ledger.write(result)
            cancelled = start(threads, lambda: cancel_run(run))
            wait_for_waiting()
        cancelled.result(10)
    with pytest.raises(work._Cancelled), transaction.atomic():
        ledger.write(result)
    run.refresh_from_db()
    assert (run.state, run.place) == ("cancelled", 7)


@pytest.mark.usefixtures("small_batches")
def test_who_loses_the_right_imports_no_further_batch(
    user: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(user, group)
    interrupt_after(2, monkeypatch)
    CustomerGroupRight.objects.update(can_edit=False)

    work_off_runs()

    run.refresh_from_db()
    assert (run.state, run.place) == ("failed", 14)
    assert run.error == (
        "importer may not view, create and edit contacts of this customer group any more. "
        "What was imported before stays."
    )
    assert Contact.objects.filter(kind="person").count() == 14
    assert not run.chunks.exists()


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "not active"])
def test_who_is_no_user_any_more_imports_nothing(user: User, group: CustomerGroup, is_deleted: bool) -> None:
    run = make_run(user, group)
    if is_deleted:
        user.delete()
    else:
        User.objects.update(is_active=False)
    work_off_runs()
    run.refresh_from_db()
    assert (run.state, run.error[:8], Contact.objects.count()) == ("failed", "importer", 0)


def test_a_run_whose_columns_mean_nothing_any_more_fails_with_a_reason(user: User, group: CustomerGroup) -> None:
    run = make_run(user, group, "last_name,mobile\nAnders,12\n")
    save_configuration(group.contact_model.fields.filter(name="mobile"), delete=True)
    work_off_runs()
    run.refresh_from_db()
    assert run.state == "failed"
    assert run.error.startswith("--map: there is no field “mobile”.")


def test_an_error_of_the_program_ends_the_run_and_the_log_says_nothing_of_contacts(
    user: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name = "Anders"

    def fail(*arguments: object, **options: object) -> None:
        raise ValueError(name)

    first, second = make_run(user, group), make_run(user, group, "last_name\nBerg\n")
    with monkeypatch.context() as patch:
        patch.setattr(importing, "save_batch", fail)
        assert work_off_runs() == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("failed", "failed")
    assert "ValueError" in first.error
    assert name not in caplog.text + first.error
    assert f"Import {first.pk} ended by ValueError" in caplog.text


def test_only_who_may_view_create_and_edit_hands_a_file_in(user: User, group: CustomerGroup) -> None:
    for right in ("can_view", "can_create", "can_edit"):
        CustomerGroupRight.objects.update(**{"can_view": True, "can_create": True, "can_edit": True, right: False})
        with pytest.raises(NotFound):
            make_run(user, group)
    with pytest.raises(NotFound):
        make_run(user, make_customer_group("other"))
    assert ImportRun.objects.count() == ImportFileChunk.objects.count() == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04", "contacts.csv is a spreadsheet or an archive: save it as CSV."),
        (b"", "contacts.csv is empty: its first line must name the columns."),
        (b"last_name,,phone\nAnders,,12\n", "Column 2 has no name in the header."),
        (b"last_name,a\x00b" + b"x" * 50 + b"\n", "Column 2 has a name with characters that cannot be stored."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_once(
    user: User, group: CustomerGroup, content: bytes, message: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        create_run(user=user, customer_group_id=group.pk, file_name="contacts.csv", content=[content])
    assert raised.value.detail == message
    assert ImportRun.objects.count() == 0


def test_what_has_been_started_is_no_draft_any_more(user: User, group: CustomerGroup) -> None:
    run = make_run(user, group)
    for act in (
        lambda: start_run(run, user=user, dry_run=False),
        lambda: runs.configure_run(run, options={}, overwrite_empty=True),
        lambda: discard_run(run),
        lambda: reuse_file(run, user=user),
    ):
        with pytest.raises(Conflict):
            act()
    run.refresh_from_db()
    assert (run.state, run.dry_run, run.overwrite_empty) == ("waiting", False, False)


def test_old_runs_go_with_their_reports_and_files_that_nobody_imports_earlier(user: User, group: CustomerGroup) -> None:
    set_property(name="import.report.days", value="7")
    old, young, dry = make_run(user, group), make_run(user, group), make_run(user, group, dry_run=True)
    work_off_runs()
    draft = create_run(user=user, customer_group_id=group.pk, file_name="contacts.csv", content=[LINES.encode()])
    now = timezone.now()
    ImportRun.objects.filter(pk=old.pk).update(finished_at=now - timedelta(days=7, hours=1))
    ImportRun.objects.filter(pk__in=[young.pk, dry.pk]).update(finished_at=now - timedelta(days=6))
    assert dry.chunks.exists()

    assert remove_old_runs() == 1

    assert set(ImportRun.objects.values_list("pk", flat=True)) == {young.pk, dry.pk, draft.pk}
    assert set(ImportReport.objects.values_list("run_id", flat=True)) == {young.pk, dry.pk}
    assert set(ImportFileChunk.objects.values_list("run_id", flat=True)) == {draft.pk}

    ImportRun.objects.filter(pk=draft.pk).update(created_at=now - timedelta(days=1, hours=1))
    assert remove_old_runs() == 0
    assert set(ImportRun.objects.values_list("pk", flat=True)) == {young.pk, dry.pk}
