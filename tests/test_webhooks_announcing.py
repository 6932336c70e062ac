"""Announcing events: who is told, in the transaction of what it tells of, and in how many statements."""

import os
import re
from pathlib import Path

import pytest
from django.db import connection, transaction

from cmphone.calls.cases import create_case
from cmphone.calls.services import change_call, report_call
from cmphone.contacts.configuration import get_configuration
from cmphone.contacts.editing import delete_contact
from cmphone.contacts.models import Contact, CustomerGroup, Queue
from cmphone.contacts.services import ContactDraft, save_configuration, save_contacts
from cmphone.problems import Conflict
from cmphone.webhooks.models import Delivery, EventKind, Webhook
from cmphone.webhooks.services import Event, announce, save_webhook
from tests.make import TESTS, make_company, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db

ALL = [kind.value for kind in EventKind]


def make_webhook(
    name: str = "crm", *groups: CustomerGroup, events: list[str] | None = None, **values: object
) -> Webhook:
    webhook = Webhook(name=name, url="https://crm.example.com/hook", events=events or ALL, **values)
    return save_webhook(webhook, customer_groups=[group.pk for group in groups] or None)


def told() -> list[tuple[str, str, str]]:
    """Return webhook, kind and subject of what is to be told, in order."""
    rows = Delivery.objects.order_by("id").select_related("webhook")
    return [(each.webhook.name, each.kind, each.subject_id) for each in rows]


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


def change(contact: Contact, **values: object) -> Contact:
    contact = Contact.objects.select_related("company").get(pk=contact.pk)
    facts = {"fields": contact.fields, "external_id": contact.external_id, "is_active": contact.is_active, **values}
    draft = ContactDraft(
        contact.customer_group_id,
        contact.kind,
        company=contact.company,
        contact=contact,
        **facts,
    )
    return save_contacts([draft], by=TESTS)[0]


def test_a_contact_that_is_made_or_changed_is_told_of(group: CustomerGroup) -> None:
    make_webhook()
    person = make_person(group)
    change(person, external_id="A-7")
    change(person, is_active=False)
    change(person, is_active=True)
    change(person)

    assert [(kind, id) for _, kind, id in told()] == [
        ("contact.created", str(person.pk)),
        ("contact.changed", str(person.pk)),
        ("contact.changed", str(person.pk)),
        ("contact.changed", str(person.pk)),
    ]
    rows = list(Delivery.objects.order_by("id"))
    assert [row.data for row in rows] == [
        {"external_id": "", "version": 1},
        {"external_id": "A-7", "version": 2},
        {"external_id": "A-7", "version": 3},
        {"external_id": "A-7", "version": 4},
    ]
    assert {(row.customer_group_id, row.customer_group_name, row.state, row.tries) for row in rows} == {
        (group.pk, "customers", "waiting", 0)
    }
    assert len({row.event_id for row in rows}) == 4


def test_a_contact_that_is_deleted_is_told_of_if_it_is_gone(group: CustomerGroup) -> None:
    make_webhook(events=["contact.deleted"])
    root = make_user("root", is_superuser=True)
    company = make_company(group)
    person = make_person(group, company=company)

    with pytest.raises(Conflict):
        delete_contact(root, company.pk)
    assert told() == []
    delete_contact(root, person.pk)

    assert told() == [("crm", "contact.deleted", str(person.pk))]


def test_a_case_is_told_of_once(group: CustomerGroup) -> None:
    make_webhook(events=["case.created"])
    root = make_user("root", is_superuser=True)
    queue = Queue.objects.create(name="helpdesk")
    queue.customer_groups.add(group)
    person = make_person(group)
    for _ in range(2):
        case, _is_new = create_case(
            root, contact=str(person.pk), queue="helpdesk", subject="Broken", idempotency_key="one"
        )

    assert told() == [("crm", "case.created", str(case.pk))]
    assert Delivery.objects.get().data == {"queue": str(queue.pk), "contact": str(person.pk)}


def test_a_missed_call_is_told_of_once(group: CustomerGroup) -> None:
    make_webhook(events=["call.missed"])
    make_webhook("of a group", group, events=["call.missed"])
    user = make_user("agent1")
    for call_id, answered in (("c1", False), ("c2", True)):
        report_call(user, call_id=call_id, direction="incoming", number="0211 1234567", line="")
        if answered:
            change_call(user, call_id, state="answered")
        for _ in range(2):
            change_call(user, call_id, state="ended")

    assert told() == [("crm", "call.missed", "c1")]


def test_persons_that_are_renamed_with_their_company_have_not_changed(group: CustomerGroup) -> None:
    company = make_company(group)
    make_person(group, company=company)
    make_webhook()
    change(company, fields={"name": "Alfreds neue Kiste"})

    assert told() == [("crm", "contact.changed", str(company.pk))]


