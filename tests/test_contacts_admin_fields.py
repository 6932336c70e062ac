"""Fields of a contact model changed in the administration: what the page says first, and that it does just that."""

import csv
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.test import Client

from cmphone.contacts import field_effects
from cmphone.contacts.field_moving import finish_field_changes
from cmphone.contacts.models import Contact, ContactField, CustomerGroup, FieldChange, User
from cmphone.contacts.services import save_configuration
from templates_store.models import DisplayNames
from tests.admin_pages import NOWHERE, formset_errors, log_in_as, read, read_messages, url_of
from tests.make import give_rights, make_company, make_customer_group, make_person
from tests.test_contacts_admin_configuration import model_form

pytestmark = pytest.mark.django_db

# The places of the fields in the form.
FIRST_NAME, LAST_NAME, PHONE, MOBILE, PRIVATE, COMPANY_NAME, COMPANY_PHONE = range(7)


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.fixture
def group(administrator: User) -> CustomerGroup:
    """A group with persons Anders and Berg, and another one of the same model with one."""
    group = make_customer_group(country_prefix="49")
    other = make_customer_group("partners", group.contact_model)
    make_person(group, "Anders", mobile="0171 1", private_phone="0211 1234567")
    make_person(group, "Berg", mobile="none", private_phone="unknown")
    make_person(other, "Conti", mobile="=1+1")
    return group


def at(place: int, name: str) -> str:
    return f"fields-{place}-{name}"


def page_of(group: CustomerGroup) -> str:
    return url_of("change", group.contact_model_id, model="contactmodel")


def send(client: Client, group: CustomerGroup, **changes: object) -> Any:
    return client.post(page_of(group), {**model_form(group.contact_model), **changes})


def confirm(client: Client, group: CustomerGroup, **changes: object) -> None:
    key = send(client, group, **changes).context["key"]
    response = send(client, group, _confirmed=key, **changes)
    assert response.status_code == 302, formset_errors(response)


