"""`import_contacts`: what goes in, what is refused and where, and how files come that people's programs wrote."""

import csv
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.imports import batch, importing
from cmphone.contacts.imports.csv_import import open_lines
from cmphone.contacts.imports.csv_reading import open_csv
from cmphone.contacts.imports.files import import_all
from cmphone.contacts.imports.types import BatchResult, Finding, Totals
from cmphone.contacts.models import Contact, ContactField, ContactModel, CustomerGroup
from cmphone.contacts.services import save_configuration
from cmphone.problems import InvalidRequest
from numbering.models import IndexEntry
from tests.make import TESTS, make_company, make_customer_group, make_person

pytestmark = pytest.mark.django_db

CHINOOK = Path(__file__).resolve().parents[2] / "shared/data/chinook/contacts.csv"


class Outcome(NamedTuple):
    """What an import did: its totals, and what it found as (line, column, start of the message)."""

    totals: Totals
    findings: list[Finding]

    @property
    def refused(self) -> list[tuple[int, str]]:
        return [(finding.line, finding.column) for finding in self.findings if finding.is_error]

    @property
    def warned(self) -> list[tuple[int, str]]:
        return [(finding.line, finding.column) for finding in self.findings if not finding.is_error]


def run(
    folder: Path,
    content: str | bytes,
    group: CustomerGroup,
    *,
    column_map: Sequence[str] = (),
    encoding: str | None = None,
    overwrite_empty: bool = False,
    dry_run: bool = False,
) -> Outcome:
    """Import a file of this content; a text becomes UTF-8."""
    path = folder / "contacts.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    findings: list[Finding] = []
    rules = get_current_configuration().groups[group.id]
    totals = import_all(
        open_lines(open_csv(path, encoding=encoding), rules=rules, column_map=column_map),
        customer_group=group,
        by=TESTS,
        overwrite_empty=overwrite_empty,
        dry_run=dry_run,
        report=findings.append,
    )
    return Outcome(totals, findings)


def make_model(name: str, *fields: tuple[str, str], labels: Sequence[str] = ()) -> ContactModel:
    """A model with these fields as (object, name); `phone` and `fax` take numbers."""
    model = ContactModel(name=name)
    save_configuration([model])
    save_configuration(
        ContactField(
            contact_model=model,
            object=object,
            name=field,
            position=position,
            dialable=field in {"phone", "fax"},
            indexed="local" if field == "phone" else "",
            label_de=labels[position] if labels else "",
        )
        for position, (object, field) in enumerate(fields)
    )
    return model


@pytest.fixture
def group() -> CustomerGroup:
    """Two levels: persons with first_name, last_name, phone, mobile; companies with name, phone."""
    return make_customer_group("customers", country_prefix="49")


# --- lines become contacts ---


def test_a_line_becomes_a_contact_that_its_number_finds(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "external_id,last_name,phone\nx1,Anders,0211 33990312\n", group)
    assert outcome == (Totals(lines=1, created=1), [])
    contact = Contact.objects.get()
    assert (contact.external_id, contact.kind, contact.is_active) == ("x1", "person", True)
    assert contact.fields == {"last_name": "Anders", "phone": "0211 33990312"}
    assert IndexEntry.objects.get().canonical == "4921133990312"


def test_columns_are_found_by_name_or_label_in_any_case(tmp_path: Path) -> None:
    model = make_model("labels", ("person", "last_name"), ("person", "phone"), labels=["Nachname", "Telefon"])
    group = make_customer_group("labels", model)
    run(tmp_path, "LAST_NAME;telefon\nAnders;12\n", group)
    assert Contact.objects.get().fields == {"last_name": "Anders", "phone": "12"}


def test_kind_and_active_are_read_in_both_languages(tmp_path: Path, group: CustomerGroup) -> None:
    run(
        tmp_path,
        "kind;active;last_name;name\nPerson;ja;Anders;\nFirma;nein;;Alfreds\nperson;0;Berg;\ncompany;1;;Berglunds\n",
        group,
    )
    found = Contact.objects.order_by("name").values_list("name", "kind", "is_active")
    assert list(found) == [
        ("Alfreds", "company", False),
        ("Anders,", "person", True),
        ("Berg,", "person", False),
        ("Berglunds", "company", True),
    ]


