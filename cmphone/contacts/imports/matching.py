"""Finds which contacts of a customer group records mean: in one or two statements for a whole batch."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import orjson
from django.db import connection

from cmphone.contacts.models import COMPANY_NAME_INDEXED, Contact, ContactKind, company_name_start

# Of many contacts with one number, so many are compared with a new one: a batch shall not take minutes.
COMPARED = 100

# In these, PostgreSQL shall go by an index for each row of the batch, whatever it believes of tables that have just
# grown: it looks into `lateral … offset 0` row by row.
_FIND_KNOWN = """
select contact.id from unnest(%s::text[]) as given (external_id)
cross join lateral (
    select id from contacts_contact
    where customer_group_id = %s and external_id = given.external_id and external_id <> '' offset 0
) contact
"""
# Served by the index of the fields of contacts without external id.
_FIND_ALIKE = """
select distinct on (given.n) given.n, contact.id, contact.is_active
from unnest(%s::int[], %s::bigint[], %s::jsonb[]) as given (n, company_id, fields)
cross join lateral (
    select id, is_active from contacts_contact
    where fields = given.fields and company_id is not distinct from given.company_id
        and external_id = '' and customer_group_id = %s and kind = %s offset 0
) contact
order by given.n, contact.id
"""
# By number and not by name: many more contacts share their name than their number.
_FIND_DUPLICATES = """
select new.id, min(other.id)
from unnest(%s::bigint[], %s::text[]) as new (id, name)
cross join lateral (
    select canonical, extension from numbering_indexentry
    where contact_id = new.id and canonical <> '' offset 0
) mine
cross join lateral (
    select contact_id from numbering_indexentry
    where canonical = mine.canonical and extension = mine.extension and customer_group_id = %s and contact_id < new.id
    limit %s
) its
cross join lateral (
    select id from contacts_contact where id = its.contact_id and name = new.name offset 0
) other
group by new.id order by new.id
"""


class Content(NamedTuple):
    """All that a contact holds which has no external id."""

    company_id: int | None
    fields: Mapping[str, str]


class Alike(NamedTuple):
    """The contact that holds just what a content says; `place`: of the content among those asked for."""

    place: int
    contact_id: int
    is_active: bool


def find_by_external_id(external_ids: Collection[str], *, customer_group_id: int) -> Mapping[str, Contact]:
    """Return the contacts with these external ids, locked, by their id."""
    if not external_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_FIND_KNOWN, [list(external_ids), customer_group_id])
        found = [id for (id,) in cursor.fetchall()]
    if not found:
        return {}
    known = Contact.objects.filter(pk__in=found).order_by("id").select_related("company")
    # Locked: values that are empty keep what is there, and nobody may change that meanwhile.
    return {each.external_id: each for each in known.select_for_update(of=("self",))}


def find_alike(contents: Sequence[Content], *, customer_group_id: int, kind: str) -> list[Alike]:
    """Return the oldest contact without external id that holds just the same, for each content that has one."""
    with connection.cursor() as cursor:
        places = list(range(len(contents)))
        company_ids = [content.company_id for content in contents]
        fields = [orjson.dumps(content.fields).decode() for content in contents]
        cursor.execute(_FIND_ALIKE, [places, company_ids, fields, customer_group_id, kind])
        return [Alike(*row) for row in cursor.fetchall()]


def find_duplicates(contacts: Sequence[Contact], *, customer_group_id: int) -> list[tuple[int, int]]:
    """Return which of these contacts have the name and one of the numbers of an older one: their id, and its."""
    with connection.cursor() as cursor:
        ids, names = [contact.pk for contact in contacts], [contact.name for contact in contacts]
        cursor.execute(_FIND_DUPLICATES, [ids, names, customer_group_id, COMPARED])
        return list(cursor.fetchall())


def find_companies(names: Sequence[str], *, customer_group_id: int, name_field: str) -> dict[str, list[Contact]]:
    """Return whom each name may mean, oldest first: the company with this external id, else those so named."""
    if not names:
        return {}
    of_group = Contact.objects.filter(customer_group_id=customer_group_id, kind=ContactKind.COMPANY)
    starts = [name[:COMPANY_NAME_INDEXED] for name in names]
    found: dict[str, list[Contact]] = {}
    for company in of_group.alias(start=company_name_start(name_field)).filter(start__in=starts).order_by("id"):
        found.setdefault(company.fields[name_field].strip(), []).append(company)
    by_external_id = of_group.filter(external_id__in=names)
    found |= {company.external_id: [company] for company in by_external_id}
    return {name: found[name] for name in names if name in found}
