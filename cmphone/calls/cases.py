"""Makes cases, and reads them: who may do which is decided here.

Who may view a contact, and has a role with the right to create cases in a queue, may create cases of the contact in it
if it serves the contact's customer group, and reads all that is in it of contacts that he may view; of these he also
reads what he made himself.  What he may not see is told as what is not there.
"""

import re
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from cmphone.calls.models import Case
from cmphone.contacts.models import Contact, Queue, QueueRight, User
from cmphone.contacts.rights import hold_rights
from cmphone.contacts.selectors import NO_RIGHTS, get_rights, list_contacts
from cmphone.contacts.services import is_storable
from cmphone.idempotency import check_key
from cmphone.problems import Conflict
from cmphone.webhooks.models import EventKind
from cmphone.webhooks.services import Event, announce

MAX_SUBJECT = 200
MAX_DESCRIPTION = 20_000
_id = re.compile("[0-9]{1,18}", re.ASCII)


# --- reading ---


def list_cases(user: User) -> QuerySet[Case]:
    """Return the cases that the user may read, newest first."""
    cases = Case.objects.order_by("-id")
    if user.is_active and user.is_superuser:
        return cases
    viewable = [id for id, rights in get_rights(user).items() if rights.view]
    in_reach = Q(queue__in=list_queues(user)) | Q(created_by=user)
    return cases.filter(in_reach, contact__customer_group__in=viewable)


def list_queues(user: User, customer_group_id: int | None = None) -> QuerySet[Queue]:
    """Return the queues in which the user may create cases: at all, or of a customer group."""
    queues = Queue.objects.order_by("name")
    if not user.is_active:
        return queues.none()
    if not user.is_superuser:
        rights = QueueRight.objects.filter(role__user=user, can_create=True)
        queues = queues.filter(pk__in=rights.values("queue"))
    if customer_group_id is None:
        return queues
    if not get_rights(user).get(customer_group_id, NO_RIGHTS).view:
        return queues.none()
    return queues.filter(customer_groups=customer_group_id)


def list_known_queues(user: User) -> QuerySet[Queue]:
    """Return the queues that the user knows of: he may create cases in them, or read one that is."""
    readable = list_cases(user).filter(queue=OuterRef("pk")).order_by()
    return Queue.objects.filter(Q(pk__in=list_queues(user).order_by()) | Exists(readable)).order_by("name")


def find_queue(queues: QuerySet[Queue], named: str) -> Queue | None:
    """Return the one of these queues that has this id or internal name, None if none does."""
    return queues.filter(Q(pk=int(named)) if _id.fullmatch(named) else Q(name=named)).first()


def find_contact(user: User, named: str) -> Contact | None:
    """Return the contact of this id, None if the user may view none."""
    return list_contacts(user).filter(pk=int(named)).first() if _id.fullmatch(named) else None


# --- making ---


class CreatedCase(NamedTuple):
    """A case, and whether it was made now or had been before."""

    case: Case
    is_new: bool


def create_case(
    user: User, *, contact: str, queue: str, subject: str, description: str = "", idempotency_key: str | None = None
) -> CreatedCase:
    """Make a case of a contact (id) in a queue (id or internal name), by the rights that count at this moment.

    With a key it is safe to repeat: the user's case of this key is not made again, but returned.  Raises
    ValidationError (keys: `contact`, `queue`, `subject`, `description`), InvalidRequest for a key that is none, or
    Conflict where another case has it.
    """
    if idempotency_key is not None:
        check_key(idempotency_key)
    with transaction.atomic():
        hold_rights()
        said: dict[str, Any] = {
            "contact": _keep(find_contact(user, contact)),
            "queue": find_queue(list_queues(user), queue),
            # It is one line wherever it is shown.
            "subject": " ".join(subject.split()),
            # A browser sends line ends of its own.
            "description": description.replace("\r\n", "\n").strip(),
        }
        if errors := find_case_errors(**said):
            raise ValidationError(errors)
        values = {**said, "created_by_name": user.display_name}
        if idempotency_key is None:
            case, is_new = Case.objects.create(created_by=user, **values), True
        else:
            # Of two at once, the second waits for the first here.
            case, is_new = Case.objects.get_or_create(created_by=user, idempotency_key=idempotency_key, defaults=values)
        if is_new:
            told = {"queue": str(case.queue_id), "contact": str(case.contact_id)}
            announce([Event(EventKind.CASE_CREATED, str(case.pk), case.contact.customer_group_id, told)])
    if not is_new and any(getattr(case, name) != value for name, value in said.items()):
        raise Conflict(_("Another case was created with this Idempotency-Key. Send a new key with a new case."))
    return CreatedCase(case, is_new)


def find_case_errors(
    *, contact: Contact | None, queue: Queue | None, subject: str, description: str
) -> dict[str, list[ValidationError]]:
    """Return what is wrong with a new case, by `contact`, `queue`, `subject` or `description`; empty if nothing.

    `contact` is one that its maker may view, `queue` one in which he may create cases; None where he named none.
    """
    errors: dict[str, list[ValidationError]] = {}

    def refuse(name: str, message: str, code: str = "invalid") -> None:
        errors[name] = [ValidationError(message, code)]

    if contact is None:
        refuse("contact", _("There is no such contact."), "does_not_exist")
    if queue is None:
        refuse("queue", _("There is no queue of this name or id in which you may create cases."), "does_not_exist")
    elif contact is not None and not queue.customer_groups.filter(pk=contact.customer_group_id).exists():
        message = _("This queue takes no cases of the contact's customer group. Choose another one.")
        refuse("queue", message, "not_served")
    if not subject:
        refuse("subject", _("Say in a few words what it is about."), "blank")
    elif len(subject) > MAX_SUBJECT:
        refuse("subject", _("At most %d characters.") % MAX_SUBJECT, "max_length")
    elif not is_storable(subject):
        refuse("subject", _("Leave out characters that cannot be stored."))
    if len(description) > MAX_DESCRIPTION:
        refuse("description", _("At most %d characters.") % MAX_DESCRIPTION, "max_length")
    elif not is_storable(description):
        refuse("description", _("Leave out characters that cannot be stored."))
    return errors


def _keep(contact: Contact | None) -> Contact | None:
    """Let nobody delete the contact until the transaction ends; return None when somebody just has."""
    if contact is None:
        return None
    with connection.cursor() as cursor:
        # The weakest lock that does: who changes the contact does not wait for it.
        cursor.execute("select from contacts_contact where id = %s for key share", [contact.pk])
        return contact if cursor.rowcount else None
