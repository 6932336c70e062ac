"""Writing contacts: what is refused, what is stored along, and what happens when settings change meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from cmphone.contacts.configuration import build_group_plan, build_site_plan, get_current_configuration
from cmphone.contacts.models import Contact, ContactField, CustomerGroup
from cmphone.contacts.rebuilding import find_stale, rebuild_stale_customer_groups
from cmphone.contacts.selectors import get_rights, list_contacts
from cmphone.contacts.services import (
    ContactDraft,
    save_configuration,
    save_contact,
    save_contacts,
)
from cmphone.problems import Conflict
from cmphone.properties.selectors import get_versions, load_properties
from cmphone.properties.services import mark_configuration_changed, set_property
from numbering.models import IndexEntry
from numbering.reading import Plan
from templates_store.models import DisplayNames
from tests.locks import start, wait_for_waiting
from tests.make import (
    TESTS,
    give_rights,
    make_company,
    make_contact_model,
    make_customer_group,
    make_person,
    make_user,
    save_again,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group("customers", area_prefix="211")


def entries(contact: Contact) -> list[tuple[str, str, str]]:
    return list(contact.index_entries.order_by("id").values_list("field", "canonical", "kind"))


def test_a_contact_is_stored_with_names_and_index_entries(group: CustomerGroup) -> None:
    company = make_company(group, phone="0211 339903-0")
    person = make_person(group, company=company, phone="8712345; +33 1 42 68 53 00", mobile="ask")

    assert (person.name, person.name_details, person.name_list) == (
        "Anders, Maria",
        "Maria Anders (Alfreds Futterkiste)",
        "Anders",
    )
    assert entries(person) == [
        ("phone", "492118712345", "public"),
        ("phone", "33142685300", "public"),
        ("mobile", "", "unreadable"),
    ]
    entry = company.index_entries.get()
    assert (entry.canonical, entry.tail, entry.block, entry.scope) == (
        "492113399030",
        "3399030",
        "49211339903",
        "unit",
    )


def test_a_contact_without_name_is_called_by_what_it_has(group: CustomerGroup) -> None:
    contact = save_contact(ContactDraft(group.id, "person", {"phone": "0211 1234567"}), by=TESTS)

    # The template prints the comma between two names that are missing.
    assert contact.name_details == "0211 1234567"


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"fields": {}}, "fields"),
        ({"fields": {"last_name": "  "}}, "fields"),
        ({"fields": {"no_such_field": "x"}}, "fields/no_such_field"),
        ({"fields": {"last_name": 5}}, "fields/last_name"),
        ({"fields": {"last_name": "x" * 4_001}}, "fields/last_name"),
        ({"fields": {"last_name": "a\x00b"}}, "fields/last_name"),
        ({"fields": {"last_name": "\ud800"}}, "fields/last_name"),
        ({"kind": "robot"}, "kind"),
        ({"external_id": "x" * 201}, "external_id"),
    ],
)
def test_a_draft_that_does_not_fit_the_model_is_refused_whole(
    group: CustomerGroup, values: dict[str, object], key: str
) -> None:
    good = ContactDraft(group.id, "person", {"last_name": "Good"})
    bad = ContactDraft(**({"customer_group_id": group.id, "kind": "person", "fields": {"last_name": "x"}} | values))  # type: ignore[arg-type]

    with pytest.raises(ValidationError) as refused:
        save_contacts([good, bad], by=TESTS)

    assert list(refused.value.message_dict) == [key]
    assert (Contact.objects.count(), IndexEntry.objects.count()) == (0, 0)


def test_a_company_is_one_of_the_same_group(group: CustomerGroup) -> None:
    elsewhere = make_company(make_customer_group("elsewhere"))
    person = make_person(group)

    for company in (elsewhere, person):
        with pytest.raises(ValidationError) as refused:
            make_person(group, "Other", company=company)
        assert list(refused.value.message_dict) == ["company"]
    with pytest.raises(ValidationError):
        save_contact(ContactDraft(group.id, "company", {"name": "x"}, company=make_company(group)), by=TESTS)


def test_an_external_id_is_taken_once_in_a_group(group: CustomerGroup) -> None:
    other = make_customer_group("other")
    save_contact(ContactDraft(group.id, "person", {"last_name": "A"}, external_id="7"), by=TESTS)
    save_contact(ContactDraft(other.id, "person", {"last_name": "A"}, external_id="7"), by=TESTS)

    with pytest.raises(Conflict):
        save_contact(ContactDraft(group.id, "person", {"last_name": "B"}, external_id="7"), by=TESTS)

    assert Contact.objects.filter(external_id="7").count() == 2


def test_changing_a_contact_replaces_its_entries_and_keeps_what_is_typed(group: CustomerGroup) -> None:
    person = make_person(group, phone="0211 1234567")
    fields = person.fields | {"phone": " (0211) 765 43 21 "}

    save_contact(ContactDraft(group.id, "person", fields, contact=person), by=TESTS)

    person.refresh_from_db()
    assert person.fields["phone"] == " (0211) 765 43 21 "
    assert entries(person) == [("phone", "492117654321", "public")]


def test_renaming_a_company_renames_its_persons(group: CustomerGroup) -> None:
    company = make_company(group, "Old")
    person = make_person(group, company=company)

    save_contact(ContactDraft(group.id, "company", {"name": "New"}, contact=company), by=TESTS)

    person.refresh_from_db()
    assert person.name_details == "Maria Anders (New)"


# --- the configuration ---


def test_a_group_abroad_is_read_by_that_countrys_rules() -> None:
    site = build_site_plan(load_properties())
    italy = CustomerGroup(id=1, name="italy", country_prefix="39", area_prefix="", company_line="")
    home = CustomerGroup(id=2, name="home", area_prefix="211")

    assert site == Plan(country="49", outside_codes=("0",), trunk="0", international="")
    assert (build_group_plan(italy, site).country, build_group_plan(italy, site).trunk) == ("39", "")
    assert (build_group_plan(home, site).country, build_group_plan(home, site).trunk) == ("49", "0")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("local.country.prefix", "+49"),
        ("local.country.prefix", "049"),
        ("local.country.prefix", ""),
        ("internal.line.access.prefix", "0;9"),
        ("external.line.access.prefix", "zero"),
        ("server.session.timeout.REST", "0"),
        ("dial.uri.scheme", "javascript"),
        ("no.such.property", "1"),
    ],
)
def test_a_property_takes_only_values_of_its_kind(name: str, value: str) -> None:
    before = (load_properties(), get_versions())

    with pytest.raises(ValidationError):
        set_property(name=name, value=value)

    assert (load_properties(), get_versions()) == before


def test_a_property_may_be_empty_and_without_a_row_has_its_default() -> None:
    assert set_property(name="external.line.access.prefix", value="") is True
    assert load_properties()["external.line.access.prefix"] == ""
    assert set_property(name="external.line.access.prefix", value="") is False
    with connection.cursor() as cursor:
        cursor.execute("delete from properties_systemproperty")
    assert load_properties()["external.line.access.prefix"] == "0"


@pytest.mark.parametrize(
    "change",
    [
        lambda group: save_configuration([_with(group, area_prefix="30")]),
        lambda group: set_property(name="local.country.prefix", value="43"),
        lambda group: save_configuration([_with(ContactField.objects.get(name="mobile"), indexed="")]),
        lambda group: save_configuration([_with(DisplayNames.objects.get(object="person"), list="{{ first_name }}")]),
    ],
    ids=["plan", "property", "field", "template"],
)
def test_a_change_that_matters_makes_a_group_stale_until_it_is_built_anew(
    group: CustomerGroup, change: Callable[[CustomerGroup], object]
) -> None:
    make_person(group, phone="8712345", mobile="7654321")
    rebuild_stale_customer_groups()
    assert find_stale() == []

    change(group)

    assert [group_id for _, group_id in find_stale()] == [group.id]
    assert rebuild_stale_customer_groups() == 1
    assert find_stale() == []


def _with(row: object, **values: object) -> object:
    for name, value in values.items():
        setattr(row, name, value)
    return row


def test_building_anew_gives_what_saving_would_give(group: CustomerGroup) -> None:
    company = make_company(group, phone="339903-0")
    person = make_person(group, company=company, phone="8712345", mobile="+33142685300")
    before = (entries(company), entries(person))
    group.area_prefix, group.company_line = "30", "555"
    save_configuration([group])
    told: list[str] = []

    assert rebuild_stale_customer_groups(told.append) == 4

    assert entries(person)[0] == ("phone", "49305558712345", "public")
    assert entries(person)[1] == before[1][1]
    assert told == [
        f"customers: {subject}, {done} of 2 contacts built anew."
        for subject in ("numbers", "display names")
        for done in (1, 2)
    ]
    for contact in (company, person):
        built = entries(contact)
        save_again(contact)
        assert entries(contact) == built


@pytest.mark.django_db(transaction=True)
def test_a_configuration_that_is_rolled_back_is_not_remembered(group: CustomerGroup) -> None:
    def area_in_force() -> str:
        return get_current_configuration().groups[group.id].plan.area

    with transaction.atomic():
        group.area_prefix = "30"
        save_configuration([group])
        assert area_in_force() == "30"
        transaction.set_rollback(True)
    assert area_in_force() == "211"

    group.area_prefix = "40"
    save_configuration([group])
    assert area_in_force() == "40"


@pytest.mark.django_db(transaction=True)
def test_a_contact_saved_while_the_plan_changes_waits_and_is_read_by_the_new_plan() -> None:
    group = make_customer_group("customers", area_prefix="211")
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            mark_configuration_changed()
            saved = start(threads, lambda: make_person(group, phone="8712345"))
            wait_for_waiting()
            CustomerGroup.objects.filter(id=group.id).update(area_prefix="30")
        saved.result(10)

    assert [entry.canonical for entry in IndexEntry.objects.all()] == ["49308712345"]


@pytest.mark.django_db(transaction=True)
def test_a_change_of_the_plan_waits_for_a_contact_that_is_being_saved() -> None:
    group = make_customer_group("customers", area_prefix="211")
    group.area_prefix = "30"
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            make_person(group, phone="8712345")
            changed = start(threads, lambda: save_configuration([group]))
            wait_for_waiting()
        changed.result(10)

    assert [entry.canonical for entry in IndexEntry.objects.all()] == ["492118712345"]
    rebuild_stale_customer_groups()
    assert [entry.canonical for entry in IndexEntry.objects.all()] == ["49308712345"]


# --- rights ---


def test_rights_add_up_and_denied_is_the_default(group: CustomerGroup) -> None:
    user = make_user()
    assert (get_rights(user), list(list_contacts(user))) == ({}, [])
    person = make_person(group)

    give_rights(user, group, view=False, create=True)
    assert list(list_contacts(user)) == []
    give_rights(user, group, view=True)

    rights = get_rights(user)[group.id]
    assert (rights.view, rights.create, rights.edit, rights.create_case) == (True, True, False, False)
    assert list(list_contacts(user)) == [person]


def test_an_inactive_user_has_no_rights(group: CustomerGroup) -> None:
    user = make_user(is_active=False, is_superuser=True)
    make_person(group)

    assert (get_rights(user), list(list_contacts(user))) == ({}, [])


def test_the_database_refuses_what_no_code_should_write(group: CustomerGroup) -> None:
    from django.db import IntegrityError

    for values in ({"country_prefix": "+49"}, {"area_prefix": "0 211"}, {"extension_min": 4, "extension_max": 2}):
        with pytest.raises(IntegrityError), transaction.atomic():
            CustomerGroup.objects.filter(id=group.id).update(**values)


def test_a_model_has_one_or_two_levels_by_its_fields() -> None:
    model = make_contact_model("two")
    group = make_customer_group("two", model)
    rules = get_current_configuration().groups[group.id]
    assert (rules.has_persons, rules.has_companies) == (True, True)

    save_configuration(ContactField.objects.filter(contact_model=model, object="company"), delete=True)

    rules = get_current_configuration().groups[rules.id]
    assert (rules.has_persons, rules.has_companies) == (True, False)