def test_only_those_are_told_who_want_it(group: CustomerGroup) -> None:
    other = make_customer_group("others")
    make_webhook("all")
    make_webhook("inactive", is_active=False)
    make_webhook("cases", events=["case.created"])
    make_webhook("of the group", group)
    make_webhook("of another", other)
    make_webhook("of both", group, other)
    with transaction.atomic():
        announce(
            [
                Event(EventKind.CONTACT_CREATED, "1", group.pk),
                Event(EventKind.CASE_CREATED, "2", other.pk),
                Event(EventKind.CALL_MISSED, "call-3", None),
            ]
        )

    assert sorted(told()) == [
        ("all", "call.missed", "call-3"),
        ("all", "case.created", "2"),
        ("all", "contact.created", "1"),
        ("cases", "case.created", "2"),
        ("of another", "case.created", "2"),
        ("of both", "case.created", "2"),
        ("of both", "contact.created", "1"),
        ("of the group", "contact.created", "1"),
    ]
    assert Delivery.objects.values("event_id").distinct().count() == 3


def test_a_webhook_of_a_deleted_group_is_not_told_of_all_others(group: CustomerGroup) -> None:
    other = make_customer_group("others")
    make_webhook("of the group", other)
    save_configuration([other], delete=True)
    make_person(group)

    assert told() == []


def test_what_is_rolled_back_is_never_told(group: CustomerGroup) -> None:
    make_webhook()
    with transaction.atomic():
        make_person(group)
        assert len(told()) == 1
        transaction.set_rollback(True)

    assert told() == []


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_nothing_is_announced(group: CustomerGroup) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        announce([Event(EventKind.CONTACT_CREATED, "1", group.pk)])


def test_a_delivery_names_no_one(group: CustomerGroup) -> None:
    make_webhook()
    make_person(group, "Anders", phone="0211 1234567")
    with connection.cursor() as cursor:
        cursor.execute("select d::text from webhooks_delivery d")
        (text,) = cursor.fetchone()

    assert "Anders" not in text
    assert "1234567" not in text


class Wire:
    """What goes to the database, as the driver's own library writes it down: whatever way it takes, it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.statements: list[str] = []

    def __enter__(self) -> "Wire":
        connection.ensure_connection()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        connection.connection.pgconn.trace(self._file)
        return self

    def __exit__(self, *_: object) -> None:
        connection.connection.pgconn.untrace()
        os.close(self._file)
        sent = re.findall(r"^\S+ \S+\tF\t\d+\t(?:Query|Execute)\t(.*)", self._path.read_text(), re.MULTILINE)
        ends = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
        self.statements = [each for each in sent if not each.strip(' "').startswith(ends)]


@pytest.fixture
def company(group: CustomerGroup) -> Contact:
    company = make_company(group, phone="0211 339903-0")
    for name in ("Anders", "Berger"):
        make_person(group, name, company=company, phone="0211 339903-12")
    make_webhook("first")
    make_webhook("second")
    # What a process that has saved before has.
    get_configuration()
    return company


@pytest.mark.django_db(transaction=True)
def test_saving_one_contact_is_six_statements_at_most(company: Contact, group: CustomerGroup, tmp_path: Path) -> None:
    person = Contact.objects.select_related("company").get(name__startswith="Anders")
    other = make_person(group, "Other", company=company)
    drafts = {
        "new person": ContactDraft(
            group.pk, "person", {"last_name": "Neu", "phone": "0211 555", "mobile": "0176 1"}, company=company
        ),
        "changed person": ContactDraft(
            group.pk, "person", {**person.fields, "phone": "0211 556"}, company=company, contact=person
        ),
        "renamed company": ContactDraft(
            group.pk, "company", {"name": "Alfreds neue Kiste", "phone": "0211 557"}, contact=company
        ),
        "unchanged person": ContactDraft(group.pk, "person", other.fields, company=company, contact=other),
    }
    counts = {}
    for what, draft in drafts.items():
        with Wire(tmp_path / "wire") as wire:
            save_contacts([draft], by=TESTS)
        counts[what] = len(wire.statements)

    assert counts == {"new person": 4, "changed person": 4, "renamed company": 6, "unchanged person": 1}
    assert Delivery.objects.count() == 8


@pytest.mark.django_db(transaction=True)
def test_a_changed_configuration_is_loaded_once(company: Contact, group: CustomerGroup, tmp_path: Path) -> None:
    group.label_en = "Other"
    save_configuration([group])
    counts = []
    for name in ("First", "Second", "Third"):
        with Wire(tmp_path / "wire") as wire:
            save_contacts([ContactDraft(group.pk, "person", {"last_name": name})], by=TESTS)
        counts.append(len(wire.statements))

    assert counts[0] > 4
    assert counts[1:] == [4, 4]


def test_many_events_are_one_statement(group: CustomerGroup, tmp_path: Path) -> None:
    for n in range(3):
        make_webhook(str(n))
    with Wire(tmp_path / "wire") as wire:
        announce([Event(EventKind.CONTACT_CHANGED, str(n), group.pk) for n in range(1_000)])

    assert len(wire.statements) == 1
    assert Delivery.objects.count() == 3_000
