"""Writes rows of contacts and of their history, many at once, in as few statements as for one.

Past the ORM, whose way of updating many rows takes several times as long; as one JSON text, which is much quicker made
than an array for each column.  Which rows those are is for services.py and rebuilding.py to say; they call this in
their transactions.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson
from django.db import connection

from cmphone.contacts.models import Contact, User, Way
from templates_store.rendering import Names


class Author(NamedTuple):
    """Who writes contacts, and by what way.  Without a user: the system itself, as a scheduled import does."""

    user: User | None
    way: Way

    @property
    def columns(self) -> tuple[int | None, str, str]:
        return (self.user.pk, self.user.username, self.way.value) if self.user else (None, "", self.way.value)


_INSERT = """
with given as materialized (
    select nextval(pg_get_serial_sequence('contacts_contact', 'id')) as id, g.*
    from rows from (json_to_recordset(%s::json) as (
        customer_group_id bigint, kind text, company_id bigint, external_id text, is_active bool, fields jsonb,
        name text, name_details text, name_list text, names jsonb
    )) with ordinality as g (customer_group_id, kind, company_id, external_id, is_active, fields, name, name_details,
        name_list, names, place)
), written as (
    insert into contacts_contact (id, customer_group_id, kind, company_id, external_id, is_active, fields, name,
        name_details, name_list, names, version, created_at, updated_at)
    select id, customer_group_id, kind, company_id, external_id, is_active, fields, name, name_details, name_list,
        names, 1, %s, %s
    from given
), told as (
    insert into contacts_contactchange (contact_id, at, user_id, user_name, way, is_new, changes)
    select id, %s, %s, %s, %s, true, '{}' from given
)
select id from given order by place
"""
# Only what is still of the version that was changed.
_UPDATE = """
with given as (
    select * from json_to_recordset(%s::json)
    as g (id bigint, version int, company_id bigint, external_id text, is_active bool, fields jsonb, name text,
        name_details text, name_list text, names jsonb, changes jsonb)
), written as (
    update contacts_contact c
    set company_id = g.company_id, external_id = g.external_id, is_active = g.is_active, fields = g.fields,
        name = g.name, name_details = g.name_details, name_list = g.name_list, names = g.names,
        version = c.version + 1, updated_at = %s
    from given g where c.id = g.id and c.version = g.version
    returning c.id, g.changes
)
insert into contacts_contactchange (contact_id, at, user_id, user_name, way, is_new, changes)
select id, %s, %s, %s, %s, false, changes from written
"""
_RENAME = """
update contacts_contact c
set name = n.name, name_details = n.name_details, name_list = n.name_list, names = n.names
from json_to_recordset(%s::json) as n (id bigint, name text, name_details text, name_list text, names jsonb)
where c.id = n.id
"""


def insert_contacts(contacts: Sequence[Contact], *, by: Author) -> None:
    """Write new contacts, of the same time, and that they are new."""
    if not contacts:
        return
    at = contacts[0].created_at
    rows = [{"customer_group_id": c.customer_group_id, "kind": c.kind, **_describe(c)} for c in contacts]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [_json(rows), at, at, at, *by.columns])
        for contact, (id,) in zip(contacts, cursor.fetchall(), strict=True):
            contact.pk = id
            contact._state.adding = False


def update_contacts(changed: Sequence[tuple[Contact, Mapping[str, object]]], *, by: Author) -> bool:
    """Write contacts, of the same time, and what changed in each (as ContactChange has it).

    Say whether all were written: one that somebody else has changed or deleted since it was read is not, and then
    the caller rolls back.
    """
    if not changed:
        return True
    at = changed[0][0].updated_at
    rows = [{"id": c.pk, "version": c.version, **_describe(c), "changes": changes} for c, changes in changed]
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [_json(rows), at, at, *by.columns])
        return bool(cursor.rowcount == len(rows))


def write_names(renamed: Iterable[tuple[int, Names, Mapping[str, object]]]) -> None:
    """Write the names of these contacts: the standard ones and those in languages."""
    rows = [
        {
            "id": id,
            "name": standard.default,
            "name_details": standard.details,
            "name_list": standard.list,
            "names": names,
        }
        for id, standard, names in renamed
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_RENAME, [_json(rows)])


def _describe(contact: Contact) -> dict[str, object]:
    return {
        "company_id": contact.company_id,
        "external_id": contact.external_id,
        "is_active": contact.is_active,
        "fields": contact.fields,
        "name": contact.name,
        "name_details": contact.name_details,
        "name_list": contact.name_list,
        "names": contact.names,
    }


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
