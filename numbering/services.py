"""Writes the index of numbers.  Knows contacts only by what they hand in."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction

from numbering.models import IndexEntry
from numbering.reading import Plan, Reading, read_typed

TAIL_LENGTH = 8
SHORTEST_TAIL = 7


@dataclass(frozen=True, slots=True)
class IndexedValue:
    """The text of one indexed field, and whom a number in it finds (`local`, `unit`, `transitive`)."""

    field: str
    scope: str
    text: str


@dataclass(frozen=True, slots=True)
class IndexSource:
    """A contact as the index sees it.  `values` are in the order of the contact model; none: it is not found."""

    contact_id: int
    customer_group_id: int
    is_company: bool
    values: Sequence[IndexedValue]


@transaction.atomic
def index_contacts(*, sources: Sequence[IndexSource], plan: Plan, are_new: bool = False) -> int:
    """Make the index entries of these contacts what their values say under `plan`; return how many contacts changed.

    Call it in the transaction that writes the contacts.  Safe to repeat.  `are_new` spares the look at old entries.
    """
    wanted = {source.contact_id: list(_build_entries(source, plan)) for source in sources}
    present: dict[int, list[IndexEntry]] = defaultdict(list)
    if not are_new:
        for entry in IndexEntry.objects.filter(contact_id__in=wanted).order_by("id"):
            present[entry.contact_id].append(entry)
    changed = [i for i, entries in wanted.items() if list(map(_content, entries)) != list(map(_content, present[i]))]
    outdated = [i for i in changed if present[i]]
    if outdated:
        IndexEntry.objects.filter(contact_id__in=outdated).delete()
    IndexEntry.objects.bulk_create([entry for i in changed for entry in wanted[i]], batch_size=1000)
    return len(changed)


def _build_entries(source: IndexSource, plan: Plan) -> Iterator[IndexEntry]:
    for value in source.values:
        seen = set()
        for reading in read_typed(value.text, plan):
            key = (reading.canonical, reading.extension, reading.raw if not reading.canonical else "")
            if key in seen:
                continue
            seen.add(key)
            yield IndexEntry(
                contact_id=source.contact_id,
                customer_group_id=source.customer_group_id,
                field=value.field,
                scope=value.scope,
                raw=reading.raw[:200],
                canonical=reading.canonical,
                extension=reading.extension,
                kind=reading.kind,
                tail=_tail(reading),
                block=_block(reading, source, plan),
            )


def _tail(reading: Reading) -> str:
    if reading.kind != "public" or len(reading.canonical) < SHORTEST_TAIL:
        return ""
    return reading.canonical[-TAIL_LENGTH:]


def _block(reading: Reading, source: IndexSource, plan: Plan) -> str:
    if not source.is_company or reading.kind != "public":
        return ""
    own_line = plan.country + plan.area + plan.company_line
    if plan.company_line and reading.canonical.startswith(own_line):
        return own_line
    return reading.block


def _content(entry: IndexEntry) -> tuple[str, ...]:
    return (
        entry.field,
        entry.scope,
        entry.raw,
        entry.canonical,
        entry.extension,
        entry.kind,
        entry.tail,
        entry.block,
    )
