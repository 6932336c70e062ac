"""vCards as real programs write them, and as this one does."""

import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmphone.contacts.configuration import FieldRule, GroupRules
from cmphone.contacts.imports.types import ImportRecord
from cmphone.contacts.models import Contact
from cmphone.contacts.vcards.parsing import MAX_PROPERTIES, MAX_VALUE, read_cards
from cmphone.contacts.vcards.reading import open_vcards
from cmphone.contacts.vcards.survey import survey_properties
from cmphone.contacts.vcards.writing import Version, write_card
from cmphone.problems import InvalidRequest
from numbering.reading import Plan


def make_rules(persons: str = "", companies: str = "") -> GroupRules:
    """Rules of fields by their names; those with a star are dialable, and a label may follow a colon."""

    def read(text: str) -> FieldRule:
        name, _colon, label = text.rstrip("*").partition(":")
        return FieldRule(name, label.replace("_", " "), "", dialable=text.endswith("*"), indexed="")

    kinds = {"person": persons, "company": companies}
    fields = {kind: tuple(map(read, names.split())) for kind, names in kinds.items() if names}
    return GroupRules(1, "customers", "", "", Plan(area="211"), fields, {})


PERSONS = "first_name last_name title phone* mobile* private_phone* fax email note street zip city"
RULES = make_rules(PERSONS, "name phone* website")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cards.vcf"


def read(
    path: Path, data: bytes | str, rules: GroupRules = RULES, property_map: Sequence[str] = ()
) -> list[ImportRecord]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(open_vcards(path, rules=rules, property_map=property_map).records)


def card(*lines: str, end: str = "\r\n") -> str:
    return end.join(["BEGIN:VCARD", *lines, "END:VCARD", ""])


def read_one(path: Path, *lines: str, rules: GroupRules = RULES, **options: Sequence[str]) -> ImportRecord:
    (record,) = read(path, card(*lines), rules, **options)
    assert record.error == ""
    return record


def fields_of(path: Path, *lines: str, rules: GroupRules = RULES, **options: Sequence[str]) -> Mapping[str, str]:
    return read_one(path, *lines, rules=rules, **options).fields


NAME = {"first_name": "Maria", "last_name": "Anders"}
N = "N:Anders;Maria;;;"


# --- how programs write lines ---


@pytest.mark.parametrize(
    ("lines", "last_name"),
    [
        (["VERSION:3.0", "N:Mül", " ler;Maria"], "Müller"),
        (["VERSION:3.0", "N:Mül", "\tler;Maria"], "Müller"),
        (["VERSION:2.1", "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;Maria"], "Müller"),
        (["VERSION:2.1", "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=", "=BCller;Maria"], "Müller"),
        (["VERSION:2.1", "N;QUOTED-PRINTABLE;CHARSET=windows-1252:M=FCller;Maria"], "Müller"),
        (["VERSION:2.1", "N;ENCODING=QUOTED-PRINTABLE:M=FCller;Maria"], "Müller"),
        (["N:Müller;Maria"], "Müller"),
        (["VERSION:3.0", "N;CHARSET=no-such-thing:Müller;Maria"], "Müller"),
        (["VERSION:3.0", r"N:M\;ü\,l\\ler;Maria"], r"M;ü,l\ler"),
        (["VERSION:4.0", 'N;SORT-AS="Müller,Maria":Müller;Maria;;;'], "Müller"),
        (["VERSION:4.0", 'n;x="a:b;c":Müller;Maria;;;'], "Müller"),
        (["VERSION:4.0", "item1.N:Müller;Maria;;;"], "Müller"),
    ],
)
def test_a_name_is_read_however_it_is_written(path: Path, lines: list[str], last_name: str) -> None:
    assert fields_of(path, *lines) == {"first_name": "Maria", "last_name": last_name}


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_lines_end_in_every_way(path: Path, end: str) -> None:
    records = read(path, card("VERSION:3.0", N, "NOTE:a", " b", end=end) * 2)
    assert [record.fields for record in records] == [NAME | {"note": "ab"}] * 2