def test_a_one_level_model_of_companies_makes_companies(tmp_path: Path) -> None:
    group = make_customer_group("firms", make_model("firms", ("company", "name")))
    run(tmp_path, "name\nAlfreds\n", group)
    assert Contact.objects.get().kind == "company"


def test_a_formula_is_stored_as_typed(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "last_name\n=cmd|'/C calc'!A0\n", group)
    assert Contact.objects.get().fields["last_name"] == "=cmd|'/C calc'!A0"


def test_a_number_that_cannot_be_read_is_kept_and_reported(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "last_name,phone,mobile\nAnders,see note,1\n", group)
    assert outcome.totals == Totals(lines=1, created=1, unreadable_numbers=1)
    assert [(f.line, f.column, f.value) for f in outcome.findings] == [
        (2, "phone", "see note"),
    ]
    assert Contact.objects.get().fields["phone"] == "see note"


def test_an_impossible_number_is_kept_and_reported(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "last_name,phone\nNielsen,+453 3331 9991\n", group)
    assert outcome.totals == Totals(lines=1, created=1, impossible_numbers=1)
    assert outcome.warned == [(2, "phone")]


# --- updates by external id ---


def test_an_external_id_that_is_there_is_updated_and_empty_cells_overwrite_nothing(
    tmp_path: Path, group: CustomerGroup
) -> None:
    run(tmp_path, "external_id,first_name,last_name,phone,active\nx1,Maria,Anders,0211 1234567,0\n", group)
    outcome = run(tmp_path, "external_id,first_name,last_name\nx1,,Andersson\n", group)
    assert outcome.totals == Totals(lines=1, changed=1)
    contact = Contact.objects.get()
    assert contact.fields == {"first_name": "Maria", "last_name": "Andersson", "phone": "0211 1234567"}
    assert contact.is_active is False


def test_an_unchanged_contact_is_not_written(tmp_path: Path, group: CustomerGroup) -> None:
    content = "external_id,last_name,company,phone\nx1,Anders,Alfreds,0211 1234567\n"
    run(tmp_path, content, group)
    before = Contact.objects.get(external_id="x1").updated_at
    assert run(tmp_path, content, group).totals == Totals(lines=1, unchanged=1)
    assert Contact.objects.get(external_id="x1").updated_at == before


def test_the_second_line_of_an_external_id_changes_what_the_first_made(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "external_id,last_name,phone\nx1,Anders,0211 1234567\ny,Berg,\nx1,Andersson,\n", group)
    assert outcome.totals == Totals(lines=3, created=2, changed=1)
    assert Contact.objects.get(external_id="x1").fields == {"last_name": "Andersson", "phone": "0211 1234567"}


def test_the_same_external_id_in_another_group_is_another_contact(tmp_path: Path, group: CustomerGroup) -> None:
    other = make_customer_group("other")
    run(tmp_path, "external_id,last_name\nx1,Anders\n", other)
    assert run(tmp_path, "external_id,last_name\nx1,Anders\n", group).totals == Totals(lines=1, created=1)


def test_a_line_of_another_kind_than_its_contact_is_refused(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "external_id,last_name\nx1,Anders\n", group)
    outcome = run(tmp_path, "external_id,kind,name\nx1,company,Alfreds\n", group)
    assert (outcome.totals, outcome.refused) == (Totals(lines=1, refused=1), [(2, "kind")])


def test_a_line_without_external_id_is_the_contact_that_holds_just_the_same(
    tmp_path: Path, group: CustomerGroup
) -> None:
    content = "last_name,mobile,company\nAnders,,Alfreds\nAnders,,\nAnders,,\n"
    assert run(tmp_path, content, group).totals == Totals(lines=3, created=2, unchanged=1, companies_made=1)
    assert run(tmp_path, content, group).totals == Totals(lines=3, unchanged=3)
    assert Contact.objects.filter(kind="person").count() == 2
    # What it does not say stays as it is; what it says more makes another one.
    assert run(tmp_path, "last_name,active\nAnders,0\n", group).totals == Totals(lines=1, changed=1)
    assert run(tmp_path, "last_name\nAnders\n", group).totals == Totals(lines=1, unchanged=1)
    assert run(tmp_path, "last_name,mobile\nAnders,12\n", group).totals == Totals(lines=1, created=1)
    other = make_customer_group("other")
    assert run(tmp_path, "last_name\nAnders\n", other).totals == Totals(lines=1, created=1)


