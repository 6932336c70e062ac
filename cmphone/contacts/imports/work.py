"""Works imports off, batch by batch, one import at a time.

Every batch's transaction writes contacts, how far the run is, and what became of every record; so a killed run goes
on where it was.  A dry run takes its contacts back at the end: how far it is, and its report, are written through a
connection of their own, and a killed one begins anew.
"""

import logging
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.imports.files import name_file, open_source, read_options
from cmphone.contacts.imports.importing import import_records
from cmphone.contacts.imports.models import ImportReport, ImportRun, ImportSource, ImportState
from cmphone.contacts.imports.types import BatchResult, Totals
from cmphone.contacts.models import User, Way
from cmphone.contacts.selectors import list_importable_groups
from cmphone.contacts.services import unstorable
from cmphone.contacts.writing import Author
from cmphone.problems import InvalidRequest, PermissionDenied, Problem
from cmphone.properties.registry import IMPORT_REPORT_DAYS
from cmphone.properties.selectors import load_properties

logger = logging.getLogger(__name__)

# How long a file stays that nobody imports, or that of a dry run, which may be imported yet.
KEEP_FILES = timedelta(days=1)
# Of a value that something is wrong with, so much stands in the report.
MAX_VALUE = 200

_LOCK = "hashtext('import of contacts')"
# Nothing when somebody has cancelled the run.
_WRITE_BATCH = """
with run as (
    update contacts_importrun set place = place + %s, counts = %s, left_out = %s, updated_at = %s
    where id = %s and state = 'running' returning id
)
insert into contacts_importreport (run_id, outcomes, findings) select id, %s, %s from run
"""


class _Cancelled(Exception):
    """Somebody has cancelled the run."""


def work_off_runs() -> int:
    """Work off every run that waits or was interrupted, oldest first; return how many.

    Safe to repeat, to interrupt and to run twice at once: who comes second leaves all to the first.
    """
    with connection.cursor() as cursor:
        # Held by the connection, so that a killed process does not keep it.
        cursor.execute(f"select pg_try_advisory_lock({_LOCK})")
        if not cursor.fetchone()[0]:
            return 0
    done: list[int] = []
    try:
        # Pulls of directories have a job of their own (directories/pulls.py), and no file.
        going = ImportRun.objects.exclude(source=ImportSource.DIRECTORY)
        going = going.filter(state__in=[ImportState.WAITING, ImportState.RUNNING])
        while run := going.exclude(pk__in=done).select_related("user").order_by("requested_at", "id").first():
            _work_off(run)
            done.append(run.pk)
        return len(done)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"select pg_advisory_unlock({_LOCK})")


def _work_off(run: ImportRun) -> None:
    with translation.override(run.user.language if run.user else settings.LANGUAGE_CODE):
        try:
            if _begin(run):
                _import(run)
                _end(run, ImportState.FINISHED)
        except _Cancelled:
            return
        except (OperationalError, InterfaceError):
            # The database is away: the clock lets it go on later.
            raise
        except Problem as problem:
            _end(run, ImportState.FAILED, problem.detail)
        except Exception as error:  # noqa: BLE001
            # Without its message, which may hold what is in the file.
            trace = "".join(traceback.format_tb(error.__traceback__))
            logger.error("Import %d ended by %s:\n%s", run.pk, type(error).__name__, trace)  # noqa: TRY400
            text = _("It ended by an error of the program (%s), which the log tells more of.")
            _end(run, ImportState.FAILED, text % type(error).__name__)


def _begin(run: ImportRun) -> bool:
    """Mark a run as under way, and say whether it may be; a dry run that was interrupted begins anew."""
    now = timezone.now()
    run.started_at = run.started_at or now
    values: dict[str, object] = {"state": ImportState.RUNNING, "started_at": run.started_at, "updated_at": now}
    if run.dry_run:
        run.place, run.counts, run.left_out = 0, {}, []
        values |= {"place": 0, "counts": {}, "left_out": []}
        ImportReport.objects.filter(run=run).delete()
    going = ImportRun.objects.filter(pk=run.pk, state__in=[ImportState.WAITING, ImportState.RUNNING])
    return bool(going.update(**values))


