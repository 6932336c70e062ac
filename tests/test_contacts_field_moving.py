"""Renaming and removing contact fields: values move or go in batches, and nothing that happens meanwhile is lost."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from cmphone.contacts import field_moving
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.field_changes import Edit, FieldEdit, start_field_changes
from cmphone.contacts.field_moving import finish_field_changes
from cmphone.contacts.models import (
    Contact,
    ContactChange,
    ContactField,
    ContactModel,
    CustomerGroup,
    FieldChange,
)
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.contacts.services import (
    ContactDraft,
    StaleContact,
    draft_contact,
    save_configuration,
    save_contact,
    save_contacts,
)
from cmphone.embedded import CHECKOUT
from numbering.models import IndexEntry
from templates_store.models import DisplayNames
from tests.locks import start, wait_for_waiting
from tests.make import TESTS, make_company, make_contact_model, make_customer_group, make_person

COUNT = 60

# Not inside one transaction: every batch is one of its own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group() -> CustomerGroup:
    """A group with COUNT persons of a company, every third without a mobile number, and the index built."""
    group = make_customer_group("customers", country_prefix="49", area_prefix="211")
    company = make_company(group, phone="8700000")
    drafts = [
        ContactDraft(
            group.id,
            "person",
            {"last_name": f"P{n}", "phone": f"87{n:05}", **({"mobile": f"0171 {n:07}"} if n % 3 else {})},
            company=company,
        )
        for n in range(COUNT)
    ]
    save_contacts(drafts, by=TESTS)
    rebuild_stale_customer_groups()
    return group


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_moving, "BATCH", 7)


def ask_to_rename(model: ContactModel, old: str, new: str, kind: str = "person") -> FieldChange:
    (change,) = start_field_changes(contact_model=model, edits=[FieldEdit(Edit.RENAME, kind, old, old, new)], by=None)
    return change


def rename(model: ContactModel, old: str, new: str, kind: str = "person") -> None:
    ask_to_rename(model, old, new, kind)
    assert finish_field_changes() == 1


@transaction.atomic
def remove(model: ContactModel, name: str, kind: str = "person") -> FieldChange:
    save_configuration(ContactField.objects.filter(contact_model=model, object=kind, name=name), delete=True)
    (change,) = start_field_changes(contact_model=model, edits=[FieldEdit(Edit.REMOVE, kind, name)], by=None)
    return change


def read_everything() -> list[list[tuple[object, ...]]]:
    """Return contacts, index entries, history, fields and templates: all that a rename concerns."""
    return [
        list(Contact.objects.order_by("id").values_list("id", "fields", "name", "name_details", "name_list", "names")),
        list(IndexEntry.objects.order_by("contact_id", "field", "raw").values_list("contact_id", "field", "canonical")),
        list(ContactChange.objects.order_by("id").values_list("contact_id", "is_new", "changes")),
        list(ContactField.objects.order_by("id").values_list("object", "name", "position", "dialable", "indexed")),
        list(DisplayNames.objects.order_by("id").values_list("object", "language", "default", "details", "list")),
    ]


def advance_to(step: str, change: FieldChange) -> None:
    """Do batches until this step is the next."""
    while change.step != step:
        field_moving._advance(change)


def draft(contact: Contact) -> ContactDraft:
    contact = Contact.objects.select_related("company").get(pk=contact.pk)
    return draft_contact(contact, get_current_configuration().groups[contact.customer_group_id])


def change_value(each: ContactDraft, **fields: str) -> ContactDraft:
    each.fields = {**each.fields, **fields}
    return each


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("person", "mobile", "cell"),
        ("person", "last_name", "surname"),
        ("company", "name", "firm"),
        ("company", "phone", "tel"),
    ],
)
def test_a_rename_moves_values_entries_history_and_templates_and_back_again(
    group: CustomerGroup, kind: str, old: str, new: str
) -> None:
    model = group.contact_model
    names = DisplayNames.objects.get(object="person")
    names.list = "{{ last_name }}{{ mobile|phone }} {{ company.phone }} {{ company['phone'] }}{{ company.name }}"
    english = DisplayNames(contact_model=model, object="person", language="en", default="{{last_name}} {{mobile}}")
    save_configuration([names, english])
    contact = Contact.objects.filter(kind=kind, fields__has_key=old).order_by("id")[1 if kind == "person" else 0]
    save_contact(change_value(draft(contact), **{old: "0171 5555555"}), by=TESTS)
    rebuild_stale_customer_groups()
    before = read_everything()

    rename(model, old, new, kind)
    rebuild_stale_customer_groups()

    there = read_everything()
    assert [row[0:1] + row[2:] for row in there[0]] == [row[0:1] + row[2:] for row in before[0]]
    contact.refresh_from_db()
    assert (contact.fields.get(new), contact.fields.get(old)) == ("0171 5555555", None)
    assert not Contact.objects.filter(kind=kind, fields__has_key=old).exists()
    assert list(contact.changes.order_by("-id")[0].changes) == [f"fields/{new}"]
    assert len(there[1]) == len(before[1])

    rename(model, new, old, kind)
    rebuild_stale_customer_groups()
    assert read_everything() == before


def test_only_the_contacts_of_the_model_and_kind_are_concerned(group: CustomerGroup) -> None:
    company = Contact.objects.get(kind="company")
    other = make_person(make_customer_group("other"), phone="0211 1234567")
    rename(group.contact_model, "phone", "tel")
    company.refresh_from_db()
    other.refresh_from_db()
    assert company.fields["phone"] == "8700000"
    assert other.fields["phone"] == "0211 1234567"
    assert Contact.objects.filter(fields__has_key="tel").count() == COUNT


def test_a_change_that_is_killed_goes_on_where_it_was(group: CustomerGroup) -> None:
    before = read_everything()
    ask_to_rename(group.contact_model, "mobile", "cell")
    code = (
        "import django; django.setup()\n"
        "from cmphone.contacts import field_moving\n"
        "field_moving.BATCH = 7\n"
        "import time\n"
        "field_moving.finish_field_changes(lambda text: (print(text, flush=True), time.sleep(0.2)))\n"
    )
    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}@/{settings['NAME']}?host={settings['HOST']}"
    environ = os.environ | {"CMPHONE_DATABASE_URL": url}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for _ in range(3):
            assert process.stdout.readline().startswith("model-customers, ")
        process.send_signal(signal.SIGKILL)
    give_up_at = time.monotonic() + 10
    while is_somebody_at_it() and time.monotonic() < give_up_at:
        time.sleep(0.05)
    change = FieldChange.objects.get()
    assert 0 < change.done < COUNT
    assert change.step == "copy"

    assert finish_field_changes() == 1

    change.refresh_from_db()
    assert (change.changed, change.percent) == (COUNT - COUNT // 3, 100)
    rename(group.contact_model, "cell", "mobile")
    rebuild_stale_customer_groups()
    assert read_everything() == before


def is_somebody_at_it() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_locks where locktype = 'advisory'")
        return bool(cursor.fetchone()[0])


@pytest.mark.usefixtures("small_batches")
def test_what_is_saved_between_copying_and_switching_moves_too(group: CustomerGroup) -> None:
    change = ask_to_rename(group.contact_model, "mobile", "cell")
    first, second, third = Contact.objects.filter(kind="person", fields__has_key="mobile").order_by("id")[:3]
    advance_to("switch", change)

    save_contact(change_value(draft(first), mobile="0171 1"), by=TESTS)
    save_contact(change_value(draft(second), mobile=""), by=TESTS)
    added = make_person(group, "New", mobile="0171 3")
    assert third.fields == draft(third).fields
    finish_field_changes()

    values = {each.pk: each.fields for each in Contact.objects.filter(kind="person")}
    assert values[first.pk]["cell"] == "0171 1"
    assert "cell" not in values[second.pk]
    assert values[added.pk]["cell"] == "0171 3"
    assert not any("mobile" in fields for fields in values.values())
    assert list(first.changes.order_by("-id")[0].changes) == ["fields/cell"]


def test_who_read_a_contact_before_it_was_copied_cannot_take_its_value_away(group: CustomerGroup) -> None:
    contact = Contact.objects.filter(kind="person", fields__has_key="mobile").order_by("id")[0]
    value = contact.fields["mobile"]
    # Read before, and drafted by the rules that came after.
    late = Contact.objects.get(pk=contact.pk)
    rename(group.contact_model, "mobile", "cell")
    with pytest.raises(StaleContact):
        save_contact(
            change_value(draft_contact(late, get_current_configuration().groups[group.pk]), phone="1"), by=TESTS
        )
    contact.refresh_from_db()
    assert contact.fields["cell"] == value


def test_a_save_under_way_is_waited_for_and_its_value_moves(group: CustomerGroup) -> None:
    contact = Contact.objects.filter(kind="person", fields__has_key="mobile").order_by("id")[0]
    change = ask_to_rename(group.contact_model, "mobile", "cell")
    advance_to("switch", change)
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            save_contact(change_value(draft(contact), mobile="0171 9"), by=TESTS)
            switch = start(threads, finish_field_changes)
            wait_for_waiting()
        assert switch.result() == 1
    contact.refresh_from_db()
    assert contact.fields["cell"] == "0171 9"
    assert "mobile" not in contact.fields


def test_a_save_that_begins_during_the_switch_is_refused_by_the_new_name(group: CustomerGroup) -> None:
    contact = Contact.objects.filter(kind="person", fields__has_key="mobile").order_by("id")[0]
    change = ask_to_rename(group.contact_model, "mobile", "cell")
    advance_to("switch", change)
    prepared = change_value(draft(contact), mobile="0171 9")
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            field_moving._advance(change)
            save = start(threads, lambda: save_contact(prepared, by=TESTS))
            wait_for_waiting()
        with pytest.raises(ValidationError) as refusal:
            save.result()
    assert refusal.value.message_dict == {"fields/mobile": ["The contact model has no such field."]}
    finish_field_changes()
    contact.refresh_from_db()
    assert contact.fields["cell"] == Contact.objects.get(pk=contact.pk).fields["cell"] != "0171 9"


def test_contacts_that_somebody_holds_stop_no_batch_and_are_done_in_the_end(group: CustomerGroup) -> None:
    change = remove(group.contact_model, "mobile")
    held = Contact.objects.filter(kind="person", fields__has_key="mobile").order_by("id")[0]
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            Contact.objects.select_for_update().get(pk=held.pk)
            at_it = start(threads, finish_field_changes)
            wait_for_waiting()
            assert [each.pk for each in Contact.objects.filter(kind="person", fields__has_key="mobile")] == [held.pk]
        assert at_it.result() == 1
    change.refresh_from_db()
    assert change.changed == COUNT - COUNT // 3
    assert not Contact.objects.filter(kind="person", fields__has_key="mobile").exists()


def test_values_of_a_removed_field_are_gone_from_contacts_index_and_history(group: CustomerGroup) -> None:
    contact = Contact.objects.filter(kind="person", fields__has_key="mobile").order_by("id")[0]
    save_contact(change_value(draft(contact), mobile="0171 9", phone="1"), by=TESTS)
    remove(group.contact_model, "mobile")
    finish_field_changes()
    rebuild_stale_customer_groups()
    assert not Contact.objects.filter(fields__has_key="mobile").exists()
    assert not IndexEntry.objects.filter(field="mobile").exists()
    assert not ContactChange.objects.filter(changes__has_key="fields/mobile").exists()
    assert [each.changes for each in contact.changes.order_by("id")] == [
        {},
        {"fields/phone": [contact.fields["phone"], "1"]},
    ]

    save_configuration([ContactField(contact_model=group.contact_model, object="person", name="mobile")])
    assert not Contact.objects.filter(fields__has_key="mobile").exists()


def test_hidden_values_under_the_new_name_do_not_come_back(group: CustomerGroup) -> None:
    first, second = Contact.objects.filter(kind="person").order_by("id")[:2]
    Contact.objects.filter(pk__in=[first.pk, second.pk]).update(
        fields={"last_name": "A", "cell": "of an earlier field"}
    )
    Contact.objects.filter(pk=second.pk).update(fields={"last_name": "B", "cell": "earlier", "mobile": "0171 1"})
    rename(group.contact_model, "mobile", "cell")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.fields, second.fields) == ({"last_name": "A"}, {"last_name": "B", "cell": "0171 1"})


def test_a_rename_that_cannot_be_any_more_is_given_up_and_changes_nothing(group: CustomerGroup) -> None:
    before = read_everything()
    change = ask_to_rename(group.contact_model, "mobile", "none")
    DisplayNames.objects.filter(object="person").update(list="{{ mobile }}")
    assert finish_field_changes() == 1
    change.refresh_from_db()
    assert change.problem == "A template cannot have the new name: “none” means something else here."
    assert change.percent == 100
    DisplayNames.objects.filter(object="person").update(list="{{ last_name }}")
    assert read_everything() == before

    change = ask_to_rename(group.contact_model, "mobile", "phone")
    finish_field_changes()
    change.refresh_from_db()
    assert change.problem == "There is another field with the new name."


def test_two_runs_at_once_do_it_once(group: CustomerGroup) -> None:
    change = ask_to_rename(group.contact_model, "mobile", "cell")
    with ThreadPoolExecutor() as threads:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(hashtext('field change'), %s)", [change.pk])
        assert start(threads, finish_field_changes).result() == 0
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(hashtext('field change'), %s)", [change.pk])
    assert finish_field_changes() == 1
    assert finish_field_changes() == 0


def test_twenty_thousand_contacts_are_renamed_in_some_seconds() -> None:
    model = make_contact_model()
    group = make_customer_group(model=model)
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into contacts_contact (customer_group_id, kind, external_id, is_active, fields, name, name_details,"
            " name_list, created_at, updated_at) select %s, 'person', '', true,"
            " jsonb_build_object('last_name', 'P' || n, 'mobile', '0171 ' || n), 'P' || n, 'P' || n, 'P' || n, now(),"
            " now() from generate_series(1, 20000) n",
            [group.pk],
        )
    began = time.monotonic()
    rename(model, "mobile", "cell")
    assert time.monotonic() - began < 30
    assert Contact.objects.filter(fields__has_key="cell").count() == 20_000
    assert not Contact.objects.filter(fields__has_key="mobile").exists()
