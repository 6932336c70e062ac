"""The site file: the configuration of a site as one TOML file, applied and written out.

Applying is all or nothing, and changes only what the file mentions; a second time it changes nothing.
Contacts are no configuration: a change of what their numbers mean is followed up by services.py.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import Group
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.contacts.field_changes import Edit, FieldEdit, list_unfinished
from cmphone.contacts.field_effects import count_values
from cmphone.contacts.models import (
    Contact,
    ContactField,
    ContactKind,
    ContactModel,
    CustomerGroup,
    CustomerGroupRight,
    Queue,
    QueueRight,
    Role,
    User,
)
from cmphone.contacts.site_tables import (
    SiteFileError,
    Table,
    WrongType,
    read_flag,
    read_label,
    read_length,
    read_names,
    read_rights,
    read_table,
    read_tables,
    read_text,
)
from cmphone.environment import SettingsError
from cmphone.environment import read_text as read_variable
from cmphone.properties import registry
from cmphone.properties.selectors import load_properties
from cmphone.properties.services import mark_configuration_changed, set_property
from templates_store.rendering import Templates
from templates_store.selectors import load_templates
from templates_store.services import save_display_names

RIGHTS = ("view", "create", "edit")
QUEUE_RIGHTS = ("create",)
RecordT = TypeVar("RecordT", bound=Model)


class Change(NamedTuple):
    """One thing that applying a site file changed: where, and from what to what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@transaction.atomic
def apply_site(*, data: Mapping[str, Any], environ: Mapping[str, str], dry_run: bool = False) -> Sequence[Change]:
    """Make the configuration as the tables of a site file say, and return what that changed.

    Safe to repeat.  `environ` holds the passwords that `password_env` names.  `dry_run` does all of it, and takes
    it back.  Raises SiteFileError, with everything that is wrong, and changes nothing.
    """
    mark_configuration_changed()
    site = _Site(environ)
    site.apply(data)
    if site.problems:
        raise SiteFileError(site.problems)
    if dry_run or not site.changes:
        # Without a change the version of the configuration does not move either.
        transaction.set_rollback(True)
    return site.changes


