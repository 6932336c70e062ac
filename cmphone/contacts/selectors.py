"""Reads contacts and rights.  Who asks comes first; what he may not see is not in the answer."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from cmphone.contacts.configuration import Configuration, GroupRules
from cmphone.contacts.imports.models import ImportRun
from cmphone.contacts.models import Contact, CustomerGroup, CustomerGroupRight, Queue, User


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may do in a customer group, by all his roles together."""

    view: bool
    create: bool
    edit: bool
    create_case: bool


NO_RIGHTS = Rights(view=False, create=False, edit=False, create_case=False)


def get_rights(user: User) -> Mapping[int, Rights]:
    """Return the user's rights by customer group id; a group without any is not in it.  A superuser has all."""
    if not user.is_active:
        return {}
    if user.is_superuser:
        with_queue = set(Queue.customer_groups.through.objects.values_list("customergroup_id", flat=True))
        ids = CustomerGroup.objects.values_list("id", flat=True)
        return {id: Rights(view=True, create=True, edit=True, create_case=id in with_queue) for id in ids}
    queue_rights = Q(queues__queueright__role__user=user, queues__queueright__can_create=True)
    with_queue = set(CustomerGroup.objects.filter(queue_rights).values_list("id", flat=True))
    rights: dict[int, Rights] = {}
    any_right = Q(can_view=True) | Q(can_create=True) | Q(can_edit=True)
    for right in CustomerGroupRight.objects.filter(any_right, role__user=user):
        had = rights.get(right.customer_group_id, NO_RIGHTS)
        view = had.view or right.can_view
        rights[right.customer_group_id] = Rights(
            view=view,
            create=had.create or right.can_create,
            edit=had.edit or right.can_edit,
            # Of a contact that he may not view he cannot make one.
            create_case=view and right.customer_group_id in with_queue,
        )
    return rights


def list_contacts(user: User) -> QuerySet[Contact]:
    """Return the contacts that the user may view."""
    if user.is_superuser and user.is_active:
        return Contact.objects.all()
    return Contact.objects.filter(customer_group_id__in=[id for id, right in get_rights(user).items() if right.view])


def find_group(configuration: Configuration, among: Collection[int], named: str) -> GroupRules | None:
    """Return the customer group of this id or internal name, None if it is not among these (ids)."""
    groups = [group for id, group in configuration.groups.items() if id in among]
    return next((group for group in groups if named in {str(group.id), group.name}), None)


# --- imports ---


def list_importable_groups(user: User) -> set[int]:
    """Return the customer groups that the user may import contacts into.

    Who imports is told which contacts are there already, so he has to be one who may view them.
    """
    return {id for id, rights in get_rights(user).items() if rights.view and rights.create and rights.edit}


def list_imports(user: User) -> QuerySet[ImportRun]:
    """Return the imports that the user may see: his own, and a superuser all."""
    runs = ImportRun.objects.select_related("customer_group", "user")
    if not user.is_active:
        return runs.none()
    return runs if user.is_superuser else runs.filter(user=user)


def may_read_report(user: User, run: ImportRun) -> bool:
    """Say whether the user may read what became of every line: it names contacts."""
    return get_rights(user).get(run.customer_group_id, NO_RIGHTS).view
