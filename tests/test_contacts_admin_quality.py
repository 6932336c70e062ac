"""The page of number quality, and its file: what is shown, to whom, and in what form."""

import csv
import io
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.admin import quality
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.models import Contact, ContactField, CustomerGroup, User
from cmphone.contacts.services import draft_contact, save_contact
from cmphone.csv_cells import defuse
from numbering.models import IndexEntry
from numbering.quality import Place, find_canonical, list_doubtful, list_shared
from tests.admin_pages import NOWHERE, list_names, log_in_as, read, url_of
from tests.make import TESTS, give_rights, make_company, make_customer_group, make_person

pytestmark = pytest.mark.django_db

# Numbers of Denmark have eight digits.
IMPOSSIBLE = "+45 33 31 99"


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.fixture
def agent(client: Client) -> User:
    return log_in_as(client, "agent1")


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group(country_prefix="49")


def page_url(**query: Any) -> str:
    return url_of("changelist", model="doubtfulnumber", **query)


def show(client: Client, **query: Any) -> Any:
    response = client.get(page_url(**query))
    assert response.status_code == 200
    return response.context


def list_typed(client: Client, **query: Any) -> list[str]:
    return [row["number"].typed for row in show(client, **query)["rows"]]


def count_problems(client: Client, **query: Any) -> dict[str, str]:
    return {str(tab["label"]): tab["count"] for tab in show(client, **query)["tabs"]}


def download(client: Client, **query: Any) -> list[list[str]]:
    response = client.get(url_of("csv", model="doubtfulnumber", **query))
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


# --- what is shown ---


