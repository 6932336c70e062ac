"""What is older than it is kept is erased at night, and nothing else."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from celery.schedules import crontab
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from cmphone.calls import retention
from cmphone.calls.models import Case
from cmphone.calls.retention import Expired, apply_retention, count_expired
from cmphone.celery import app
from cmphone.contacts.erasure_models import Erasure
from cmphone.contacts.models import Contact, ContactChange, CustomerGroup, User
from cmphone.contacts.services import ContactDraft, save_contact
from cmphone.properties.registry import CASE_DAYS, HISTORY_DAYS, INACTIVE_CONTACT_DAYS
from cmphone.properties.selectors import load_properties
from cmphone.properties.services import set_property
from tests.locks import start
from tests.make import (
    TESTS,
    give_rights,
    make_case,
    make_company,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

NOTHING = Expired(contacts=0, changes=0, cases=0)


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group()


@pytest.fixture
def root() -> User:
    return make_user("root", is_staff=True, is_superuser=True)


def change(contact: Contact, *, is_active: bool | None = None, **fields: str) -> Contact:
    contact = Contact.objects.select_related("company").get(pk=contact.pk)
    draft = ContactDraft(
        contact.customer_group_id,
        contact.kind,
        {**contact.fields, **fields},
        company=contact.company,
        external_id=contact.external_id,
        is_active=contact.is_active if is_active is None else is_active,
        contact=contact,
    )
    return save_contact(draft, by=TESTS)


def let_pass(days: int) -> None:
    """Let all that there is be older by so many days."""
    with connection.cursor() as cursor:
        for table, columns in {
            "contacts_contact": ["created_at", "updated_at"],
            "contacts_contactchange": ["at"],
            "calls_case": ["created_at"],
        }.items():
            moved = ", ".join(f"{column} = {column} - make_interval(days => %s)" for column in columns)
            cursor.execute(f"update {table} set {moved}", [days] * len(columns))


def keep(**days: int) -> None:
    names = {"contacts": INACTIVE_CONTACT_DAYS, "changes": HISTORY_DAYS, "cases": CASE_DAYS}
    for what, count in days.items():
        set_property(name=names[what], value=str(count))


@pytest.mark.django_db
def test_everything_is_kept_unless_somebody_says_otherwise(root: User, group: CustomerGroup) -> None:
    person = change(change(make_person(group), last_name="Berg"), is_active=False)
    make_case(root, person, make_queue("helpdesk", [group], give_rights(root, group)))
    let_pass(30_000)

    assert count_expired(load_properties()) == NOTHING
    assert apply_retention() == NOTHING
    assert (Contact.objects.count(), ContactChange.objects.count(), Case.objects.count()) == (1, 3, 1)


@pytest.mark.django_db
def test_a_contact_goes_that_has_been_inactive_for_so_long(root: User, group: CustomerGroup) -> None:
    keep(contacts=30)
    long = change(make_person(group, "Lang"), is_active=False)
    make_case(root, long, make_queue("helpdesk", [group], give_rights(root, group)))
    let_pass(20)
    change(make_person(group, "Kurz"), is_active=False)
    make_person(group, "Aktiv")
    restored = change(change(make_person(group, "Wieder"), is_active=False), is_active=True)
    let_pass(11)
    # That he was changed since does not make him active.
    change(long, last_name="Anders")
    # And he who was restored in between begins anew.
    change(restored, is_active=False)

    assert count_expired(load_properties()) == Expired(contacts=1, changes=0, cases=0)
    assert apply_retention() == Expired(contacts=1, changes=0, cases=0)

    assert list(Contact.objects.order_by("id").values_list("fields__last_name", flat=True)) == [
        "Kurz",
        "Aktiv",
        "Wieder",
    ]
    assert Case.objects.count() == 0
    erasure = Erasure.objects.get()
    assert (erasure.contact_id, erasure.reason, erasure.user, erasure.external_id_hash) == (
        long.pk,
        "retention",
        None,
        "",
    )
    assert apply_retention() == NOTHING


@pytest.mark.django_db
def test_of_a_contact_older_than_the_history_the_last_change_counts(group: CustomerGroup) -> None:
    keep(contacts=30)
    change(make_person(group), is_active=False)
    ContactChange.objects.all().delete()
    let_pass(29)

    assert apply_retention() == NOTHING
    let_pass(2)
    assert apply_retention() == Expired(contacts=1, changes=0, cases=0)


@pytest.mark.django_db
def test_a_company_stays_as_long_as_persons_belong_to_it(group: CustomerGroup) -> None:
    keep(contacts=30)
    company = make_company(group)
    person = make_person(group, company=company)
    change(company, is_active=False)
    let_pass(40)

    assert apply_retention() == NOTHING
    Contact.objects.filter(pk=person.pk).delete()
    assert apply_retention() == Expired(contacts=1, changes=0, cases=0)


@pytest.mark.django_db
def test_contacts_go_in_batches(group: CustomerGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CONTACT_BATCH", 2)
    keep(contacts=30)
    for n in range(5):
        change(make_person(group, f"P{n}"), is_active=False)
    let_pass(40)

    assert apply_retention() == Expired(contacts=5, changes=0, cases=0)
    assert Contact.objects.count() == 0


@pytest.mark.django_db
def test_an_old_history_keeps_only_when_a_contact_was_made_deactivated_and_restored(
    group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROW_BATCH", 1)
    keep(changes=30)
    person = change(make_person(group), last_name="Berg")
    person = change(person, last_name="Chang", is_active=False)
    let_pass(40)
    change(person, last_name="Duval")

    assert count_expired(load_properties()) == Expired(contacts=0, changes=2, cases=0)
    assert apply_retention() == Expired(contacts=0, changes=2, cases=0)

    assert list(ContactChange.objects.order_by("id").values_list("is_new", "changes")) == [
        (True, {}),
        (False, {"is_active": [True, False]}),
        (False, {"fields/last_name": ["Chang", "Duval"]}),
    ]
    assert apply_retention() == NOTHING


@pytest.mark.django_db
def test_old_cases_go(root: User, group: CustomerGroup) -> None:
    keep(cases=30)
    person = make_person(group)
    queue = make_queue("helpdesk", [group], give_rights(root, group))
    make_case(root, person, queue, "old")
    let_pass(40)
    make_case(root, person, queue, "new")

    assert count_expired(load_properties()) == Expired(contacts=0, changes=0, cases=1)
    assert apply_retention() == Expired(contacts=0, changes=0, cases=1)
    assert Case.objects.get().subject == "new"


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["-1", "6", "1.5", "36501", "", "never"])
def test_a_slip_does_not_erase_what_is_a_few_days_old(value: str) -> None:
    for name in (INACTIVE_CONTACT_DAYS, HISTORY_DAYS, CASE_DAYS):
        with pytest.raises(ValidationError, match="a whole number of days from 7 to 36500, or 0"):
            set_property(name=name, value=value)


@pytest.mark.django_db(transaction=True)
def test_only_one_process_is_at_it(group: CustomerGroup) -> None:
    keep(contacts=30)
    change(make_person(group), is_active=False)
    let_pass(40)

    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtext('retention'))")
        with ThreadPoolExecutor(1) as threads:
            assert start(threads, apply_retention).result(timeout=10) is None
        cursor.execute("select pg_advisory_unlock(hashtext('retention'))")

    assert apply_retention() == Expired(contacts=1, changes=0, cases=0)


@pytest.mark.django_db
def test_the_command_tells_what_would_go_before_it_goes(
    group: CustomerGroup, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(contacts=30)
    change(make_person(group), is_active=False)
    let_pass(40)

    call_command("apply_retention", "--dry-run")
    assert capsys.readouterr().out == "Would be erased: 1 contacts, 0 changes in histories, 0 cases.\n"
    assert Contact.objects.count() == 1
    call_command("apply_retention")
    assert capsys.readouterr().out == "Erased: 1 contacts, 0 changes in histories, 0 cases.\n"
    assert Contact.objects.count() == 0


@pytest.mark.django_db
def test_the_clock_erases_every_night(group: CustomerGroup) -> None:
    schedule = settings.CELERY_BEAT_SCHEDULE["erase what is kept no longer"]
    keep(contacts=30)
    change(make_person(group), is_active=False)
    let_pass(40)

    app.loader.import_default_modules()
    app.tasks[str(schedule["task"])]()

    assert schedule["schedule"] == crontab(hour=1, minute=30)
    assert Contact.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["superuser", "staff"])
def test_the_page_of_the_properties_says_how_much_goes_to_superusers(
    client: Client, root: User, group: CustomerGroup, who: str
) -> None:
    keep(contacts=30)
    for name in ("A", "B"):
        change(make_person(group, name), is_active=False)
    let_pass(40)
    user = root
    if who == "staff":
        user = make_user("staff", is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename="change_systemproperty"))
    client.force_login(user)

    page = client.get(reverse("admin:properties_systemproperty_changelist")).content.decode()

    assert ("2 contacts are erased in the coming night." in page) == (who == "superuser")