def test_a_contact_with_an_external_id_is_not_the_same_as_a_line_without(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "external_id,last_name\nx1,Anders\n", group)
    assert run(tmp_path, "last_name\nAnders\n", group).totals == Totals(lines=1, created=1)


def test_who_has_the_name_and_a_number_of_another_is_imported_and_reported(
    tmp_path: Path, group: CustomerGroup
) -> None:
    first = make_person(group, "Anders", phone="0211 33990312")
    make_person(make_customer_group("other"), "Berg", phone="0171 5")
    content = (
        "external_id,last_name,first_name,phone,mobile\n"
        "x1,Anders,Maria,1,+49 211 33990312\n"  # the number in another field and spelling
        ",Anders,Maria,0211 33990313,\n"  # another number
        ",Andersson,Maria,0211 33990312,\n"  # another name
        ",Berg,Maria,0171 5,\n"  # the other one is of another customer group
        ",Chang,,0171 7,0171 8\n"
        ",Chang,,,0171 7\n"  # the other one is above, in the same file
    )
    dry = run(tmp_path, content, group, dry_run=True)
    outcome = run(tmp_path, content, group)
    assert outcome.totals == dry.totals == Totals(lines=6, created=6, duplicates=2)
    assert [finding.line for finding in outcome.findings] == [2, 7]
    assert f"Contact {first.pk} " in outcome.findings[0].message
    other = Contact.objects.get(fields__mobile="0171 8")
    assert outcome.findings[1].message == (
        f"Contact {other.pk} has the same name and the same number: perhaps it is the same one."
    )
    # It was told once, with the contact that was made.
    assert run(tmp_path, content, group).totals == Totals(lines=6, unchanged=6)


def test_duplicates_are_found_in_few_statements(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "last_name,phone\n" + "".join(f"A{i},0211 55{i:04}\n" for i in range(300)), group)
    content = "last_name,phone,mobile\n" + "".join(f"A{i},0211 55{i:04},1\n" for i in range(300))
    with CaptureQueriesContext(connection) as queries:
        assert run(tmp_path, content, group).totals.duplicates == 300
    assert len([query for query in queries if "min(other.id)" in query["sql"]]) == 1


def test_empty_cells_overwrite_only_if_that_is_wanted(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "external_id,last_name,phone,mobile,company\nx1,Anders,0211 1,0171 2,Alfreds\n", group)
    content = "external_id,last_name,phone,company\nx1,Anders,,\n"
    assert run(tmp_path, content, group).totals == Totals(lines=1, unchanged=1)
    assert run(tmp_path, content, group, overwrite_empty=True).totals == Totals(lines=1, changed=1)
    contact = Contact.objects.get(external_id="x1")
    # Of a column that is not in the file nothing is empty.
    assert contact.fields == {"last_name": "Anders", "mobile": "0171 2"}
    assert contact.company is None
    assert run(tmp_path, content, group, overwrite_empty=True).totals == Totals(lines=1, unchanged=1)
    nothing = run(tmp_path, "external_id,last_name,mobile\nx1,,\n", group, overwrite_empty=True)
    assert (nothing.refused, nothing.totals.refused) == ([(2, "")], 1)


def test_values_of_a_field_that_is_gone_survive_an_update(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "external_id,last_name,mobile\nx1,Anders,0171 1234567\n", group)
    save_configuration(ContactField.objects.filter(name="mobile"), delete=True)
    assert run(tmp_path, "external_id,last_name\nx1,Andersson\n", group).totals == Totals(lines=1, changed=1)
    assert Contact.objects.get().fields == {"last_name": "Andersson", "mobile": "0171 1234567"}


# --- the companies of persons ---


