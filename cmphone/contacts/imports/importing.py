"""Brings records of other systems in as contacts: what is good goes in, what is not is reported.

Where records come from is not known here: csv_import.py makes them of the lines of a file, and other sources of what
they have.  types.py has what they say and what became of it, batch.py writes a batch of them: as drafts
(drafting.py), by what is there already (matching.py), with notes of what happens (journal.py).

Which contact a record is: the one with its external id; of a record without any, the one without external id that has
exactly its kind, company and fields.  So what is imported again makes no contact again.  Whom only name and number
are alike is another contact, and reported.
"""

from collections.abc import Callable, Iterable, Iterator

from django.db import connection, transaction

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.imports.batch import save_batch
from cmphone.contacts.imports.types import BatchResult, ImportRecord, Totals, describe_plainly
from cmphone.contacts.writing import Author

BATCH = 500


def import_records(
    records: Iterable[ImportRecord],
    *,
    customer_group_id: int,
    by: Author,
    overwrite_empty: bool = False,
    describe: Callable[[str, str], str] = describe_plainly,
    dry_run: bool = False,
    on_batch: Callable[[BatchResult], None] = lambda result: None,
) -> Totals:
    """Make or change the contacts of a customer group by records, BATCH of them a transaction.  Safe to repeat.

    `describe` names the source's column for an error of the services (`fields/phone`, and the kind of contact).
    `on_batch` is called inside the batch's transaction; what it raises takes the batch back and ends the import.
    `dry_run` does the same and takes it back, in one transaction that lets nobody change the configuration.
    Raises InvalidRequest when the customer group is gone.
    """

    def run(vanishing_ids: int | None = None) -> Totals:
        totals = Totals()
        for batch in _cut(records):
            # Outside the transaction it is kept; inside, it is only compared.
            get_current_configuration()
            with transaction.atomic():
                result = save_batch(
                    batch,
                    customer_group_id=customer_group_id,
                    by=by,
                    describe=describe,
                    overwrite_empty=overwrite_empty,
                    vanishing_ids=vanishing_ids,
                )
                on_batch(result)
            totals += result.totals
        return totals

    if not dry_run:
        return run()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select nextval(pg_get_serial_sequence('contacts_contact', 'id'))")
            (next_id,) = cursor.fetchone()
        totals = run(next_id)
        transaction.set_rollback(True)
    return totals


def _cut(records: Iterable[ImportRecord]) -> Iterator[list[ImportRecord]]:
    """Yield batches that name each external id once, so that its second record finds what the first made."""
    batch: list[ImportRecord] = []
    seen: set[str] = set()
    for record in records:
        if len(batch) == BATCH or record.external_id in seen:
            yield batch
            batch, seen = [], set()
        batch.append(record)
        if record.external_id:
            seen.add(record.external_id)
    if batch:
        yield batch
