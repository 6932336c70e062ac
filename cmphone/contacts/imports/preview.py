"""Shows what the first records of a file would become, by importing them and taking that back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.imports.files import FileOptions, name_file, open_source, read_options
from cmphone.contacts.imports.importing import import_records
from cmphone.contacts.imports.models import ImportRun, ImportSource
from cmphone.contacts.imports.runs import read_beginning
from cmphone.contacts.imports.types import BatchResult, Finding, Outcome
from cmphone.contacts.models import Contact, User, Way
from cmphone.contacts.writing import Author

SHOWN = 10


@dataclass(frozen=True, slots=True)
class PreviewedRecord:
    """A record, the contact that it would be (None if it is refused), and what was found about it."""

    number: int
    outcome: Outcome
    contact: Contact | None
    findings: Sequence[Finding]


def preview_run(run: ImportRun, rules: GroupRules, *, user: User) -> list[PreviewedRecord]:
    """Return what the first records of a draft's file would become.  Nothing of it stays.

    Raises InvalidRequest when the file cannot be read so, or when it is not clear what it means.
    """
    previewed: list[PreviewedRecord] = []

    def on_batch(result: BatchResult) -> None:
        contacts = _load_contacts(result)
        for number, outcome, contact_id in result.outcomes:
            findings = [finding for finding in result.findings if finding.line == number]
            previewed.append(PreviewedRecord(number, outcome, contacts.get(contact_id or 0), findings))

    options = read_options(run.options)
    with TemporaryDirectory(prefix="cmphone-import-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(read_beginning(run, encoding=options.encoding))
        if run.source == ImportSource.CSV:
            options = FileOptions("utf-8-sig", options.delimiter, options.column_map)
        with name_file(path, run.file_name):
            source = open_source(run.source, path, rules=rules, options=options)
        # The first as they stand in the file; then in the order in which they are imported.
        records = list(source.records)
        first = {record.number for record in sorted(records, key=lambda record: record.number)[:SHOWN]}
        import_records(
            [record for record in records if record.number in first],
            customer_group_id=run.customer_group_id,
            by=Author(user, Way(run.source)),
            overwrite_empty=run.overwrite_empty,
            describe=source.describe,
            dry_run=True,
            on_batch=on_batch,
        )
    return sorted(previewed, key=lambda each: each.number)


def _load_contacts(result: BatchResult) -> Mapping[int, Contact]:
    ids = [each.contact_id for each in result.outcomes if each.contact_id]
    return Contact.objects.select_related("company").in_bulk(ids)
