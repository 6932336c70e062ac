"""Builds index entries and names anew when the configuration changes: in batches, while look-ups go on.

Which groups are stale is found by comparing fingerprints (configuration.py); nothing has to be marked.  Every batch
is a transaction that also writes how far it came, so that a killed rebuild goes on where it was, and anybody can
see its progress.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules, get_configuration, get_current_configuration
from cmphone.contacts.models import Contact, ContactKind, Rebuild, Subject
from cmphone.contacts.naming import NAMES, Named, NamedCompany, render_names
from cmphone.contacts.services import build_index_source
from cmphone.contacts.writing import write_names
from cmphone.properties.services import hold_configuration
from numbering.services import index_contacts
from templates_store.rendering import Names

logger = logging.getLogger(__name__)

# Larger ones are faster, but keep the processor from look-ups for longer at a time (docs/performance.md).
BATCH = 200
# Companies first: a person's name may contain the company's.
KINDS = (ContactKind.COMPANY.value, ContactKind.PERSON.value)
# Look-ups wait for the numbers, and only people for the names.
SUBJECTS = (Subject.NUMBERS.value, Subject.NAMES.value)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far what is stale has come.  `row` is None as long as it waits for its turn."""

    subject: str
    row: Rebuild | None


def find_stale() -> list[tuple[str, int]]:
    """Return (subject, customer group id) of all that is not built from the settings in force."""
    return [(progress.subject, group_id) for group_id, progress in _list_stale()]


def find_progress() -> Mapping[int, Sequence[Progress]]:
    """Return, by customer group id, how far all is that is not built from the settings in force; two queries."""
    of_groups: dict[int, list[Progress]] = {}
    for group_id, progress in _list_stale():
        of_groups.setdefault(group_id, []).append(progress)
    return of_groups


def _list_stale() -> Iterator[tuple[int, Progress]]:
    groups = get_current_configuration().groups
    rows = {(row.subject, row.customer_group_id): row for row in Rebuild.objects.all()}
    for subject in SUBJECTS:
        for id, rules in groups.items():
            row = rows.get((subject, id))
            if row is None or row.fingerprint != rules.fingerprints[subject]:
                yield id, Progress(subject, None)
            elif row.finished_at is None:
                yield id, Progress(subject, row)


def rebuild_stale_customer_groups(
    progress: Callable[[str], None] | None = None, *, subjects: Collection[str] = SUBJECTS
) -> int:
    """Read the numbers, or render the names, of every stale group anew; return how many contacts that were.

    Safe to repeat, to interrupt and to run twice at once: a group counts as built only when it is done.  Look-ups
    go on with the old entries of a contact until its new ones replace them.  `progress` is told in whole sentences.
    """
    stale = [(subject, group_id) for subject, group_id in find_stale() if subject in subjects]
    return sum(_rebuild(subject, group_id, progress or logger.info) for subject, group_id in stale)


def _rebuild(subject: str, group_id: int, progress: Callable[[str], None]) -> int:
    with connection.cursor() as cursor:
        # Held by the connection, so that a killed process does not keep it.
        cursor.execute("select pg_try_advisory_lock(hashtext(%s), %s)", [f"rebuild {subject}", group_id])
        if not cursor.fetchone()[0]:
            return 0
    count = 0
    try:
        while (row := _rebuild_batch(subject, group_id)) is not None and row.finished_at is None:
            if row.done > count:
                place = {"done": row.done, "total": max(row.done, row.total)}
                what = {"group": row.customer_group.name, "subject": row.get_subject_display(), **place}
                progress(_("%(group)s: %(subject)s, %(done)d of %(total)d contacts built anew.") % what)
            count = row.done
        return count
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(hashtext(%s), %s)", [f"rebuild {subject}", group_id])


def _rebuild_batch(subject: str, group_id: int) -> Rebuild | None:
    """Build the next contacts, and return how far it came; None when the group has been deleted."""
    # Outside the transaction it is kept; inside, it is only compared.
    get_current_configuration()
    with transaction.atomic():
        rules = get_configuration(str(hold_configuration())).groups.get(group_id)
        if rules is None:
            return None
        row = _continue(subject, rules)
        build = _index if subject == Subject.NUMBERS else _rename
        done = build(_list_next(row), row, rules)
        row.updated_at = timezone.now()
        if done:
            row.done += len(done)
            row.last_id = done[-1]
        elif row.last_kind == KINDS[-1]:
            row.finished_at = row.updated_at
        else:
            row.last_kind, row.last_id = KINDS[-1], 0
        row.save()
    return row


def _continue(subject: str, rules: GroupRules) -> Rebuild:
    """Return where to go on; at the beginning when there is none, or the settings are others by now."""
    fingerprint = rules.fingerprints[subject]
    row = Rebuild.objects.filter(subject=subject, customer_group=rules.id).first()
    if row is not None and row.fingerprint == fingerprint and row.finished_at is None:
        return row
    now = timezone.now()
    return Rebuild(
        id=row and row.id,
        customer_group_id=rules.id,
        subject=subject,
        fingerprint=fingerprint,
        total=Contact.objects.filter(customer_group=rules.id).count(),
        last_kind=KINDS[0],
        started_at=now,
        updated_at=now,
    )


def _list_next(row: Rebuild) -> QuerySet[Contact]:
    """Return the next contacts of a kind, locked: who changes one of them meanwhile waits for the batch."""
    contacts = Contact.objects.filter(customer_group=row.customer_group_id, kind=row.last_kind, id__gt=row.last_id)
    return contacts.order_by("id").select_for_update(of=("self",), no_key=True)


def _index(contacts: QuerySet[Contact], row: Rebuild, rules: GroupRules) -> list[int]:
    # As plain values: records cost as much as reading their numbers.
    values = list(contacts.values_list("id", "is_active", "fields")[:BATCH])
    sources = [build_index_source(id, row.last_kind, is_active, fields, rules) for id, is_active, fields in values]
    row.changed += index_contacts(sources=sources, plan=rules.plan)
    return [id for id, _, _ in values]


def _rename(contacts: QuerySet[Contact], row: Rebuild, rules: GroupRules) -> list[int]:
    # As plain values, likewise.
    columns = (
        "id",
        "fields",
        "external_id",
        *NAMES,
        "company_id",
        "company__fields",
        "company__name",
        "company__names",
    )
    values = list(contacts.values_list(*columns)[:BATCH])
    renamed: list[tuple[int, Names, dict[str, dict[str, str]]]] = []
    for id, fields, external_id, name, details, in_list, names, company_id, *of_company in values:
        company = NamedCompany(*of_company) if company_id else None
        standard, others = render_names(Named(row.last_kind, fields, external_id, company), rules)
        if (standard, others) != ((name, details, in_list), names):
            renamed.append((id, standard, others))
    write_names(renamed)
    row.changed += len(renamed)
    return [id for id, *_ in values]
