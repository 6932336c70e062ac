"""The pages on which agents make and change contacts."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from cmphone.contacts.models import Contact, ContactChange, ContactField, CustomerGroup, User
from cmphone.contacts.services import ContactDraft, save_contact
from cmphone.properties.services import set_property
from numbering.models import IndexEntry
from tests.make import (
    TESTS,
    give_rights,
    make_company,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")


@pytest.fixture
def agent(client: Client, group: CustomerGroup) -> User:
    """An agent who may view, make and edit contacts of the group and make cases of them, and who is logged in."""
    user = make_user("agent1")
    role = give_rights(user, group, create=True, edit=True)
    make_queue("helpdesk", [group], role)
    client.force_login(user)
    return user


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200
    return {name: list(messages) for name, messages in answer.context["form"].errors.items()}


def summary_of(answer: Any) -> list[str]:
    """Return what the summary of a page says is wrong, each with where it leads."""
    (summary,) = re.findall(r'<div class="summary"(.*?)</div>', answer.content.decode(), re.DOTALL)
    items = re.findall(r"<li>(.*?)</li>", summary, re.DOTALL)
    return [unescape(re.sub(r'<a href="([^"]*)">(.*?)</a>', r"[\2](\1)", item)) for item in items]


# --- a new contact ---


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("0021133990312", "+49 211 33990312"),
        ("+49211 33990312", "+49 211 33990312"),
        ("000442079460000", "+44 20 7946 0000"),
        ("12", "+49 211 33990312"),
        ("1234567890123456789", "1234567890123456789"),
        ("", None),
        ("anonymous", ""),
    ],
)
def test_the_first_telephone_field_has_the_number_of_the_caller(
    client: Client, agent: User, number: str, shown: str | None
) -> None:
    form = client.get("/contacts/new/", {"number": number}).context["form"]

    assert [field.name for field in form.visible_fields() if field.value()] == (["fields/phone"] if shown else [])
    assert form["fields/phone"].value() == (shown or "")


def test_a_new_contact_is_saved_and_leads_to_a_case_of_it(client: Client, agent: User, group: CustomerGroup) -> None:
    form = {"fields/last_name": "Anders", "fields/first_name": "", "fields/phone": "+49 211 33990312"}

    answer = client.post("/contacts/new/?number=0021133990312", {"place": f"{group.pk}-person", **form})

    contact = Contact.objects.get()
    assert answer.headers["Location"] == f"/cases/new/?contact={contact.pk}"
    assert (contact.kind, contact.customer_group, contact.is_active) == ("person", group, True)
    assert contact.fields == {"last_name": "Anders", "phone": "+49 211 33990312"}
    change = ContactChange.objects.get()
    assert (change.user, change.way, change.is_new) == (agent, "page", True)
    assert IndexEntry.objects.get().canonical == "4921133990312"
    assert "The contact is saved." in client.get(answer.headers["Location"]).content.decode()


def test_the_case_is_made_in_the_crm_of_the_site_where_it_has_one(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    set_property(name="page.case.new.url", value="https://crm.example.com/{id}?phone={number}")

    answer = client.post("/contacts/new/?number=0021133990312", {"fields/last_name": "Anders"})

    contact = Contact.objects.get()
    assert answer.headers["Location"] == f"https://crm.example.com/{contact.pk}?phone=0021133990312"


def test_who_may_make_no_case_is_led_to_the_contact(client: Client, agent: User, group: CustomerGroup) -> None:
    group.queues.clear()

    answer = client.post("/contacts/new/", {"fields/last_name": "Anders"})

    assert answer.headers["Location"] == f"/contacts/{Contact.objects.get().pk}/"


def test_customer_group_and_kind_are_those_in_which_he_may_make_contacts(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    partners, viewed = make_customer_group("partners"), make_customer_group("viewed")
    ContactField.objects.filter(contact_model=partners.contact_model, object="company").delete()
    give_rights(agent, partners, create=True)
    give_rights(agent, viewed)
    make_customer_group("hidden")

    answer = client.get("/contacts/new/?number=12")

    assert answer.context["places"] == [
        (f"{group.pk}-person", "customers en: Person"),
        (f"{group.pk}-company", "customers en: Company"),
        (f"{partners.pk}-person", "partners en: Person"),
    ]
    assert 'name="number" value="12"' in answer.content.decode()
    form = client.get("/contacts/new/", {"place": f"{group.pk}-company", "number": "12"}).context["form"]
    assert [field.name for field in form.visible_fields()] == ["fields/name", "fields/phone"]
    client.post("/contacts/new/", {"place": f"{group.pk}-company", "fields/name": "Neu AG"})
    assert Contact.objects.get().kind == "company"
    browser = {"accept": "text/html"}
    assert client.get(f"/contacts/new/?place={viewed.pk}-person", headers=browser).status_code == 403
    missing = client.get("/contacts/new/?place=999999-person", headers={**browser, "x-request-id": "same"})
    hidden = CustomerGroup.objects.get(name="hidden")
    also = client.get(f"/contacts/new/?place={hidden.pk}-person", headers={**browser, "x-request-id": "same"})
    assert (missing.status_code, missing.content) == (also.status_code, also.content)
    assert missing.status_code == 404


def test_who_may_make_contacts_and_see_none_learns_of_none(client: Client, group: CustomerGroup) -> None:
    user = make_user("agent2")
    give_rights(user, group, view=False, create=True)
    client.force_login(user)
    company = make_company(group)

    form = client.get(f"/contacts/new/?company={company.pk}").context["form"]
    answer = client.post("/contacts/new/", {"fields/last_name": "Anders", "company": company.name})

    assert "company" not in form.fields
    assert answer.headers["Location"] == "/contacts/new/"
    assert Contact.objects.get(kind="person").company is None
    assert "The contact is saved." in client.get("/contacts/new/").content.decode()


def test_what_is_wrong_stands_at_its_place_and_in_a_summary_that_leads_there(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    ContactField.objects.filter(name="last_name").update(label_en="Last name")
    form = {"fields/last_name": "x" * 4_001, "fields/phone": "0211\x00", "company": "Nobody AG"}

    answer = client.post("/contacts/new/", form)

    errors = errors_of(answer)
    assert list(errors) == ["fields/last_name", "fields/phone", "company"]
    assert errors["company"] == ["The customer group has no such company."]
    assert [line.split(": ")[0] for line in summary_of(answer)] == [
        "[Last name](#id_fields/last_name)",
        "[phone](#id_fields/phone)",
        "[Company](#id_company)",
    ]
    page = answer.content.decode()
    assert "<title>Error: New person | CM/Phone</title>" in page
    assert f"{'x' * 4_001}" in page
    assert Contact.objects.count() == 0


def test_an_empty_contact_is_none(client: Client, agent: User) -> None:
    answer = client.post("/contacts/new/", {"fields/last_name": " "})

    assert errors_of(answer) == {"__all__": ["Fill in at least one field."]}
    assert summary_of(answer) == ["Fill in at least one field."]
    assert Contact.objects.count() == 0


# --- the company of a person ---


def test_a_company_is_named_by_its_whole_name(client: Client, agent: User, group: CustomerGroup) -> None:
    company = make_company(group, "Alfreds Futterkiste")
    make_company(group, "Alfreds Futterkiste Nord")

    client.post("/contacts/new/", {"fields/last_name": "Anders", "company": " alfreds futterkiste "})

    assert Contact.objects.get(kind="person").company == company


def test_of_several_companies_that_may_be_meant_one_is_chosen(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    first, second = make_company(group, "Zweig AG"), make_company(group, "Zweig AG", phone="12")
    third = make_company(group, "Die Zweig AG")
    make_company(make_customer_group("other"), "Zweig AG")
    form = {"fields/last_name": "Anders", "company": "zweig ag"}

    answer = client.post("/contacts/new/", form)

    assert errors_of(answer) == {"company_id": ["Choose the company that you mean."]}
    assert summary_of(answer) == ["[Which company?](#id_company_id_0): Choose the company that you mean."]
    # Those that are just called so come first.
    offered = [id for id, _ in answer.context["form"].fields["company_id"].choices]
    assert offered == [str(first.pk), str(second.pk), str(third.pk)]
    assert Contact.objects.filter(kind="person").count() == 0
    foreign = Contact.objects.get(customer_group__name="other")
    assert list(errors_of(client.post("/contacts/new/", {**form, "company_id": foreign.pk}))) == ["company_id"]

    client.post("/contacts/new/", {**form, "company_id": second.pk})
    assert Contact.objects.get(kind="person").company == second


def test_not_more_than_twenty_companies_are_offered(client: Client, agent: User, group: CustomerGroup) -> None:
    for number in range(22):
        make_company(group, f"Zweig {number}")

    field = client.post("/contacts/new/", {"company": "zweig"}).context["form"].fields["company_id"]

    assert (len(field.choices), str(field.help_text)) == (20, "There are more: write more of the name.")


# --- changing one ---


def open_form(client: Client, contact: Contact) -> dict[str, Any]:
    """Return what a browser sends that opens the form and saves it as it is."""
    page = client.get(f"/contacts/{contact.pk}/edit/").content.decode()
    (form,) = re.findall(r'<form method="post" class="card".*?</form>', page, re.DOTALL)
    sent: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") != "checkbox" or " checked" in tag:
            sent[attributes["name"]] = unescape(attributes.get("value", "on" if " checked" in tag else ""))
    for name, text in re.findall(r'<textarea name="([^"]*)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL):
        sent[name] = unescape(text)
    # That is how browsers send line ends.
    return {name: re.sub("\r?\n", "\r\n", text) for name, text in sent.items()}


def save(contact: Contact, *, is_active: bool = True, company: Contact | None = None, **fields: str) -> None:
    """Let somebody else change a contact."""
    now = Contact.objects.select_related("company").get(pk=contact.pk)
    draft = ContactDraft(now.customer_group_id, now.kind, {**now.fields, **fields}, company or now.company, contact=now)
    draft.is_active = is_active
    save_contact(draft, by=TESTS)


@pytest.fixture
def person(group: CustomerGroup) -> Contact:
    note = " Zwei Zeilen\nmit Leerzeichen am Ende "
    return make_person(group, company=make_company(group), phone="0211 339903-12", first_name=note)


def test_saving_the_form_as_it_is_changes_nothing(client: Client, agent: User, person: Contact) -> None:
    answer = client.post(f"/contacts/{person.pk}/edit/", open_form(client, person))

    assert answer.headers["Location"] == f"/contacts/{person.pk}/"
    after = Contact.objects.get(pk=person.pk)
    assert (after.fields, after.company_id, after.version) == (person.fields, person.company_id, 1)


def test_what_is_changed_is_written_and_nothing_else(client: Client, agent: User, person: Contact) -> None:
    sent = open_form(client, person) | {"fields/last_name": "Berger", "fields/phone": "", "company": ""}
    del sent["is_active"]

    client.post(f"/contacts/{person.pk}/edit/", sent)

    after = Contact.objects.get(pk=person.pk)
    assert after.fields == {"first_name": person.fields["first_name"], "last_name": "Berger"}
    assert (after.company, after.is_active, after.version) == (None, False, 2)
    change = ContactChange.objects.latest("id")
    assert (change.user, change.way) == (agent, "page")
    assert set(change.changes) == {"fields/last_name", "fields/phone", "company", "is_active"}
    assert IndexEntry.objects.count() == 0


def test_a_text_of_several_lines_keeps_its_line_ends(client: Client, agent: User, person: Contact) -> None:
    client.post(f"/contacts/{person.pk}/edit/", open_form(client, person) | {"fields/first_name": "Eins\r\nZwei"})

    assert Contact.objects.get(pk=person.pk).fields["first_name"] == "Eins\nZwei"


def test_of_two_who_change_a_contact_the_second_gets_the_form_back_with_both(
    client: Client, agent: User, group: CustomerGroup, person: Contact
) -> None:
    make_company(group, "Theirs AG")
    mine = {"fields/last_name": "Mine", "fields/mobile": "0176 1234567", "company": ""}
    sent = open_form(client, person) | mine
    theirs = make_company(group, "Theirs too AG")
    save(person, last_name="Theirs", private_phone="0176 7654321", company=theirs, is_active=False)

    answer = client.post(f"/contacts/{person.pk}/edit/", sent)

    assert answer.status_code == 412
    now = Contact.objects.get(pk=person.pk)
    assert (now.fields["last_name"], now.version) == ("Theirs", 2)
    form = answer.context["form"]
    assert {name: form[name].value() for name in form.fields if name != "fields/first_name"} == {
        "fields/last_name": "Mine",
        "fields/phone": "0211 339903-12",
        "fields/mobile": "0176 1234567",
        "fields/private_phone": "0176 7654321",
        "company": "",
        "is_active": False,
        "version": 2,
    }
    notes = {field.name: re.sub("<[^>]*>", "", field.help_text) for field in answer.context["changed"]}
    assert notes == {
        "fields/last_name": "Somebody else has changed this, too. The other value is: Theirs",
        "fields/private_phone": "Somebody else has changed this meanwhile. Before, it was: empty",
        "company": "Somebody else has changed this, too. The other value is: Theirs too AG",
        "is_active": "Somebody else has changed this meanwhile. Before, it was: yes",
    }
    page = answer.content.decode()
    assert "Somebody else has changed this contact meanwhile. Nothing is saved yet." in page
    assert summary_of(answer)[0] == "[last_name](#id_fields/last_name)"

    # What comes back is good to be sent as it is.
    again = {name: form[name].value() for name in form.fields if name != "is_active"}
    again |= {f"initial-{name}": form.data[f"initial-{name}"] for name in form.fields if name != "version"}
    assert client.post(f"/contacts/{person.pk}/edit/", again).status_code == 302
    after = Contact.objects.get(pk=person.pk)
    assert after.fields == {
        "first_name": person.fields["first_name"],
        "last_name": "Mine",
        "phone": "0211 339903-12",
        "mobile": "0176 1234567",
        "private_phone": "0176 7654321",
    }
    assert (after.company, after.is_active, after.version) == (None, False, 3)


def test_where_both_wrote_the_same_there_is_nothing_to_look_through(
    client: Client, agent: User, person: Contact
) -> None:
    sent = open_form(client, person) | {"fields/last_name": "Berger"}
    save(person, last_name="Berger")

    answer = client.post(f"/contacts/{person.pk}/edit/", sent)

    assert (answer.status_code, answer.context["changed"]) == (412, [])


def test_a_long_text_that_comes_back_keeps_its_lines(client: Client, agent: User, person: Contact) -> None:
    sent = open_form(client, person) | {"fields/first_name": "Mine\r\nhas lines"}
    save(person, first_name="Short")

    page = client.post(f"/contacts/{person.pk}/edit/", sent).content.decode()

    (text,) = re.findall(r'<textarea name="fields/first_name"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    assert text.split() == ["Mine", "has", "lines"]
    assert "<strong>Short</strong>" in page


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 20, "0"])
def test_a_form_without_its_version_saves_nothing(client: Client, agent: User, person: Contact, version: str) -> None:
    sent = open_form(client, person) | {"fields/last_name": "Mine", "version": version}

    assert client.post(f"/contacts/{person.pk}/edit/", sent).status_code == 412
    assert Contact.objects.get(pk=person.pk).version == 1


def test_a_contact_that_is_deleted_meanwhile_is_not_there(client: Client, agent: User, person: Contact) -> None:
    sent = open_form(client, person) | {"fields/last_name": "Mine"}
    person.delete()

    assert client.post(f"/contacts/{person.pk}/edit/", sent, headers={"accept": "text/html"}).status_code == 404


def test_what_cannot_be_saved_changes_nothing(client: Client, agent: User, person: Contact) -> None:
    names = ("first_name", "last_name", "phone")
    sent = open_form(client, person) | {f"fields/{name}": "" for name in names}

    answer = client.post(f"/contacts/{person.pk}/edit/", sent)

    assert errors_of(answer) == {"__all__": ["Fill in at least one field."]}
    assert Contact.objects.get(pk=person.pk).version == 1