def test_a_company_that_is_not_there_is_made_once(
    tmp_path: Path, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    lines = "".join(f"Person{i},Alfreds\n" for i in range(5))
    outcome = run(tmp_path, f"last_name,company\n{lines}", group)
    assert outcome.totals == Totals(lines=5, created=5, companies_made=1)
    company = Contact.objects.get(kind="company")
    assert company.fields == {"name": "Alfreds"}
    assert company.persons.count() == 5


def test_a_company_is_found_by_name_or_external_id_within_the_group(tmp_path: Path, group: CustomerGroup) -> None:
    by_name = make_company(group, "Alfreds")
    make_company(make_customer_group("other"), "Berglunds")
    run(tmp_path, "external_id,kind,name\nc7,company,Centro\n", group)
    outcome = run(tmp_path, "last_name,company\nAnders,Alfreds\nChang,c7\nBerg,Berglunds\n", group)
    assert outcome.totals == Totals(lines=3, created=3, companies_made=1)
    assert Contact.objects.get(name="Anders,").company == by_name
    assert Contact.objects.get(name="Chang,").company == Contact.objects.get(external_id="c7")
    assert Contact.objects.get(name="Berg,").company == Contact.objects.get(name="Berglunds", customer_group=group)


def test_a_person_may_stand_above_its_company(
    tmp_path: Path, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 1)
    outcome = run(
        tmp_path, "external_id,kind,last_name,name,company\np1,person,Anders,,c1\nc1,company,,Alfreds,\n", group
    )
    assert outcome.totals == Totals(lines=2, created=2)
    assert Contact.objects.get(external_id="p1").company == Contact.objects.get(external_id="c1")


def test_several_companies_of_a_name_are_a_warning(tmp_path: Path, group: CustomerGroup) -> None:
    oldest = make_company(group, "Alfreds")
    make_company(group, "Alfreds")
    outcome = run(tmp_path, "last_name,company\nAnders,Alfreds\n", group)
    assert outcome.warned == [(2, "company")]
    assert Contact.objects.get(name="Anders,").company == oldest


def test_a_company_name_that_cannot_be_stored_refuses_the_person(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "last_name,company\nAnders,Al\x00freds\nBerg,Berglunds\n", group)
    assert outcome.refused == [(2, "company")]
    assert outcome.totals == Totals(lines=2, created=1, refused=1, companies_made=1)


def test_a_line_that_is_refused_makes_no_company(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "external_id,last_name,company\nx,,Alfreds\n", group)
    assert (outcome.totals, outcome.refused) == (Totals(lines=1, refused=1), [(2, "")])


def test_a_field_called_company_is_a_field(tmp_path: Path) -> None:
    model = make_model("flat", ("person", "last_name"), ("person", "company"))
    outcome = run(tmp_path, "last_name,company\nAnders,Alfreds\n", make_customer_group("flat", model))
    assert outcome.totals == Totals(lines=1, created=1)
    assert Contact.objects.get().fields == {"last_name": "Anders", "company": "Alfreds"}


# --- columns ---


def test_a_column_without_field_is_reported_with_how_many_values_stay_out(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "last_name,title\nAnders,Dr.\nBerg,\nChang,Prof.\n", group)
    [finding] = outcome.findings
    assert (finding.line, finding.column, finding.is_error) == (0, "title", False)
    assert finding.message.startswith("2 values are not imported")
    assert "--map title=FIELD" in finding.message


def test_a_column_may_be_mapped_or_left_out_on_purpose(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(
        tmp_path, "Name;Rufnr.;a=b\nAnders;12345;Dr.\n", group, column_map=["name=last_name", "RUFNR.=phone", "a=b="]
    )
    assert outcome.findings == []
    assert Contact.objects.get().fields == {"last_name": "Anders", "phone": "12345"}


def test_what_only_the_other_kind_has_is_reported_by_kind(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "kind,name,last_name\nperson,,Anders\ncompany,Alfreds,lost\n", group)
    [finding] = outcome.findings
    assert (finding.column, finding.message.split(".")[0]) == (
        "last_name",
        "1 value is not imported, as there is no such field (company)",
    )


@pytest.mark.parametrize(
    ("header", "column_map", "message"),
    [
        ("last_name", ["nosuch=phone"], "--map: the file has no column “nosuch”. It has last_name."),
        ("last_name", ["last_name=nosuch"], "--map: there is no field “nosuch”. There are external_id, kind, active, "),
        ("last_name", ["last_name"], "Write --map COLUMN=FIELD, not “last_name”."),
        ("last_name,x", ["x=phone", "X="], "--map names the column “X” twice."),
        ("last_name,LAST_NAME", [], "The header names the column “LAST_NAME” twice."),
        ("last_name,,phone", [], "Column 2 has no name in the header."),
        ("last_name,x", ["x=last_name"], "The columns “last_name” and “x” are both last_name"),
        ("external_id,x,last_name", ["x=external_id"], "The columns “external_id” and “x” are both external_id"),
        ("Anders,Maria", [], "The first line must name the columns; none of it is a field. It has “Anders”, “Maria”;"),
    ],
)
def test_columns_that_are_not_clear_are_refused_before_anything_is_done(
    tmp_path: Path, group: CustomerGroup, header: str, column_map: list[str], message: str
) -> None:
    with pytest.raises(InvalidRequest) as problem:
        run(tmp_path, f"{header}\nAnders,Maria\n", group, column_map=column_map)
    assert problem.value.detail.startswith(message)


def test_a_label_of_several_fields_is_refused(tmp_path: Path) -> None:
    model = make_model("twice", ("person", "phone"), ("person", "fax"), labels=["Nummer", "Nummer"])
    with pytest.raises(InvalidRequest, match="“nummer” is the label of several fields"):
        run(tmp_path, "Nummer\n1\n", make_customer_group("twice", model))


# --- lines that are refused ---


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("x,robot,1,Anders", "kind"),
        ("x,person,perhaps,Anders", "active"),
        ("x,person,1,", ""),
        (f"{'x' * 201},person,1,Anders", "external_id"),
        ("x\x00,person,1,Anders", "external_id"),
        ("x,person,1,And\x00ers", "last_name"),
        (f"x,person,1,{'a' * 4001}", "last_name"),
        ("x,person,1", ""),
        ("x,person,1,Anders,more", ""),
        ('x,person,1,"Anders"s', ""),
        (f"x,person,1,{'a' * 200_000}", ""),
    ],
    ids=[
        "kind", "active", "empty", "long id", "NUL in id", "NUL", "long", "too few", "too many", "quotes", "longest",
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_with_its_column_and_the_others_go_in(
    tmp_path: Path, group: CustomerGroup, line: str, column: str
) -> None:
    outcome = run(tmp_path, f"external_id,kind,active,last_name\ny,person,1,Berg\n{line}\nz,person,1,Chang\n", group)
    assert outcome.refused == [(3, column)]
    assert outcome.totals == Totals(lines=3, created=2, refused=1)
    assert sorted(Contact.objects.values_list("external_id", flat=True)) == ["y", "z"]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, 'last_name,kind\r\n"An\r\nders",person\r\n\r\n"Be\nrg",robot\r\nChang,robot\r\n', group)
    assert outcome.refused == [(5, "kind"), (7, "kind")]
    assert Contact.objects.get().fields["last_name"] == "An\r\nders"


def test_empty_cells_beyond_the_header_are_nothing(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "last_name;phone;;\nAnders;;;\n;;;\n\n", group)
    assert outcome.totals == Totals(lines=1, created=1)


@pytest.mark.parametrize("rest", ["Berg,2\n", "Berg,2\n" * 5000], ids=["to the end of the file", "beyond the limit"])
def test_a_quote_that_is_not_closed_spoils_one_line(tmp_path: Path, group: CustomerGroup, rest: str) -> None:
    outcome = run(tmp_path, f'last_name,phone\nAnders,"1\n{rest}', group, dry_run=True)
    count = rest.count("\n")
    assert outcome.refused == [(2, "")]
    assert outcome.totals == Totals(lines=1 + count, created=1, unchanged=count - 1, refused=1)


def test_somebody_faster_with_an_external_id_costs_one_line(
    tmp_path: Path, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_person(group)
    Contact.objects.update(external_id="x1")
    # As if the other one had not been committed yet when this import looked.
    monkeypatch.setattr(batch, "find_by_external_id", lambda ids, *, customer_group_id: {})
    outcome = run(tmp_path, "external_id,last_name\nx0,Berg\nx1,Anders\nx2,Chang\n", group)
    assert outcome.refused == [(3, "external_id")]
    assert outcome.totals == Totals(lines=3, created=2, refused=1)


def test_a_dry_run_reports_the_same_and_changes_nothing(tmp_path: Path, group: CustomerGroup) -> None:
    content = "external_id,last_name,company\nx1,Anders,Alfreds\nx2,,\nx1,Andersson,\n"
    dry = run(tmp_path, content, group, dry_run=True)
    assert Contact.objects.count() == 0
    assert run(tmp_path, content, group) == dry
    assert dry.totals == Totals(lines=3, created=1, changed=1, refused=1, companies_made=1)


# --- files as programs write them ---


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("cp1252", "cp1252"),
        ("latin-1", "cp1252"),
    ],
)
def test_the_encoding_is_told_from_the_file(tmp_path: Path, group: CustomerGroup, encoding: str, name: str) -> None:
    content = "last_name;phone\r\nMüller-Lüdenscheidt;0211 1234567\r\n".encode(encoding)
    run(tmp_path, content, group)
    assert Contact.objects.get().fields["last_name"] == "Müller-Lüdenscheidt"
    assert open_csv(tmp_path / "contacts.csv").encoding == name


