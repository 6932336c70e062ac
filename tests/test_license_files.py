"""The licence file: what is read, what is refused, and that a signature covers every byte that counts."""

import base64
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from license.files import (
    MAX_BYTES,
    LicenseFileError,
    Refusal,
    format_public_key,
    has_expired,
    parse_license,
    read_private_key,
    read_public_key,
    sign_license,
    verify_license,
    verify_section,
)
from license.problems import REFUSALS
from tests.licenses import DEMO_KEY, make_license, make_section

PUBLIC_KEY = DEMO_KEY.public_key()
TODAY = date(2026, 7, 1)
SIGNED = make_license()
SIGNED_BYTES = SIGNED.rstrip("\n").encode()
TWO_SECTIONS = make_license(make_section(), make_section("TRACK", products="CM/Track", licenses=5))


def refusal_of(source: str | bytes) -> LicenseFileError:
    with pytest.raises(LicenseFileError) as caught:
        verify_license(parse_license(source), public_key=PUBLIC_KEY, today=TODAY)
    return caught.value


def test_a_section_is_read_with_all_its_keys() -> None:
    (section,) = parse_license(SIGNED).sections
    assert section.name == "REST_USERS"
    assert section.line == 1
    assert section.contract_party == "Müller & Söhne"
    assert section.products == ("CM/Phone",)
    assert section.version == "1"
    assert section.expires_on == date(2099, 12, 31)
    assert section.licensed == 10
    verify_section(section, public_key=PUBLIC_KEY)


def test_products_are_a_list() -> None:
    (section,) = parse_license(make_license(make_section(products="CM/Track ,  CM/Phone,,"))).sections
    assert section.products == ("CM/Track", "CM/Phone")
    assert verify_license(
        parse_license(make_license(make_section(products="A,CM/Phone"))), public_key=PUBLIC_KEY, today=TODAY
    )


def test_a_licence_for_no_seat_at_all_is_a_licence() -> None:
    assert parse_license(make_license(make_section(licenses=0))).sections[0].licensed == 0


@pytest.mark.parametrize(
    "source",
    [
        SIGNED.replace("\n", "\r\n"),
        "\ufeff" + SIGNED,
        b"\xef\xbb\xbf" + SIGNED.replace("\n", "\r\n").encode(),
        "\n\n; comment\n# another\n   \n" + SIGNED,
        SIGNED.replace("\n", "\n# between\n\n"),
        SIGNED.replace("\n", "  \t\n   "),
        SIGNED.rstrip("\n"),
        SIGNED.encode(),
    ],
    ids=["CRLF", "BOM", "CRLF and BOM", "comments before", "comments between", "spaces", "no last line feed", "bytes"],
)
def test_what_an_editor_or_a_mail_adds_does_not_hurt(source: str | bytes) -> None:
    assert verify_license(parse_license(source), public_key=PUBLIC_KEY, today=TODAY).licensed == 10


def test_sections_of_an_unknown_name_are_kept_and_verified() -> None:
    text = make_license(make_section(), make_section("FAX_USERS", products="CM/Fax", licenses=3))
    granted = parse_license(text)
    assert [section.name for section in granted.sections] == ["REST_USERS", "FAX_USERS"]
    assert verify_license(granted, public_key=PUBLIC_KEY, today=TODAY).name == "REST_USERS"
    error = refusal_of(text.replace("licenses=3", "licenses=4"))
    assert (error.code, error.line, error.subject) == (Refusal.BAD_SIGNATURE, 9, "FAX_USERS")


def test_the_signature_covers_keys_that_nobody_knows() -> None:
    text = make_license(make_section(more="note=for the Bremen office\n"))
    assert verify_license(parse_license(text), public_key=PUBLIC_KEY, today=TODAY)
    assert refusal_of(text.replace("Bremen", "Berlin")).code == Refusal.BAD_SIGNATURE
    assert refusal_of(text.replace("note=for the Bremen office\n", "")).code == Refusal.BAD_SIGNATURE
    assert refusal_of(SIGNED.replace("version=1", "version=1\nnote=x")).code == Refusal.BAD_SIGNATURE


def test_the_order_of_the_lines_is_signed_too() -> None:
    assert (
        refusal_of(SIGNED.replace("version=1\n", "").replace("products", "version=1\nproducts")).code
        == Refusal.BAD_SIGNATURE
    )


def test_a_section_cannot_take_the_signature_of_another() -> None:
    renamed = TWO_SECTIONS.replace("[TRACK]", "[TRACK_USERS]")
    assert refusal_of(renamed).subject == "TRACK_USERS"


