"""What a user's roles give him, added up beside him by the database: always what adding up now would give."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from cmphone.contacts.models import Access, CustomerGroup, CustomerGroupRight, Queue, QueueRight, User
from cmphone.contacts.selectors import get_rights
from tests.locks import start, wait_for_waiting
from tests.make import give_rights, make_contact_model, make_customer_group, make_user

pytestmark = pytest.mark.django_db

USERS, ROLES, GROUPS, QUEUES = 3, 3, 3, 2


def read_access(user: User) -> tuple[set[int], set[int], bool]:
    access = Access.objects.get(user=user)
    return set(access.visible_groups), set(access.case_groups), access.can_create


def add_up(user: User) -> tuple[set[int], set[int], bool]:
    """Add up by the rights where they are kept, as the slow way does."""
    rights = get_rights(user)
    visible = {id for id, right in rights.items() if right.view}
    queues = QueueRight.objects.filter(role__user=user, can_create=True).values("queue")
    of_queues = Queue.customer_groups.through.objects.all()
    if not user.is_superuser:
        of_queues = of_queues.filter(queue__in=queues)
    cases = set(of_queues.values_list("customergroup_id", flat=True))
    return visible, cases, any(right.create for right in rights.values())


def pick(kind: Any, place: int) -> Any:
    return kind.objects.order_by("id")[place % max(1, kind.objects.count())] if kind.objects.exists() else None


def set_right(role: Any, group: Any, view: bool, create: bool) -> None:
    CustomerGroupRight.objects.update_or_create(
        role=role, customer_group=group, defaults={"can_view": view, "can_create": create}
    )


def toggle_queue_right(role: Any, queue: Any) -> None:
    right, created = QueueRight.objects.get_or_create(role=role, queue=queue)
    if not created:
        QueueRight.objects.filter(id=right.id).update(can_create=not right.can_create)


def toggle_superuser(user: Any) -> None:
    user.is_superuser = not user.is_superuser
    user.save()


def move_right(role: Any, place: int) -> None:
    """Give a right to another role."""
    if (right := pick(CustomerGroupRight, place)) and not CustomerGroupRight.objects.filter(
        role=role, customer_group=right.customer_group
    ).exists():
        CustomerGroupRight.objects.filter(id=right.id).update(role=role)


def change(what: str, a: int, b: int, flag: bool) -> None:
    user, role, group, queue = pick(User, a), pick(Group, b), pick(CustomerGroup, a), pick(Queue, a)
    changes: dict[str, Callable[[], object]] = {
        "give role": lambda: user.groups.add(role),
        "take role": lambda: user.groups.remove(role),
        "set roles": lambda: user.groups.set(Group.objects.filter(id__lte=role.id)),
        "set right": lambda: set_right(role, group, flag, not flag),
        "move right": lambda: move_right(role, a),
        "drop right": lambda: CustomerGroupRight.objects.filter(role=role, customer_group=group).delete(),
        "queue right": lambda: toggle_queue_right(role, queue),
        "queue groups": lambda: queue.customer_groups.set(CustomerGroup.objects.filter(id__gte=group.id)),
        "superuser": lambda: toggle_superuser(user),
        "new group": lambda: CustomerGroup.objects.create(
            name=f"new{next(_numbers)}", contact_model=group.contact_model
        ),
        "delete group": lambda: group.delete() if CustomerGroup.objects.count() > 1 else None,
        "delete role": lambda: role.delete() if Group.objects.count() > 1 else None,
        "new user": lambda: make_user(f"new{User.objects.count()}", is_superuser=flag),
    }
    changes[what]()


# Of new customer groups, whose names may not come again.
_numbers = count()
CHANGES = st.tuples(
    st.sampled_from(
        [
            *("give role", "take role", "set roles", "set right", "move right", "drop right", "queue right"),
            *("queue groups", "superuser", "new group", "delete group", "delete role", "new user"),
        ]
    ),
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
)


@settings(max_examples=60)
@given(st.lists(CHANGES, max_size=12))
def test_whatever_changes_rights_the_sum_is_that_of_the_rights(changes: list[tuple[str, int, int, bool]]) -> None:
    with transaction.atomic():
        model = make_contact_model("m")
        for number in range(GROUPS):
            make_customer_group(f"g{number}", model)
        for number in range(ROLES):
            Group.objects.create(name=f"r{number}")
        for number in range(QUEUES):
            Queue.objects.create(name=f"q{number}")
        for number in range(USERS):
            make_user(f"u{number}")

        for each in changes:
            try:
                with transaction.atomic():
                    change(*each)
            except ValueError:
                continue
            for user in User.objects.all():
                assert read_access(user) == add_up(user), (each, user)
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_a_role_and_its_right_given_at_the_same_time_both_count() -> None:
    group = make_customer_group()
    user = make_user()
    role = Group.objects.create(name="agents")
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            user.groups.add(role)
            right = start(
                threads,
                lambda: CustomerGroupRight.objects.create(role=role, customer_group=group, can_view=True),
            )
            wait_for_waiting()
        right.result(10)

    assert read_access(user)[0] == {group.id}


def test_a_rolled_back_right_gives_nothing() -> None:
    group, user = make_customer_group(), make_user()
    with transaction.atomic():
        give_rights(user, group)
        assert read_access(user)[0] == {group.id}
        transaction.set_rollback(True)

    assert read_access(user)[0] == set()


def test_logging_in_does_not_add_up_anew() -> None:
    user = make_user()
    with connection.cursor() as cursor:
        cursor.execute("select xmin::text from contacts_access where user_id = %s", [user.id])
        before = cursor.fetchone()
        user.last_login = user.date_joined
        user.save(update_fields=["last_login"])
        cursor.execute("select xmin::text from contacts_access where user_id = %s", [user.id])
        assert cursor.fetchone() == before
