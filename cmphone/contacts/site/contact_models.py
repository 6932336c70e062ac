"""Applies the contact models of a site file, with their fields and templates."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.contacts.field_changes import Edit, FieldEdit, list_unfinished
from cmphone.contacts.field_effects import count_values
from cmphone.contacts.models import ContactField, ContactKind, ContactModel, CustomerGroup
from cmphone.contacts.site.records import Site, read_columns, refuse_all
from cmphone.contacts.site.tables import Table, WrongType, read_flag, read_label, read_table, read_tables, read_text
from templates_store.rendering import Templates
from templates_store.selectors import load_templates
from templates_store.services import save_display_names


def apply_contact_model(site: Site, table: Table) -> None:
    """Make a contact model as its table says."""
    values = table.take(name=read_text, fields=read_tables, templates=read_table)
    name = values["name"]
    model = site.models.get(name) or ContactModel(name=name)
    if not site.save(table, model, {}):
        site.models[name] = None
        return
    site.models[name] = model
    if "fields" in values:
        _apply_fields(site, table, model, values["fields"])
    templates = Table(_("%s, templates") % table.where, values.get("templates", {}), site.problems)
    for object_, sources in templates.take(person=read_table, company=read_table).items():
        where = _("%(where)s, %(object)s templates") % {"where": table.where, "object": object_}
        _apply_templates(site, Table(where, sources, site.problems), model, object_)


def _apply_fields(site: Site, table: Table, model: ContactModel, entries: Sequence[Mapping[str, Any]]) -> None:
    present = {(each.object, each.name): each for each in ContactField.objects.filter(contact_model=model)}
    mentioned: dict[tuple[str, str], ContactField | None] = {}
    for number, entry in enumerate(entries, start=1):
        here = Table(f"{table.where}, {_('field no. %d') % number}", entry, site.problems)
        values = here.take(object=_read_object, name=read_text, label=read_label, dialable=read_flag, indexed=read_text)
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
        mentioned[kind, name] = field if _save_field(site, here, field, values) else None
    for kind in ContactKind.values:
        _note_left_out(site, table, kind, present, mentioned)
        before = [field for key, field in present.items() if key[0] == kind]
        _order_fields(site, table, kind, before, [f for key, f in mentioned.items() if f and key[0] == kind])


def _save_field(site: Site, table: Table, field: ContactField, values: Mapping[str, Any]) -> bool:
    """Save a field, and note how many contacts have values that are concerned."""
    is_new = field.pk is None
    before = (field.dialable, field.indexed)
    if is_new and (problems := list(list_unfinished(field.contact_model, [_adding(field)]))):
        for problem in problems:
            table.refuse(problem)
        return False
    if not site.save(table, field, read_columns(values, "dialable", "indexed")):
        return False
    if is_new and (count := _count_values(field)):
        site.note(
            table,
            ngettext(
                "%d contact still has a value under this name, of an earlier field: it is shown again",
                "%d contacts still have a value under this name, of an earlier field: they are shown again",
                count,
            )
            % count,
        )
    elif not is_new and before != (field.dialable, field.indexed) and (count := _count_values(field)):
        site.note(table, ngettext("%d contact has a value there", "%d contacts have a value there", count) % count)
    return True


def _note_left_out(
    site: Site,
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
            site.note(table, text % what)


def _order_fields(
    site: Site, table: Table, kind: str, before: list[ContactField], mentioned: list[ContactField]
) -> None:
    """Put the fields into the order of the file; one that it does not mention stays behind the same one."""
    order = list(mentioned)
    for index, field in enumerate(before):
        if field not in mentioned:
            order.insert(order.index(before[index - 1]) + 1 if index else 0, field)
    if order == before:
        return
    if [field for field in order if field in before] != before:
        names = [" ".join(each.name for each in fields) for fields in (before, order)]
        site.note_value(table, _("order of the %s fields") % kind, *names)
    for position, field in enumerate(order):
        if field.position != position:
            field.position = position
            field.save(update_fields=["position"])


def _apply_templates(site: Site, table: Table, model: ContactModel, object_: str) -> None:
    values = table.take(
        default=read_text,
        details=read_text,
        list=read_text,
        **{language: read_table for language, _name in settings.LANGUAGES},
    )
    of_languages = {language: values.pop(language) for language, _name in settings.LANGUAGES if language in values}
    _save_templates(site, table, model, object_, "", values)
    for language, sources in of_languages.items():
        here = Table(f"{table.where}, {language}", sources, site.problems)
        values = here.take(default=read_text, details=read_text, list=read_text)
        _save_templates(site, here, model, object_, language, values)


def _save_templates(
    site: Site, table: Table, model: ContactModel, object_: str, language: str, values: Mapping[str, str]
) -> None:
    before = load_templates(model.pk).get((object_, language), Templates())
    after = replace(before, **values)
    try:
        save_display_names(contact_model=model, object=object_, language=language, **asdict(after))
    except ValidationError as error:
        refuse_all(table, error)
        return
    for name, source in asdict(before).items():
        if getattr(after, name) != source:
            site.note_value(table, name, source, getattr(after, name))


def _read_object(value: object) -> str:
    """Take the object that a field belongs to."""
    if value not in ContactKind.values:
        raise WrongType(_("must be “person” or “company”"))
    return str(value)


def _adding(field: ContactField) -> FieldEdit:
    return FieldEdit(Edit.ADD, field.object, field.name)


def _count_values(field: ContactField) -> int:
    groups = CustomerGroup.objects.filter(contact_model=field.contact_model_id).values_list("id", flat=True)
    return sum(count_values(groups, field.object, field.name).values())
