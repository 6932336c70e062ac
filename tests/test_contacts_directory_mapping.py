"""What of a directory's entry goes into a contact."""

import uuid

import pytest

from cmphone.contacts.directories.mapping import AttributeMap, is_filter, parse_attribute_map, read_entry

GUID = uuid.UUID("8f1c2d3e-4a5b-6c7d-8e9f-0a1b2c3d4e5f")
MAP = AttributeMap(
    {"last_name": ["sn"], "phone": ["telephoneNumber", "ipPhone"], "note": ["description"]},
    external_id="entryUUID",
    company=["company", "o"],
)
ID = {"entryUUID": [b"id-1"]}


def test_the_first_attribute_with_a_value_fills_the_field() -> None:
    entry = {**ID, "sn": ["Müller ".encode()], "telephonenumber": [b" "], "IPPHONE": [b"12"], "o": [b"ACME"]}

    record = read_entry(7, "uid=a", entry, MAP)

    assert (record.number, record.external_id, record.company) == (7, "id-1", "ACME")
    assert record.fields == {"last_name": "Müller", "phone": "12", "note": ""}
    assert (record.is_active, record.error, list(record.warnings)) == (None, "", [])


def test_several_values_are_the_same_text_in_whatever_order_they_come() -> None:
    values = [b"0211 1", b"0211 2", b"0211 1"]
    texts = {
        read_entry(1, "", {**ID, "telephoneNumber": several}, MAP).fields["phone"] for several in (values, values[::-1])
    }

    assert texts == {"0211 1, 0211 2"}


def test_what_is_no_text_is_reported_and_does_not_empty_the_field() -> None:
    entry = {
        **ID,
        "sn": [b"\xff\xd8\xff"],
        "description": [b"a\x00b"],
        "telephoneNumber": [b"\xff"],
        "ipPhone": [b"12"],
    }

    record = read_entry(1, "", entry, MAP)

    assert record.fields == {"phone": "12"}
    message = "This value is no text and is left out."
    assert list(record.warnings) == [("sn", message), ("telephoneNumber", message), ("description", message)]


def test_a_guid_is_written_as_active_directory_shows_it() -> None:
    record = read_entry(1, "", {"objectGUID": [GUID.bytes_le]}, AttributeMap({}, external_id="objectguid"))

    assert record.external_id == "8f1c2d3e-4a5b-6c7d-8e9f-0a1b2c3d4e5f"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([], "The entry has no value, or none that may be read, of entryUUID."),
        ([b" "], "The entry has no value, or none that may be read, of entryUUID."),
        ([b"a", b"b"], "The entry has several values of entryUUID: it cannot identify it."),
        ([b"\xff"], "The value of entryUUID is no text of at most 200 characters: it cannot identify it."),
        ([b"x" * 201], "The value of entryUUID is no text of at most 200 characters: it cannot identify it."),
    ],
)
def test_an_entry_that_nothing_identifies_is_refused(values: list[bytes], error: str) -> None:
    record = read_entry(3, "uid=a,dc=x", {"sn": [b"Anders"], "entryUUID": values}, MAP)

    assert (record.external_id, record.fields, record.error) == ("", {}, f"uid=a,dc=x: {error}")


@pytest.mark.parametrize(
    ("control", "is_active"), [(b"512", None), (b"514", False), (b"66050", False), (b"66048", None), (b"x", None)]
)
def test_a_disabled_account_is_not_active(control: bytes, is_active: bool | None) -> None:
    assert read_entry(1, "", {**ID, "userAccountControl": [control]}, MAP).is_active is is_active


def test_an_attribute_map_is_read_line_by_line() -> None:
    text = "# who\n\n givenName = first_name\ntelephoneNumber | ipPhone=phone\ncn;lang-de = last_name\n2.5.4.13 = note"

    assert parse_attribute_map(text) == {
        "first_name": ("givenName",),
        "phone": ("telephoneNumber", "ipPhone"),
        "last_name": ("cn;lang-de",),
        "note": ("2.5.4.13",),
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sn = last_name\nsn", "Line 2: write attribute = field, for example telephoneNumber|ipPhone = phone."),
        ("sn =", "Line 1: write attribute = field, for example telephoneNumber|ipPhone = phone."),
        ("= phone", "Line 1: there is no attribute before the equals sign."),
        ("s n = phone", "Line 1: “s n” is no name of an attribute."),
        ("sn|| = phone", "Line 1: “” is no name of an attribute."),
        ("a = f\nb = f", "Line 2: f is filled already. Write all its attributes in one line: a|b = …"),
    ],
)
def test_a_wrong_line_of_an_attribute_map_is_named(text: str, error: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_attribute_map(text)

    assert str(raised.value) == error


@pytest.mark.parametrize(
    "text",
    [
        "(uid=*)",
        "(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
        " (& (a=b) (|(c~=d)(e>=f)) ) ",
        r"(cn=Smith \28old\29)",
        "(sn=Müller*)",
        "(&)",
    ],
)
def test_filters_are_recognized(text: str) -> None:
    assert is_filter(text)


@pytest.mark.parametrize(
    "text",
    ["", "uid=*", "(uid=*", "(uid=*))", "(uid)", "(&(a=b)", "(!(a=b)(c=d))", "(a=b)(c=d)", r"(a=\zz)", "\0", "(&\0)"],
)
def test_what_is_no_filter_is_recognized(text: str) -> None:
    assert not is_filter(text)
