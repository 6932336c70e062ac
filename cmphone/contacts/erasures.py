"""Keeps sources from bringing back who was erased: what an erasure remembers of a contact, and how it is recognized.

That is a hash of its external id, keyed with the site's secret: it names nobody, and without the key nobody can try
external ids out.  What erases a contact everywhere belongs to calls/data_protection.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.erasure_models import Erasure, ErasureReason
from cmphone.contacts.models import Contact, User
from cmphone.problems import Conflict
from cmphone.properties.services import hold_configuration, mark_configuration_changed

# A customer group, and an external id in it.
Key = tuple[int, str]


class ErasedContact(Conflict):
    """A contact was erased and may not be brought back.  `erased_at` has every one of those that are to be written."""

    def __init__(self, erased_at: Mapping[Key, datetime]) -> None:
        last = date_format(timezone.localtime(max(erased_at.values())), "SHORT_DATE_FORMAT")
        text = _("The contact with this external id was erased on %s. An administrator can allow it again (Erasures).")
        super().__init__(text % last)
        self.erased_at = erased_at

    def find(self, customer_group_id: int, external_id: str) -> "ErasedContact | None":
        """Return the same of this contact alone, None if it was not erased."""
        key = customer_group_id, external_id
        return ErasedContact({key: self.erased_at[key]}) if key in self.erased_at else None


def hold_suppressions() -> None:
    """Let writers of contacts ask for erased ones from now on; call it first in the transaction that erases one.

    Without any erasure they are spared the question: that there is one is part of the configuration.
    """
    if get_current_configuration().has_suppressions:
        hold_configuration()
    else:
        mark_configuration_changed()


def record_erasures(
    contacts: Sequence[Contact], *, user: User | None, reason: ErasureReason, is_suppressed: bool
) -> list[Erasure]:
    """Write down that contacts are erased; `is_suppressed`: and that no source may bring them back."""
    now = timezone.now()
    return Erasure.objects.bulk_create(
        Erasure(
            contact_id=contact.pk,
            reason=reason,
            at=now,
            user=user,
            user_name=user.username if user else "",
            external_id_hash=_hash((contact.customer_group_id, contact.external_id))
            if is_suppressed and contact.external_id
            else "",
        )
        for contact in contacts
    )


def refuse_erased(keys: Iterable[Key]) -> None:
    """Raise ErasedContact when contacts of these external ids were erased.

    Call it when they are written, in their transaction: who waited for an erasure to end then sees it.
    """
    hashes = {_hash(key): key for key in keys}
    if hashes:
        rows = Erasure.objects.filter(external_id_hash__in=hashes).order_by("at")
        if erased_at := {hashes[each]: at for each, at in rows.values_list("external_id_hash", "at")}:
            raise ErasedContact(erased_at)


@transaction.atomic
def lift_suppressions(erasure_ids: Iterable[int]) -> int:
    """Let sources bring these contacts back, as new ones; return how many could not until now.  Safe to repeat."""
    suppressing = Erasure.objects.filter(pk__in=list(erasure_ids)).exclude(external_id_hash="")
    return suppressing.update(external_id_hash="", lifted_at=timezone.now())


def _hash(key: Key) -> str:
    group_id, external_id = key
    return salted_hmac("cmphone.contacts.erasures", f"{group_id}:{external_id}", algorithm="sha256").hexdigest()