def test_a_line_may_be_folded_within_a_character(path: Path) -> None:
    data = card("VERSION:3.0", "N:Müller;Maria").encode()
    cut = data.index("ü".encode()) + 1
    assert read(path, data[:cut] + b"\r\n " + data[cut:])[0].fields["last_name"] == "Müller"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_files_have_many_encodings(path: Path, encoding: str) -> None:
    assert read(path, card("VERSION:3.0", "N:Müller;Zoë").encode(encoding))[0].fields == {
        "first_name": "Zoë",
        "last_name": "Müller",
    }


def test_soft_line_breaks_and_line_breaks_of_quoted_printable_are_told_apart(path: Path) -> None:
    lines = [
        "VERSION:2.1",
        N,
        "NOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0Atwo and=",
        " three=3D3",
        "EMAIL;INTERNET:m@a.de",
    ]
    assert fields_of(path, *lines) == NAME | {"note": "one\ntwo and three=3", "email": "m@a.de"}


def test_a_value_that_ends_like_a_soft_break_does_not_swallow_the_end_of_the_card(path: Path) -> None:
    data = card("VERSION:2.1", N, "NOTE;ENCODING=QUOTED-PRINTABLE:one=") + card("VERSION:3.0", N)
    assert [record.fields for record in read(path, data)] == [NAME | {"note": "one"}, NAME]


def test_a_backslash_means_something_from_version_3_on(path: Path) -> None:
    assert fields_of(path, "VERSION:2.1", N, r"NOTE:C:\new\;x")["note"] == r"C:\new;x"
    assert fields_of(path, "VERSION:3.0", N, r"NOTE:a\nb\Nc\\n")["note"] == "a\nb\nc\\n"


# --- pictures and other large things ---


@pytest.mark.parametrize(
    "picture",
    [
        "PHOTO;ENCODING=b;TYPE=JPEG:QUJD\r\n QUJD\r\n QUI=",
        "PHOTO;ENCODING=BASE64;JPEG:\r\n QUJD\r\n QUI=\r\n",
        "PHOTO;JPEG;BASE64:\r\nQUJDQUJD\r\nQUJD\r\nQUI=\r\n",
        "PHOTO:data:image/jpeg;base64,QUJDQUI=",
        "item2.LOGO;VALUE=uri:https://example.com/a.png",
        "X-MS-CARDPICTURE;TYPE=GIF;ENCODING=BASE64:\r\n QUJD",
    ],
)
def test_a_picture_is_left_out_and_nobody_is_told(path: Path, picture: str) -> None:
    record = read_one(path, "VERSION:3.0", picture, N, "TEL:0211 1")
    assert (record.fields, record.warnings) == (NAME | {"phone": "0211 1"}, ())


def test_no_picture_and_no_file_is_held_in_memory() -> None:
    folded = b" " + b"QUJD" * 18 + b"\r\n"

    class Endless(BytesIO):
        """As if it were a file of 60 MB: in lines, and in one line."""

        def __init__(self) -> None:
            super().__init__()
            self._pieces = self._list_pieces()

        def _list_pieces(self) -> Iterator[bytes]:
            yield b"BEGIN:VCARD\r\nN:a\r\nPHOTO;ENCODING=b:QUJD\r\n"
            for _number in range(400):
                yield folded * 1000
            yield b"PHOTO;ENCODING=b:" + b"QUJD" * 10_000
            for _number in range(1000):
                yield b"QUJD" * 8_000
            yield b"\r\nTEL:1\r\nEND:VCARD\r\n"

        def read(self, size: int | None = -1) -> bytes:
            return next(self._pieces, b"")

        def seek(self, offset: int, whence: int = 0) -> int:
            self._pieces = self._list_pieces()
            return 0

    tracemalloc.start()
    try:
        (found,) = read_cards(Endless())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [each.name for each in found.properties] == ["N", "TEL"]
    assert peak < 3_000_000


def test_what_is_too_large_is_refused_or_left_out_and_said(path: Path) -> None:
    long = card("VERSION:3.0", N, "NOTE:" + "a" * (MAX_VALUE + 1))
    many = card("VERSION:3.0", N, *["TEL:1"] * MAX_PROPERTIES)
    records = read(path, long + many + card("VERSION:3.0", N))
    assert [record.fields for record in records] == [NAME, {}, NAME]
    assert records[0].warnings == (("NOTE", "The value is too long; it is left out."),)
    assert records[1].error == "The card is too large."


