"""Contacts as files that an import reads back: of whom one may view, by REST and in the administration."""

import csv
import io
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.exporting import Export, export_csv, export_vcards
from cmphone.contacts.imports.files import FileOptions, open_source, tell_source_of_file
from cmphone.contacts.imports.importing import import_records
from cmphone.contacts.imports.types import Totals
from cmphone.contacts.models import Contact, ContactChange, ContactField, CustomerGroup, User
from cmphone.contacts.services import ContactDraft, save_configuration, save_contact, save_contacts
from cmphone.csv_cells import FORMULA_STARTS, defuse, restore
from tests.admin_pages import log_in_as, url_of
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

pytestmark = pytest.mark.django_db
URL = "/api/v1/contacts/export"


@pytest.fixture
def group() -> CustomerGroup:
    """Persons and companies, with values that are hard to write."""
    group = make_customer_group(area_prefix="211", country_prefix="49")
    fields = [("person", "note"), ("person", "customer_no"), ("company", "city")]
    save_configuration(
        ContactField(contact_model=group.contact_model, object=object, name=name, position=20)
        for object, name in fields
    )
    company = save(group, "company", external_id="c-1", name='Alfreds; Futter "kiste"', phone="0211 339903")
    nameless = save(group, "company", name="=1+1", city="'@home")
    save(group, "person", external_id="p-1", company=company, first_name="Maria", last_name="Anders",
         phone="+49 211 33990312", mobile="0171 1234567; 12", note="a\r\nb, c; \"d\"\n", customer_no="-7")  # fmt: skip
    save(group, "person", company=nameless, last_name="'+Müller", phone="12", note=" =x ")
    save(group, "person", is_active=False, first_name="Ana", private_phone="anonymous")
    return group


def save(
    group: CustomerGroup, kind: str, *, external_id: str = "", company: Contact | None = None, is_active: bool = True,
    **fields: str,
) -> Contact:  # fmt: skip
    draft = ContactDraft(group.id, kind, fields, company, external_id, is_active)
    return save_contact(draft, by=TESTS)


def list_contents() -> list[tuple[object, ...]]:
    """Return all that people may change of all contacts."""
    contacts = Contact.objects.select_related("company").order_by("id")
    return [
        (each.kind, each.external_id, each.is_active, sorted(each.fields.items()), str(each.company))
        for each in contacts
    ]


def export(format: str, group: CustomerGroup, delimiter: str = ",") -> Export:
    groups = get_current_configuration().groups
    contacts, viewable = Contact.objects.all(), [group.id]
    if format == "csv":
        return export_csv(contacts, rules=groups[group.id], viewable=viewable, delimiter=delimiter)
    version: Any = format
    return export_vcards(contacts, groups={group.id: groups[group.id]}, viewable=viewable, version=version)


def import_text(text: str, group: CustomerGroup, folder: Path) -> Totals:
    path = folder / "export"
    path.write_bytes(text.encode())
    rules = get_current_configuration().groups[group.id]
    source = open_source(tell_source_of_file(path), path, rules=rules, options=FileOptions())
    findings = []

    def on_batch(result: Any) -> None:
        findings.extend(result.findings)

    totals = import_records(
        source.records, customer_group_id=group.id, by=TESTS, describe=source.describe, on_batch=on_batch
    )
    assert [finding for finding in findings if finding.is_error] == []
    return totals


def read_response(response: Any) -> str:
    assert response.status_code == 200, response.content
    assert isinstance(response, StreamingHttpResponse)
    return response.getvalue().decode()


# --- what is exported is imported again ---


@pytest.mark.parametrize("format", ["csv", "4.0", "3.0"])
def test_importing_what_was_exported_changes_nothing(group: CustomerGroup, tmp_path: Path, format: str) -> None:
    before, changes = list_contents(), ContactChange.objects.count()
    totals = import_text("".join(export(format, group).text), group, tmp_path)
    assert (totals.lines, totals.unchanged, totals.companies_made) == (5, 5, 0)
    assert (list_contents(), ContactChange.objects.count()) == (before, changes)


