"""Finds out what the columns of a CSV file mean for a customer group.  Reads no file and no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.models import ContactKind
from cmphone.contacts.services import is_storable
from cmphone.problems import InvalidRequest


@dataclass
class Columns:
    """Where what stands in a line goes, by the index of its cell; None: there is no such column.

    `fields` has an entry for each kind of contact.  `company` links a person to its company.  `omitted` are left
    out on purpose.
    """

    header: tuple[str, ...]
    external_id: int | None = None
    kind: int | None = None
    active: int | None = None
    company: int | None = None
    fields: dict[str, dict[int, str]] = field(default_factory=dict)
    omitted: frozenset[int] = frozenset()

    def list_unused(self, kind: str) -> list[int]:
        """Return the columns in which a contact of this kind has nothing."""
        used = {self.external_id, self.kind, self.active, *self.fields[kind], *self.omitted}
        if kind == ContactKind.PERSON:
            used.add(self.company)
        return [index for index in range(len(self.header)) if index not in used]

    def find(self, key: str, kind: str) -> str:
        """Return the column that an error of the services means (`kind`, `fields/phone` …), or the empty text."""
        name = key.removeprefix("fields/")
        of_fields = (index for index, field_name in self.fields.get(kind, {}).items() if field_name == name)
        index = next(of_fields, None) if name != key else getattr(self, key) if key in _own_columns else None
        return "" if index is None else self.header[index]


_own_columns = ("external_id", "kind", "active", "company")


def match_columns(header: Sequence[str], *, rules: GroupRules, column_map: Sequence[str] = ()) -> Columns:
    """Find the field of every column: by its internal name or a label, or as `column_map` (`COLUMN=FIELD`) says.

    Raises InvalidRequest when that is not clear.
    """
    positions = locate_columns(header)
    mapped = _read_map(column_map, positions=positions, header=header, rules=rules)
    columns = Columns(tuple(header), fields={kind: {} for kind in rules.fields})
    for index, name in enumerate(header):
        wanted = mapped.get(index, name).casefold()
        for key, kind in _find_meanings(wanted, rules):
            _place(columns, index, key=key, kind=kind)
    columns.omitted = frozenset(index for index, name in mapped.items() if not name)
    if not any(columns.fields.values()):
        raise InvalidRequest(
            _("The first line must name the columns; none of it is a field. It has %(header)s; there are %(known)s.")
            % {"known": ", ".join(list_choices(rules)), "header": ", ".join(f"“{name[:50]}”" for name in header[:20])}
        )
    return columns


def locate_columns(header: Sequence[str]) -> dict[str, int]:
    """Return where each column is, by its name without case.  Raises InvalidRequest when one has no name of its own."""
    if not all(header):
        raise InvalidRequest(_("Column %d has no name in the header.") % (list(header).index("") + 1))
    positions: dict[str, int] = {}
    for index, name in enumerate(header):
        if positions.setdefault(name.casefold(), index) != index:
            raise InvalidRequest(_("The header names the column “%s” twice.") % name)
        if not is_storable(name):
            raise InvalidRequest(_("Column %d has a name with characters that cannot be stored.") % (index + 1))
    return positions


def guess_fields(header: Sequence[str], rules: GroupRules) -> list[str]:
    """Return what each column seems to be, as `match_columns` takes it in a map; empty where that is not clear."""
    taken: set[tuple[str, str]] = set()
    guessed = []
    for name in header:
        wanted = name.casefold()
        try:
            meanings = _find_meanings(wanted, rules)
        except InvalidRequest:
            meanings = []
        if not meanings or not taken.isdisjoint(meanings):
            guessed.append("")
            continue
        taken.update(meanings)
        keys = {key.removeprefix("fields/") for key, _kind in meanings}
        # A label may be that of one field of persons and of another of companies.
        guessed.append(keys.pop() if len(keys) == 1 else wanted)
    return guessed


def _read_map(
    column_map: Sequence[str], *, positions: Mapping[str, int], header: Sequence[str], rules: GroupRules
) -> dict[int, str]:
    mapped: dict[int, str] = {}
    for entry in column_map:
        column, equals, name = (part.strip() for part in entry.rpartition("="))
        index = positions.get(column.casefold())
        if not equals:
            raise InvalidRequest(_("Write --map COLUMN=FIELD, not “%s”.") % entry)
        if index is None:
            raise InvalidRequest(
                _("--map: the file has no column “%(column)s”. It has %(known)s.")
                % {"column": column, "known": ", ".join(header)}
            )
        if name and not _find_meanings(name.casefold(), rules):
            raise InvalidRequest(
                _("--map: there is no field “%(field)s”. There are %(known)s.")
                % {"field": name, "known": ", ".join(list_choices(rules))}
            )
        if index in mapped:
            raise InvalidRequest(_("--map names the column “%s” twice.") % column)
        mapped[index] = name
    return mapped


def _find_meanings(wanted: str, rules: GroupRules) -> list[tuple[str, str]]:
    """Return what a name stands for, as pairs of a field (or one of our own columns) and the kind that has it."""
    if wanted in {"external_id", "kind", "active"}:
        return [(wanted, "")]
    # Also where a label reads so: it is the name that the person's company has in the header.
    is_link = wanted == "company" and rules.has_persons and rules.has_companies
    meanings = []
    for kind, fields in rules.fields.items():
        if any(rule.name == wanted for rule in fields):
            meanings.append((f"fields/{wanted}", kind))
        elif is_link and kind == ContactKind.PERSON:
            meanings.append(("company", kind))
        elif not is_link:
            labelled = [rule.name for rule in fields if wanted in {rule.label_de.casefold(), rule.label_en.casefold()}]
            if wanted and len(labelled) > 1:
                raise InvalidRequest(
                    _("“%(label)s” is the label of several fields: say which by --map (%(known)s).")
                    % {"label": wanted, "known": ", ".join(labelled)}
                )
            meanings += [(f"fields/{name}", kind) for name in labelled if wanted]
    return meanings


def _place(columns: Columns, index: int, *, key: str, kind: str) -> None:
    other: int | None
    if (name := key.removeprefix("fields/")) != key:
        other = next((i for i, each in columns.fields[kind].items() if each == name), None)
        columns.fields[kind][index] = name
    else:
        other = getattr(columns, key)
        setattr(columns, key, index)
    if other is not None:
        raise InvalidRequest(
            _("The columns “%(one)s” and “%(other)s” are both %(field)s: leave one out by --map COLUMN=.")
            % {"one": columns.header[other], "other": columns.header[index], "field": name}
        )


def list_choices(rules: GroupRules) -> list[str]:
    """Return the internal names that a column may be mapped to, our own ones first."""
    names = dict.fromkeys(["external_id", "kind", "active"])
    names |= dict.fromkeys(rule.name for fields in rules.fields.values() for rule in fields)
    if rules.has_persons and rules.has_companies:
        names["company"] = None
    return list(names)
