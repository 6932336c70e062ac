"""Names in languages, and with the number that called: rendered with the contact, told to who is called."""

from typing import Any

import orjson
import pytest
from django.test import Client

from cmphone.contacts.models import Contact, CustomerGroup, User
from cmphone.contacts.rebuilding import find_stale, rebuild_stale_customer_groups
from cmphone.contacts.services import ContactDraft, save_configuration, save_contact
from cmphone.properties.services import set_property
from templates_store.rendering import NUMBER
from templates_store.services import save_display_names
from tests.admin_pages import log_in_as, read, url_of
from tests.make import (
    TESTS,
    give_rights,
    log_in,
    make_company,
    make_contact_model,
    make_customer_group,
    make_person,
    make_user,
)
from tests.test_api_short_way import call

pytestmark = pytest.mark.django_db

ANDERS, BERG = "+49 211 33990312", "+49 171 1234567"


@pytest.fixture
def group() -> CustomerGroup:
    model = make_contact_model(person_names={"default": "{{ last_name }}", "details": "", "list": ""})
    return make_customer_group(model=model, country_prefix="49", area_prefix="211", company_line="339903")


def set_names(group: CustomerGroup, language: str = "", object: str = "person", **templates: str) -> None:
    """Give the group's model these templates, and render its names."""
    sources = {"default": "" if language else "{{ last_name }}", "details": "", "list": "", **templates}
    save_display_names(contact_model=group.contact_model, object=object, language=language, **sources)
    rebuild_stale_customer_groups()


def names_of(contact: Contact, language: str = "") -> tuple[str, str, str]:
    contact.refresh_from_db()
    own = contact.names.get(language, {})
    standard = (contact.name, contact.name_details, contact.name_list)
    default, details, in_list = (
        own.get(field, usual) for field, usual in zip(("default", "details", "list"), standard, strict=True)
    )
    return default, details, in_list


# --- languages ---


def test_a_contact_has_names_of_its_own_only_where_a_language_has_another(group: CustomerGroup) -> None:
    person = make_person(group)
    assert person.names == {}
    set_names(group, "en", default="{{ last_name }}", list="{{ first_name }}")
    assert names_of(person) == ("Anders", "Anders", "Anders")
    assert person.names == {"en": {"list": "Maria"}}
    set_names(group, "en", list="{{ last_name }}")
    assert names_of(person) == ("Anders", "Anders", "Anders")
    assert person.names == {}


def test_names_of_a_language_that_loses_its_templates_go(group: CustomerGroup) -> None:
    person = make_person(group)
    set_names(group, "en", default="{{ first_name }}")
    assert names_of(person, "en") == ("Maria", "Maria", "Maria")
    set_names(group, "en")
    assert names_of(person, "en") == ("Anders", "Anders", "Anders")
    assert person.names == {}


def test_the_label_of_the_customer_group_is_in_the_language(group: CustomerGroup) -> None:
    person = make_person(group)
    set_names(group, details="{{ last_name }}, {{ customer_group }}", list="{{ customer_group.name }}")
    assert names_of(person) == ("Anders", "Anders, customers de", "customers de")
    assert person.names == {"en": {"details": "Anders, customers en", "list": "customers en"}}
    group.label_en = "clients"
    save_configuration([group])
    rebuild_stale_customer_groups()
    assert names_of(person, "en")[2] == "clients"


def test_the_company_in_a_name_is_called_as_in_the_language(group: CustomerGroup) -> None:
    company = make_company(group, "Alfreds")
    person = make_person(group, company=company)
    set_names(group, default="{{ last_name }} ({{ company.name }})")
    set_names(group, "en", "company", default="{{ name }} Ltd.")
    assert names_of(company, "en")[0] == "Alfreds Ltd."
    assert names_of(person)[0] == "Anders (Alfreds)"
    assert names_of(person, "en")[0] == "Anders (Alfreds Ltd.)"
    save_contact(ContactDraft(group.id, "company", {"name": "Berta"}, contact=company), by=TESTS)
    assert names_of(person, "en")[0] == "Anders (Berta Ltd.)"


def test_a_change_of_one_language_writes_only_names_of_that_language(group: CustomerGroup) -> None:
    other = make_customer_group("other")
    people = [make_person(group, name) for name in ("A", "B")]
    company = make_company(group)
    make_person(other)
    rebuild_stale_customer_groups()
    save_display_names(
        contact_model=group.contact_model,
        object="person",
        language="en",
        default="{{ first_name }}",
        details="",
        list="",
    )
    assert find_stale() == [("names", group.id)]
    rebuild_stale_customer_groups()
    assert group.rebuilds.get(subject="names").changed == 2
    assert [names_of(person)[0] for person in people] == ["A", "B"]
    assert [names_of(person, "en")[0] for person in people] == ["Maria", "Maria"]
    assert names_of(company, "en")[0] == "Alfreds Futterkiste"
    assert find_stale() == []


# --- telephone numbers ---


def test_a_field_is_shown_as_a_number_by_the_plan_of_the_group(group: CustomerGroup) -> None:
    person = make_person(group, phone="12 oder 0171/1234567", mobile="keine")
    set_names(group, details="{{ phone|phone }}", list="{{ mobile|phone }}{{ private_phone|phone }}")
    assert names_of(person) == ("Anders", f"{ANDERS}, {BERG}", "keine")


