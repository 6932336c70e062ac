"""Writes rows of contacts and of their history, many at once, in as few statements as for one.

Past the ORM, whose way of updating many rows takes several times as long.  Which rows those are is for services.py
and rebuilding.py to say; they call this in their transactions.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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
    from unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::bool[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[]) with ordinality
    as g (customer_group_id, kind, company_id, external_id, is_active, fields, name, name_details, name_list, names,
        place)
), written as (
    insert into contacts_contact (id, customer_group_id, kind, company_id, external_id, is_active, fields, name,
        name_details, name_list, names, version, created_at, updated_at)
    select id, customer_group_id, kind, company_id, external_id, is_active, fields::jsonb, name, name_details,
        name_list, names::jsonb, 1, %s, %s
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
    select * from unnest(%s::bigint[], %s::int[], %s::bigint[], %s::text[], %s::bool[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[])
    as g (id, version, company_id, external_id, is_active, fields, name, name_details, name_list, names, changes)
), written as (
    update contacts_contact c
    set company_id = g.company_id, external_id = g.external_id, is_active = g.is_active, fields = g.fields::jsonb,
        name = g.name, name_details = g.name_details, name_list = g.name_list, names = g.names::jsonb,
        version = c.version + 1, updated_at = %s
    from given g where c.id = g.id and c.version = g.version
    returning c.id, g.changes
)
insert into contacts_contactchange (contact_id, at, user_id, user_name, way, is_new, changes)
select id, %s, %s, %s, %s, false, changes::jsonb from written
"""
_RENAME = """
update contacts_contact c
set name = n.name, name_details = n.details, name_list = n.list, names = n.names::jsonb
from unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[]) as n (id, name, details, list, names)
where c.id = n.id
"""


def insert_contacts(contacts: Sequence[Contact], *, by: Author) -> None:
    """Write new contacts, of the same time, and that they are new."""
    if not contacts:
        return
    at = contacts[0].created_at
    rows = [
        (
            c.customer_group_id,
            c.kind,
            c.company_id,
            c.external_id,
            c.is_active,
            _json(c.fields),
            c.name,
            c.name_details,
            c.name_list,
            _json(c.names),
        )
        for c in contacts
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [*_columns(rows), at, at, at, *by.columns])
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
    rows = [
        (
            c.pk,
            c.version,
            c.company_id,
            c.external_id,
            c.is_active,
            _json(c.fields),
            c.name,
            c.name_details,
            c.name_list,
            _json(c.names),
            _json(changes),
        )
        for c, changes in changed
    ]
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [*_columns(rows), at, at, *by.columns])
        return bool(cursor.rowcount == len(rows))


def write_names(renamed: Iterable[tuple[int, Names, Mapping[str, object]]]) -> None:
    """Write the names of these contacts: the standard ones and those in languages."""
    rows = [(id, *standard, _json(others)) for id, standard, others in renamed]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_RENAME, _columns(rows))


def _columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