def test_many_separators_and_quotes_take_no_time(path: Path) -> None:
    heads = ["TEL" + ";" * 60_000 + ":1", 'TEL;X="' + '";"' * 20_000 + ":1", "TEL;TYPE=" + "," * 60_000 + ":1"]
    heads += ["\\" * 60_000, "N:" + "\\;" * 30_000, ":" * 60_000, '"' * 60_001]
    started = time.process_time()
    assert [len(read(path, card("VERSION:3.0", head))) for head in heads] == [1] * len(heads)
    # Several times as long where the parameters were put together anew for each of them.
    assert time.process_time() - started < 4


# --- broken cards ---


def test_a_broken_card_spoils_no_other(path: Path) -> None:
    good = card("VERSION:3.0", N)
    without_end = good.replace("END:VCARD\r\n", "")
    data = good + without_end + "nothing between cards\r\n" + card("VERSION:3.0", N, "no property") + good + without_end
    records = read(path, data)
    assert [(record.number, bool(record.error), record.fields) for record in records] == [
        *[(number, False, NAME) for number in (1, 2, 3, 4)],
        (5, True, {}),
    ]
    assert [message for record in records for _name, message in record.warnings] == [
        "“nothing between cards” is no property; it is left out.",
        "The card has no end (END:VCARD); the next one begins within it.",
        "“no property” is no property; it is left out.",
    ]
    assert records[4].error == "The card has no end (END:VCARD): the file seems to be cut off."


def test_a_card_within_a_card_is_not_taken_for_another_contact(path: Path) -> None:
    inner = card("VERSION:2.1", "N:Else;Somebody", "TEL:0211 9").strip()
    record = read_one(path, "VERSION:2.1", N, "AGENT:", inner, "TEL:0211 1")
    assert record.fields == NAME | {"phone": "0211 1"}


@pytest.mark.parametrize("data", [b"", b"name;phone\r\nAnders;1\r\n", b"PK\x03\x04" + bytes(range(256)) * 50])
def test_a_file_without_cards_is_none(path: Path, data: bytes) -> None:
    with pytest.raises(InvalidRequest) as error:
        read(path, data)
    assert error.value.detail == f"{path} has no vCard in it: one begins with BEGIN:VCARD."


@given(st.binary(max_size=300), st.sampled_from(["VERSION:2.1", "VERSION:3.0", "VERSION:4.0"]))
def test_nothing_that_a_card_holds_makes_reading_fail(data: bytes, version: str) -> None:
    before, behind = card("N:a").encode(), card("N:b").encode()
    cards = list(
        read_cards(BytesIO(before + b"BEGIN:VCARD\r\n" + version.encode() + b"\r\n" + data + b"\r\n" + behind))
    )
    assert cards[0].find_text("N") == "a"
    assert cards[-1].find_text("N") == "b" or b"AGENT" in data.upper()