def test_a_change_of_the_plan_makes_names_stale_that_show_numbers_by_it(group: CustomerGroup) -> None:
    person = make_person(group, phone="12")
    rebuild_stale_customer_groups()
    set_property(name="external.line.access.prefix", value="")
    assert find_stale() == [("numbers", group.id)]
    set_names(group, details="{{ phone|phone }}")
    group.company_line = "339904"
    save_configuration([group])
    assert find_stale() == [("numbers", group.id), ("names", group.id)]
    rebuild_stale_customer_groups()
    assert names_of(person)[1] == "+49 211 33990412"


# --- look-ups ---


@pytest.fixture
def called(group: CustomerGroup) -> tuple[User, User, User]:
    """Users of three languages, and contacts with names in two of them."""
    company = make_company(group, "Alfreds", phone="0211 7777777")
    make_person(group, "Anders", phone="12", company=company)
    for name in ("Berg", "Adler"):
        make_person(group, name, first_name={"Berg": "Anna", "Adler": "Zoe"}[name], mobile="0171 1234567")
    set_names(group, details="{{ last_name }} ruft an", list="{{ last_name }} {{ number }}")
    set_names(
        group,
        "en",
        details="{{ last_name }} calls{% if number %} from {{ number }}{% endif %}",
        list="{{ first_name }}",
    )
    set_names(group, "en", "company", default="{{ name }} Ltd.")
    users = tuple(make_user(f"agent-{language}", language=language) for language in ("de", "en", "fr"))
    for user in users:
        give_rights(user, group)
    return users  # type: ignore[return-value]


GERMAN = [["Anders ruft an"], [f"Adler {BERG}", f"Berg {BERG}"], ["Alfreds", "Anders +49 211 7777777"]]
ENGLISH = [[f"Anders calls from {ANDERS}"], ["Anna", "Zoe"], ["Alfreds Ltd.", "Maria"]]
CALLS = ["0021133990312", "+491711234567", "00492117777777"]


@pytest.mark.parametrize(("user", "names"), [(0, GERMAN), (1, ENGLISH), (2, GERMAN)])
def test_a_look_up_names_contacts_in_the_language_of_who_is_called(
    client: Client, called: tuple[User, ...], user: int, names: list[list[str]]
) -> None:
    headers = log_in(called[user])
    alone = [client.get("/api/v1/lookup", {"number": number}, headers=headers).json() for number in CALLS]
    batch = client.post(
        "/api/v1/lookup/batch", {"numbers": CALLS}, content_type="application/json", headers=headers
    ).json()["results"]
    short = [
        orjson.loads(
            call(f"/api/v1/lookup?number={number.replace('+', '%2B')}", HTTP_AUTHORIZATION=headers["Authorization"])[2]
        )
        for number in CALLS
    ]
    for answers in (alone, batch, short):
        assert [_names(answer) for answer in answers] == names
    assert alone[0]["contacts"][0]["company"]["name"] == ("Alfreds Ltd." if names is ENGLISH else "Alfreds")


def _names(answer: Any) -> list[str]:
    return sorted(contact["name"] for contact in answer["contacts"])


def test_a_choice_is_in_the_order_of_the_names_that_it_shows(client: Client, called: tuple[User, ...]) -> None:
    def look_up(user: User) -> list[str]:
        answer = client.get("/api/v1/lookup", {"number": "+491711234567"}, headers=log_in(user)).json()
        return [contact["name"] for contact in answer["contacts"]]

    assert look_up(called[0]) == [f"Adler {BERG}", f"Berg {BERG}"]
    assert look_up(called[1]) == ["Anna", "Zoe"]


def test_a_company_that_calls_from_an_extension_has_the_number_that_called(
    client: Client, group: CustomerGroup
) -> None:
    make_company(group, phone="0211 55566-0")
    set_names(group, "", "company", default="{{ name }}", details="{{ name }} {{ number }}")
    user = make_user()
    give_rights(user, group)
    answer = client.get("/api/v1/lookup", {"number": "+492115556633"}, headers=log_in(user)).json()
    assert (answer["match"], _names(answer)) == ("company", ["Alfreds Futterkiste +49 211 5556633"])


def test_what_stands_for_the_number_cannot_come_from_the_data(group: CustomerGroup) -> None:
    set_names(group, details="{{ last_name }}", list="{{ last_name }} {{ number }}")
    person = make_person(group, f"X{NUMBER}{NUMBER}Y", first_name=NUMBER)
    assert names_of(person) == ("XY", "XY", f"XY {NUMBER}")


def test_what_stands_for_the_number_shows_nowhere(client: Client, called: tuple[User, ...]) -> None:
    person = Contact.objects.get(name="Anders")
    assert NUMBER in person.name_list
    headers = log_in(called[0])
    paths = (f"contacts/{person.pk}", "contacts?q=Anders", "lookup?number=0021133990312", "lookup?number=02117777777")
    for path in paths:
        answer = client.get(f"/api/v1/{path}", headers=headers)
        assert "Anders" in answer.content.decode()
        assert NUMBER not in orjson.dumps(answer.json()).decode()
    log_in_as(client, "admin", is_superuser=True)
    page = read(client, url_of("change", person.pk))
    assert "Anders [number]" in page
    for each in (page, read(client, url_of("changelist"))):
        assert NUMBER not in each