@pytest.mark.parametrize("format", ["csv", "4.0", "3.0"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_was_exported_makes_the_same_contacts_elsewhere(
    group: CustomerGroup, tmp_path: Path, format: str, delimiter: str
) -> None:
    before = list_contents()
    text = "".join(export(format, group, delimiter).text)
    Contact.objects.filter(kind="person").delete()
    Contact.objects.all().delete()
    assert import_text(text, group, tmp_path).created == 5
    assert sorted(map(repr, list_contents())) == sorted(map(repr, before))


def test_a_csv_file_reads_like_this(group: CustomerGroup) -> None:
    text = "".join(export("csv", group, ";").text)
    assert text[0] == "\ufeff"
    assert list(csv.reader(io.StringIO(text[1:], newline=""), delimiter=";")) == [
        ["external_id", "kind", "active", "company", "first_name", "last_name", "phone", "mobile", "private_phone",
         "note", "customer_no", "name", "city"],
        ["c-1", "company", "1", "", "", "", "0211 339903", "", "", "", "", "Alfreds; Futter \"kiste\"", ""],
        ["", "company", "1", "", "", "", "", "", "", "", "", "'=1+1", "''@home"],
        ["p-1", "person", "1", "c-1", "Maria", "Anders", "'+49 211 33990312", "0171 1234567; 12", "",
         "a\r\nb, c; \"d\"\n", "'-7", "", ""],
        ["", "person", "1", "'=1+1", "", "''+Müller", "12", "", "", "' =x ", "", "", ""],
        ["", "person", "0", "", "Ana", "", "", "", "anonymous", "", "", "", ""],
    ]  # fmt: skip


@given(st.text("'=+-@\t\r\n ＝a\u00a0", max_size=8))
def test_no_cell_is_run_and_every_cell_comes_back(text: str) -> None:
    cell = str(defuse(text))
    assert not cell.lstrip(" \u00a0").startswith(FORMULA_STARTS)
    assert restore(cell) == text


@pytest.mark.parametrize("format", ["csv", "4.0", "3.0"])
def test_persons_may_have_a_field_that_is_called_company(tmp_path: Path, format: str) -> None:
    group = make_customer_group(model=make_contact_model())
    save_configuration([ContactField(contact_model=group.contact_model, object="person", name="company")])
    company = save(group, "company", external_id="c-1", name="Futterkiste")
    for number, of_person in enumerate(["", "its own"]):
        values = {"last_name": "Anders", "company": of_person}
        draft = ContactDraft(group.id, "person", values, company, external_id=f"p-{number}")
        save_contact(draft, by=TESTS)
    before = list_contents()
    assert import_text("".join(export(format, group).text), group, tmp_path).unchanged == 3
    assert list_contents() == before


# --- how it is read from the database ---


@pytest.mark.parametrize("format", ["csv", "4.0"])
def test_twice_as_many_contacts_need_no_more_memory(group: CustomerGroup, format: str) -> None:
    peaks, sizes = [], []
    for _round in range(2):
        drafts = [ContactDraft(group.id, "person", {"note": "x" * 2_000 + str(number)}) for number in range(2_000)]
        save_contacts(drafts, by=TESTS)
        export(format, group)
        tracemalloc.start()
        try:
            sizes.append(sum(len(text) for text in export(format, group).text))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert sizes[1] > 1.9 * sizes[0] > 7_000_000
    assert peaks[1] < 1.1 * peaks[0]


def test_an_export_is_one_statement(group: CustomerGroup, django_assert_num_queries: Any) -> None:
    rules = get_current_configuration().groups[group.id]
    with django_assert_num_queries(1):
        text = "".join(export_csv(Contact.objects.all(), rules=rules, viewable=[group.id], delimiter=",").text)
    assert text.startswith("\ufeffexternal_id,")


@pytest.mark.django_db(transaction=True)
def test_an_export_is_one_snapshot(group: CustomerGroup) -> None:
    drafts = [ContactDraft(group.id, "person", {"last_name": f"Old {n}"}) for n in range(1_200)]
    save_contacts(drafts, by=TESTS)
    going_on = export("csv", group).text
    header = next(going_on) + next(going_on)
    Contact.objects.filter(name__contains="Old").delete()
    make_person(group, "New")
    text = header + "".join(going_on)
    assert (text.count("Old "), text.count("New")) == (1_200, 0)
    assert list_open_cursors() == []


@pytest.mark.django_db(transaction=True)
def test_an_export_that_is_given_up_leaves_no_cursor_open(group: CustomerGroup) -> None:
    save_contacts([ContactDraft(group.id, "person", {"last_name": f"{n}"}) for n in range(1_200)], by=TESTS)
    going_on = export("4.0", group)
    next(going_on.text)
    assert len(list_open_cursors()) == 1
    del going_on
    assert list_open_cursors() == []


def list_open_cursors() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("select name from pg_cursors where name <> ''")
        return list(cursor.fetchall())


# --- REST ---


@pytest.fixture
def agent(group: CustomerGroup) -> User:
    """May view the group, and create in another one that he may not view."""
    user = make_user()
    give_rights(user, group)
    hidden = make_customer_group("hidden")
    make_company(hidden, "Geheim AG")
    give_rights(user, hidden, view=False, create=True)
    return user


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def get(client: Client, headers: dict[str, str], **query: str) -> Any:
    return client.get(URL, query, headers=headers)


def test_a_group_is_downloaded_as_csv(client: Client, group: CustomerGroup, headers: dict[str, str]) -> None:
    response = get(client, headers, format="csv", customer_group="customers", delimiter=";")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="customers-20')
    assert response["Cache-Control"] == "private, no-store"
    assert read_response(response) == "".join(export("csv", group, ";").text)


@pytest.mark.parametrize("version", ["4.0", "3.0"])
def test_vcards_are_those_of_all_groups_that_one_may_view(
    client: Client, group: CustomerGroup, headers: dict[str, str], version: str
) -> None:
    response = get(client, headers, format="vcard", version=version)
    assert response["Content-Type"] == "text/vcard; charset=utf-8"
    assert read_response(response) == "".join(export(version, group).text)


def test_active_contacts_may_be_told_from_others(client: Client, headers: dict[str, str]) -> None:
    counts = {
        active: read_response(get(client, headers, format="vcard", active=active)).count("BEGIN:VCARD")
        for active in ("true", "false", "all")
    }
    assert counts == {"true": 4, "false": 1, "all": 5}


@pytest.mark.parametrize("named", ["hidden", "nowhere"])
@pytest.mark.parametrize("format", ["csv", "vcard"])
def test_a_group_that_one_may_not_view_is_not_there(
    client: Client, headers: dict[str, str], named: str, format: str
) -> None:
    bodies = []
    for name in (named, str(CustomerGroup.objects.get(name="hidden").pk), "999999"):
        response = get(client, headers, format=format, customer_group=name)
        assert response.status_code == 404
        bodies.append(response.json() | {"request_id": ""})
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({}, "#/customer_group"),
        ({"format": "xml"}, "#/format"),
        ({"format": "csv", "customer_group": "customers", "delimiter": "x"}, "#/delimiter"),
        ({"format": "vcard", "version": "2.1"}, "#/version"),
    ],
)
def test_bad_parameters_say_what_to_do(
    client: Client, headers: dict[str, str], query: dict[str, str], pointer: str
) -> None:
    response = get(client, headers, **query)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