def _end(run: ImportRun, state: ImportState, error: str = "") -> None:
    """Write down how a run has ended, unless somebody has cancelled it."""
    running = ImportRun.objects.filter(pk=run.pk, state=ImportState.RUNNING)
    running.update(state=state, error=error, finished_at=timezone.now())
    if not run.dry_run:
        run.chunks.all().delete()


def _import(run: ImportRun) -> None:
    rules = get_current_configuration().groups.get(run.customer_group_id)
    if rules is None:
        raise InvalidRequest(_("The customer group has been deleted."))
    with _fetch_file(run) as path, _open_ledger(run) as ledger:
        with name_file(path, run.file_name):
            source = open_source(run.source, path, rules=rules, options=read_options(run.options))
        import_records(
            islice(source.records, run.place, None),
            customer_group_id=run.customer_group_id,
            by=Author(run.user, Way(run.source)),
            overwrite_empty=run.overwrite_empty,
            describe=source.describe,
            dry_run=run.dry_run,
            on_batch=ledger.write,
        )


@contextmanager
def _fetch_file(run: ImportRun) -> Iterator[Path]:
    with TemporaryDirectory(prefix="cmphone-import-") as folder:
        path = Path(folder) / "file"
        with path.open("wb") as file:
            for number in range(run.chunks.count()):
                data = run.chunks.filter(number=number).values_list("data", flat=True).first()
                file.write(data or b"")
            if not file.tell():
                raise InvalidRequest(_("The file is not there any more. Choose it again."))
        yield path


class _Ledger:
    """Writes what became of each batch: in the batch's transaction, or for a dry run through a connection beside it."""

    def __init__(self, run: ImportRun) -> None:
        self.connection = connection.copy() if run.dry_run else connection
        self._run = run
        self._totals = Totals(**run.counts)
        self._left_out: Counter[tuple[str, str]] = Counter()
        for column, kind, count in run.left_out:
            self._left_out[column, kind] += count

    def write(self, result: BatchResult) -> None:
        """Write a batch.  Raises PermissionDenied when who started the run may not import any more."""
        _require_right(self._run)
        self._totals += result.totals
        self._left_out.update(result.left_out)
        left_out = [(*key, count) for key, count in sorted(self._left_out.items())]
        outcomes = [
            (
                each.number,
                each.outcome.value,
                each.contact_id if each.contact_id and result.stays(each.contact_id) else None,
            )
            for each in result.outcomes
        ]
        findings = [
            (f.line, f.column, _clean(f.message), _clean(f.value[:MAX_VALUE]), f.is_error) for f in result.findings
        ]
        with self.connection.cursor() as cursor:
            counts, left, rows, found = map(_json, (asdict(self._totals), left_out, outcomes, findings))
            place = result.totals.lines
            cursor.execute(_WRITE_BATCH, [place, counts, left, timezone.now(), self._run.pk, rows, found])
            if not cursor.rowcount:
                raise _Cancelled


@contextmanager
def _open_ledger(run: ImportRun) -> Iterator[_Ledger]:
    ledger = _Ledger(run)
    try:
        yield ledger
    finally:
        if ledger.connection is not connection:
            ledger.connection.close()


def _require_right(run: ImportRun) -> None:
    user = User.objects.filter(pk=run.user_id).first() if run.user_id else None
    if user is None and not run.user_name:
        # Nobody but the system itself.
        return
    if user is None or run.customer_group_id not in list_importable_groups(user):
        raise PermissionDenied(
            _(
                "%s may not view, create and edit contacts of this customer group any more. What was imported before "
                "stays."
            )
            % run.user_name
        )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _clean(text: str) -> str:
    """Return a text as the database takes it."""
    return unstorable.sub("�", text)


def remove_old_runs() -> int:
    """Remove runs that ended longer ago than import.report.days, and files that nobody imports; return how many runs.

    Safe to repeat.
    """
    now = timezone.now()
    days = timedelta(days=int(load_properties()[IMPORT_REPORT_DAYS]))
    _count, removed = ImportRun.objects.filter(finished_at__lt=now - days).delete()
    ImportRun.objects.filter(state=ImportState.DRAFT, created_at__lt=now - KEEP_FILES).delete()
    for run in ImportRun.objects.filter(finished_at__lt=now - KEEP_FILES, chunks__isnull=False).distinct():
        run.chunks.all().delete()
    return removed.get(ImportRun._meta.label, 0)