def test_an_encoding_that_is_named_is_used(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "last_name\nMüller\n".encode("cp850"), group, encoding="cp850")
    assert Contact.objects.get().fields["last_name"] == "Müller"


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_told_from_the_header_outside_quotes(
    tmp_path: Path, group: CustomerGroup, delimiter: str
) -> None:
    other = "," if delimiter == ";" else ";"
    content = f'"last_name"{delimiter}"x{other}{other}{other}y"\nAnders{delimiter}"a{delimiter}b{other}"\n'
    outcome = run(tmp_path, content, group, column_map=[f"x{other}{other}{other}y=phone"])
    assert outcome.totals.created == 1
    assert Contact.objects.get().fields == {"last_name": "Anders", "phone": f"a{delimiter}b{other}"}


def test_a_file_of_one_column_has_no_delimiter(tmp_path: Path, group: CustomerGroup) -> None:
    run(tmp_path, "last_name\nAnders, Maria; Dr.\n", group)
    assert Contact.objects.get().fields["last_name"] == "Anders, Maria; Dr."


def test_a_spreadsheet_may_name_its_delimiter(tmp_path: Path, group: CustomerGroup) -> None:
    outcome = run(tmp_path, "sep=|\r\nlast_name|kind\r\nAnders|robot\r\nBerg|person\r\n", group)
    assert outcome.refused == [(3, "kind")]
    assert Contact.objects.get().fields == {"last_name": "Berg"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: its first line must name the columns."),
        (b"\n\n;;\n", "is empty: its first line must name the columns."),
        (b"\n  \n ; \n", "is empty: its first line must name the columns."),
        (b";".join(b"c%d" % n for n in range(501)) + b"\nx\n", "has 501 columns; there may be 500."),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not a text file"),
        (b"PK\x03\x04rest", "is a spreadsheet or an archive: save it as CSV."),
        ("last_name\nMüller\n".encode("utf-16-le"), "its encoding cannot be told"),
        (b"last_name\nM\x81ller\n", "is neither UTF-8 nor Windows-1252: name its encoding, for example cp850."),
        (b'"last_name\nAnders\n', "A quote opens here which nothing closes."),
    ],
    ids=["empty", "blank", "spaces", "too many columns", "picture", "xlsx", "utf-16 without mark", "cp850", "header"],
)
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, group: CustomerGroup, content: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as problem:
        run(tmp_path, content, group)
    assert message in problem.value.detail
    assert Contact.objects.count() == 0