# --- numbers ---


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["TEL;TYPE=work,voice:1234567"], {"phone": "1234567"}),
        (["TEL;WORK;VOICE:1234567"], {"phone": "1234567"}),
        (['TEL;TYPE="voice,cell":1234567'], {"mobile": "1234567"}),
        (["TEL;type=CELL;type=VOICE;type=pref:1234567"], {"mobile": "1234567"}),
        (["TEL;CELL:1", "TEL;HOME:2", "TEL;WORK;FAX:3", "TEL:4"],
         {"mobile": "1", "private_phone": "2", "fax": "3", "phone": "4"}),
        (["TEL;TYPE=work:1", "TEL;TYPE=main:2"], {"phone": "1; 2"}),
        (["TEL;TYPE=work:1", "TEL;TYPE=work;PREF=1:2"], {"phone": "2; 1"}),
        (["TEL;TYPE=work:1", "TEL;TYPE=voice:1"], {"phone": "1"}),
        (["item1.TEL:1", "item1.X-ABLabel:_$!<Mobile>!$_"], {"mobile": "1"}),
        (["item1.TEL;type=pref:1", "item1.X-ABLabel:iPhone", "item2.TEL:2", "item2.X-ABLabel:Zentrale"],
         {"mobile": "1", "phone": "2"}),
        (["item1.TEL:1", "item1.X-ABLabel:HomeFAX"], {"fax": "1"}),
        (["TEL;VALUE=uri;TYPE=work:tel:+49-211-33990312;ext=12"], {"phone": "+49-211-33990312 ext. 12"}),
        (["TEL;VALUE=uri:tel:+49-211-33990312;ext=12", "TEL;VALUE=uri:tel:33990399;phone-context=+49-211"],
         {"phone": "+49-211-33990312 ext. 12; +49-211-33990399"}),
        (["TEL:tel:%2B49211123"], {"phone": "+49211123"}),
        (["TEL;TYPE=work:"], {}),
    ],
)  # fmt: skip
def test_numbers_find_their_fields(path: Path, lines: list[str], expected: dict[str, str]) -> None:
    record = read_one(path, "VERSION:3.0", N, *lines)
    assert (record.fields, record.warnings) == (NAME | expected, ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("last_name phone* phone2*", {"phone": "1; 4; 6", "phone2": "2"}),
        ("last_name Telefon* Handy* Telefon_privat* Telefax",
         {"Telefon": "1; 2", "Handy": "4", "Telefon_privat": "6", "Telefax": "5"}),
        ("last_name a:Durchwahl* b:Mobil* c:Fax*", {"a": "1; 2; 6", "b": "4", "c": "5"}),
        ("last_name durchwahl*", {"durchwahl": "1; 2; 4; 6"}),
    ],
)  # fmt: skip
def test_numbers_find_the_fields_that_a_contact_model_has(path: Path, fields: str, expected: dict[str, str]) -> None:
    numbers = ["TEL;WORK:1", "TEL;WORK:2", "TEL;CELL:4", "TEL;FAX:5", "TEL;HOME:6"]
    record = read_one(path, "VERSION:3.0", "N:Anders;;;;", *numbers, rules=make_rules(fields))
    assert record.fields == {"last_name": "Anders"} | expected
    # A fax is no telephone.
    has_fax = "fax" in fields.lower()
    said = ["“5” is not imported: there is no field left for it. To import it: TEL;TYPE=fax=FIELD. "
            "To leave it out on purpose: TEL;TYPE=fax="]  # fmt: skip
    assert [message for _name, message in record.warnings] == ([] if has_fax else said)


# --- everything else ---


def test_every_value_finds_its_field_by_english_and_german_names(path: Path) -> None:
    lines = ["VERSION:3.0", "N:Anders;Maria;Eva;Dr.;MBA", "FN:Dr. Maria Eva Anders", "ORG:Futterkiste;Einkauf;West"]
    lines += ["TITLE:Leiterin", "EMAIL;TYPE=HOME:m@home.de", "EMAIL;TYPE=WORK:m@work.de", "URL:https://a.de"]
    lines += ["NOTE:eins", "NOTE:zwei", "ADR;TYPE=WORK:PF 1;Hof 2;Weg 3;Bonn;NRW;53111;Germany", "BDAY:1980-02-01"]
    english = "first_name last_name middle_name prefix suffix company department job_title email private_email "
    english += "website notes po_box address_extra street city region zip country birthday"
    german = "vorname nachname zweiter_vorname anrede namenszusatz firma abteilung position E-Mail E-Mail_privat "
    german += "Homepage Bemerkung Postfach Adresszusatz Straße Ort Bundesland PLZ Land Geburtstag"
    values = ["Maria", "Anders", "Eva", "Dr.", "MBA", "Futterkiste", "Einkauf, West", "Leiterin", "m@work.de"]
    values += ["m@home.de", "https://a.de", "eins\nzwei", "PF 1", "Hof 2", "Weg 3", "Bonn", "NRW", "53111", "Germany"]
    values += ["1980-02-01"]
    for names in (english, german):
        labels = [f"field{number}:{name}" for number, name in enumerate(names.split())]
        for fields in (names.split(), labels):
            record = read_one(path, *lines, rules=make_rules(" ".join(fields)))
            keys = [field.partition(":")[0] for field in fields]
            assert (record.fields, record.warnings) == (dict(zip(keys, values, strict=True)), ())


