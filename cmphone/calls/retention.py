"""Erases what is older than the system properties say that it is kept: inactive contacts, their history, and cases.

In batches, each a transaction of its own, so that nobody waits for long and a killed run has done what it has done.
What has a retention elsewhere is not here: imports, sessions, deliveries of webhooks, versions of popups.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from cmphone.calls.data_protection import erase_expired
from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, ContactChange
from cmphone.properties.registry import CASE_DAYS, HISTORY_DAYS, INACTIVE_CONTACT_DAYS
from cmphone.properties.selectors import load_properties

# To erase a contact takes many statements, to delete rows one for all.
CONTACT_BATCH = 50
ROW_BATCH = 2_000

_LOCK = "hashtext('retention')"
# When a contact was made, deactivated and restored stays: by that it is known since when it has been inactive.
_IS_OLD_CHANGE = "at < %s and not is_new and changes - 'is_active' <> '{}'"
_COUNT_CHANGES = f"select count(*) from contacts_contactchange where {_IS_OLD_CHANGE}"  # noqa: S608 (constants only)
_THIN_CHANGES = f"""
with old as (
    select id from contacts_contactchange where id > %s and {_IS_OLD_CHANGE} order by id limit %s
), thinned as (
    update contacts_contactchange c set changes = jsonb_build_object('is_active', c.changes -> 'is_active')
    from old where c.id = old.id and c.changes ? 'is_active'
), deleted as (
    delete from contacts_contactchange c using old where c.id = old.id and not c.changes ? 'is_active'
)
select count(*), max(id) from old
"""  # noqa: S608 (constants only)


@dataclass(frozen=True, slots=True)
class Expired:
    """How much is, or was, older than it is kept."""

    contacts: int
    changes: int
    cases: int


def count_expired(properties: Mapping[str, str]) -> Expired:
    """Return how much would be erased by these system properties now."""
    contacts, changes, cases = _read_limits(properties)
    return Expired(
        contacts=_list_contacts(contacts).count() if contacts else 0,
        changes=_count_changes(changes) if changes else 0,
        cases=_list_cases(cases).count() if cases else 0,
    )


def apply_retention() -> Expired | None:
    """Erase what is older than it is kept, and return how much that was; None while another one is at it.

    Safe to repeat and to interrupt.
    """
    with connection.cursor() as cursor:
        # Held by the connection, so that a killed process does not keep it.
        cursor.execute(f"select pg_try_advisory_lock({_LOCK})")
        if not cursor.fetchone()[0]:
            return None
    try:
        contacts, changes, cases = _read_limits(load_properties())
        # Contacts first: with them goes much of the rest.
        return Expired(
            contacts=_erase_contacts(contacts) if contacts else 0,
            changes=_thin_changes(changes) if changes else 0,
            cases=_delete_cases(cases) if cases else 0,
        )
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"select pg_advisory_unlock({_LOCK})")


def _read_limits(properties: Mapping[str, str]) -> list[datetime | None]:
    """Return since when contacts, changes and cases are kept; None where they always are."""
    now = timezone.now()
    days = [int(properties[name]) for name in (INACTIVE_CONTACT_DAYS, HISTORY_DAYS, CASE_DAYS)]
    return [now - timedelta(days=each) if each else None for each in days]


def _list_contacts(before: datetime) -> QuerySet[Contact]:
    """Return the contacts that have been inactive since before then, but no company that has persons."""
    says_so = Q(is_new=True) | Q(changes__has_key="is_active")
    last = ContactChange.objects.filter(says_so, contact=OuterRef("pk")).order_by().values("contact")
    # Of one from the time before there was a history it is known only that nobody has changed it since.
    since = Coalesce(Subquery(last.annotate(last=Max("at")).values("last")), "updated_at")
    persons = Contact.objects.filter(company=OuterRef("pk"))
    return Contact.objects.filter(~Exists(persons), is_active=False).alias(since=since).filter(since__lt=before)


def _list_cases(before: datetime) -> QuerySet[Case]:
    return Case.objects.filter(created_at__lt=before)


def _count_changes(before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_CHANGES, [before])
        return int(cursor.fetchone()[0])


def _erase_contacts(before: datetime) -> int:
    count = 0
    while done := erase_expired(_list_contacts(before), limit=CONTACT_BATCH):
        count += done
    return count


def _thin_changes(before: datetime) -> int:
    count, last = 0, 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_THIN_CHANGES, [last, before, ROW_BATCH])
            done, highest = cursor.fetchone()
        if not done:
            return count
        count, last = count + done, highest


def _delete_cases(before: datetime) -> int:
    count = 0
    while ids := list(_list_cases(before).order_by("pk").values_list("pk", flat=True)[:ROW_BATCH]):
        count += Case.objects.filter(pk__in=ids).delete()[0]
    return count
