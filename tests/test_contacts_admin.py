"""The admin pages of contacts: finding, adding and changing them."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.models import Contact, ContactField, Role, User
from cmphone.contacts.services import draft_contact, save_contact
from numbering.models import IndexEntry
from tests.admin_pages import (
    NOWHERE,
    contact_form,
    errors_of,
    list_names,
    log_in_as,
    read,
    read_messages,
    url_of,
)
from tests.make import (
    TESTS,
    make_company,
    make_customer_group,
    make_person,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


# --- the list and the search ---


def test_the_list_shows_numbers_as_they_are_read(client: Client, administrator: User) -> None:
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    make_person(group, phone="12", mobile="see note")
    page = read(client, url_of("changelist"))
    assert "+49 211 33990312" in page
    assert "see note" in page


@pytest.mark.parametrize(
    "text",
    [
        "12",
        "33990312",
        "0211 339903-12",
        "+49 211 33990312",
        "0049 211 33990312",
        "990312",
        "Ande",
        "x-1",
        "maria anders",
    ],
)
def test_a_contact_is_found_by_name_external_id_and_number(client: Client, administrator: User, text: str) -> None:
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    make_person(group, phone="12")
    Contact.objects.update(external_id="x-1")
    make_person(group, "Berg", phone="77")
    # Two digits are no number to search by: they would be in every other.
    assert list_names(client, q=text) == ([] if text == "12" else ["Anders, Maria"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0312*", []),
        ("*0312", ["Anders, Maria"]),
        ("0211 339903 1*", ["Anders, Maria"]),
        ("anders 3399", ["Anders, Maria"]),
    ],
)
def test_a_number_means_here_what_it_means_in_the_typed_search(
    client: Client, administrator: User, text: str, found: list[str]
) -> None:
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    make_person(group, phone="12")
    make_person(group, "Berg", phone="77")
    assert list_names(client, q=text) == found


def test_an_inactive_contact_is_found_by_its_number_as_typed(client: Client, administrator: User) -> None:
    make_person(make_customer_group(), phone="0211 / 1234567")
    Contact.objects.update(is_active=False)
    IndexEntry.objects.all().delete()
    assert list_names(client, q="0211 / 1234567") == ["Anders, Maria"]


def test_a_search_text_of_any_kind_is_answered(client: Client, administrator: User) -> None:
    make_person(make_customer_group())
    for text in ("0" * 5000, "☎️ 📞", "'; drop table", "++++", "٠٢١١"):
        assert list_names(client, q=text) == []
    assert list_names(client, q="\x00") == ["Anders, Maria"]


def test_the_list_is_filtered_by_group_kind_and_activity(client: Client, administrator: User) -> None:
    group, other = make_customer_group(), make_customer_group("other")
    make_person(group)
    make_company(group)
    make_person(other, "Berg")
    assert list_names(client, customer_group__id__exact=group.pk, kind__exact="person") == ["Anders, Maria"]
    assert list_names(client, customer_group__id__exact=other.pk) == ["Berg, Maria"]
    assert list_names(client, is_active__exact=0) == []


def test_the_list_takes_as_many_queries_for_many_contacts(client: Client, administrator: User) -> None:
    group = make_customer_group()

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(url_of("changelist"))
        return len(queries)

    make_person(group, phone="0211 1234567", company=make_company(group))
    few = count()
    for number in range(20):
        make_person(group, f"Anders{number}", phone=f"0211 12345{number:02}", company=make_company(group))
    assert count() == few


# --- adding ---


def test_adding_begins_with_group_and_kind(client: Client, administrator: User) -> None:
    group = make_customer_group()
    firms = make_customer_group("firms")
    ContactField.objects.filter(contact_model=firms.contact_model, object="person").delete()
    page = read(client, url_of("add", number="+4921133990312"))
    queries = re.findall(r'class="addlink" href="\?([^"]*number[^"]*)"', page)
    number = "number=%2B4921133990312"
    assert [query.replace("&amp;", "&") for query in queries] == [
        f"customer_group={group.pk}&kind=person&{number}",
        f"customer_group={group.pk}&kind=company&{number}",
        f"customer_group={firms.pk}&kind=company&{number}",
    ]


def test_where_there_is_one_choice_the_form_comes_at_once(client: Client, administrator: User) -> None:
    group = make_customer_group()
    ContactField.objects.filter(object="company").delete()
    response = client.get(url_of("add", number="12"))
    assert (response.status_code, response.headers["Location"]) == (
        302,
        url_of("add", customer_group=group.pk, kind="person", number="12"),
    )


@pytest.mark.parametrize("place", [{}, {"customer_group": NOWHERE, "kind": "person"}, {"customer_group": "x"}])
def test_a_place_that_is_none_gives_the_choice(client: Client, administrator: User, place: dict[str, Any]) -> None:
    make_customer_group()
    assert "Where does the new contact belong" in read(client, url_of("add", **place))
    assert client.post(url_of("add", **place), contact_form(fields__last_name="Anders")).status_code == 200
    assert Contact.objects.count() == 0


@pytest.mark.parametrize(
    ("number", "value"),
    [("+4921133990312", "+49 211 33990312"), ("0211 33990312", "+49 211 33990312"), ("anonymous", "anonymous")],
)
def test_the_first_telephone_field_gets_the_number_in_international_notation(
    client: Client, administrator: User, number: str, value: str
) -> None:
    group = make_customer_group(country_prefix="49")
    response = client.get(url_of("add", customer_group=group.pk, kind="person", number=number))
    form = response.context["adminform"].form
    assert form["fields/phone"].value() == value
    assert form["fields/mobile"].value() is None


def test_the_form_has_the_fields_of_the_model_in_the_language_of_the_user(client: Client, administrator: User) -> None:
    group = make_customer_group()
    ContactField.objects.filter(object="person", name="phone").update(label_de="Telefon", label_en="Phone")
    url = url_of("add", customer_group=group.pk, kind="person")
    assert '<label for="id_fields/phone">Phone:</label>' in read(client, url)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    assert '<label for="id_fields/phone">Telefon:</label>' in read(client, url)


def test_a_contact_that_is_added_is_found_by_its_number(client: Client, administrator: User) -> None:
    group = make_customer_group(country_prefix="49")
    company = make_company(group)
    response = client.post(
        url_of("add", customer_group=group.pk, kind="person"),
        contact_form(
            fields__first_name="Maria",
            fields__last_name="Anders",
            fields__phone="0211 / 33990312",
            company=company.pk,
            external_id="x1",
        ),
    )
    assert response.status_code == 302, errors_of(response)
    contact = Contact.objects.get(kind="person")
    assert contact.fields == {"first_name": "Maria", "last_name": "Anders", "phone": "0211 / 33990312"}
    assert (contact.customer_group, contact.company, contact.external_id) == (group, company, "x1")
    assert IndexEntry.objects.get(contact=contact).canonical == "4921133990312"
    assert read_messages(client)[-1].startswith("The contact “<a href=")


def test_another_contact_is_added_to_the_same_group(client: Client, administrator: User) -> None:
    group = make_customer_group()
    url = url_of("add", customer_group=group.pk, kind="person")
    response = client.post(url, contact_form(fields__last_name="Anders", _addanother="1"))
    assert response.headers["Location"] == url


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({}, {"__all__": ["Fill in at least one field."]}),
        ({"fields__last_name": "a" * 4001}, {"fields/last_name"}),
        ({"fields__last_name": "A", "external_id": "taken"}, {"external_id"}),
        ({"fields__last_name": "A", "company": NOWHERE}, {"company"}),
        ({"fields__last_name": "A\x00"}, {"fields/last_name"}),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    client: Client, administrator: User, values: dict[str, object], errors: Any
) -> None:
    group = make_customer_group()
    make_person(group, "Berg")
    Contact.objects.update(external_id="taken")
    found = errors_of(client.post(url_of("add", customer_group=group.pk, kind="person"), contact_form(**values)))
    assert (found if isinstance(errors, dict) else set(found)) == errors
    assert Contact.objects.count() == 1


def test_a_company_of_another_group_is_no_choice(client: Client, administrator: User) -> None:
    group, other = make_customer_group(), make_customer_group("other")
    company, person = make_company(other), make_person(group)
    for chosen in (company, person):
        values = contact_form(fields__last_name="Anders", company=chosen.pk)
        response = client.post(url_of("add", customer_group=group.pk, kind="person"), values)
        assert set(errors_of(response)) == {"company"}


def test_the_choice_of_companies_has_those_of_the_group(client: Client, administrator: User) -> None:
    group, other = make_customer_group(), make_customer_group("other")
    company = make_company(group, "Alfreds")
    make_company(other, "Alfreds too")
    make_person(group, "Alfredsson")
    query: dict[str, Any] = {
        "app_label": "contacts",
        "model_name": "contact",
        "field_name": "company",
        "term": "alfr",
    }
    for group_id, expected in ((group.pk, [str(company.pk)]), ("", []), ("x", [])):
        response = client.get(reverse("admin:autocomplete"), {**query, "customer_group": group_id})
        assert [each["id"] for each in response.json()["results"]] == expected


# --- changing ---


def test_the_page_says_how_each_number_is_read(client: Client, administrator: User) -> None:
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    contact = make_person(group, phone="12; +453 3331 9991", mobile="see note")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", read(client, url_of("change", contact.pk))))
    assert (
        "phone 12 +49 211 33990312 4921133990312 public number "
        "an extension: country, area and company line of the customer group are put in front the contact itself"
    ) in page
    assert "it says its country itself ⚠ Its country has no such number. the contact itself" in page
    assert "mobile see note – – unreadable there is no digit in it ⚠ It cannot be read as a number." in page


def test_a_change_is_written_through_the_service(client: Client, administrator: User) -> None:
    group = make_customer_group(country_prefix="49")
    contact = make_person(group, phone="0211 1234567")
    form = contact_form(fields__first_name="Maria", fields__last_name="Berg", fields__phone="see note", version=1)
    response = client.post(url_of("change", contact.pk), form)
    assert response.status_code == 302, errors_of(response)
    contact.refresh_from_db()
    assert (contact.name, contact.fields["phone"]) == ("Berg, Maria", "see note")
    assert IndexEntry.objects.get().kind == "unreadable"
    assert read_messages(client)[0] == "phone “see note”: It cannot be read as a number. It is kept as typed."


def test_saving_a_page_unchanged_changes_nothing(client: Client, administrator: User) -> None:
    group = make_customer_group()
    contact = make_person(group, phone=" 0211\t1234567 ", company=make_company(group))
    before = (contact.fields, contact.company_id)
    form = client.get(url_of("change", contact.pk)).context["adminform"].form
    values = {name: form[name].value() or "" for name in form.fields}
    assert client.post(url_of("change", contact.pk), values).status_code == 302
    contact.refresh_from_db()
    assert (contact.fields, contact.company_id) == before


def test_the_line_ends_of_a_browser_change_nothing(client: Client, administrator: User) -> None:
    group = make_customer_group()
    contact = make_person(group, first_name="one\ntwo", last_name="as\r\nimported")
    form = contact_form(fields__first_name="one\r\ntwo", fields__last_name="as\r\nimported", version=1)
    assert client.post(url_of("change", contact.pk), form).status_code == 302
    contact.refresh_from_db()
    assert (contact.version, contact.fields["first_name"], contact.fields["last_name"]) == (
        1,
        "one\ntwo",
        "as\r\nimported",
    )


def test_what_somebody_else_saved_meanwhile_is_shown_before_it_is_replaced(client: Client, administrator: User) -> None:
    group = make_customer_group()
    contact = make_person(group, last_name="Anders", phone="0211 1")
    seen = client.get(url_of("change", contact.pk)).context["adminform"].form
    assert seen["version"].value() == 1
    draft = draft_contact(contact, get_current_configuration().groups[group.pk])
    draft.fields, draft.is_active = {"last_name": "Berg", "phone": "0211 1"}, False
    save_contact(draft, by=TESTS)

    mine = contact_form(fields__last_name="Chang", fields__phone="0211 1", version=1)
    response = client.post(url_of("change", contact.pk), mine)
    errors = errors_of(response)
    assert errors.pop("__all__")[0].startswith("Somebody else has changed this contact since you opened the page")
    assert errors == {"fields/last_name": ["It is now: Berg"], "is_active": ["It is now: no"]}
    contact.refresh_from_db()
    assert (contact.fields["last_name"], contact.is_active) == ("Berg", False)

    form = response.context["adminform"].form
    again = {name: form[name].value() or "" for name in form.fields}
    assert (again["version"], again["fields/last_name"]) == ("2", "Chang")
    assert client.post(url_of("change", contact.pk), again).status_code == 302
    contact.refresh_from_db()
    assert (contact.fields["last_name"], contact.is_active) == ("Chang", True)


def test_a_form_without_a_version_is_asked_about_first(client: Client, administrator: User) -> None:
    contact = make_person(make_customer_group(), last_name="Anders")
    response = client.post(url_of("change", contact.pk), contact_form(fields__last_name="Berg"))
    assert errors_of(response)["fields/last_name"] == ["It is now: Anders"]
    contact.refresh_from_db()
    assert contact.fields["last_name"] == "Anders"


def test_a_formula_or_markup_in_a_name_is_only_text(client: Client, administrator: User) -> None:
    contact = make_person(make_customer_group(), "<script>alert(1)</script>", phone="<b>12345</b>")
    for url in (url_of("changelist"), url_of("change", contact.pk), url_of("delete", contact.pk)):
        page = read(client, url)
        assert "<script>alert" not in page
        assert "<b>12345" not in page


def test_contacts_are_made_inactive_and_active_again(client: Client, administrator: User) -> None:
    group = make_customer_group()
    contact = make_person(group, phone="0211 1234567")
    for action, entries in (("deactivate", 0), ("activate", 1)):
        client.post(url_of("changelist"), {"action": action, "_selected_action": [contact.pk]})
        assert read_messages(client) == ["1 contact was changed."]
        contact.refresh_from_db()
        assert contact.is_active is (action == "activate")
        assert IndexEntry.objects.count() == entries


def test_a_company_with_persons_is_not_deleted(client: Client, administrator: User) -> None:
    group = make_customer_group()
    company = make_company(group)
    make_person(group, company=company)
    client.post(url_of("delete", company.pk), {"post": "yes"})
    assert Contact.objects.filter(pk=company.pk).exists()


def test_the_log_of_changes_names_nobody(client: Client, administrator: User) -> None:
    group = make_customer_group()
    client.post(
        url_of("add", customer_group=group.pk, kind="person"),
        contact_form(fields__last_name="Anders", external_id="x1"),
    )
    contact = Contact.objects.get()
    client.post(url_of("change", contact.pk), contact_form(fields__last_name="Berg", version=1))
    client.post(url_of("delete", contact.pk), {"post": "yes"})
    assert LogEntry.objects.count() == 3
    for entry in LogEntry.objects.all():
        assert entry.object_repr == f"contact {contact.pk}"
        assert not re.search("Anders|Berg|x1", entry.change_message)
    assert "Last" not in read(client, reverse("admin:index"))


def test_every_page_opens_in_both_languages(client: Client, administrator: User) -> None:
    group = make_customer_group()
    contact = make_person(group)
    Role.objects.create(name="agents")
    models = ("contact", "contactmodel", "customergroup", "queue", "role", "user")
    urls = [url_of(page, model=model) for model in models for page in ("changelist", "add")]
    urls += [url_of("change", contact.pk), url_of("history", contact.pk), reverse("admin:index")]
    for language in ("de", "en"):
        client.defaults["HTTP_ACCEPT_LANGUAGE"] = language
        for url in urls:
            assert f'<html lang="{language}"' in read(client, url), url
