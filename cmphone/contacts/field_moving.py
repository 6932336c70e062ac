"""Moves or deletes the values of a contact field that is renamed or removed: in batches, while everything else goes on.

A removed field has left its contact model already; what is left to do is to delete its values.  A renamed one keeps
its name at first: its values are copied to the new name, then one short transaction copies what has changed since and
switches the name, and then the values under the old name are deleted.  So nobody ever sees a contact without its
value.  Every batch is a transaction that also writes how far it came, so that a killed run goes on where it was.

A batch counts up the version of every contact it writes: who has read it before, and saves it after, is told to read
it again, and cannot bring back what was moved.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cmphone.contacts.models import Contact, ContactField, CustomerGroup, FieldAction, FieldChange, FieldStep
from cmphone.properties.services import mark_configuration_changed
from templates_store.models import DisplayNames
from templates_store.references import list_sources, rename_references
from templates_store.rendering import TemplateError
from templates_store.selectors import load_templates

logger = logging.getLogger(__name__)

BATCH = 2_000
MAX_ID = 2**63 - 1

# Where somebody else writes one of them, it is passed over rather than waited for, so that nobody waits for a batch
# that waits for him.  What a copy passes over the switch copies; what is left to delete is looked for at the end.
_NEXT = """
select id from contacts_contact
where customer_group_id = %(group)s and kind = %(kind)s and id > %(after)s
order by id limit %(limit)s for no key update skip locked
"""
_COPY = """
update contacts_contact c
set version = c.version + 1, fields = case
    when c.fields ? %(old)s then c.fields || jsonb_build_object(%(new)s::text, c.fields -> %(old)s)
    else c.fields - %(new)s::text end