def test_what_has_no_field_is_reported_with_how_to_import_it(path: Path) -> None:
    record = read_one(path, "VERSION:3.0", N, "ROLE:Chief", "EMAIL;TYPE=home:m@a.de", "X-SPOUSE:x", "REV:1", "UID:u1",
                      rules=make_rules("first_name last_name"))  # fmt: skip
    assert record.external_id == "u1"
    assert [message[:60] for _name, message in record.warnings] == [
        "“Chief” is not imported: there is no field left for it. To i",
        "“m@a.de” is not imported: there is no field left for it. To ",
    ]
    assert record.warnings[1][1].endswith(
        "To import it: EMAIL;TYPE=home=FIELD. To leave it out on purpose: EMAIL;TYPE=home="
    )


def test_a_second_address_is_not_mixed_with_the_first(path: Path) -> None:
    record = read_one(
        path, "VERSION:3.0", N, "ADR;TYPE=home:;;Weg 1;Bonn;;;", "ADR;TYPE=work;TYPE=pref:;;Gasse 2;;;50667;"
    )
    assert record.fields == NAME | {"street": "Gasse 2", "zip": "50667"}
    assert [message.partition(" is ")[0] for _name, message in record.warnings] == ["“Weg 1, Bonn”"]
    rules = make_rules("first_name last_name address")
    assert fields_of(path, N, "ADR:;;Weg 1;Bonn;;53111;D", rules=rules)["address"] == "Weg 1, 53111 Bonn, D"


@pytest.mark.parametrize(
    ("lines", "fields", "expected"),
    [
        (["FN:Maria Anders"], "first_name last_name", {"last_name": "Maria Anders"}),
        (["FN:Maria Anders", "N:;;;;"], "first_name last_name", {"last_name": "Maria Anders"}),
        (["FN:Maria Anders", "N:Anders;Maria;;Dr.;"], "name", {"name": "Maria Anders"}),
        (["N:Anders;Maria;;;"], "name", {"name": "Maria Anders"}),
        (["ORG:Hansa", "FN:Hansa"], "last_name company", {"company": "Hansa", "last_name": "Hansa"}),
    ],
)  # fmt: skip
def test_a_name_is_taken_whole_where_it_cannot_be_told_apart(
    path: Path, lines: list[str], fields: str, expected: dict[str, str]
) -> None:
    record = read_one(path, *lines, rules=make_rules(fields))
    assert (record.fields, record.warnings) == (expected, ())


def test_the_property_map_says_where_values_go(path: Path) -> None:
    rules = make_rules("first_name last_name phone* mobile* town customer_no", "name")
    lines = [N, "TEL;TYPE=cell,work:1", "TEL;TYPE=cell:2", "TEL:3", "ADR:;;Weg 1;Bonn;;;", "X-CUSTOMER:4711", "NOTE:n"]
    entries = ["TEL;TYPE=cell=phone", "tel;type=work,cell=mobile", "ADR;PART=city=town", "X-CUSTOMER=Customer_No"]
    record = read_one(path, *lines, rules=rules, property_map=[*entries, "ADR=", "NOTE="])
    town = {"phone": "2; 3", "mobile": "1", "town": "Bonn", "customer_no": "4711"}
    assert (record.fields, record.warnings) == (NAME | town, ())
    record = read_one(path, *lines, rules=rules, property_map=["X-CUSTOMER=external_id", "NOTE=company", "ADR="])
    assert (record.external_id, record.company) == ("4711", "n")


def test_what_goes_where_its_name_tells_takes_no_part_in_entries_that_fit_less(path: Path) -> None:
    lines = [N, "TEL;TYPE=cell:1", "TEL;TYPE=home:2", "TEL;TYPE=work:3"]
    record = read_one(path, *lines, property_map=["TEL=note", "TEL;TYPE=cell=*", "TEL;TYPE=home=*"])
    assert record.fields == NAME | {"mobile": "1", "private_phone": "2", "note": "3"}


