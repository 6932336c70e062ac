"""Brings the entries of a directory in as contacts, and deactivates the contacts whose entries are gone.

A pull is a run of imports like that of a file: its outcome and report are in ImportRun.  What makes contacts of records
is imports/importing.py; here is what only a directory has: that it also says who is *not* there.
"""

import contextlib
import logging
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.contacts.configuration import get_configuration, get_current_configuration
from cmphone.contacts.directories.line import DirectoryFailed, Patience
from cmphone.contacts.directories.mapping import read_entry
from cmphone.contacts.directories.models import Directory, DirectoryEntry
from cmphone.contacts.directories.reading import read_entries
from cmphone.contacts.directories.services import find_directory_errors, get_attribute_map, get_search, get_server
from cmphone.contacts.imports.importing import import_records
from cmphone.contacts.imports.models import ImportReport, ImportRun, ImportSource, ImportState
from cmphone.contacts.imports.types import BatchResult, ImportRecord, Outcome, Totals
from cmphone.contacts.models import Contact, ContactChange, Way
from cmphone.contacts.services import draft_contact, find_draft_errors, save_contacts
from cmphone.contacts.writing import Author
from cmphone.problems import Problem
from cmphone.properties.services import hold_configuration

logger = logging.getLogger(__name__)

BATCH = 500
PATIENCE = Patience()
# So many may be missing whatever their share is.
NEVER_TOO_MANY = 10
# Writes only what is not so already: a pull without news writes nothing.
_NOTE_ENTRIES = """
insert into contacts_directoryentry as e (directory_id, contact_id, external_id)
select %s, g.contact_id, g.external_id from unnest(%s::bigint[], %s::text[]) as g (contact_id, external_id)
on conflict (directory_id, external_id) do update set contact_id = excluded.contact_id, missing_since = null
where e.contact_id <> excluded.contact_id or e.missing_since is not null
"""


def pull_directory(
    *, directory_id: int, by: Author, dry_run: bool = False, only_if_due: bool = False
) -> ImportRun | None:
    """Bring the directory's entries in, and return the run, which says what became of it, errors included.

    Safe to repeat and to interrupt.  None when nothing is to do: the directory is deleted or not due, or another pull
    of it is under way.  `dry_run` does the same and takes it back.
    """
    with _alone(directory_id) as is_alone:
        if not is_alone:
            return None
        directory = Directory.objects.filter(pk=directory_id).first()
        if directory is None or (only_if_due and not directory.is_due):
            return None
        with translation.override(by.user.language if by.user else settings.LANGUAGE_CODE):
            run = _begin(directory, by, dry_run=dry_run)
            try:
                _Pull(directory, run, by).run()
            except (OperationalError, InterfaceError):
                # The database is away; the next pull goes on.
                raise
            except Problem as problem:
                _end(directory, run, error=problem.detail or str(problem.title))
            except Exception as error:  # noqa: BLE001
                # Without its message, which may hold what is in the directory.
                trace = "".join(traceback.format_tb(error.__traceback__))
                logger.error("A pull ended by %s:\n%s", type(error).__name__, trace)  # noqa: TRY400
                text = _("It ended by an error of the program (%s), which the log tells more of.")
                _end(directory, run, error=text % type(error).__name__)
        return run


def list_pulls(directory: Directory) -> QuerySet[ImportRun]:
    """Return the last pulls, the latest first."""
    return ImportRun.objects.filter(source=ImportSource.DIRECTORY, options__directory=directory.pk)[:10]


@contextlib.contextmanager
def _alone(directory_id: int) -> Iterator[bool]:
    """Say whether nobody else pulls the directory, and let nobody."""
    with connection.cursor() as cursor:
        # Held by the connection, so that a killed process does not keep it.
        cursor.execute("select pg_try_advisory_lock(hashtext('directory'), %s)", [directory_id])
        is_alone: bool = cursor.fetchone()[0]
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(hashtext('directory'), %s)", [directory_id])


@transaction.atomic
def _begin(directory: Directory, by: Author, *, dry_run: bool) -> ImportRun:
    now = timezone.now()
    # Nobody else is at it: whoever began them was killed.
    interrupted = ImportRun.objects.filter(
        source=ImportSource.DIRECTORY, options__directory=directory.pk, state=ImportState.RUNNING
    )
    interrupted.update(state=ImportState.FAILED, finished_at=now, error=_("It was interrupted. The next one goes on."))
    if not dry_run:
        directory.last_started_at = now
        directory.save(update_fields=["last_started_at"])
    return ImportRun.objects.create(
        source=ImportSource.DIRECTORY,
        customer_group_id=directory.customer_group_id,
        user=by.user,
        user_name=by.user.username if by.user else "",
        file_name=directory.name,
        options={"directory": directory.pk},
        overwrite_empty=directory.overwrite_empty,
        dry_run=dry_run,
        state=ImportState.RUNNING,
        started_at=now,
        updated_at=now,
    )