def test_a_text_that_does_not_decode_to_its_end_changes_nothing(tmp_path: Path, group: CustomerGroup) -> None:
    content = "last_name\n" + "Anders\n" * 2000 + "M\x81ller\n"
    with pytest.raises(InvalidRequest, match="is not encoded in utf-8"):
        run(tmp_path, content.encode("latin-1"), group, encoding="utf8")
    assert Contact.objects.count() == 0


def test_a_batch_takes_as_many_statements_as_a_line(tmp_path: Path, group: CustomerGroup) -> None:
    def count(lines: int) -> int:
        content = "".join(f"x{lines}-{i},Anders,Firm {lines}-{i},0211 123{i:04}\n" for i in range(lines))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            run(tmp_path, f"external_id,last_name,company,phone\n{content}", group)
        return len(queries)

    assert count(400) == count(200)


def test_no_more_than_a_batch_of_a_long_file_is_held(
    tmp_path: Path, group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def save(records: Sequence[object], **options: object) -> BatchResult:
        seen.append(len(records))
        return BatchResult(Totals(), [], [], {})

    monkeypatch.setattr(importing, "save_batch", save)
    content = "external_id;last_name;phone\n" + "".join(f"x{i};Anders{i};0211 {i:07}\n" for i in range(30_000))
    path = tmp_path / "long.csv"
    path.write_text(content)
    del content
    tracemalloc.start()
    source = open_lines(open_csv(path), rules=get_current_configuration().groups[group.id])
    import_all(source, customer_group=group, by=TESTS, report=lambda finding: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == [500] * 60
    assert peak < 3_000_000


def test_a_command_does_not_load_the_map_of_telephone_areas() -> None:
    code = "import django, sys; django.setup(); sys.exit('phonenumbers.geodata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR).returncode == 0


# --- the command ---


def call(*arguments: str | Path) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    out = io.StringIO()
    try:
        call_command("import_contacts", *map(str, arguments), stdout=out, stderr=io.StringIO())
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_what_it_did_and_fails_when_a_line_was_refused(tmp_path: Path, group: CustomerGroup) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("last_name;kind\nAnders;person\n\x1b[31mBerg;robot\n")
    code, text = call(path, "--customer-group", "customers")
    assert code == 1
    assert "encoding UTF-8, delimiter ;\n" in text
    assert "Line 3, kind: refused: Write person or company. “robot”\n" in text
    assert "        1  created\n" in text
    assert "        1  refused\n" in text
    assert "\x1b" not in text
    assert call(path, "--customer-group", "customers", "--dry-run", "--map", "kind=")[0] == 0
    assert Contact.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch.csv", "--customer-group", "customers"], "nosuch.csv: No such file or directory."),
        ([".", "--customer-group", "customers"], ". is not a file."),
        (["nosuch.csv", "--customer-group", "nosuch"], "There is no customer group nosuch. There are: customers"),
        (
            [str(Path(__file__)), "--customer-group", "customers", "--encoding", "hex"],
            "There is no encoding of the name hex.",
        ),
        (
            [str(Path(__file__)), "--customer-group", "customers", "--delimiter", '"'],
            "The delimiter is one character, such as ; or , or tab.",
        ),
    ],
)
def test_what_cannot_be_used_is_said_plainly(group: CustomerGroup, arguments: list[str], message: str) -> None:
    assert call(*arguments) == (2, message)


