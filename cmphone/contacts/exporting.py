"""Exports contacts as CSV or vCard, in a way that an import reads back.

A file is one snapshot, whatever changes while it is sent, and no more than a few contacts of it are in memory.
What of them somebody may view is decided before: nothing else is given to this module.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from django.db.models import QuerySet
from django.utils import timezone

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.vcards.writing import Version, name_company, write_card
from cmphone.csv_cells import write_csv

CHUNK = 500
Pairs = Sequence[tuple[Contact, Contact | None]]


@dataclass(frozen=True, slots=True)
class Export:
    """A file on its way out, text by text, and the headers that go with it."""

    text: Iterator[str]
    headers: Mapping[str, str]


def export_csv(contacts: QuerySet[Contact], *, rules: GroupRules, viewable: Collection[int], delimiter: str) -> Export:
    """Return the contacts of one customer group as CSV, whose header has the internal names of the fields.

    `viewable`: the customer groups that who gets it may view.  Read from the database when it is called: what fails
    then is no half of a file.
    """
    columns = _list_columns(rules)
    chunks = _read(contacts.filter(customer_group_id=rules.id), viewable)
    lines = ([_write_line(contact, company, columns, rules) for contact, company in chunk] for chunk in chunks)
    text = write_csv(chain([[columns]], lines), delimiter=delimiter)
    return Export(text, _make_headers("text/csv", f"{rules.name}-{timezone.localdate()}.csv"))


def export_vcards(
    contacts: QuerySet[Contact], *, groups: Mapping[int, GroupRules], viewable: Collection[int], version: Version
) -> Export:
    """Return the contacts of these customer groups as vCards, likewise."""
    chunks = _read(contacts.filter(customer_group_id__in=groups), viewable)
    text = (
        "".join(
            write_card(contact, rules=groups[contact.customer_group_id], company=company, version=version)
            for contact, company in chunk
        )
        for chunk in chunks
    )
    names = [rules.name for rules in groups.values()]
    name = names[0] if len(names) == 1 else "contacts"
    return Export(text, _make_headers("text/vcard", f"{name}-{timezone.localdate()}.vcf"))


def _make_headers(media: str, name: str) -> dict[str, str]:
    return {
        "Content-Type": f"{media}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}"',
        # Nobody in between keeps it.
        "Cache-Control": "private, no-store",
    }


# --- reading ---


def _read(contacts: QuerySet[Contact], viewable: Collection[int]) -> Iterator[Pairs]:
    """Return contacts in chunks, companies before persons, each with its company if that may be viewed."""
    # One statement, whose cursor outlives its transaction: nothing is held up while a slow client reads.
    rows = contacts.select_related("company").order_by("customer_group_id", "kind", "id").iterator(chunk_size=CHUNK)
    pairs = (
        (each, company if (company := each.company) and company.customer_group_id in viewable else None)
        for each in rows
    )
    # The first now.
    return chain([list(islice(pairs, CHUNK))], iter(lambda: list(islice(pairs, CHUNK)), []))


# --- CSV ---


def _list_columns(rules: GroupRules) -> list[str]:
    """Return the header: our own columns, and the fields, of which persons and companies may share some."""
    own = ["external_id", "kind", "active", *(["company"] if rules.has_persons and rules.has_companies else [])]
    fields = (rule.name for kind in ContactKind.values for rule in rules.fields.get(kind, ()))
    return list(dict.fromkeys([*own, *fields]))


def _write_line(contact: Contact, company: Contact | None, columns: Sequence[str], rules: GroupRules) -> list[str]:
    own = {"external_id": contact.external_id, "kind": contact.kind, "active": "1" if contact.is_active else "0"}
    fields = {rule.name: contact.fields.get(rule.name, "") for rule in rules.fields.get(contact.kind, ())}
    # Where persons have a field of the name, an import takes the column for that.
    link = {"company": name_company(company, rules) if company else ""}
    values = link | fields | own
    return [values.get(name, "") for name in columns]
