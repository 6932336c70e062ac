"""Cases: by the rights that count at the moment they are made, and by the same rights as a look-up tells."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.db.models import ProtectedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmphone.calls.cases import CreatedCase, create_case, list_cases, list_queues
from cmphone.calls.models import Case
from cmphone.contacts import rights
from cmphone.contacts.callers import look_up
from cmphone.contacts.editing import delete_contact
from cmphone.contacts.models import Contact, CustomerGroupRight, Queue, QueueRight, User
from cmphone.contacts.selectors import NO_RIGHTS, get_rights
from cmphone.problems import Conflict, Unavailable, as_problem
from tests.locks import start, wait_for_waiting
from tests.make import (
    give_rights,
    make_case,
    make_contact_model,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as executor:
        yield executor


@pytest.fixture
def agent() -> User:
    return make_user()


@pytest.fixture
def contact(agent: User) -> Contact:
    """A contact that the agent may view, and create cases of in the queue helpdesk."""
    group = make_customer_group()
    make_queue("helpdesk", [group], give_rights(agent, group))
    return make_person(group)


def create(user: User, contact: Contact, *, subject: str = "Printer", key: str | None = None) -> CreatedCase:
    return create_case(user, contact=str(contact.pk), queue="helpdesk", subject=subject, idempotency_key=key)


def refused(work: Callable[[], object]) -> dict[str, list[str | None]]:
    """Return the codes by which it is refused, by the name of the value."""
    with pytest.raises(ValidationError) as error:
        work()
    return {name: [each.code for each in errors] for name, errors in error.value.error_dict.items()}


# --- the law ---


SOME = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=8)


@pytest.mark.django_db(transaction=False)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    views=SOME,
    queue_rights=SOME,
    serves=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2))),
    roles=st.sets(st.integers(0, 2)),
    is_superuser=st.booleans(),
)
def test_a_look_up_tells_that_a_case_can_be_made_where_one_can(
    views: list[tuple[int, int, bool]],
    queue_rights: list[tuple[int, int, bool]],
    serves: set[tuple[int, int]],
    roles: set[int],
    is_superuser: bool,
) -> None:
    with transaction.atomic():
        model = make_contact_model()
        groups = [make_customer_group(f"g{number}", model, country_prefix="49") for number in range(3)]
        queues = [Queue.objects.create(name=f"q{number}") for number in range(3)]
        given = [Group.objects.create(name=f"r{number}") for number in range(3)]
        persons = [make_person(group, phone="0211 1234567") for group in groups]
        user = make_user(is_superuser=is_superuser)
        user.groups.set([given[number] for number in roles])
        for role, group, can_view in views:
            CustomerGroupRight.objects.update_or_create(
                role=given[role], customer_group=groups[group], defaults={"can_view": can_view, "can_create": True}
            )
        for role, queue, can_create in queue_rights:
            QueueRight.objects.update_or_create(
                role=given[role], queue=queues[queue], defaults={"can_create": can_create}
            )
        for queue, group in serves:
            queues[queue].customer_groups.add(groups[group])

        answer = look_up(["+49 211 1234567"], who=user)
        told = {
            hit.contact_id for hit in answer.calls[0].found.hits if hit.customer_group_id in answer.search.case_groups
        }
        possible = {(person.pk, queue.pk) for person in persons for queue in queues if _can_create(user, person, queue)}

        assert {contact for contact, _ in possible} == told
        added_up = get_rights(user)
        for person in persons:
            group_id = person.customer_group_id
            mine = {queue for of, queue in possible if of == person.pk}
            assert set(list_queues(user, group_id).values_list("pk", flat=True)) == mine
            assert added_up.get(group_id, NO_RIGHTS).create_case is bool(mine)
        # Whoever made them reads them, and nobody else who has no more rights than he.
        assert {(case.contact_id, case.queue_id) for case in list_cases(user)} == possible
        assert not list_cases(make_user("nobody")).exists()
        transaction.set_rollback(True)


def _can_create(user: User, person: Contact, queue: Queue) -> bool:
    try:
        make_case(user, person, queue)
    except ValidationError:
        return False
    return True


def test_a_user_who_is_not_active_reads_and_makes_nothing(agent: User, contact: Contact) -> None:
    create(agent, contact)
    for is_superuser in (False, True):
        agent.is_active, agent.is_superuser = False, is_superuser
        assert list(list_cases(agent)) == []
        assert refused(partial(create, agent, contact)) == {"contact": ["does_not_exist"], "queue": ["does_not_exist"]}


def test_a_text_that_cannot_be_stored_is_refused(agent: User, contact: Contact) -> None:
    assert refused(partial(create, agent, contact, subject="a\0b")) == {"subject": ["invalid"]}
    assert refused(partial(create, agent, contact, subject="\ud800")) == {"subject": ["invalid"]}


# --- what others do meanwhile ---


@pytest.mark.parametrize(
    ("take", "errors"),
    [
        (lambda: QueueRight.objects.all().delete(), {"queue": ["does_not_exist"]}),
        (lambda: QueueRight.objects.update(can_create=False), {"queue": ["does_not_exist"]}),
        (lambda: CustomerGroupRight.objects.update(can_view=False), {"contact": ["does_not_exist"]}),
        (lambda: Queue.objects.get().customer_groups.clear(), {"queue": ["not_served"]}),
        (lambda: Queue.objects.get().delete(), {"queue": ["does_not_exist"]}),
        (
            lambda: User.objects.get().groups.clear(),
            {"contact": ["does_not_exist"], "queue": ["does_not_exist"]},
        ),
    ],
    ids=["queue right", "queue right denied", "view", "group of the queue", "queue", "role"],
)
def test_a_right_that_is_being_taken_is_waited_for_and_then_gone(
    agent: User,
    contact: Contact,
    threads: ThreadPoolExecutor,
    take: Callable[[], object],
    errors: dict[str, list[str | None]],
) -> None:
    with transaction.atomic():
        take()
        creation = start(threads, partial(create, agent, contact))
        wait_for_waiting()
        assert not creation.done()
    assert refused(partial(creation.result, 10)) == errors
    assert Case.objects.count() == 0


def test_a_right_that_was_not_taken_after_all_counts(
    agent: User, contact: Contact, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        QueueRight.objects.all().delete()
        creation = start(threads, partial(create, agent, contact))
        wait_for_waiting()
        transaction.set_rollback(True)
    assert creation.result(10).is_new


def test_who_takes_a_right_waits_for_a_case_that_is_being_made(
    agent: User, contact: Contact, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        create(agent, contact)
        taking = start(threads, lambda: QueueRight.objects.all().delete())
        wait_for_waiting()
        assert not taking.done()
    taking.result(10)
    assert Case.objects.count() == 1
    assert refused(partial(create, agent, contact)) == {"queue": ["does_not_exist"]}


def test_two_cases_are_made_at_the_same_time_and_none_waits(
    agent: User, contact: Contact, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        create(agent, contact)
        assert start(threads, partial(create, agent, contact)).result(10).is_new
    assert Case.objects.count() == 2


def test_who_waits_for_too_long_is_told_to_try_again(
    agent: User, contact: Contact, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "WAIT_AT_MOST", "50ms")
    with transaction.atomic():
        QueueRight.objects.update(can_create=False)
        with pytest.raises(OperationalError) as error:
            start(threads, partial(create, agent, contact)).result(10)
    assert isinstance(as_problem(error.value), Unavailable)
    assert Case.objects.count() == 0


def test_a_contact_that_is_being_deleted_gets_no_case(
    agent: User, contact: Contact, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        Contact.objects.get().delete()
        creation = start(threads, partial(create, agent, contact))
        wait_for_waiting()
    assert refused(partial(creation.result, 10)) == {"contact": ["does_not_exist"]}
    assert Case.objects.count() == 0


@pytest.mark.parametrize("expected_version", [None, 1])
def test_who_deletes_a_contact_waits_for_its_case_and_is_then_told_of_it(
    agent: User, contact: Contact, threads: ThreadPoolExecutor, expected_version: int | None
) -> None:
    CustomerGroupRight.objects.update(can_edit=True)
    with transaction.atomic():
        create(agent, contact)
        deletion = start(threads, partial(delete_contact, agent, contact.pk, expected_version=expected_version))
        wait_for_waiting()
        assert not deletion.done()
    with pytest.raises(Conflict, match="There are cases of this contact"):
        deletion.result(10)
    assert Case.objects.get().contact == contact


def test_contacts_and_queues_with_cases_stay(agent: User, contact: Contact) -> None:
    case = create(agent, contact).case
    for kept in (contact, case.queue):
        with pytest.raises(ProtectedError):
            kept.delete()
    case.delete()
    contact.delete()
    assert Queue.objects.get().delete()[0] > 0


def test_a_contact_may_be_changed_while_a_case_is_being_made(
    agent: User, contact: Contact, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        create(agent, contact)
        change = start(threads, lambda: Contact.objects.update(is_active=False))
        assert change.result(10) == 1


# --- sent again ---


def test_of_two_requests_with_one_key_the_second_waits_and_gets_the_first_one_s_case(
    agent: User, contact: Contact, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        first = create(agent, contact, key="k")
        second = start(threads, partial(create, agent, contact, key="k"))
        wait_for_waiting()
        assert not second.done()
    assert second.result(10) == CreatedCase(first.case, is_new=False)
    assert first.is_new
    assert Case.objects.count() == 1


def test_where_the_first_request_fails_the_second_one_makes_the_case(
    agent: User, contact: Contact, threads: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        create(agent, contact, key="k")
        second = start(threads, partial(create, agent, contact, key="k"))
        wait_for_waiting()
        transaction.set_rollback(True)
    assert second.result(10).is_new
    assert Case.objects.count() == 1
