"""What somebody changes of a contact model's fields, as far as it concerns the values that contacts have.

Labels and order do not.  The values themselves belong to field_moving.py, what a change does to them to
field_effects.py.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.contrib.admin.utils import label_for_field
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cmphone.contacts.models import (
    Contact,
    ContactField,
    ContactKind,
    ContactModel,
    FieldAction,
    FieldChange,
    FieldStep,
    User,
)
from cmphone.properties.services import mark_configuration_changed
from templates_store.models import DisplayNames
from templates_store.references import Reference, Source, list_references, list_sources, rename_references
from templates_store.rendering import TemplateError, Templates
from templates_store.selectors import load_templates


@dataclass(frozen=True, slots=True)
class FieldState:
    """A contact field as it is, or as somebody wants it.  `id` is None for a new one."""

    id: int | None
    kind: str
    name: str
    dialable: bool
    indexed: str


class Edit(StrEnum):
    """What can become of a field."""

    ADD = "add"
    RENAME = "rename"
    REMOVE = "remove"
    DIALABLE = "dialable"
    INDEXED = "indexed"


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """One thing that changes of a field of a kind of contacts, known by its present name.

    `before` and `after`: the names of a rename, the scopes of a changed index, "" or "yes" for a telephone number.
    """

    edit: Edit
    kind: str
    name: str
    before: str = ""
    after: str = ""


AllTemplates = Mapping[tuple[str, str], Templates]


def read_fields(model: ContactModel) -> list[FieldState]:
    """Return the fields of a contact model as they are."""
    columns = ("id", "object", "name", "dialable", "indexed")
    return [
        FieldState(*row)
        for row in ContactField.objects.filter(contact_model=model).order_by("id").values_list(*columns)
    ]


def list_edits(before: Sequence[FieldState], after: Sequence[FieldState]) -> list[FieldEdit]:
    """Return what differs; removals first."""
    present = {field.id: field for field in before}
    kept = {field.id for field in after}
    edits = [FieldEdit(Edit.REMOVE, field.kind, field.name) for field in before if field.id not in kept]
    for field in after:
        was = present.get(field.id)
        if was is None:
            edits.append(FieldEdit(Edit.ADD, field.kind, field.name))
            continue
        if field.name != was.name:
            edits.append(FieldEdit(Edit.RENAME, field.kind, was.name, was.name, field.name))
        if field.dialable != was.dialable:
            yes = ("", "yes") if field.dialable else ("yes", "")
            edits.append(FieldEdit(Edit.DIALABLE, field.kind, was.name, *yes))
        if field.indexed != was.indexed:
            edits.append(FieldEdit(Edit.INDEXED, field.kind, was.name, was.indexed, field.indexed))
    return edits


def find_kinds_in_use(model: ContactModel) -> set[str]:
    """Return which kinds of contacts of the model there are."""
    of_model = Contact.objects.filter(customer_group__contact_model=model.pk)
    return {kind for kind in ContactKind.values if of_model.filter(kind=kind).exists()}


def hash_edits(model: ContactModel, edits: Sequence[FieldEdit]) -> str:
    """Return a hash of what is changed in which model: another one, and what was shown before holds no more."""
    templates = sorted(load_templates(model.pk).items())
    return hashlib.sha256(repr((model.pk, read_fields(model), templates, list(edits))).encode()).hexdigest()


# --- what is in the way ---


def find_obstacles(model: ContactModel, edits: Sequence[FieldEdit], templates: AllTemplates) -> list[str]:
    """Return why these changes cannot be made, in sentences.  `templates`: as they will be."""
    return [*list_unfinished(model, edits), *_list_taken(edits), *_list_in_templates(edits, templates)]


def list_unfinished(model: ContactModel, edits: Sequence[FieldEdit]) -> Iterator[str]:
    """Yield which changes that are not finished yet need the names that these ones need."""
    for change in FieldChange.objects.filter(contact_model=model, finished_at=None).order_by("id"):
        names = {change.name, change.new_name} - {""}
        for edit in edits:
            if edit.kind == change.object and {edit.name, *_target(edit)} & names and edit.edit not in _SETTINGS:
                yield _describe_unfinished(change)
                break


def _describe_unfinished(change: FieldChange) -> str:
    what = {"kind": change.get_object_display(), "name": change.name, "new": change.new_name}
    if change.action == FieldAction.RENAME:
        return _("The %(kind)s field %(name)s is still being renamed to %(new)s. Wait until that is done.") % what
    return (
        _("The values of the removed %(kind)s field %(name)s are still being deleted. Wait until that is done.") % what
    )


_SETTINGS = (Edit.DIALABLE, Edit.INDEXED)


def _target(edit: FieldEdit) -> tuple[str, ...]:
    return (edit.after,) if edit.edit == Edit.RENAME else ()


def _list_taken(edits: Sequence[FieldEdit]) -> Iterator[str]:
    """A name is free when the values under it have moved away, which is later."""
    leaving = {(edit.kind, edit.name) for edit in edits if edit.edit in {Edit.RENAME, Edit.REMOVE}}
    for edit in edits:
        name = edit.after if edit.edit == Edit.RENAME else edit.name
        if edit.edit in {Edit.RENAME, Edit.ADD} and (edit.kind, name) in leaving:
            yield _(
                "%(name)s is the name of another field yet. Change that one first, and this one when it is done."
            ) % {"name": name}


def _list_in_templates(edits: Sequence[FieldEdit], templates: AllTemplates) -> Iterator[str]:
    for edit in edits:
        if edit.edit == Edit.REMOVE:
            for reference in list_references(templates, kind=edit.kind, field=edit.name):
                yield _("A display name uses the field %(name)s: %(place)s. Take it out there first.") % {
                    "name": edit.name,
                    "place": describe_reference(reference),
                }
        elif edit.edit == Edit.RENAME:
            for reference in list_references(templates, kind=edit.kind, field=edit.after):
                yield _(
                    "A display name uses %(new)s already: %(place)s. Write %(name)s: it is renamed with the field."
                ) % {"new": edit.after, "name": edit.name, "place": describe_reference(reference)}
            for source in list_sources(templates):
                try:
                    rename_references(source, kind=edit.kind, old=edit.name, new=edit.after)
                except TemplateError as error:
                    yield _("A display name cannot have the new name: %(place)s: %(problem)s") % {
                        "place": describe_reference(Reference(source, error.line, error.column)),
                        "problem": _(error.message) % error.params,
                    }


def list_places(edit: FieldEdit, templates: AllTemplates) -> list[str]:
    """Return where display names use the field."""
    return [describe_reference(each) for each in list_references(templates, kind=edit.kind, field=edit.name)]


def describe_reference(reference: Reference) -> str:
    """Say where a template names something: whose, which, in which language, line and column."""
    source = reference.source
    parts = [str(ContactKind(source.object).label), label_of_template(source), source.language]
    place = _("line %(line)d, column %(column)d") % {"line": reference.line, "column": reference.column}
    return ", ".join(filter(None, [*parts, place]))


def label_of_template(source: Source) -> str:
    """Return what people call one of the three templates."""
    return str(label_for_field(source.name, DisplayNames))


# --- writing ---


@transaction.atomic
def start_field_changes(
    *, contact_model: ContactModel, edits: Sequence[FieldEdit], by: User | None
) -> list[FieldChange]:
    """Note which renames and removals are to be done to the values of contacts; field_moving.py does it.

    Call it in the transaction that removes the fields.  Renamed ones keep their name until their values are moved.
    """
    mark_configuration_changed()
    now = timezone.now()
    changes = [
        FieldChange(
            contact_model=contact_model,
            object=edit.kind,
            action=FieldAction.RENAME if edit.edit == Edit.RENAME else FieldAction.REMOVE,
            name=edit.name,
            new_name=edit.after,
            requested_by_name=by.username if by else "",
            requested_at=now,
            step=FieldStep.COPY if edit.edit == Edit.RENAME else FieldStep.CLEAR,
            updated_at=now,
        )
        for edit in edits
        if edit.edit in {Edit.RENAME, Edit.REMOVE}
    ]
    return FieldChange.objects.bulk_create(changes)