def test_unreadable_and_impossible_numbers_are_listed_with_the_reason(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    person = make_person(group, phone="keine", mobile="+49 211 1234")
    make_person(group, "Fine", phone="0211 1234567")
    impossible = make_person(group, "Long", phone=IMPOSSIBLE)
    rows = show(client)["rows"]
    assert [(row["number"].typed, row["contact"], row["field"]) for row in rows] == [
        ("keine", "Anders, Maria", "phone"),
        (IMPOSSIBLE, "Long, Maria", "phone"),
    ]
    unreadable, long = (row["number"] for row in rows)
    assert (str(unreadable.doubt), str(unreadable.reason)) == (
        "It cannot be read as a number.",
        "there is no digit in it",
    )
    assert (str(long.doubt), str(long.reason)) == ("Its country has no such number.", "it says its country itself")
    assert [row["url"] for row in rows] == [url_of("change", each.pk) for each in (person, impossible)]
    assert [row["group"] for row in rows] == ["customers en", "customers en"]
    assert list_typed(client, problem="unreadable") == ["keine"]
    assert list_typed(client, problem="impossible") == [IMPOSSIBLE]


def test_inactive_contacts_and_fields_that_are_not_indexed_do_not_count(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    make_person(group, private_phone="keine")
    contact = make_person(group, "Gone", phone="keine")
    draft = draft_contact(contact, get_current_configuration().groups[group.pk])
    draft.is_active = False
    save_contact(draft, by=TESTS)
    assert list_typed(client) == []
    assert "There is no such number." in read(client, page_url())


def test_each_problem_has_its_count(client: Client, administrator: User, group: CustomerGroup) -> None:
    for number in range(5):
        make_person(group, f"Anders {number}", phone="0211 1234567", mobile="none" if number else "")
    make_person(group, "Long", phone=IMPOSSIBLE)
    assert count_problems(client) == {
        "Unreadable or impossible": "5",
        "Unreadable": "4",
        "Impossible in their country": "1",
        "Shared by many contacts": "1",
    }
    assert count_problems(client, field="mobile") == {
        "Unreadable or impossible": "4",
        "Unreadable": "4",
        "Impossible in their country": "0",
        "Shared by many contacts": "0",
    }


def test_the_list_can_be_that_of_a_group_and_of_a_field(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    other = make_customer_group("partners", country_prefix="49")
    make_person(group, phone="keine", mobile="ohne")
    make_company(other, phone="nix")
    ContactField.objects.filter(name="mobile").update(label_en="Mobile", label_de="Mobil")
    assert list_typed(client) == ["keine", "ohne", "nix"]
    assert list_typed(client, group=other.pk) == ["nix"]
    assert list_typed(client, field="mobile") == ["ohne"]
    assert list_typed(client, group=other.pk, field="mobile") == []
    context = show(client, group=other.pk)
    assert list(context["groups"]) == [(group.pk, "customers en"), (other.pk, "partners en")]
    assert sorted(name for name, _ in context["fields"]) == ["mobile", "phone"]


def test_a_number_of_many_contacts_is_shown_once_with_how_many_and_who(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    for number in range(3):
        make_person(group, f"Anders {number}", phone="0211 1234567")
    # In two fields of one contact, it is one contact's.
    make_person(group, "Berg", phone="0211 7654321", mobile="+49 211 7654321")
    # More digits behind the same ones are another number.
    make_person(group, "Longer", phone="0211 12345678")
    assert show(client, problem="shared")["rows"] == []
    (row,) = show(client, problem="shared", at_least=3)["rows"]
    assert (row["number"].display, row["count"], row["groups"]) == ("+49 211 1234567", 3, "customers en")
    assert "1234567" not in row["url"]
    query = dict([row["url"].split("?")[1].split("=")])
    assert list_names(client, **query) == [f"Anders {number}, Maria" for number in range(3)]
    assert len(show(client, problem="shared", at_least=2)["rows"]) == 1
    assert show(client, problem="shared", at_least=4)["rows"] == []


@pytest.mark.parametrize("at_least", ["", "1", "0", "-3", "x", "9" * 30])
def test_a_number_of_contacts_that_makes_no_sense_is_five(
    client: Client, administrator: User, group: CustomerGroup, at_least: str
) -> None:
    assert show(client, problem="shared", at_least=at_least)["choice"].at_least == 5


def test_what_the_address_asks_for_wrongly_is_not_asked_for(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    context = show(client, problem="x", group="x", field="x", after="1-2-3")
    assert context["choice"] == quality.Choice()


def test_the_pages_go_on_where_the_one_before_ended(
    client: Client, administrator: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "PER_PAGE", 2)
    other = make_customer_group("partners", country_prefix="49")
    for number in range(3):
        for each in (other, group):
            make_person(each, f"Anders {number}", phone=f"keine {'x' * number}", mobile=f"+49 211 765432{number}")
    names = []
    url = page_url()
    while url:
        context = client.get(url).context
        names += [(row["group"], row["contact"]) for row in context["rows"]]
        url = f"{page_url()}?{context['next_query']}" if context["next_query"] else ""
    assert names == [(f"{label} en", f"Anders {n}, Maria") for label in ("customers", "partners") for n in range(3)]

    context = show(client, problem="shared", at_least=2)
    assert [row["number"].canonical for row in context["rows"]] == ["492117654320", "492117654321"]
    # No number in the address.
    assert not re.search(r"\d{7}", context["next_query"])
    (last,) = client.get(f"{page_url()}?{context['next_query']}").context["rows"]
    assert last["number"].canonical == "492117654322"


# --- the file ---


def test_the_file_has_the_whole_list_that_was_chosen(
    client: Client, administrator: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "PER_CHUNK", 2)
    monkeypatch.setattr(quality, "PER_PAGE", 1)
    for number in range(5):
        make_person(group, f"Anders {number}", phone="keine")
    impossible = make_person(group, "Long", phone=IMPOSSIBLE)
    lines = download(client)
    assert lines[0] == [
        *("as typed", "read as", "canonical number", "kind", "reason", "customer group", "field", "contact"),
        "address",
    ]
    assert [line[7] for line in lines[1:]] == [*(f"Anders {number}, Maria" for number in range(5)), "Long, Maria"]
    assert lines[-1] == [
        f"'{IMPOSSIBLE}",
        "'+45 333199",
        "45333199",
        "public number",
        "Its country has no such number. (it says its country itself)",
        "customers en",
        "phone",
        "Long, Maria",
        f"http://testserver{url_of('change', impossible.pk)}",
    ]
    assert len(download(client, problem="impossible")) == 2


def test_the_file_of_shared_numbers_has_all_of_them(
    client: Client, administrator: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "PER_CHUNK", 1)
    for name in ("Anders", "Berg"):
        make_person(group, name, phone="0211 1234567 / 0171 1234567", mobile="0211 7654321")
    lines = download(client, problem="shared", at_least=2)
    assert [line[:5] for line in lines] == [
        ["read as", "canonical number", "kind", "contacts", "customer groups"],
        ["'+49 171 1234567", "491711234567", "public number", "2", "customers en"],
        ["'+49 211 1234567", "492111234567", "public number", "2", "customers en"],
        ["'+49 211 7654321", "492117654321", "public number", "2", "customers en"],
    ]


def test_the_file_is_written_for_german_spreadsheets_in_german(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    make_person(group, phone="keine")
    response = client.get(url_of("csv", model="doubtfulnumber"), headers={"accept-language": "de"})
    assert re.fullmatch(
        r'attachment; filename="numbers-doubtful-\d{4}-\d\d-\d\d.csv"', response.headers["Content-Disposition"]
    )
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.splitlines()[1].split(";")[:4] == ["keine", "", "", "unlesbar"]
    assert text.splitlines()[1].split(";")[5:7] == ["customers de", "phone"]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 211 33990312", "'+49 211 33990312"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("Anders", "Anders"),
        ("0211 1234567", "0211 1234567"),
        ("", ""),
        (5, 5),
    ],
)
def test_no_cell_begins_like_a_formula(cell: object, written: object) -> None:
    assert defuse(cell) == written


def test_names_and_numbers_that_are_formulas_come_out_as_text(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    make_person(group, '=HYPERLINK("http://x.example";"y")', first_name="-", phone='=cmd|" /C calc"!A')
    (_, line) = download(client)
    assert line[0].startswith("'=cmd")
    assert line[7].startswith("'=HYPERLINK")


def test_a_long_file_is_read_in_chunks(
    client: Client, administrator: User, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "PER_CHUNK", 3)
    for number in range(9):
        make_person(group, f"Anders {number}", phone="keine")
    response = client.get(url_of("csv", model="doubtfulnumber"))
    content = iter(response.streaming_content)  # type: ignore[attr-defined]
    with CaptureQueriesContext(connection) as queries:
        next(content), next(content)
        assert len(queries) == 0
        next(content)
        assert len(queries) == 1
        assert "limit 3" in " ".join(queries[0]["sql"].split())


# --- rights ---


def pages_of(client: Client) -> list[object]:
    """Return everything that the page and the file say, in every way of asking."""
    asked: list[dict[str, Any]] = [
        {},
        {"problem": "unreadable"},
        {"problem": "impossible"},
        {"problem": "shared"},
        {"problem": "shared", "at_least": 2},
        {"field": "phone"},
        {"problem": "shared", "at_least": 2, "field": "phone"},
    ]
    return [text for query in asked for text in (read(client, page_url(**query)), download(client, **query))]


def test_hidden_contacts_are_in_no_row_count_choice_or_file(client: Client, agent: User, group: CustomerGroup) -> None:
    give_rights(agent, group)
    make_person(group, "Visible", phone="keine", mobile="0211 1234567")
    make_person(group, "Visible", phone="0211 1234567", mobile=IMPOSSIBLE)
    hidden = make_customer_group("secret", country_prefix="49")
    before = pages_of(client)
    for number in range(6):
        make_person(hidden, f"Hidden {number}", phone="keine", mobile="0211 1234567")
        make_person(hidden, f"Hidden {number}", phone="0211 7654321", mobile=IMPOSSIBLE)
    assert pages_of(client) == before
    assert "secret" not in str(before)


def test_a_hidden_group_in_the_address_is_none(client: Client, agent: User, group: CustomerGroup) -> None:
    give_rights(agent, group)
    make_person(group, "Visible", phone="keine")
    hidden = make_customer_group("secret", country_prefix="49")
    make_person(hidden, "Hidden", phone="keine")
    for query in ({"group": hidden.pk}, {"group": hidden.pk, "problem": "shared"}):
        assert read(client, page_url(**query)) == read(client, page_url(**{**query, "group": NOWHERE}))
        assert download(client, **query) == download(client, **{**query, "group": NOWHERE})


def test_a_hidden_entry_is_no_place_to_go_on_from_nor_to_filter_by(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    give_rights(agent, group)
    for name in ("Anders", "Berg"):
        make_person(group, name, phone="0211 1234567")
    hidden = make_customer_group("secret", country_prefix="49")
    make_person(hidden, "Hidden", phone="0211 1234567", mobile="0211 9999999")
    for entry in IndexEntry.objects.filter(customer_group=hidden):
        assert find_canonical(Place([group.pk]), entry_id=entry.pk) == ""
        shared = {"problem": "shared", "at_least": 2}
        assert len(show(client, **shared, after=entry.pk)["rows"]) == 1
        assert list_names(client, number_of_entry=entry.pk) == []
    own = IndexEntry.objects.filter(customer_group=group).first()
    assert own is not None
    assert list_names(client, number_of_entry=own.pk) == ["Anders, Maria", "Berg, Maria"]


@pytest.mark.parametrize("number_of_entry", ["x", "", NOWHERE, "1 or 1=1", "9" * 30])
def test_a_filter_by_no_entry_finds_nobody(
    client: Client, administrator: User, group: CustomerGroup, number_of_entry: object
) -> None:
    make_person(group, phone="0211 1234567")
    assert list_names(client, number_of_entry=number_of_entry) == ([] if number_of_entry else ["Anders, Maria"])


def test_the_page_is_for_staff_with_a_right_to_view(client: Client, agent: User, group: CustomerGroup) -> None:
    assert client.get(page_url()).status_code == 403
    assert client.get(url_of("csv", model="doubtfulnumber")).status_code == 403
    assert "doubtfulnumber" not in read(client, "/admin/")
    give_rights(agent, group, view=False, create=True, edit=True)
    assert client.get(page_url()).status_code == 403
    give_rights(agent, group)
    assert client.get(page_url()).status_code == 200
    assert page_url() in read(client, "/admin/")
    User.objects.update(is_staff=False)
    assert client.get(page_url()).status_code == 302
    assert client.get(url_of("csv", model="doubtfulnumber")).status_code == 302


def test_there_is_nothing_but_the_page_and_its_file(client: Client, administrator: User, group: CustomerGroup) -> None:
    make_person(group, phone="keine")
    assert client.post(page_url(), {"action": "delete_selected"}).status_code == 404
    assert client.get(f"{page_url()}add/").status_code == 404
    assert client.get(f"{page_url()}{IndexEntry.objects.get().pk}/change/").status_code == 404
    assert Contact.objects.count() == 1


# --- the index ---


def explain(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("set local enable_seqscan = off")
        cursor.execute("set local enable_sort = off")
        cursor.execute(f"explain {statement}")
        return "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.parametrize("problem", [None, "unreadable", "impossible"])
def test_the_doubtful_are_found_through_the_index_of_the_doubtful(group: CustomerGroup, problem: Any) -> None:
    make_person(group, phone="keine")
    with CaptureQueriesContext(connection) as queries:
        list_doubtful(Place([group.pk]), problem=problem, limit=50)
    assert "index_entry_doubtful" in explain(queries[0]["sql"])


def test_the_shared_are_found_through_the_index_of_numbers(group: CustomerGroup) -> None:
    make_person(group, phone="0211 1234567")
    with CaptureQueriesContext(connection) as queries:
        list_shared(Place([group.pk]), at_least=5, limit=50)
    plan = explain(queries[0]["sql"])
    assert "Index Only Scan using index_entry_canonical" in plan
    assert "Seq Scan" not in plan
