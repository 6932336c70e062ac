"""What the sections of a site file share while it is applied: the records, what changes, and what is wrong."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from django.contrib.auth.models import Group
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import Model
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from cmphone.contacts.models import ContactModel, CustomerGroup, Queue, Role
from cmphone.contacts.site.tables import Section, Table
from cmphone.environment import SettingsError, read_text

RecordT = TypeVar("RecordT", bound=Model)


class Change(NamedTuple):
    """One thing that applying a site file changed: where, and from what to what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Site:
    """The records by name, and all that is noted while tables are applied to them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []
        self.changes: list[Change] = []
        # The records by name; None stands for one that the file names, but that could not be made.
        self.models: dict[str, ContactModel | None] = {each.name: each for each in ContactModel.objects.all()}
        self.groups: dict[str, CustomerGroup | None] = {each.name: each for each in CustomerGroup.objects.all()}
        self.queues: dict[str, Queue | None] = {each.name: each for each in Queue.objects.all()}
        self.roles: dict[str, Group | None] = {each.name: each for each in Role.objects.all()}

    def note(self, table: Table, what: str) -> None:
        """Note what changed in what this table is about."""
        self.changes.append(Change(table.where, what))

    def note_value(self, table: Table, name: str, before: object, after: object) -> None:
        """Note that a value changed, and from what to what."""
        self.note(table, f"{name} {show(before)} → {show(after)}")

    def find(self, records: Mapping[str, RecordT | None], name: str, table: Table, key: str) -> RecordT | None:
        """Return the record of this name; None, and a problem noted, if there is none."""
        if name not in records:
            table.refuse(_("%(key)s: there is no “%(name)s”.") % {"key": key, "name": name})
        return records.get(name)

    def save(self, table: Table, record: Model, values: Mapping[str, Any]) -> bool:
        """Give the record these values; False, and the problems noted, if it cannot have them."""
        is_new = record.pk is None
        before = {} if is_new else {name: getattr(record, name) for name in values}
        for name, value in values.items():
            setattr(record, name, value)
        if not is_new and before == values:
            return True
        try:
            # A password is checked by nothing but the log-in.
            record.full_clean(exclude=["password"])
        except ValidationError as error:
            refuse_all(table, error)
            return False
        # Cleaning may have brought a value into the form in which it is kept, which may be the one it had.
        after = {name: getattr(record, name) for name in values}
        if is_new:
            record.save()
            self.note(table, _("created"))
        elif after != before:
            record.save()
            for name in values:
                if after[name] != before[name]:
                    self.note_value(table, name, before[name], after[name])
        return True

    def read_secret(self, table: Table, key: str, values: Mapping[str, Any], *, is_required: bool) -> str:
        """Return what the variable holds that `key` names; empty if it is not set, a problem where it is required."""
        variable = values.get(key, "")
        if not variable:
            return ""
        try:
            secret = read_text(variable, "", self.environ)
        except SettingsError as error:
            table.refuse(f"{key}: {error}")
            return ""
        if not secret and is_required:
            table.refuse(_("%(key)s: the variable %(name)s is not set.") % {"key": key, "name": variable})
        return secret


class SiteSection(NamedTuple):
    """Entries of a site file, `[[key]]`, which a room above this one brings along.

    `where` names one of them, as “line %s”; `name_key` is the key that has its name.
    """

    key: str
    where: str | Promise
    name_key: str
    apply: Callable[[Site, Table], None]
    read: Callable[[], list[Section]]


def refuse_all(table: Table, error: ValidationError) -> None:
    """Note with the table what is wrong with the columns of a record."""
    for name, messages in error.message_dict.items():
        for message in messages:
            table.refuse(message if name == NON_FIELD_ERRORS else f"{name}: {message}")


def read_columns(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the values of these columns that the file mentions, the labels with them."""
    columns = {f"label_{language}": label for language, label in values.get("label", {}).items()}
    return columns | {name: values[name] for name in names if name in values}


def show(value: object) -> str:
    """Return a value as a report of changes has it: in one line, and visible even when it is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(("" if value is None else str(value)).split()) or "–"


def show_names(names: Iterable[str]) -> str:
    """Return names as a report of changes has them."""
    return ", ".join(sorted(names))
