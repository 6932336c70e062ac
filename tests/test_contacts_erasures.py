"""Who was erased is brought back by no source, until an administrator allows it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from cmphone.calls.data_protection import erase_person
from cmphone.contacts.erasure_models import Erasure, ErasureReason
from cmphone.contacts.erasures import ErasedContact, lift_suppressions
from cmphone.contacts.imports.importing import import_records
from cmphone.contacts.imports.types import BatchResult, Finding, ImportRecord, Outcome
from cmphone.contacts.models import Contact, CustomerGroup, User
from cmphone.contacts.services import ContactDraft, save_contact, save_contacts
from tests.locks import start, wait_for_waiting
from tests.make import TESTS, give_rights, log_in, make_customer_group, make_person, make_user


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group("customers", country_prefix="49", area_prefix="211")


@pytest.fixture
def root() -> User:
    return make_user("root", is_staff=True, is_superuser=True)


def draft(group: CustomerGroup, external_id: str, **fields: str) -> ContactDraft:
    return ContactDraft(group.pk, "person", {"last_name": "Anders", **fields}, external_id=external_id)


def erase(root: User, group: CustomerGroup, external_id: str = "A-7") -> Erasure:
    person = save_contact(draft(group, external_id), by=TESTS)
    return erase_person(root, person.pk, reason=ErasureReason.REQUEST)


@pytest.mark.django_db
def test_an_erased_external_id_is_refused_in_its_customer_group_alone(root: User, group: CustomerGroup) -> None:
    erase(root, group)

    with pytest.raises(ErasedContact, match=r"was erased on \d"):
        save_contact(draft(group, "A-7"), by=TESTS)

    assert Contact.objects.count() == 0
    save_contact(draft(make_customer_group("elsewhere"), "A-7"), by=TESTS)
    save_contact(draft(group, "a-7"), by=TESTS)
    save_contact(draft(group, ""), by=TESTS)


@pytest.mark.django_db
def test_no_other_contact_takes_an_erased_external_id_either(root: User, group: CustomerGroup) -> None:
    erase(root, group)
    other = make_person(group, "Berg")
    changed = ContactDraft(group.pk, "person", other.fields, external_id="A-7", contact=other)

    with pytest.raises(ErasedContact):
        save_contact(changed, by=TESTS)

    other.refresh_from_db()
    assert (other.external_id, other.version) == ("", 1)


@pytest.mark.django_db
def test_when_it_is_allowed_again_it_comes_as_a_new_contact_and_may_be_erased_again(
    root: User, group: CustomerGroup
) -> None:
    erasure = erase(root, group)

    assert lift_suppressions([erasure.pk]) == 1
    assert lift_suppressions([erasure.pk]) == 0

    erase(root, group)
    with pytest.raises(ErasedContact):
        save_contact(draft(group, "A-7"), by=TESTS)
    assert Contact.objects.count() == 0


@pytest.mark.django_db
def test_nothing_about_the_external_id_can_be_read_from_the_record(
    root: User, group: CustomerGroup, settings: Settings
) -> None:
    first = erase(root, group)
    lift_suppressions([first.pk])
    settings.SECRET_KEY = "another one"
    second = erase(root, group)

    assert len(first.external_id_hash) == 64
    # Whoever has the table, and not the key, cannot try external ids out.
    assert first.external_id_hash != second.external_id_hash


@pytest.mark.django_db
def test_an_import_reports_the_erased_line_without_naming_it_and_imports_the_others(
    root: User, group: CustomerGroup
) -> None:
    erase(root, group)
    records = [ImportRecord(n, {"last_name": f"P{n}"}, external_id=f"A-{n}") for n in range(5, 10)]
    findings: list[Finding] = []
    outcomes: list[tuple[int, Outcome]] = []

    def on_batch(result: BatchResult) -> None:
        findings.extend(result.findings)
        outcomes.extend((each.number, each.outcome) for each in result.outcomes)

    import_records(records, customer_group_id=group.pk, by=TESTS, on_batch=on_batch)

    assert outcomes == [(n, Outcome.REFUSED if n == 7 else Outcome.CREATED) for n in range(5, 10)]
    (finding,) = findings
    assert (finding.line, finding.column, finding.value, finding.is_error) == (7, "external_id", "", True)
    assert finding.message.startswith("The contact with this external id was erased on ")


@pytest.mark.django_db
def test_rest_answers_conflict_and_bulk_takes_the_others(client: Client, root: User, group: CustomerGroup) -> None:
    erase(root, group)
    user = make_user("crm")
    give_rights(user, group, create=True, edit=True)
    headers = log_in(user)
    body = {"customer_group": group.name, "fields": {"last_name": "Anders"}}

    answer = client.put("/api/v1/contacts/by-external-id/A-7", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "conflict")
    assert answer.json()["detail"].startswith("The contact with this external id was erased on ")

    contacts = [{**body, "external_id": f"A-{n}"} for n in (6, 7, 8)]
    answer = client.post(
        "/api/v1/contacts/bulk", {"contacts": contacts}, content_type="application/json", headers=headers
    )
    assert [each["status"] for each in answer.json()["results"]] == [201, 409, 201]
    assert sorted(Contact.objects.values_list("external_id", flat=True)) == ["A-6", "A-8"]


@pytest.mark.django_db
def test_one_statement_more_for_all_and_none_without_erasures(root: User, group: CustomerGroup) -> None:
    def count(*drafts: ContactDraft) -> int:
        with CaptureQueriesContext(connection) as captured:
            save_contacts(drafts, by=TESTS)
        return len([each for each in captured if "contacts_erasure" in each["sql"]])

    # Inside a test's transaction the configuration is loaded anew, which asks whether there is any.
    before = count(draft(group, "A-2"))
    erase(root, group, "A-3")
    assert count(draft(group, "A-4"), draft(group, "A-5"), draft(group, "A-6")) == before + 1
    assert count(draft(group, "")) == before


@pytest.mark.django_db(transaction=True)
def test_saving_one_contact_takes_at_most_six_statements_beside_erasures(root: User, group: CustomerGroup) -> None:
    erase(root, group)
    save_contact(draft(group, "warm", phone="0211 1234567"), by=TESTS)

    with CaptureQueriesContext(connection) as captured:
        save_contact(draft(group, "A-1", phone="0211 1234568"), by=TESTS)

    statements = [each["sql"] for each in captured if not each["sql"].startswith(("BEGIN", "COMMIT"))]
    assert len(statements) <= 6, statements


@pytest.mark.django_db(transaction=True)
def test_who_waited_for_the_erasure_does_not_bring_the_contact_back(root: User, group: CustomerGroup) -> None:
    erase(root, group, "first")
    person = save_contact(draft(group, "A-7"), by=TESTS)

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            erase_person(root, person.pk, reason=ErasureReason.REQUEST)
            # It would be a new contact: its unique external id waits for what becomes of the old one.
            waiting = start(threads, lambda: save_contact(draft(group, "A-7"), by=TESTS))
            wait_for_waiting()
        with pytest.raises(ErasedContact):
            waiting.result(timeout=10)
    assert Contact.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_first_erasure_waits_for_who_does_not_ask_yet(root: User, group: CustomerGroup) -> None:
    person = save_contact(draft(group, "A-7"), by=TESTS)

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            save_contact(draft(group, "A-8"), by=TESTS)
            erasing = start(threads, lambda: erase_person(root, person.pk, reason=ErasureReason.REQUEST))
            wait_for_waiting()
            assert Contact.objects.filter(pk=person.pk).exists()
        erasing.result(timeout=10)
    assert Contact.objects.get().external_id == "A-8"