class _Site:
    """Applies the tables one by one, and gathers what changes and what is wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []
        self.changes: list[Change] = []
        # The records by name; None stands for one that the file names, but that could not be made.
        self.models: dict[str, ContactModel | None] = {each.name: each for each in ContactModel.objects.all()}
        self.groups: dict[str, CustomerGroup | None] = {each.name: each for each in CustomerGroup.objects.all()}
        self.queues: dict[str, Queue | None] = {each.name: each for each in Queue.objects.all()}
        self.roles: dict[str, Group | None] = {each.name: each for each in Role.objects.all()}

    def apply(self, data: Mapping[str, Any]) -> None:
        sections = Table("", data, self.problems).take(
            properties=read_table,
            contact_models=read_tables,
            customer_groups=read_tables,
            queues=read_tables,
            roles=read_tables,
            users=read_tables,
        )
        # In the order in which they refer to each other, whatever the order in the file is.
        self._apply_properties(sections.get("properties", {}))
        for table in self._entries(sections.get("contact_models", []), _("contact model %s")):
            self._apply_contact_model(table)
        for table in self._entries(sections.get("customer_groups", []), _("customer group %s")):
            self._apply_customer_group(table)
        for table in self._entries(sections.get("queues", []), _("queue %s")):
            self._apply_queue(table)
        for table in self._entries(sections.get("roles", []), _("role %s")):
            self._apply_role(table)
        users = self._entries(sections.get("users", []), _("user %s"), key="username")
        # Who is deactivated makes room for others: the licence may name no more.
        for table in sorted(users, key=lambda table: table.values.get("active") is not False):
            self._apply_user(table)

    def _entries(self, tables: Sequence[Mapping[str, Any]], where: str, key: str = "name") -> Iterator[Table]:
        """Yield the tables that have a name which none before them has."""
        names = set()
        for number, values in enumerate(tables, start=1):
            table = Table(where % f"no. {number}", values, self.problems)
            try:
                name = read_text(values.get(key, ""))
            except WrongType as error:
                table.refuse(f"{key}: {error}")
                continue
            if not name:
                table.refuse(_("%s is missing.") % key)
                continue
            table.where = where % name
            if name in names:
                table.refuse(_("This stands in the file twice."))
                continue
            names.add(name)
            yield table

    def _note(self, table: Table, what: str) -> None:
        self.changes.append(Change(table.where, what))

    def _note_value(self, table: Table, name: str, before: object, after: object) -> None:
        self._note(table, f"{name} {_show(before)} → {_show(after)}")

    def _find(self, records: Mapping[str, RecordT | None], name: str, table: Table, key: str) -> RecordT | None:
        """Return the record of this name; None, and a problem noted, if there is none."""
        if name not in records:
            table.refuse(_("%(key)s: there is no “%(name)s”.") % {"key": key, "name": name})
        return records.get(name)

    def _save(self, table: Table, record: Model, values: Mapping[str, Any]) -> bool:
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
            for name, messages in error.message_dict.items():
                for message in messages:
                    table.refuse(message if name == NON_FIELD_ERRORS else f"{name}: {message}")
            return False
        # Cleaning may have brought a value into the form in which it is kept, which may be the one it had.
        after = {name: getattr(record, name) for name in values}
        if is_new:
            record.save()
            self._note(table, _("created"))
        elif after != before:
            record.save()
            for name in values:
                if after[name] != before[name]:
                    self._note_value(table, name, before[name], after[name])
        return True

    # --- the sections ---

    def _apply_properties(self, values: Mapping[str, Any]) -> None:
        present = load_properties()
        known = {registry.full_name(name): name for name in registry.DEFINITIONS}
        for full_name, value in values.items():
            table = Table(_("property %s") % full_name, {}, self.problems)
            name = known.get(full_name)
            if name is None:
                table.refuse(_("There is no such property; there are %s.") % ", ".join(known))
            elif not isinstance(value, str | int):
                table.refuse(_("must be a text in quotes, a whole number, or true or false"))
            else:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                try:
                    if set_property(name=name, value=text):
                        self._note(table, f"{_show(present[name])} → {_show(text.strip())}")
                except ValidationError as error:
                    for message in error.messages:
                        table.refuse(message)

    def _apply_contact_model(self, table: Table) -> None:
        values = table.take(name=read_text, fields=read_tables, templates=read_table)
        name = values["name"]
        model = self.models.get(name) or ContactModel(name=name)
        if not self._save(table, model, {}):
            self.models[name] = None
            return
        self.models[name] = model
        if "fields" in values:
            self._apply_fields(table, model, values["fields"])
        templates = Table(_("%s, templates") % table.where, values.get("templates", {}), self.problems)
        for object_, sources in templates.take(person=read_table, company=read_table).items():
            where = _("%(where)s, %(object)s templates") % {"where": table.where, "object": object_}
            self._apply_templates(Table(where, sources, self.problems), model, object_)

    def _apply_fields(self, table: Table, model: ContactModel, entries: Sequence[Mapping[str, Any]]) -> None:
        present = {(each.object, each.name): each for each in ContactField.objects.filter(contact_model=model)}
        mentioned: dict[tuple[str, str], ContactField | None] = {}
        for number, entry in enumerate(entries, start=1):
            here = Table(f"{table.where}, {_('field no. %d') % number}", entry, self.problems)
            values = here.take(
                object=read_object, name=read_text, label=read_label, dialable=read_flag, indexed=read_text
            )
            for key in ("object", "name"):
                if entry.get(key, "") == "":
                    here.refuse(_("%s is missing.") % key)
            kind, name = values.get("object"), values.get("name")
            if not kind or not name:
                continue
            here.where = f"{table.where}, {_('%s field') % kind} {name}"
            if (kind, name) in mentioned:
                here.refuse(_("This stands in the file twice."))
                continue
            # A new one stands behind all others, until the fields are put in order.
            field = present.get((kind, name)) or ContactField(
                contact_model=model, object=kind, name=name, position=2**31 - 1
            )
            mentioned[kind, name] = field if self._save_field(here, field, values) else None
        for kind in ContactKind.values:
            self._note_left_out(table, kind, present, mentioned)
            before = [field for key, field in present.items() if key[0] == kind]
            self._order_fields(table, kind, before, [f for key, f in mentioned.items() if f and key[0] == kind])

    def _save_field(self, table: Table, field: ContactField, values: Mapping[str, Any]) -> bool:
        """Save a field, and note how many contacts have values that are concerned."""
        is_new = field.pk is None
        before = (field.dialable, field.indexed)
        if is_new and (problems := list(list_unfinished(field.contact_model, [_adding(field)]))):
            for problem in problems:
                table.refuse(problem)
            return False
        if not self._save(table, field, _columns(values, "dialable", "indexed")):
            return False
        if is_new and (count := _count_values(field)):
            self._note(
                table,
                ngettext(
                    "%d contact still has a value under this name, of an earlier field: it is shown again",
                    "%d contacts still have a value under this name, of an earlier field: they are shown again",
                    count,
                )
                % count,
            )
        elif not is_new and before != (field.dialable, field.indexed) and (count := _count_values(field)):
            self._note(table, ngettext("%d contact has a value there", "%d contacts have a value there", count) % count)
        return True

    def _note_left_out(
        self,
        table: Table,
        kind: str,
        present: Mapping[tuple[str, str], ContactField],
        mentioned: Mapping[tuple[str, str], ContactField | None],
    ) -> None:
        """Where the file adds fields, say which others with values stay: it may mean one of them by another name."""
        if not any(key[0] == kind and key not in present for key in mentioned):
            return
        for key, field in present.items():
            if key[0] == kind and key not in mentioned and (count := _count_values(field)):
                what = {"kind": field.get_object_display(), "name": field.name, "count": count}
                text = ngettext(
                    "the %(kind)s field %(name)s is not in the file and stays, with the value of %(count)d contact; "
                    "it is renamed or removed on the page of the contact model",
                    "the %(kind)s field %(name)s is not in the file and stays, with the values of %(count)d contacts; "
                    "it is renamed or removed on the page of the contact model",
                    count,
                )
                self._note(table, text % what)

    def _order_fields(self, table: Table, kind: str, before: list[ContactField], mentioned: list[ContactField]) -> None:
        """Put the fields into the order of the file; one that it does not mention stays behind the same one."""
        order = list(mentioned)
        for index, field in enumerate(before):
            if field not in mentioned:
                order.insert(order.index(before[index - 1]) + 1 if index else 0, field)
        if order == before:
            return
        if [field for field in order if field in before] != before:
            names = [" ".join(each.name for each in fields) for fields in (before, order)]
            self._note_value(table, _("order of the %s fields") % kind, *names)
        for position, field in enumerate(order):
            if field.position != position:
                field.position = position
                field.save(update_fields=["position"])

    def _apply_templates(self, table: Table, model: ContactModel, object_: str) -> None:
        values = table.take(
            default=read_text,
            details=read_text,
            list=read_text,
            **{language: read_table for language, _name in settings.LANGUAGES},
        )
        of_languages = {language: values.pop(language) for language, _name in settings.LANGUAGES if language in values}
        self._save_templates(table, model, object_, "", values)
        for language, sources in of_languages.items():
            here = Table(f"{table.where}, {language}", sources, self.problems)
            values = here.take(default=read_text, details=read_text, list=read_text)
            self._save_templates(here, model, object_, language, values)

    def _save_templates(
        self, table: Table, model: ContactModel, object_: str, language: str, values: Mapping[str, str]
    ) -> None:
        before = load_templates(model.pk).get((object_, language), Templates())
        after = replace(before, **values)
        try:
            save_display_names(contact_model=model, object=object_, language=language, **asdict(after))
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                for message in messages:
                    table.refuse(f"{name}: {message}")
            return
        for name, source in asdict(before).items():
            if getattr(after, name) != source:
                self._note_value(table, name, source, getattr(after, name))

    def _apply_customer_group(self, table: Table) -> None:
        values = table.take(
            name=read_text,
            label=read_label,
            contact_model=read_text,
            country_prefix=read_text,
            area_prefix=read_text,
            company_line=read_text,
            extension_min=read_length,
            extension_max=read_length,
        )
        name = values["name"]
        present = self.groups.setdefault(name, None)
        group = present or CustomerGroup(name=name)
        columns = _columns(values, "country_prefix", "area_prefix", "company_line", "extension_min", "extension_max")
        if "contact_model" in values:
            model = self._find(self.models, values["contact_model"], table, "contact_model")
            if model is None:
                return
            if present and group.contact_model != model and Contact.objects.filter(customer_group=group).exists():
                table.refuse(_("The contact model cannot change any more: there are contacts."))
                return
            columns["contact_model"] = model
        elif not present:
            table.refuse(_("%s is missing.") % "contact_model")
            return
        if self._save(table, group, columns):
            self.groups[name] = group

    def _apply_queue(self, table: Table) -> None:
        values = table.take(name=read_text, label=read_label, customer_groups=read_names)
        name = values["name"]
        queue = self.queues.get(name) or Queue(name=name)
        if not self._save(table, queue, _columns(values)):
            self.queues[name] = None
            return
        self.queues[name] = queue
        if "customer_groups" in values:
            found = [self._find(self.groups, each, table, "customer_groups") for each in values["customer_groups"]]
            before = {group.name for group in queue.customer_groups.all()}
            after = {group.name for group in found if group}
            if before != after:
                queue.customer_groups.set([group for group in found if group])
                self._note_value(table, "customer_groups", _join(before), _join(after))

    def _apply_role(self, table: Table) -> None:
        values = table.take(
            name=read_text,
            customer_groups=read_rights(*RIGHTS),
            queues=read_rights(*QUEUE_RIGHTS),
        )
        name = values["name"]
        role = self.roles.get(name) or Role(name=name)
        if not self._save(table, role, {}):
            self.roles[name] = None
            return
        self.roles[name] = role
        if "customer_groups" in values:
            self._apply_rights(table, role, CustomerGroupRight, self.groups, RIGHTS, values["customer_groups"])
        if "queues" in values:
            self._apply_rights(table, role, QueueRight, self.queues, QUEUE_RIGHTS, values["queues"])

    def _apply_rights(
        self,
        table: Table,
        role: Group,
        kind: type[CustomerGroupRight] | type[QueueRight],
        targets: Mapping[str, Model | None],
        rights: Sequence[str],
        wanted: Mapping[str, Sequence[str]],
    ) -> None:
        """Give the role exactly the rights that are wanted on targets of this kind, and none on all others."""
        reference, key = ("customer_group", "customer_groups") if kind is CustomerGroupRight else ("queue", "queues")
        present = {
            getattr(row, reference).name: row for row in kind.objects.filter(role=role).select_related(reference)
        }
        for name in {**present, **wanted}:
            target = self._find(targets, name, table, key)
            if target is None:
                continue
            row = present.get(name) or kind(
                role=role, **{reference: target}, **dict.fromkeys([f"can_{right}" for right in rights], False)
            )
            before = [right for right in rights if getattr(row, f"can_{right}")]
            after = [right for right in rights if right in wanted.get(name, ())]
            if before == after:
                continue
            for right in rights:
                setattr(row, f"can_{right}", right in after)
            if after:
                row.save()
            else:
                row.delete()
            self._note_value(table, f"{key}, {name}:", ", ".join(before), ", ".join(after))

    def _apply_user(self, table: Table) -> None:
        values = table.take(
            username=read_text,
            first_name=read_text,
            last_name=read_text,
            email=read_text,
            language=read_text,
            roles=read_names,
            staff=read_flag,
            superuser=read_flag,
            active=read_flag,
            password_env=read_text,
        )
        username = User.normalize_username(values["username"])
        user = User.objects.filter(username=username).first() or User(username=username)
        is_new = user.pk is None
        password = self._read_password(table, values.get("password_env", ""), is_required=is_new)
        has_new_password = bool(password) and (is_new or not check_password(password, user.password))
        if is_new or has_new_password:
            # No password to set: one that nobody can log in with.
            user.set_password(password or None)
        columns = {USER_COLUMNS[key]: value for key, value in values.items() if key in USER_COLUMNS}
        if not self._save(table, user, columns):
            return
        if is_new and not password:
            self._note(table, _("without a password, so nobody can log in with it yet"))
        elif has_new_password and not is_new:
            user.save(update_fields=["password"])
            self._note(table, _("password changed"))
        if "roles" in values:
            found = [self._find(self.roles, each, table, "roles") for each in values["roles"]]
            before = set(user.groups.values_list("name", flat=True))
            after = {role.name for role in found if role}
            if before != after:
                user.groups.set([role for role in found if role])
                self._note_value(table, "roles", _join(before), _join(after))

    def _read_password(self, table: Table, variable: str, *, is_required: bool) -> str:
        """Return what the variable holds; empty if it is not set, which is a problem where it is required."""
        if not variable:
            return ""
        try:
            password = read_variable(variable, "", self.environ)
        except SettingsError as error:
            table.refuse(f"password_env: {error}")
            return ""
        if not password and is_required:
            table.refuse(_("password_env: the variable %s is not set.") % variable)
        return password


# The keys of a user in the file, and his columns.
USER_COLUMNS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "email": "email",
    "language": "language",
    "staff": "is_staff",
    "superuser": "is_superuser",
    "active": "is_active",
}


def read_object(value: object) -> str:
    """Take the object that a field belongs to."""
    if value not in ContactKind.values:
        raise WrongType(_("must be “person” or “company”"))
    return str(value)


def _adding(field: ContactField) -> FieldEdit:
    return FieldEdit(Edit.ADD, field.object, field.name)


def _count_values(field: ContactField) -> int:
    groups = CustomerGroup.objects.filter(contact_model=field.contact_model_id).values_list("id", flat=True)
    return sum(count_values(groups, field.object, field.name).values())


def _columns(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the values of these columns that the file mentions, the labels with them."""
    columns = {f"label_{language}": label for language, label in values.get("label", {}).items()}
    return columns | {name: values[name] for name in names if name in values}


def _show(value: object) -> str:
    """Return a value as a report of changes has it: in one line, and visible even when it is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(("" if value is None else str(value)).split()) or "–"


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