def test_whoever_may_view_nothing_gets_an_empty_file(client: Client) -> None:
    make_company(make_customer_group("hidden"), "Geheim AG")
    assert read_response(get(client, log_in(make_user()), format="vcard")) == ""


def test_a_key_needs_the_scope_contacts(client: Client, agent: User) -> None:
    for scope, status in ((Scope.CONTACTS, 200), (Scope.LOOKUP, 403)):
        _key, secret = create_api_key(name=scope, user=agent, scopes=[scope])
        response = get(client, {"Authorization": f"Api-Key {secret}"}, format="vcard")
        assert response.status_code == status
    assert client.get(URL).status_code == 401


def test_a_company_that_one_may_not_view_is_not_named(client: Client, group: CustomerGroup, agent: User) -> None:
    """The services let nobody have such a company; whatever else writes there might."""
    hidden = Contact.objects.get(name="Geheim AG")
    Contact.objects.filter(external_id="p-1").update(company=hidden)
    headers = log_in(agent)
    for query in ({"format": "csv", "customer_group": "customers"}, {"format": "vcard"}):
        text = read_response(get(client, headers, **query))
        assert "Anders" in text
        assert "Geheim" not in text


def test_a_database_that_is_away_is_no_empty_file(
    client: Client, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from cmphone.contacts import exporting

    def fail(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(exporting, "_read", fail)
    assert get(client, headers, format="vcard").status_code == 503


# --- the administration ---


def list_groups(client: Client, **query: str) -> list[str]:
    """Return the groups that the page offers, with their counts."""
    response = client.get(url_of("export", **query))
    assert response.status_code == 200
    return [str(label) for _id, label in response.context["form"].fields["customer_group"].choices]


def download(client: Client, **query: Any) -> str:
    return read_response(client.get(url_of("export", **query)))


def test_the_page_offers_what_one_may_view(client: Client, group: CustomerGroup) -> None:
    user = log_in_as(client, "agent")
    hidden, other = make_customer_group("hidden"), make_customer_group("other")
    make_company(hidden, "Geheim AG")
    make_company(other, "Otto")
    give_rights(user, group)
    give_rights(user, hidden, view=False, create=True)
    assert list_groups(client) == ["customers en (5 contacts)"]
    assert client.get(url_of("export", format="csv", customer_group=hidden.id, delimiter="tab")).status_code == 200
    give_rights(user, other)
    assert list_groups(client) == [
        "customers en (5 contacts)", "other en (1 contact)", "all of them (vCard only)"]  # fmt: skip
    text = download(client, format="vcard-4", customer_group="all", delimiter="tab")
    assert (text.count("BEGIN:VCARD"), "Geheim" in text) == (6, False)
    csv = download(client, format="csv", customer_group=group.id, delimiter="tab")
    assert csv == "".join(export("csv", group, "\t").text)
    assert "VERSION:3.0" in download(client, format="vcard-3", customer_group=group.id, delimiter="tab")


def test_the_page_exports_what_the_list_shows(client: Client, group: CustomerGroup) -> None:
    log_in_as(client, "admin", is_superuser=True)
    make_company(make_customer_group("other"), "Otto")
    page = client.get(url_of("changelist", q="maria", p="1")).content.decode()
    assert f'href="{url_of("export")}?_changelist_filters=q%3Dmaria%26p%3D1"' in page
    assert list_groups(client, _changelist_filters="q=maria&p=1") == ["customers en (1 contact)"]
    assert list_groups(client, _changelist_filters="is_active__exact=0") == ["customers en (1 contact)"]
    assert list_groups(client, _changelist_filters=f"customer_group__id__exact={group.id}&kind__exact=company") == [
        "customers en (2 contacts)"]  # fmt: skip
    assert list_groups(client, _changelist_filters="q=33990312") == ["customers en (1 contact)"]
    query: dict[str, Any] = {
        "format": "vcard-4",
        "customer_group": group.id,
        "delimiter": "comma",
        "_changelist_filters": "q=maria",
    }
    assert download(client, **query).count("BEGIN:VCARD") == 1
    assert "nothing to export" in client.get(url_of("export", _changelist_filters="q=xyz")).content.decode()
    assert client.get(url_of("export", _changelist_filters="is_active__exact=x")).status_code == 404


def test_what_is_wrong_is_said_on_the_page(client: Client, group: CustomerGroup) -> None:
    log_in_as(client, "admin", is_superuser=True)
    make_company(make_customer_group("other"), "Otto")
    response = client.get(url_of("export", format="csv", customer_group="all", delimiter="comma"))
    assert response.context["form"].errors == {
        "customer_group": ["Choose one: the columns of a CSV file are the fields of one group."]
    }


def test_whoever_may_view_no_contact_has_no_page(client: Client, group: CustomerGroup) -> None:
    user = log_in_as(client, "agent")
    give_rights(user, group, view=False, create=True)
    assert client.get(url_of("export")).status_code == 403
    assert client.get(url_of("export", format="vcard-4", customer_group="all", delimiter="tab")).status_code == 403


def test_the_page_stands_in_both_languages(client: Client, group: CustomerGroup) -> None:
    log_in_as(client, "admin", is_superuser=True)
    for language, delimiter in (("de", "semicolon"), ("en", "comma")):
        response = client.get(url_of("export"), headers={"Accept-Language": language})
        assert response.context["form"].initial["delimiter"] == delimiter