@pytest.mark.parametrize(
    ("source", "code", "line", "subject"),
    [
        ("", Refusal.NO_SECTION, None, "REST_USERS"),
        ("# nothing\n\n", Refusal.NO_SECTION, None, "REST_USERS"),
        ("licenses=10\n" + SIGNED, Refusal.KEY_OUTSIDE_SECTION, 1, "licenses"),
        (SIGNED + SIGNED, Refusal.DUPLICATE_SECTION, 8, "REST_USERS"),
        (SIGNED.replace("version=1", "version=1\nversion=1"), Refusal.DUPLICATE_KEY, 5, "version"),
        (SIGNED.replace("version=1\n", ""), Refusal.MISSING_KEY, 1, "version"),
        (SIGNED.replace("version=1", "version="), Refusal.MISSING_KEY, 4, "version"),
        (make_section(), Refusal.MISSING_KEY, 1, "signature"),
        (SIGNED.replace("version=1", "version"), Refusal.MALFORMED_LINE, 4, ""),
        (SIGNED.replace("version=1", "=1"), Refusal.MALFORMED_LINE, 4, ""),
        (SIGNED.replace("[REST_USERS]", "[REST_USERS"), Refusal.MALFORMED_LINE, 1, ""),
        (SIGNED.replace("[REST_USERS]", "[]"), Refusal.MALFORMED_LINE, 1, ""),
        (SIGNED.replace("[REST_USERS]", "[REST_USERS] 10"), Refusal.MALFORMED_LINE, 1, ""),
        (SIGNED.replace("31.12.2099", "31.02.2099"), Refusal.BAD_DATE, 5, "31.02.2099"),
        (SIGNED.replace("31.12.2099", "2099-12-31"), Refusal.BAD_DATE, 5, "2099-12-31"),
        (SIGNED.replace("31.12.2099", "1.1.2099"), Refusal.BAD_DATE, 5, "1.1.2099"),
        (SIGNED.replace("31.12.2099", "00.00.0000"), Refusal.BAD_DATE, 5, "00.00.0000"),
        (SIGNED.replace("31.12.2099", "31.12.２０９９"), Refusal.BAD_DATE, 5, "31.12.２０９９"),
        (SIGNED.replace("licenses=10", "licenses=-10"), Refusal.BAD_COUNT, 6, "-10"),
        (SIGNED.replace("licenses=10", "licenses=10.5"), Refusal.BAD_COUNT, 6, "10.5"),
        (SIGNED.replace("licenses=10", "licenses=1_0"), Refusal.BAD_COUNT, 6, "1_0"),
        (SIGNED.replace("licenses=10", "licenses=unlimited"), Refusal.BAD_COUNT, 6, "unlimited"),
        (SIGNED.replace("licenses=10", "licenses=٣"), Refusal.BAD_COUNT, 6, "٣"),
        (SIGNED.replace("licenses=10", "licenses=9999999999"), Refusal.BAD_COUNT, 6, "9999999999"),
        (SIGNED.replace("licenses=10", "licenses=11"), Refusal.BAD_SIGNATURE, 1, "REST_USERS"),
        (SIGNED.replace("signature=", "signature=AAAA"), Refusal.BAD_SIGNATURE, 1, "REST_USERS"),
        (SIGNED.replace("signature=", "signature=é"), Refusal.BAD_SIGNATURE, 1, "REST_USERS"),
        (make_license(key=Ed25519PrivateKey.generate()), Refusal.BAD_SIGNATURE, 1, "REST_USERS"),
        (make_license(make_section(products="CM/Track")), Refusal.OTHER_PRODUCT, 3, "CM/Track"),
        (make_license(make_section(products="CM/PhoneX,cm/phone")), Refusal.OTHER_PRODUCT, 3, "CM/PhoneX, cm/phone"),
        (make_license(make_section("TRACK")), Refusal.NO_SECTION, None, "REST_USERS"),
        (make_license(make_section(expires="30.06.2026")), Refusal.EXPIRED, 5, "30.06.2026"),
        (SIGNED.encode("latin-1"), Refusal.NOT_TEXT, 2, ""),
        (SIGNED.encode("utf-16"), Refusal.NOT_TEXT, 1, ""),
        (b"\x7fELF\x02\x01\x01\x00", Refusal.NOT_TEXT, 1, ""),
        (SIGNED.replace("Müller", "M\x00ller"), Refusal.NOT_TEXT, 2, ""),
        ("# \x1b[31m\n" + SIGNED, Refusal.NOT_TEXT, 1, ""),
        (SIGNED.replace("\nversion", "\rversion"), Refusal.NOT_TEXT, 3, ""),
        ("\ud800" + SIGNED, Refusal.NOT_TEXT, None, ""),
        ("#" * MAX_BYTES + "\n" + SIGNED, Refusal.TOO_LARGE, None, ""),
    ],
)
def test_a_bad_file_is_refused_with_reason_and_line(
    source: str | bytes, code: Refusal, line: int | None, subject: str
) -> None:
    error = refusal_of(source)
    assert (error.code, error.line, error.subject) == (code, line, subject)
    assert code in str(error)