where c.fields -> %(old)s is distinct from c.fields -> %(new)s
"""
_CLEAR = """
update contacts_contact c set version = c.version + 1, fields = c.fields - %(key)s::text
where c.fields ? %(key)s and c.id = any(%(ids)s)
"""
_OF_HISTORY = """
from contacts_contact c
where h.contact_id = c.id and h.changes ? %(old)s
and c.customer_group_id = %(group)s and c.kind = %(kind)s and c.id > %(after)s and c.id <= %(last)s
"""
_RENAME_HISTORY = f"""
update contacts_contactchange h
set changes = (h.changes - %(old)s::text) || jsonb_build_object(%(new)s::text, h.changes -> %(old)s) {_OF_HISTORY}
"""  # noqa: S608 (constants only)
_CLEAR_HISTORY = f"update contacts_contactchange h set changes = h.changes - %(old)s::text {_OF_HISTORY}"  # noqa: S608


def finish_field_changes(progress: Callable[[str], None] | None = None) -> int:
    """Do what is left of every change of a field, and return how many were finished.

    Safe to repeat, to interrupt and to run twice at once.  `progress` is told in whole sentences.
    """
    ids = list(FieldChange.objects.filter(finished_at=None).order_by("id").values_list("id", flat=True))
    return sum(_finish(id, progress or logger.info) for id in ids)


def finish_without_contacts(changes: Sequence[FieldChange]) -> list[FieldChange]:
    """Do at once what concerns no contact, and return the other changes.

    In the transaction that started them: until it ends, nobody makes a contact.
    """
    of_contacts = []
    for change in changes:
        if Contact.objects.filter(customer_group__contact_model=change.contact_model, kind=change.object).exists():
            of_contacts.append(change)
            continue
        while change.finished_at is None:
            _advance(change)
    return of_contacts


def _advance(change: FieldChange) -> None:
    if change.step == FieldStep.SWITCH:
        _switch(change)
    else:
        _do_batch(change)


def _finish(id: int, progress: Callable[[str], None]) -> bool:
    with connection.cursor() as cursor:
        # Held by the connection, so that a killed process does not keep it.
        cursor.execute("select pg_try_advisory_lock(hashtext('field change'), %s)", [id])
        if not cursor.fetchone()[0]:
            return False
    try:
        while (change := FieldChange.objects.select_related("contact_model").filter(pk=id).first()) is not None:
            if change.finished_at is not None:
                return True
            # That it is deleted meanwhile, with its contact model, is noticed at the next look.
            _advance(change)
            what = {"change": str(change), "done": change.done, "total": max(change.done, change.total)}
            progress(_("%(change)s: %(done)d of %(total)d contacts.") % what)
        return False
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(hashtext('field change'), %s)", [id])


@transaction.atomic
def _do_batch(change: FieldChange) -> None:
    """Copy or delete the values of the next contacts."""
    # In the order of the index that finds the next ones.
    groups = CustomerGroup.objects.filter(contact_model=change.contact_model_id, id__gte=change.last_group)
    group = groups.order_by("id").values_list("id", flat=True).first()
    if change.last_group == 0:
        change.total = Contact.objects.filter(
            customer_group__contact_model=change.contact_model_id, kind=change.object
        ).count()
    if group is None:
        _end_step(change)
    else:
        after = change.last_id if group == change.last_group else 0
        ids = _lock_next(group, change.object, after)
        change.changed += _write(change, ids)
        if change.step == FieldStep.CLEAR and not change.problem:
            _rewrite_history(change, group, after, ids[-1] if ids else MAX_ID)
        change.done += len(ids)
        change.last_group, change.last_id = (group, ids[-1]) if ids else (group + 1, 0)
    change.updated_at = timezone.now()
    change.save(force_update=True)


def _lock_next(group: int, kind: str, after: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"group": group, "kind": kind, "after": after, "limit": BATCH})
        return [id for (id,) in cursor.fetchall()]


def _write(change: FieldChange, ids: list[int]) -> int:
    """Return how many contacts had a value there that counts."""
    with connection.cursor() as cursor:
        if change.step == FieldStep.COPY:
            names: dict[str, Any] = {"old": change.name, "new": change.new_name, "ids": ids}
            cursor.execute(f"{_COPY} and c.id = any(%(ids)s)", names)
        else:
            cursor.execute(_CLEAR, {"key": _key_to_clear(change), "ids": ids})
        # A rename deletes what it has copied, and counted, before.
        counts = change.step == FieldStep.COPY or change.action == FieldAction.REMOVE
        return cursor.rowcount if counts else 0


def _rewrite_history(change: FieldChange, group: int, after: int, last: int) -> None:
    """Let the history of these contacts know the field by its new name, or not at all any more.

    Also that of contacts which were passed over: nothing writes the old name into it any more.
    """
    place: dict[str, Any] = {"group": group, "kind": change.object, "after": after, "last": last}
    keys = {"old": f"fields/{change.name}", "new": f"fields/{change.new_name}"}
    with connection.cursor() as cursor:
        cursor.execute(_CLEAR_HISTORY if change.action == FieldAction.REMOVE else _RENAME_HISTORY, place | keys)


def _key_to_clear(change: FieldChange) -> str:
    """Return the name whose values go: the old one, or the new one of a rename that was given up."""
    return change.new_name if change.problem else change.name


def _end_step(change: FieldChange) -> None:
    if change.step == FieldStep.COPY:
        change.step = FieldStep.SWITCH
        return
    if left := _find_left(change):
        # One that was passed over; alone, since it may be waited for.
        change.changed += _write(change, [left])
    else:
        change.finished_at = timezone.now()


def _find_left(change: FieldChange) -> int | None:
    of_model = Contact.objects.filter(customer_group__contact_model=change.contact_model_id, kind=change.object)
    return of_model.filter(fields__has_key=_key_to_clear(change)).values_list("id", flat=True).first()


@transaction.atomic
def _switch(change: FieldChange) -> None:
    """Copy what has changed since it was copied, and let model and templates have the new name; or give it up."""
    # Nobody writes a contact of the old name from here on, and nobody one of the new name before this is committed.
    mark_configuration_changed()
    fields = ContactField.objects.filter(contact_model=change.contact_model_id, object=change.object)
    field = fields.filter(name=change.name).first()
    if field is None:
        change.problem = _("The field is not there any more.")
    elif fields.filter(name=change.new_name).exists():
        change.problem = _("There is another field with the new name.")
    else:
        try:
            with transaction.atomic():
                _rename_in_templates(change)
        except TemplateError as error:
            change.problem = _("A template cannot have the new name: %s") % (_(error.message) % error.params)
    if not change.problem and field is not None:
        with connection.cursor() as cursor:
            groups = list(
                CustomerGroup.objects.filter(contact_model=change.contact_model_id).values_list("id", flat=True)
            )
            values: dict[str, Any] = {
                "old": change.name,
                "new": change.new_name,
                "groups": groups,
                "kind": change.object,
            }
            cursor.execute(f"{_COPY} and c.customer_group_id = any(%(groups)s) and c.kind = %(kind)s", values)
        field.name = change.new_name
        field.save(update_fields=["name"])
    change.step, change.last_group, change.last_id, change.done = FieldStep.CLEAR, 0, 0, 0
    change.updated_at = timezone.now()
    change.save(force_update=True)


def _rename_in_templates(change: FieldChange) -> None:
    rows = {
        (row.object, row.language): row for row in DisplayNames.objects.filter(contact_model=change.contact_model_id)
    }
    for source in list_sources(load_templates(change.contact_model_id)):
        text = rename_references(source, kind=change.object, old=change.name, new=change.new_name)
        if text != source.text:
            row = rows[source.object, source.language]
            setattr(row, source.name, text)
            row.save(update_fields=[source.name])
