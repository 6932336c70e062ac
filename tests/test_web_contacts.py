"""The pages that search contacts and show one: what they say of it, and that nothing in it is ever markup."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.models import Contact, ContactField, CustomerGroup, User
from cmphone.contacts.services import save_configuration
from cmphone.properties.services import set_property
from tests.make import (
    give_rights,
    make_case,
    make_company,
    make_contact_model,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea></title><b onmouseover=alert(1)>",
    "' onfocus=alert(1) autofocus x='",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% debug %}",
]


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group(country_prefix="49", area_prefix="211")


@pytest.fixture
def agent(client: Client, group: CustomerGroup) -> User:
    """An agent with every right on the customer group, who is logged in."""
    user = make_user("agent1")
    role = give_rights(user, group, create=True, edit=True)
    make_queue("helpdesk", [group], role)
    client.force_login(user)
    return user


def read(client: Client, url: str) -> str:
    answer = client.get(url, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def list_details(page: str) -> dict[str, str]:
    """Return what the list of details has, as a person reads it."""
    pairs = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", page, re.DOTALL)
    return {unescape(label): unescape(" ".join(re.sub("<[^>]*>", " ", text).split())) for label, text in pairs}


def list_links(page: str, scheme: str = "phone") -> list[str]:
    return re.findall(f'href="({scheme}:[^"]*)"', page)


def list_names(page: str) -> list[str]:
    return [unescape(name) for name in re.findall(r'<th scope="row"><a href="[^"]*">(.*?)</a>', page)]


# --- a contact ---


def test_a_contact_is_shown_with_its_fields_in_the_order_of_the_model(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    ContactField.objects.filter(name="last_name").update(label_de="Nachname", label_en="Last name", position=0)
    ContactField.objects.filter(name="first_name").update(label_de="Vorname", position=1)
    save_configuration(ContactField.objects.all()[:1])
    company = make_company(group)
    person = make_person(group, company=company, mobile="0176 12345678")

    page = read(client, f"/contacts/{person.pk}/")
    details = list_details(page)
    assert list(details) == ["Company", "Last name", "Vorname", "mobile", "Last change"]
    assert (details["Company"], details["Last name"], details["Vorname"]) == (company.name, "Anders", "Maria")
    assert f'<a href="/contacts/{company.pk}/">Alfreds Futterkiste</a>' in page
    assert "<title>Anders, Maria | CM/Phone</title>" in page

    User.objects.update(language="de")
    assert "Nachname" in list_details(read(client, f"/contacts/{person.pk}/"))


def test_each_number_of_a_field_is_a_link_and_what_cannot_be_dialled_says_why(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    person = make_person(
        group,
        phone="0211 339903-12 / +49 176 12345678 (mobil)",
        mobile="steht auf der Karte",
        private_phone="+1 212 5550123",
    )

    page = read(client, f"/contacts/{person.pk}/")

    assert list_links(page) == ["phone:0021133990312", "phone:0017612345678", "phone:00012125550123"]
    details = list_details(page)
    written = "Written: 0211 339903-12 / +49 176 12345678 (mobil)"
    assert details["phone"] == f"+49 211 33990312 +49 176 12345678 {written}"
    assert details["mobile"] == "steht auf der Karte It cannot be dialled, as it cannot be read."
    assert details["private_phone"] == "+1 212-555-0123"


def test_the_scheme_of_the_links_is_that_of_the_property(client: Client, agent: User, group: CustomerGroup) -> None:
    person = make_person(group, phone="0211 339903-12")
    set_property(name="dial.uri.scheme", value="tel")

    for url in (f"/contacts/{person.pk}/", "/contacts/?q=Anders"):
        page = read(client, url)
        assert (list_links(page, "tel"), list_links(page)) == (["tel:0021133990312"], [])


def test_pages_of_another_crm_are_linked_where_the_site_has_one(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    company = make_company(group)
    person = make_person(group, company=company)
    set_property(name="page.contact.url", value="https://crm.example.com/{id}")
    set_property(name="page.case.new.url", value="https://crm.example.com/{id}/case")

    page = read(client, f"/contacts/{person.pk}/")

    assert f'href="https://crm.example.com/{company.pk}"' in page
    assert f'href="https://crm.example.com/{person.pk}/case"' in page


def test_an_inactive_contact_is_marked(client: Client, agent: User, group: CustomerGroup) -> None:
    person = make_person(group)
    assert "inactive" not in read(client, f"/contacts/{person.pk}/")
    Contact.objects.update(is_active=False)

    assert '<strong class="mark">inactive</strong>' in read(client, f"/contacts/{person.pk}/")
    assert '<span class="mark">inactive</span>' in read(client, "/contacts/?q=Anders")


def test_two_hundred_persons_of_a_company_come_page_by_page(client: Client, agent: User, group: CustomerGroup) -> None:
    company = make_company(group)
    for number in range(200):
        make_person(group, f"P{number:03}", company=company, phone=f"0211 5555{number:03}")

    first = read(client, f"/contacts/{company.pk}/")
    last = read(client, f"/contacts/{company.pk}/?persons=4")

    assert list_names(first) == [f"P{number:03}, Maria" for number in range(50)]
    assert list_names(last) == [f"P{number:03}, Maria" for number in range(150, 200)]
    assert ("Page 1 of 4" in first, "Page 4 of 4" in last) == (True, True)
    assert len(list_links(first)) == 50
    # What is no page is one that there is.
    for odd in ("0", "-1", "99", "x", "%00", "9" * 50):
        assert len(list_names(read(client, f"/contacts/{company.pk}/?persons={odd}"))) == 50


def test_a_new_person_of_a_company_begins_with_the_company(client: Client, agent: User, group: CustomerGroup) -> None:
    company = make_company(group)
    page = read(client, f"/contacts/{company.pk}/")
    (url,) = re.findall(r'href="(/contacts/new/\?[^"]*)"', page)

    form = client.get(unescape(url)).context["form"]

    assert (form.draft.kind, form["company"].value()) == ("person", "Alfreds Futterkiste")
    client.post(unescape(url), {"fields/last_name": "New", "company": "Alfreds Futterkiste"})
    assert Contact.objects.get(kind="person").company == company


def test_the_cases_of_a_contact_stand_there_newest_first(client: Client, agent: User, group: CustomerGroup) -> None:
    person, other = make_person(group), make_person(group, "Other")
    queue = group.queues.get()
    cases = [make_case(agent, person, queue, f"Case {number}") for number in range(25)]
    make_case(agent, other, queue, "Not here")

    page = read(client, f"/contacts/{person.pk}/")

    assert list_names(page) == [f"Case {number}" for number in range(24, 4, -1)]
    assert list_names(read(client, f"/contacts/{person.pk}/?cases=2")) == [f"Case {n}" for n in range(4, -1, -1)]
    assert f'href="/cases/{cases[-1].pk}/"' in page


def test_thirty_fields_and_long_values_are_shown_whole(client: Client, agent: User) -> None:
    model = make_contact_model("wide")
    save_configuration(
        ContactField(contact_model=model, object="person", name=f"field_{number}", label_en=f"Field {number}")
        for number in range(30)
    )
    wide = make_customer_group("wide", model)
    give_rights(agent, wide)
    values = {f"field_{number}": f"{number}: " + "x" * 3_990 for number in range(30)}
    person = make_person(wide, "Y" * 4_000, company=None, **values)

    details = list_details(read(client, f"/contacts/{person.pk}/"))

    assert [details[f"Field {number}"] for number in range(30)] == list(values.values())


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_in_a_contact_is_markup(client: Client, agent: User, group: CustomerGroup, attack: str) -> None:
    ContactField.objects.filter(object="person", name="first_name").update(label_en=attack)
    CustomerGroup.objects.update(label_en=attack)
    save_configuration([ContactField.objects.all()[0]])
    company = make_company(group, attack, phone=attack)
    names = ("first_name", "phone", "mobile", "private_phone")
    person = make_person(group, attack, company=company, **dict.fromkeys(names, attack))
    Contact.objects.filter(pk=person.pk).update(external_id=attack)
    case = make_case(agent, person, group.queues.get(), attack, attack)

    for url in (
        f"/contacts/{person.pk}/",
        f"/contacts/{company.pk}/",
        f"/contacts/{person.pk}/edit/",
        "/contacts/",
        f"/cases/new/?contact={person.pk}",
        f"/cases/{case.pk}/",
    ):
        page = read(client, url)
        assert attack in unescape(page)
        assert Alien().find(page) == []
    for url in ("/contacts/", "/contacts/new/"):
        answer = client.get(url, {"q": attack, "number": attack, "place": attack})
        assert attack in unescape(answer.content.decode())
        assert Alien().find(answer.content.decode()) == []
    values = {f"fields/{name}": attack for name in ("last_name", *names)}
    # Also where a form comes back: with an error, and with what somebody else has saved.
    sent = {**values, "company": attack[:-1], "version": "0", "initial-fields/last_name": "x"}
    for url in ("/contacts/new/", f"/contacts/{person.pk}/edit/"):
        for company_name in (attack[:-1], "nobody" + attack, attack):
            page = client.post(url, {**sent, "company": company_name, "initial-company": "y"}).content.decode()
            assert Alien().find(page) == []


class Alien(HTMLParser):
    """What the pages do not have by themselves: elements, handlers, and links that run."""

    def find(self, page: str) -> list[str]:
        self.found: list[str] = []
        self.feed(page)
        return self.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "img", "b", "style", "iframe"}:
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name.startswith("on")]
        self.found += [value for name, value in attrs if name in {"href", "action"} and value and "script" in value]


def test_what_is_alien_is_found() -> None:
    page = "<b onclick=x>1</b><script>2</script><a href='javascript:1'>3</a><a href='/' class='onclick'>4</a>"
    assert Alien().find(page) == ["b", "onclick", "script", "javascript:1"]


# --- the search ---


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["Alfreds Futterkiste", "Anders, Maria", "Berger, Maria"]),
        ("ander", ["Anders, Maria"]),
        ("maria berg", ["Berger, Maria"]),
        ("0211 339", ["Anders, Maria"]),
        ("+49211339903", ["Anders, Maria"]),
        ("maria 339", ["Anders, Maria"]),
        ("nobody", []),
        ("%", []),
        ("_", []),
        ("\x00", ["Alfreds Futterkiste", "Anders, Maria", "Berger, Maria"]),
        ("x" * 500, []),
    ],
)
def test_contacts_are_found_by_parts_of_names_and_numbers(
    client: Client, agent: User, group: CustomerGroup, text: str, names: list[str]
) -> None:
    make_company(group)
    make_person(group, phone="0211 339903-12")
    make_person(group, "Berger", phone="0176 12345678")

    answer = client.get("/contacts/", {"q": text})

    assert list_names(answer.content.decode()) == names
    assert (names == []) == ("No contact that you may view" in answer.content.decode())


def test_a_long_list_comes_part_by_part(client: Client, agent: User, group: CustomerGroup) -> None:
    for number in range(120):
        make_person(group, f"P{number:03}")
    make_person(group, "Other")

    seen: list[str] = []
    url = "/contacts/?q=maria"
    for _ in range(3):
        page = read(client, url)
        seen += list_names(page)
        (url,) = re.findall(r'<a href="([^"]*)" rel="next">', page) or [""]
        url = "/contacts/" + unescape(url)

    assert seen == ["Other, Maria", *(f"P{number:03}, Maria" for number in range(120))]
    assert url == "/contacts/"
    # A place that there is not, or none that he may know: everything begins anew.
    for after in ("0", "x", "9" * 30, str(make_person(make_customer_group("secret"), "Hidden").pk)):
        assert list_names(read(client, f"/contacts/?q=maria&after={after}"))[0] == "Other, Maria"


def test_many_cost_as_many_statements_as_few(client: Client, agent: User, group: CustomerGroup) -> None:
    company = make_company(group)
    queue = group.queues.get()

    def count() -> list[int]:
        counts = []
        for url in ("/contacts/?q=maria", f"/contacts/{company.pk}/"):
            with CaptureQueriesContext(connection) as queries:
                read(client, url)
            counts.append(len(queries))
        return counts

    make_person(group, company=company, phone="0211 1234567")
    make_case(agent, company, queue)
    few = count()
    for number in range(30):
        make_person(group, f"P{number}", company=company, phone="0211 1234567")
        make_case(agent, company, queue)

    assert count() == few