def test_every_refusal_has_a_text() -> None:
    assert set(REFUSALS) == set(Refusal)
    for text in REFUSALS.values():
        assert str(text) % {"subject": "x", "active": 3, "named": 2, "excess": 1}


@given(position=st.integers(0, len(SIGNED_BYTES) - 1), byte=st.integers(0, 255))
def test_no_byte_of_a_signed_section_can_be_changed(position: int, byte: int) -> None:
    changed = bytearray(SIGNED_BYTES)
    changed[position] = byte
    if bytes(changed) == SIGNED_BYTES:
        assert verify_license(parse_license(SIGNED_BYTES), public_key=PUBLIC_KEY, today=TODAY)
    else:
        assert refusal_of(bytes(changed))


@given(bit=st.integers(0, 7))
def test_no_bit_of_a_signed_section_can_be_changed(bit: int) -> None:
    for position in range(len(SIGNED_BYTES)):
        changed = bytearray(SIGNED_BYTES)
        changed[position] ^= 1 << bit
        assert refusal_of(bytes(changed))


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).filter(
    lambda text: text == text.strip(" \t\r") != ""
)


@given(
    party=values,
    version=values,
    expires=st.dates(date(2026, 7, 1)),
    licensed=st.integers(0, 999_999_999),
    note=values,
    line_end=st.sampled_from(["\n", "\r\n", "\n\n", " \n\t"]),
)
def test_what_is_signed_is_read_back(
    party: str, version: str, expires: date, licensed: int, note: str, line_end: str
) -> None:
    text = (
        f"[REST_USERS]\ncontractParty={party}\nproducts=CM/Phone\nversion={version}\n"
        f"expirationDate={expires.day:02}.{expires.month:02}.{expires.year:04}\nlicenses={licensed}\nnote={note}\n"
    )
    signed = sign_license(text, private_key=DEMO_KEY).replace("\n", line_end)
    section = verify_license(parse_license(signed), public_key=PUBLIC_KEY, today=TODAY)
    assert section.contract_party == party
    assert section.version == version
    assert section.expires_on == expires
    assert section.licensed == licensed
    assert section.entries[-2].value == note


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_rubbish_is_refused_and_nothing_else_happens(source: str | bytes) -> None:
    assert refusal_of(source)


def test_signing_again_replaces_the_signatures() -> None:
    assert sign_license(TWO_SECTIONS, private_key=DEMO_KEY) == TWO_SECTIONS
    other = Ed25519PrivateKey.generate()
    signed = sign_license(TWO_SECTIONS, private_key=other)
    for section in parse_license(signed).sections:
        verify_section(section, public_key=other.public_key())
    moved = make_section().replace("version", "signature=old\nversion")
    assert sign_license(moved, private_key=DEMO_KEY) == SIGNED


def test_signing_what_is_no_licence_is_refused() -> None:
    with pytest.raises(LicenseFileError) as caught:
        sign_license("[REST_USERS]\nlicenses=1\n", private_key=DEMO_KEY)
    assert caught.value.code == Refusal.MISSING_KEY


def test_the_last_day_counts_in_full() -> None:
    assert not has_expired(date(2026, 6, 30), today=date(2026, 6, 30))
    assert has_expired(date(2026, 6, 30), today=date(2026, 7, 1))


def test_a_section_of_another_product_may_have_expired() -> None:
    text = make_license(make_section(), make_section("TRACK", products="CM/Track", expires="01.01.2020"))
    assert verify_license(parse_license(text), public_key=PUBLIC_KEY, today=TODAY).name == "REST_USERS"


def test_keys_are_read_from_their_one_form() -> None:
    text = format_public_key(PUBLIC_KEY)
    assert len(text) == 44
    assert format_public_key(read_public_key(f" {text}\n")) == text
    private_bytes = DEMO_KEY.private_bytes_raw()
    private_text = "# comment\n" + base64.b64encode(private_bytes).decode()
    assert read_private_key(private_text).private_bytes_raw() == private_bytes


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "é" * 44, format_public_key(PUBLIC_KEY)[:-1], "A" * 44])
def test_a_malformed_key_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_public_key(text)
    with pytest.raises(ValueError):
        read_private_key(text)