def test_the_properties_of_a_file_are_told_with_the_fields_that_they_went_to(path: Path) -> None:
    path.write_text(
        card("VERSION:3.0", "UID:7", "PHOTO;ENCODING=b:AAAA", *("TEL;TYPE=CELL,VOICE:1", "TEL;TYPE=cell:2"))
        + card(N, "ORG:Futterkiste;Einkauf", "TEL:3", "TEL;TYPE=fax:4", "ADR;TYPE=home:;;Weg 3;Bonn;;53111;", "X-NO:5")
        + card("KIND:org", "FN:Futterkiste", "TEL:4", "URL:a.de")
        + card("KIND:group", "FN:Everybody", "X-LIST:1")
        + "BEGIN:VCARD\nN:cut off"
    )
    assert survey_properties(path, rules=RULES) == {
        "TEL;TYPE=cell": ["mobile"],
        "ORG;PART=name": ["company"],
        "ORG;PART=unit": [],
        "N;PART=family": ["last_name"],
        "N;PART=given": ["first_name"],
        "FN": ["name"],
        "TEL": ["phone"],
        "TEL;TYPE=fax": ["fax"],
        "ADR;TYPE=home": ["street", "city", "zip"],
        "X-NO": [],
        "URL": ["website"],
    }


@pytest.mark.parametrize("name", ["X-A:B", "X-" + "A" * 59])
def test_a_property_that_no_map_can_name_is_not_told(path: Path, name: str) -> None:
    path.write_text(card(N, f"{name};TYPE=work:1"))
    assert not any(found.startswith("X-" + "A" * 59) or ":" in found for found in survey_properties(path, rules=RULES))


def test_no_more_properties_are_told_than_people_look_through(path: Path) -> None:
    path.write_text("".join(card(N, *(f"X-{card_no}-{n}:1" for n in range(30))) for card_no in range(5)))
    assert len(survey_properties(path, rules=RULES)) == 100