@transaction.atomic
def _end(directory: Directory, run: ImportRun, *, error: str = "", is_complete: bool = False) -> None:
    run.finished_at = run.updated_at = timezone.now()
    run.state = ImportState.FINISHED if is_complete else ImportState.FAILED
    run.error = error
    run.save()
    if not is_complete:
        # No more than that: names and numbers are nobody's business who reads a log.
        logger.warning("Directory %d could not be pulled.", directory.pk)
    if not run.dry_run:
        directory.last_error = error
        if is_complete:
            directory.last_success_at = run.finished_at
        directory.save(update_fields=["last_error", "last_success_at"])


class _Pull:
    """One pull: what has been seen so far, and what became of it."""

    def __init__(self, directory: Directory, run: ImportRun, by: Author) -> None:
        self._directory = directory
        self._run = run
        self._by = by
        self._totals = Totals()
        # What identifies each entry, and that of the records on their way, by number.
        self._seen: set[str] = set()
        self._under_way: dict[int, str] = {}
        self._unidentified = 0
        self._reports: list[ImportReport] = []

    def run(self) -> None:
        """Bring all of it in.  Raises Problem when that cannot be."""
        if errors := find_directory_errors(self._directory):
            raise DirectoryFailed(" ".join(message for several in errors.values() for message in several))
        self._attribute_map = get_attribute_map(self._directory)
        if self._run.dry_run:
            # All of them first: nobody shall wait for locks that wait for a directory.
            records = list(self._read_records())
            get_current_configuration()
            with transaction.atomic():
                obstacle = self._bring_in(iter(records))
                transaction.set_rollback(True)
            ImportReport.objects.bulk_create(self._reports)
        else:
            obstacle = self._bring_in(self._read_records())
        _end(self._directory, self._run, error=obstacle, is_complete=True)

    def _bring_in(self, records: Iterator[ImportRecord]) -> str:
        """Write all records, then deactivate whom they do not name, and return why not, if so."""
        import_records(
            records,
            customer_group_id=self._directory.customer_group_id,
            by=self._by,
            overwrite_empty=self._directory.overwrite_empty,
            describe=self._describe,
            on_batch=self._note,
        )
        return self._deactivate_missing()

    # --- reading ---

    def _read_records(self) -> Iterator[ImportRecord]:
        """Yield what each entry says of a contact.  Raises DirectoryFailed, perhaps after some."""
        attribute_map = self._attribute_map
        server, search = get_server(self._directory, PATIENCE), get_search(self._directory)
        with contextlib.closing(read_entries(server, search, attribute_map.attributes)) as entries:
            records = (read_entry(number, dn, entry, attribute_map) for number, (dn, entry) in enumerate(entries, 1))
            while batch := list(islice(records, BATCH)):
                yield from self._restore([self._identify(record) for record in batch])

    def _identify(self, record: ImportRecord) -> ImportRecord:
        """Note which entry this is, and refuse a second one that would be the same contact."""
        if not record.external_id:
            self._unidentified += 1
            return record
        if record.external_id in self._seen:
            message = _("Another entry has this value, too: it cannot identify them.")
            column = self._directory.external_id_attribute
            return ImportRecord(record.number, {}, error=message, error_column=column, error_value=record.external_id)
        self._seen.add(record.external_id)
        self._under_way[record.number] = record.external_id
        return record

    def _restore(self, records: Sequence[ImportRecord]) -> Iterator[ImportRecord]:
        """Yield the records; those whose contact a directory deactivated, and that are there now, as active ones.

        A contact that somebody deactivated by hand, or by another way, stays so.
        """
        ids = [record.external_id for record in records if record.external_id]
        inactive = Contact.objects.filter(
            customer_group_id=self._directory.customer_group_id, external_id__in=ids, is_active=False
        )
        by_id = dict(inactive.values_list("pk", "external_id"))
        last = (
            ContactChange.objects.filter(Q(is_new=True) | Q(changes__has_key="is_active"), contact_id__in=by_id)
            .order_by("contact_id", "-id")
            .distinct("contact_id")
        )
        restored = {
            by_id[contact_id] for contact_id, way in last.values_list("contact_id", "way") if way == Way.DIRECTORY
        }
        for record in records:
            is_back = record.is_active is None and record.external_id in restored
            yield replace(record, is_active=True) if is_back else record

    # --- noting what became of it ---

    def _describe(self, key: str, kind: str) -> str:
        """Return the attributes of what an error is about."""
        if key == "external_id":
            return self._attribute_map.external_id
        if key == "company":
            return "|".join(self._attribute_map.company)
        field = key.removeprefix("fields/")
        return "|".join(self._attribute_map.fields.get(field, (field,)))

    def _note(self, result: BatchResult) -> None:
        """Note who came from here, and write how far it is, in the transaction of the batch."""
        contacts = {
            self._under_way.pop(each.number): each.contact_id
            for each in result.outcomes
            if each.number in self._under_way
        }
        known = {external_id: id for external_id, id in contacts.items() if id is not None}
        with connection.cursor() as cursor:
            cursor.execute(_NOTE_ENTRIES, [self._directory.pk, list(known.values()), list(known)])
        self._totals += result.totals
        self._run.place = self._totals.lines
        self._run.counts = asdict(self._totals)
        self._run.updated_at = timezone.now()
        told = {finding.line for finding in result.findings}
        # Every hour again, whoever is unchanged is no news.  What a dry run makes is there no more when it ends.
        is_gone = {Outcome.CREATED} if self._run.dry_run else set()
        outcomes: list[list[object]] = [
            [each.number, each.outcome.value, None if each.outcome in is_gone else each.contact_id]
            for each in result.outcomes
            if each.outcome != Outcome.UNCHANGED or each.number in told
        ]
        findings = [[each.line, each.column, each.message, each.value, each.is_error] for each in result.findings]
        self._report(outcomes, findings)

    def _report(self, outcomes: list[list[object]], findings: list[list[object]]) -> None:
        report = ImportReport(run=self._run, outcomes=outcomes, findings=findings)
        if self._run.dry_run:
            # Written when the rest has been taken back.
            self._reports += [report] if outcomes or findings else []
            return
        if outcomes or findings:
            report.save()
        self._run.save(update_fields=["place", "counts", "options", "updated_at"])

    # --- who is missing ---

    def _deactivate_missing(self) -> str:
        """Deactivate the contacts whose entries have not been seen, and return why not, if so.

        What was read was all there is: an error would have ended the pull.
        """
        present = DirectoryEntry.objects.filter(directory=self._directory, missing_since=None)
        entries = present.values_list("pk", "external_id", "contact_id", "contact__is_active")
        missing: dict[int, int] = {}
        counts: Counter[bool] = Counter()
        count = 0
        for pk, external_id, contact_id, is_active in entries.iterator():
            count += 1
            if external_id not in self._seen:
                missing[pk] = contact_id
                counts[is_active] += 1
        if not missing:
            return ""
        if obstacle := self._find_obstacle(counts[True], count):
            return obstacle
        ids = list(missing)
        for start in range(0, len(ids), BATCH):
            self._deactivate({pk: missing[pk] for pk in ids[start : start + BATCH]})
        return ""

    def _find_obstacle(self, count: int, total: int) -> str:
        """Return why it cannot be that the missing ones are gone, if so."""
        if self._unidentified:
            message = ngettext(
                "%(count)d entry has no usable %(attribute)s, so nobody missing was deactivated.",
                "%(count)d entries have no usable %(attribute)s, so nobody missing was deactivated.",
                self._unidentified,
            )
            return message % {"count": self._unidentified, "attribute": self._directory.external_id_attribute}
        if not self._seen:
            return _("The directory has no entries at all, so nobody was deactivated. Check the base and the filter.")
        if count <= max(NEVER_TOO_MANY, total * self._directory.most_missing // 100):
            return ""
        message = _(
            "%(count)d of %(total)d contacts are missing in the directory: more than %(share)d %%, so none of them was "
            "deactivated. If that is right, raise the share for one pull."
        )
        return message % {"count": count, "total": total, "share": self._directory.most_missing}

    def _deactivate(self, missing: dict[int, int]) -> None:
        """Deactivate these contacts, by entry, unless another directory has them."""
        get_current_configuration()
        with transaction.atomic():
            rules = get_configuration(str(hold_configuration())).groups[self._directory.customer_group_id]
            elsewhere = DirectoryEntry.objects.filter(missing_since=None).exclude(directory=self._directory)
            contacts = list(
                Contact.objects.filter(pk__in=missing.values(), is_active=True)
                .exclude(pk__in=elsewhere.values("contact_id"))
                .select_related("company")
                .select_for_update(of=("self",))
                .order_by("id")
            )
            drafts = [replace(draft_contact(contact, rules), is_active=False) for contact in contacts]
            # One whose fields the contact model has lost cannot be written.
            drafts = [draft for draft in drafts if not find_draft_errors(draft, rules)]
            save_contacts(drafts, by=self._by)
            DirectoryEntry.objects.filter(pk__in=missing).update(missing_since=timezone.now())
            done: int = self._run.options.get("deactivated", 0)
            self._run.options = {**self._run.options, "deactivated": done + len(drafts)}
            text = _("Missing in the directory: deactivated.")
            # Numbered after the entries that there are.
            gone = [
                (n, draft.contact) for n, draft in enumerate(drafts, self._totals.lines + done + 1) if draft.contact
            ]
            self._report(
                [[n, Outcome.CHANGED.value, contact.pk] for n, contact in gone],
                [[n, "", text, str(contact), False] for n, contact in gone],
            )