def test_the_report_holds_every_finding_and_no_formula(tmp_path: Path, group: CustomerGroup) -> None:
    path, report = tmp_path / "contacts.csv", tmp_path / "report.csv"
    lines = "".join(f"Anders;{formula};@x\n" for formula in ("=1+1", "+49", "-1", "@a", "robot") * 6)
    path.write_text(f"last_name;kind;=SUM(1)\n{lines}")
    code, text = call(path, "--customer-group", "customers", "--report", report)
    assert code == 1
    assert text.count(": refused: ") == 20
    rows = list(csv.reader(io.StringIO(report.read_text("utf-8-sig")), delimiter=";"))
    assert rows[0] == ["line of the file", "column", "level", "message", "value"]
    assert rows[1] == ["2", "kind", "refused", "Write person or company.", "'=1+1"]
    assert len(rows) == 31
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_the_report_does_not_overwrite_what_is_read(tmp_path: Path, group: CustomerGroup) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("last_name\nAnders\n")
    assert call(path, "--customer-group", "customers", "--report", path) == (
        2,
        "The report would overwrite the file that is read.",
    )
    assert path.read_text() == "last_name\nAnders\n"


# --- acceptance ---


@pytest.mark.skipif(not CHINOOK.exists(), reason="../shared/data/chinook is not here: no acceptance by its contacts")
@pytest.mark.parametrize("levels", [1, 2])
def test_the_chinook_contacts_go_in_with_nothing_lost(levels: int) -> None:
    names = ["first_name", "last_name", "title", "email", "street", "city", "state", "country", "postal_code"]
    names += ["phone", "fax"]
    fields = [("person", name) for name in names]
    fields += [("person", "company")] if levels == 1 else [("company", "name")]
    group = make_customer_group("chinook", make_model("chinook", *fields), country_prefix="1")
    code, text = call(CHINOOK, "--customer-group", "chinook")
    assert code == 0
    assert text.count("warning") == 1
    assert "Line 10, phone: warning: Its country has no such number; it is kept as typed. “+453 3331 9991”" in text
    with CHINOOK.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 67
    for row in rows:
        contact = Contact.objects.select_related("company").get(external_id=row["external_id"])
        kept = {**contact.fields, "company": contact.fields.get("company", contact.company and contact.company.name)}
        wanted = {name: row[name] for name in [*names, "company"]}
        assert {name: kept.get(name) or "" for name in wanted} == wanted
    assert Contact.objects.filter(customer_group=group, kind="person").count() == 67
    companies = {row["company"] for row in rows if row["company"]} if levels == 2 else set()
    assert set(Contact.objects.filter(kind="company").values_list("name", flat=True)) == companies