@pytest.mark.parametrize(
    ("entry", "detail"),
    [
        ("TEL", "Write PROPERTY=FIELD, as in TEL;TYPE=cell=mobile, not “TEL”."),
        ("TEL;PART=city=phone", "Write PROPERTY=FIELD, as in TEL;TYPE=cell=mobile, not “TEL;PART=city=phone”."),
        ("TEL=fone", "There is no field “fone”. There are last_name, external_id."),
    ],
)
def test_a_wrong_property_map_is_refused(path: Path, entry: str, detail: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        read(path, card(N), make_rules("last_name"), [entry])
    assert error.value.detail == detail


# --- persons, companies and lists ---


@pytest.mark.parametrize(
    "lines",
    [
        ["KIND:org", "FN:Futterkiste"],
        ["X-ABShowAs:COMPANY", "ORG:Futterkiste;", "N:;;;;", "FN:Futterkiste"],
        ["ORG:Futterkiste", "FN:Futterkiste", "N:;;;;"],
        ["ORG:Futterkiste", "N:"],
        ["X-ABShowAs:COMPANY", "ORG:Futterkiste", "N:Futterkiste;;;;"],
    ],
)
def test_a_card_may_be_of_a_company(path: Path, lines: list[str]) -> None:
    record = read_one(path, "VERSION:3.0", *lines, "TEL;TYPE=cell:1", "URL:a.de")
    assert (record.kind, record.fields, record.company, record.warnings) == (
        "company", {"name": "Futterkiste", "phone": "1", "website": "a.de"}, "", ())  # fmt: skip


def test_the_organization_of_a_person_is_his_company_and_companies_come_first(path: Path) -> None:
    person, company = card(N, "ORG:Futterkiste"), card("KIND:org", "FN:Futterkiste")
    records = read(path, person + company)
    assert [(record.number, record.kind, record.company) for record in records] == [
        (2, "company", ""), (1, "person", "Futterkiste")]  # fmt: skip
    assert [record.kind for record in read(path, person + company, make_rules("last_name"))] == ["person"] * 2


def test_a_list_of_contacts_is_none_and_is_told_of(path: Path) -> None:
    group = card("VERSION:4.0", "KIND:group", "FN:Friends", "MEMBER:urn:uuid:1")
    first, second = read(path, group + card(N) + card(N) + group)
    message = "Card %d is a list of others and no contact; it is left out."
    assert [first.number, second.number] == [2, 3]
    assert (first.warnings, second.warnings) == ((("KIND", message % 1),), (("KIND", message % 4),))


# --- what we write ---

ENOUGH = "first_name last_name title phone* mobile* private_phone* fax email note street zip city birthday customer_no"
MODELS = [
    RULES,
    make_rules(ENOUGH, "name phone* mobile* firma note ort"),
    make_rules("name phone* anrede company department"),
    make_rules("", "name firma phone* mail url plz"),
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
numbers = st.sampled_from(["12", "0211 33990312", "+49 211 33990312", "+1 212 5551234 ext. 7", "0171 1; 0211/22", "x"])


@st.composite
def contacts(draw: st.DrawFn) -> tuple[GroupRules, Contact]:
    rules = draw(st.sampled_from(MODELS))
    kind = draw(st.sampled_from(sorted(rules.fields)))
    fields = {
        rule.name: value
        for rule in rules.fields[kind]
        if (value := draw(numbers | texts)).strip() and draw(st.booleans())
    }
    external_id = draw(texts).strip()
    return rules, Contact(
        kind=kind, name=draw(texts), fields=fields, external_id=external_id, is_active=draw(st.booleans())
    )


@given(contacts(), st.sampled_from(["3.0", "4.0"]))
def test_what_is_written_is_read_back(given: tuple[GroupRules, Contact], version: Version) -> None:
    rules, contact = given
    text = write_card(contact, rules=rules, version=version)
    assert all(len(line) <= 75 for line in text.encode().split(b"\r\n"))
    assert text.count("\r\n") == text.count("\n")
    record = read_all(text, rules)
    assert (record.kind, record.fields, record.external_id) == (contact.kind, contact.fields, contact.external_id)
    assert (record.is_active, record.company, record.warnings) == (contact.is_active, "", ())


def read_all(text: str, rules: GroupRules) -> ImportRecord:
    """Read without a file, as a property has no folder of its own."""
    from cmphone.contacts.vcards import reading

    (found,) = read_cards(BytesIO(text.encode()))
    return reading.read_card(found, rules=rules, kind=reading.find_kind(found, rules))


def test_a_card_reads_like_this() -> None:
    company = Contact(kind="company", name="Alfreds Futterkiste GmbH", fields={"name": "Alfreds Futterkiste"})
    fields = {"first_name": "Maria", "last_name": "Anders", "phone": "33990312", "mobile": "+49 171 1234567"}
    fields |= {"note": "a\r\nb", "zip": "40213", "city": "Düsseldorf", "title": "Leiterin"}
    contact = Contact(kind="person", name="Anders, Maria", fields=fields, external_id="c-1", is_active=True)
    rules = make_rules(PERSONS + " customer_no", "name")
    assert write_card(contact, rules=rules, company=company).split("\r\n") == [
        "BEGIN:VCARD",
        "VERSION:4.0",
        "PRODID:-//CM/Phone//cmphone//EN",
        "UID;VALUE=text:c-1",
        "KIND:individual",
        "X-CMPHONE-ACTIVE:1",
        r"FN;X-CMPHONE-FIELD=:Anders\, Maria",
        "N;X-CMPHONE-FIELD=last_name,first_name,,,:Anders;Maria;;;",
        "ADR;X-CMPHONE-FIELD=,,,city,,zip,:;;;Düsseldorf;;40213;",
        "ORG;X-CMPHONE-FIELD=,:Alfreds Futterkiste GmbH;",
        "TITLE;X-CMPHONE-FIELD=title:Leiterin",
        "X-CMPHONE;X-CMPHONE-FIELD=phone:33990312",
        "TEL;TYPE=work,voice;X-CMPHONE-FIELD=:+49 211 33990312",
        "TEL;TYPE=cell;X-CMPHONE-FIELD=mobile:+49 171 1234567",
        r"X-CMPHONE;X-CMPHONE-FIELD=note:a\r\nb",
        r"NOTE;X-CMPHONE-FIELD=:a\nb",
        "X-CMPHONE-COMPANY:Alfreds Futterkiste",
        "END:VCARD",
        "",
    ]
