"""What a source says of contacts, and what became of it: plain values that all imports share.

Who brings them in is importing.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import NamedTuple

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy

# --- what a source says ---


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What a source says of one contact.

    `number`: of the line, card or entry in its source, from 1.  `fields`: by internal name of the contact field; an
    empty value does not overwrite, unless the import says so.  `kind`: "person" or "company"; empty: as the contact
    is, else person where the model has persons, else company.  `company`: external id or name of the person's
    company, of the same group.  `is_active`: None leaves it as it is; a new contact is active.

    `error` says why the record has none of that (`error_column`, `error_value`: where): it is reported and refused.
    `warnings`, as (column, message), are reported with it.
    """

    number: int
    fields: Mapping[str, str]
    kind: str = ""
    external_id: str = ""
    company: str = ""
    is_active: bool | None = None
    error: str = ""
    warnings: Sequence[tuple[str, str]] = ()
    error_column: str = ""
    error_value: str = ""
    # That an empty `company` means none, where empty values overwrite.
    says_company: bool = False
    # In place of `fields` for a contact of another kind than the one that they are of.
    fields_by_kind: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # By kind, the columns whose values have no field.
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Records, always in the same order, and how their source names what an error is about (`fields/phone`, and the
    kind of contact).  `header`: its columns, in their order; empty where it has none.
    """

    records: Iterable[ImportRecord]
    describe: Callable[[str, str], str]
    header: Sequence[str] = ()


def describe_plainly(key: str, kind: str) -> str:
    """Return the internal name of what an error is about (`kind`, `fields/phone` …)."""
    return key.removeprefix("fields/")


# --- what became of it ---


class Outcome(TextChoices):
    """What became of a record."""

    CREATED = "created", gettext_lazy("created")
    CHANGED = "changed", gettext_lazy("changed")
    UNCHANGED = "unchanged", gettext_lazy("unchanged")
    REFUSED = "refused", gettext_lazy("refused")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a line, or about a column as a whole (`line` 0).  `is_error`: the line did not go in."""

    line: int
    column: str
    message: str
    value: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """How many records there were and what became of them; then companies made for their persons, numbers, and
    contacts that may be there twice.
    """

    lines: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    companies_made: int = 0
    unreadable_numbers: int = 0
    impossible_numbers: int = 0
    duplicates: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*map(sum, zip(astuple(self), astuple(other), strict=True)))


class RecordOutcome(NamedTuple):
    """What became of one record.  One that was refused has no contact."""

    number: int
    outcome: Outcome
    contact_id: int | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of some records.  `left_out`: how many values had no field, by (column, kind).

    `vanishing_ids`: of a dry run, the first id of those that go when it is taken back.
    """

    totals: Totals
    outcomes: Sequence[RecordOutcome]
    findings: Sequence[Finding]
    left_out: Mapping[tuple[str, str], int]
    vanishing_ids: int | None = None

    def stays(self, contact_id: int) -> bool:
        """Say whether a contact is still there when the import has ended."""
        return self.vanishing_ids is None or contact_id < self.vanishing_ids