def read_question(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200
    assert response.templates[0].name == "admin/contacts/contactmodel/confirm.html"
    changes: list[dict[str, Any]] = response.context["changes"]
    return changes


def names_of(group: CustomerGroup) -> list[str]:
    fields: QuerySet[ContactField] = ContactField.objects.filter(contact_model=group.contact_model, object="person")
    return list(fields.values_list("name", flat=True))


def test_labels_and_order_are_saved_without_a_question(client: Client, group: CustomerGroup) -> None:
    response = send(client, group, **{at(MOBILE, "label_en"): "Mobile", at(FIRST_NAME, "position"): "9"})
    assert response.status_code == 302, formset_errors(response)
    assert names_of(group)[-1] == "first_name"
    assert not FieldChange.objects.exists()


def test_a_rename_says_what_it_does_and_saves_nothing_yet(client: Client, group: CustomerGroup) -> None:
    DisplayNames.objects.filter(object="person").update(list="{{ last_name }}\n{{ mobile|phone }}")
    question = read_question(send(client, group, **{at(MOBILE, "name"): "cell"}))
    assert [each["title"] for each in question] == ["The person field mobile is renamed to cell"]
    assert question[0]["counts"] == [("customers en", "2"), ("partners en", "1")]
    assert question[0]["places"] == ["person, CM/Phone contact list, line 2, column 4"]
    assert "mobile" in names_of(group)
    assert not FieldChange.objects.exists()


def test_a_confirmed_rename_is_done_by_the_task(client: Client, group: CustomerGroup) -> None:
    confirm(client, group, **{at(MOBILE, "name"): "cell", at(MOBILE, "label_en"): "Cell"})
    assert read_messages(client)[:1] == ["The field mobile is renamed to cell as soon as its values have moved."]
    change = FieldChange.objects.get()
    assert (change.requested_by_name, change.percent) == ("admin", 0)
    assert ContactField.objects.get(name="mobile").label_en == "Cell"
    page = read(client, page_of(group))
    assert "person field mobile renamed to cell: 0 %, values are copied to the new name" in page

    finish_field_changes()

    assert "cell" in names_of(group)
    assert Contact.objects.get(fields__last_name="Anders").fields["cell"] == "0171 1"
    assert "renamed to cell" not in read(client, page_of(group))
    listed = read(client, url_of("changelist", model="fieldchange"))
    assert "person field mobile renamed to cell" in listed
    assert "100 %" in listed


def test_a_removal_offers_its_values_as_a_file_and_deletes_them(client: Client, group: CustomerGroup) -> None:
    changes = {at(MOBILE, "DELETE"): "on"}
    (change,) = read_question(send(client, group, **changes))
    assert (change["title"], change["total"]) == ("The person field mobile is removed", "3")
    assert change["sentences"][1] == "2 numbers find nobody any more."
    response: Any = client.get(change["csv_url"])
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = [row[1:] for row in csv.reader(text.splitlines())]
    assert rows == [
        ["external id", "name", "mobile"],
        ["", "Anders, Maria", "0171 1"],
        ["", "Berg, Maria", "none"],
        ["", "Conti, Maria", "'=1+1"],
    ]

    confirm(client, group, **changes)
    assert "mobile" not in names_of(group)
    assert Contact.objects.filter(fields__has_key="mobile").count() == 3
    finish_field_changes()
    assert not Contact.objects.filter(fields__has_key="mobile").exists()


def test_a_removal_is_refused_while_a_display_name_uses_the_field(client: Client, group: CustomerGroup) -> None:
    DisplayNames.objects.create(
        contact_model=group.contact_model, object="person", language="de", details="{% if company.phone %}x{% endif %}"
    )
    problem = "A display name uses the field %s: %s. Take it out there first."
    for place, name, where in (
        (LAST_NAME, "last_name", "person, standard display name, line 1, column 4"),
        (COMPANY_PHONE, "phone", "person, CM/Phone contact details, de, line 1, column 14"),
        (COMPANY_NAME, "name", "company, standard display name, line 1, column 4"),
    ):
        errors = formset_errors(send(client, group, **{at(place, "DELETE"): "on"}))
        assert problem % (name, where) in errors
    assert ContactField.objects.count() == 7
    # Together with the template that uses it, it may go.
    changes = {at(LAST_NAME, "DELETE"): "on"} | {
        f"display_names-0-{name}": "" for name in ("default", "details", "list")
    }
    read_question(send(client, group, **changes, **{"display_names-1-details": "x"}))


def test_a_rename_that_a_display_name_does_not_allow_is_refused_with_the_place(
    client: Client, group: CustomerGroup
) -> None:
    assert formset_errors(send(client, group, **{at(LAST_NAME, "name"): "company"}))[0].startswith(
        "A display name uses company already: person, CM/Phone contact details, line 1, column "
    )
    errors = formset_errors(send(client, group, **{at(LAST_NAME, "name"): "none"}))
    assert errors[0] == (
        "A display name cannot have the new name: person, standard display name, line 1, column 4: "
        "“none” means something else here."
    )
    assert "last_name" in names_of(group)


def test_a_phone_number_says_what_cannot_be_read_as_one(client: Client, group: CustomerGroup) -> None:
    (change,) = read_question(send(client, group, **{at(LAST_NAME, "dialable"): "on"}))
    assert change["title"] == "The person field last_name becomes a phone number"
    assert change["sentences"][-1] == "3 values cannot be read as a number."
    assert sorted(change["samples"]) == ["Anders", "Berg", "Conti"]


def test_an_indexed_field_says_how_many_numbers_find_somebody(client: Client, group: CustomerGroup) -> None:
    (change,) = read_question(send(client, group, **{at(PRIVATE, "indexed"): "local"}))
    assert change["title"] == "A number in the person field private_phone finds: the contact itself"
    assert change["sentences"] == ["1 number will find somebody.", "1 value cannot be read as a number."]
    assert change["samples"] == ["unknown"]


def test_more_values_than_are_read_are_told(
    client: Client, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_effects, "READ_AT_MOST", 1)
    (change,) = read_question(send(client, group, **{at(PRIVATE, "indexed"): "local"}))
    assert "There are more values than are read for this page: only the first 1 were." in change["sentences"]


def test_a_field_that_is_indexed_no_more_says_how_many_numbers_find_nobody(
    client: Client, group: CustomerGroup
) -> None:
    make_person(group, "Dorn", phone="0171 1", mobile="0211 7654321")
    (change,) = read_question(send(client, group, **{at(MOBILE, "indexed"): ""}))
    # The number of Anders finds Dorn all the same; those of Dorn and Conti find nobody.
    assert change["sentences"] == ["2 numbers find nobody any more."]


def test_what_was_changed_since_it_was_looked_at_is_shown_again(client: Client, group: CustomerGroup) -> None:
    changes = {at(MOBILE, "DELETE"): "on"}
    key = send(client, group, **changes).context["key"]
    save_configuration([DisplayNames(contact_model=group.contact_model, object="person", language="en", list="x")])
    again = send(client, group, _confirmed=key, **changes)
    read_question(again)
    assert "Somebody has changed the contact model since you looked at this." in again.content.decode()
    assert "mobile" in names_of(group)
    assert send(client, group, _confirmed=again.context["key"], **changes).status_code == 302


def test_another_change_than_the_one_looked_at_is_not_made(client: Client, group: CustomerGroup) -> None:
    key = send(client, group, **{at(MOBILE, "name"): "cell"}).context["key"]
    read_question(send(client, group, _confirmed=key, **{at(MOBILE, "DELETE"): "on"}))
    assert "mobile" in names_of(group)


def test_one_goes_back_to_the_form_as_it_was_sent(client: Client, group: CustomerGroup) -> None:
    changes = {at(MOBILE, "name"): "cell", at(PHONE, "label_en"): "Phone"}
    question = send(client, group, **changes)
    sent = dict(question.context["sent"])
    back = client.post(page_of(group), {**sent, "_confirmed": question.context["key"], "_back": "x"})
    assert formset_errors(back) == ["Nothing has been saved yet."]
    assert 'value="cell"' in back.content.decode()
    assert client.post(page_of(group), {**sent, "_confirmed": question.context["key"]}).status_code == 302
    assert ContactField.objects.get(object="person", name="phone").label_en == "Phone"


def test_a_name_is_not_taken_while_its_values_are_on_their_way(client: Client, group: CustomerGroup) -> None:
    confirm(client, group, **{at(MOBILE, "name"): "cell"})
    for changes in (
        {at(PHONE, "name"): "cell"},
        {at(MOBILE, "DELETE"): "on"},
        {"fields-TOTAL_FORMS": "8", at(7, "object"): "person", at(7, "name"): "cell"},
    ):
        assert formset_errors(send(client, group, **changes)) == [
            "The person field mobile is still being renamed to cell. Wait until that is done."
        ]
    # Nothing else waits.
    assert send(client, group, **{at(COMPANY_PHONE, "name"): "cell"}).status_code == 302


def test_two_fields_do_not_swap_their_names_at_once(client: Client, group: CustomerGroup) -> None:
    response = send(client, group, **{at(MOBILE, "name"): "phone", at(PHONE, "name"): "mobile"})
    assert formset_errors(response)
    new = {"fields-TOTAL_FORMS": "8", at(7, "object"): "person", at(7, "name"): "mobile"}
    assert formset_errors(send(client, group, **{at(MOBILE, "name"): "cell"}, **new))


def test_a_new_field_with_values_of_an_earlier_one_asks(client: Client, group: CustomerGroup) -> None:
    new = {"fields-TOTAL_FORMS": "8", at(7, "object"): "person", at(7, "name"): "fax"}
    Contact.objects.filter(fields__last_name="Berg").update(fields={"last_name": "Berg", "fax": "old"})
    (change,) = read_question(send(client, group, **new))
    assert change["title"] == "New person field fax"
    assert change["sentences"][0] == (
        "1 contact still has a value under this name, of an earlier field. It will be shown again."
    )
    confirm(client, group, **new)
    assert not FieldChange.objects.exists()


def test_fields_without_contacts_change_at_once(client: Client, administrator: User) -> None:
    group = make_customer_group()
    make_company(group)
    response = send(client, group, **{at(LAST_NAME, "name"): "surname", at(MOBILE, "DELETE"): "on"})
    assert response.status_code == 302, formset_errors(response)
    assert names_of(group) == ["first_name", "surname", "phone", "private_phone"]
    assert DisplayNames.objects.get(object="person").default == "{{ surname }}, {{ first_name }}"
    assert not FieldChange.objects.filter(finished_at=None).exists()


# --- who may see what ---


def test_who_may_not_view_contacts_sees_neither_values_nor_how_many(client: Client, group: CustomerGroup) -> None:
    editor = log_in_as(client, "editor")
    editor.user_permissions.set(
        Permission.objects.filter(
            codename__in=[
                f"{may}_{model}"
                for may in ("view", "add", "change", "delete")
                for model in ("contactmodel", "contactfield", "displaynames")
            ]
        )
    )
    response = send(client, group, **{at(PRIVATE, "indexed"): "local", at(MOBILE, "DELETE"): "on"})
    assert [(each["counts"], each["samples"], each["csv_url"]) for each in read_question(response)] == [
        ([], [], ""),
        ([], [], ""),
    ]
    assert "Contacts that you may not view may be concerned as well." in response.content.decode()
    url = f"{url_of('values', group.contact_model_id, model='contactmodel')}?kind=person&field=mobile"
    hidden: Any = client.get(url)
    assert len(b"".join(hidden.streaming_content).splitlines()) == 1

    give_rights(editor, group)
    response = send(client, group, **{at(PRIVATE, "indexed"): "local", at(MOBILE, "DELETE"): "on"})
    assert [each["counts"] for each in read_question(response)] == [[("customers en", "2")]] * 2
    hidden = client.get(url)
    assert b"Conti" not in b"".join(hidden.streaming_content)

    editor.user_permissions.add(Permission.objects.get(codename="view_customergroup"))
    retyped, _indexed = read_question(
        send(client, group, **{at(LAST_NAME, "dialable"): "on", at(PRIVATE, "indexed"): "local"})
    )
    assert retyped["total"] == "3"
    assert sorted(retyped["samples"]) == ["Anders", "Berg"]


def test_values_are_for_those_who_may_change_the_model(client: Client, group: CustomerGroup) -> None:
    url = url_of("values", group.contact_model_id, model="contactmodel")
    assert client.get(f"{url}?kind=person&field=nothing").status_code == 404
    assert client.get(url_of("values", NOWHERE, model="contactmodel")).status_code == 404
    agent = log_in_as(client, "agent1")
    give_rights(agent, group)
    assert client.get(f"{url}?kind=person&field=mobile").status_code == 403
    assert client.get(url_of("changelist", model="fieldchange")).status_code == 403


def test_who_sees_no_fields_changes_none(client: Client, group: CustomerGroup) -> None:
    editor = log_in_as(client, "editor")
    editor.user_permissions.set(Permission.objects.filter(codename__in=["view_contactmodel", "change_contactmodel"]))
    assert client.post(page_of(group), {"name": "renamed"}).status_code == 302
    assert ContactField.objects.count() == 7
