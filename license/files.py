"""The licence file: its form, its signature, and what makes one acceptable.  Pure: no Django, no clock.

A file has one section per pool, each with the keys of KEYS and a signature of its own:

    # comment
    [REST_USERS]
    contractParty=Example Ltd
    products=CM/Phone
    version=1
    expirationDate=31.12.2099
    licenses=10
    signature=(base64)

The signature is Ed25519 over the section's line and its other lines: trimmed, in the order of the file,
joined by line feeds, in UTF-8.  Comments and empty lines are not part of it.  Sections of an unknown name are
read and verified like the others; nobody counts them.  Unknown keys are kept, and the signature covers them.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PRODUCT = "CM/Phone"
REST_POOL = "REST_USERS"
NAMED_POOL = "NAMED_USERS"
COUNTED_SECTIONS = frozenset({REST_POOL, NAMED_POOL})
KNOWN_SECTIONS = COUNTED_SECTIONS | {"CONCURRENT_USERS", "TRACK", "TRACK_USERS", "ADDONS"}
KEYS = ("contractParty", "products", "version", "expirationDate", "licenses", "signature")
MAX_BYTES = 100_000

_SPACE = " \t\r"
_SECTION = re.compile(r"\[([A-Za-z0-9_.-]{1,50})\]")


class Refusal(StrEnum):
    """Why a licence file is refused."""

    NOT_TEXT = "not-text"
    TOO_LARGE = "too-large"
    NO_SECTION = "no-section"
    MALFORMED_LINE = "malformed-line"
    KEY_OUTSIDE_SECTION = "key-outside-section"
    DUPLICATE_SECTION = "duplicate-section"
    DUPLICATE_KEY = "duplicate-key"
    MISSING_KEY = "missing-key"
    BAD_DATE = "bad-date"
    BAD_COUNT = "bad-count"
    BAD_SIGNATURE = "bad-signature"
    DEMO_SIGNED = "demo-signed"
    UNUSABLE_KEY = "unusable-key"
    OTHER_PRODUCT = "other-product"
    EXPIRED = "expired"
    TOO_MANY_USERS = "too-many-users"


class LicenseFileError(Exception):
    """A licence file that is refused.

    `line` counts from 1 and is None where the whole file is meant.  `subject` is what the refusal is about: a
    key, a section, or the value that was found.
    """

    def __init__(self, code: Refusal, *, line: int | None = None, subject: str = "") -> None:
        super().__init__(f"line {line}: {code} {subject}".strip() if line else f"{code} {subject}".strip())
        self.code = code
        self.line = line
        self.subject = subject


@dataclass(frozen=True)
class Entry:
    """A `key=value` line; `text` is the line as it stands, trimmed."""

    line: int
    text: str
    key: str
    value: str


@dataclass(frozen=True)
class Section:
    """What a section grants.  `entries` are all its lines, in the order of the file."""

    name: str
    line: int
    entries: tuple[Entry, ...]
    contract_party: str
    products: tuple[str, ...]
    version: str
    expires_on: date
    licensed: int
    signature: str

    def line_of(self, key: str) -> int:
        """Return the line of one of KEYS."""
        return next(entry.line for entry in self.entries if entry.key == key)

    @property
    def unknown_entries(self) -> list[Entry]:
        """Lines with keys that nobody here knows: the signature covers them."""
        return [entry for entry in self.entries if entry.key not in KEYS]


@dataclass(frozen=True)
class License:
    """A licence file that has been read, but not verified.  `text` is without byte order mark."""

    text: str
    sections: tuple[Section, ...]

    def find_section(self, name: str) -> Section | None:
        return next((section for section in self.sections if section.name == name), None)


def parse_license(source: str | bytes) -> License:
    """Read a licence file.  This says nothing about its signatures: see `verify_license`.

    Raises LicenseFileError.
    """
    text = _decode(source)
    blocks = _split(text)
    return License(text=text, sections=tuple(_read_section(block) for block in blocks))


def verify_license(granted: License, *, public_key: Ed25519PublicKey, today: date) -> Section:
    """Return the section of the REST seats, if the whole file may come into force on the day `today`.

    Raises LicenseFileError: when any signature is wrong, whatever its section; when the REST section is
    missing, is for another product or has expired.  Other sections may have expired: they do not concern this
    product.
    """
    for section in granted.sections:
        verify_section(section, public_key=public_key)
    rest = granted.find_section(REST_POOL)
    if rest is None:
        raise LicenseFileError(Refusal.NO_SECTION, subject=REST_POOL)
    if PRODUCT not in rest.products:
        raise LicenseFileError(Refusal.OTHER_PRODUCT, line=rest.line_of("products"), subject=", ".join(rest.products))
    if has_expired(rest.expires_on, today=today):
        raise LicenseFileError(
            Refusal.EXPIRED, line=rest.line_of("expirationDate"), subject=f"{rest.expires_on:%d.%m.%Y}"
        )
    return rest


def verify_section(section: Section, *, public_key: Ed25519PublicKey) -> None:
    """Check the signature of a section.

    Raises LicenseFileError when it is not this key's, or not for exactly these lines.
    """
    try:
        signature = _decode_base64(section.signature)
        public_key.verify(signature, _signed_bytes(section.name, section.entries))
    except (ValueError, InvalidSignature) as error:
        raise LicenseFileError(Refusal.BAD_SIGNATURE, line=section.line, subject=section.name) from error


def has_expired(expires_on: date, *, today: date) -> bool:
    """Say whether a licence is over on the day `today`.  Its last day counts in full."""
    return today > expires_on


def sign_license(text: str | bytes, *, private_key: Ed25519PrivateKey) -> str:
    """Return the text with every section signed; signatures that are there are replaced.

    Raises LicenseFileError when that would be no licence file.
    """
    text = _decode(text)
    lines = text.split("\n")
    blocks = _split(text)
    for block in blocks:
        # Before any line moves: what is wrong is told by the lines of the text that came.
        _read_section(block, is_signed=False)
    for block in reversed(blocks):
        signature = private_key.sign(_signed_bytes(block.name, block.entries))
        last = max([block.line, *(entry.line for entry in block.entries if entry.key != "signature")])
        lines.insert(last, f"signature={base64.b64encode(signature).decode()}")
        for entry in block.entries:
            if entry.key == "signature":
                del lines[entry.line if entry.line > last else entry.line - 1]
    return parse_license("\n".join(lines)).text


def read_public_key(text: str) -> Ed25519PublicKey:
    """Return the key whose 32 bytes `text` holds in base64.  Raises ValueError when it is no such text."""
    return Ed25519PublicKey.from_public_bytes(_decode_base64(text.strip()))


def read_private_key(text: str) -> Ed25519PrivateKey:
    """Return the key whose 32 bytes `text` holds in base64; lines that begin with # are comments.

    Raises ValueError when it is no such text.
    """
    lines = [line.strip() for line in text.splitlines() if not line.startswith("#")]
    return Ed25519PrivateKey.from_private_bytes(_decode_base64("".join(lines)))


def format_private_key(private_key: Ed25519PrivateKey) -> str:
    """Return the base64 of the key's 32 bytes, as `read_private_key` takes it."""
    return base64.b64encode(private_key.private_bytes_raw()).decode()


def format_public_key(public_key: Ed25519PublicKey) -> str:
    """Return the one form in which a public key is configured and compared: the base64 of its 32 bytes."""
    return base64.b64encode(public_key.public_bytes_raw()).decode()


@dataclass(frozen=True)
class _Block:
    name: str
    line: int
    entries: tuple[Entry, ...]


def _decode(source: str | bytes) -> str:
    if isinstance(source, str):
        try:
            source = source.encode()
        except UnicodeEncodeError as error:
            raise LicenseFileError(Refusal.NOT_TEXT) from error
    if len(source) > MAX_BYTES:
        raise LicenseFileError(Refusal.TOO_LARGE)
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LicenseFileError(Refusal.NOT_TEXT, line=source.count(b"\n", 0, error.start) + 1) from error


def _split(text: str) -> list[_Block]:
    blocks: list[_Block] = []
    lines_of_sections: dict[str, int] = {}
    # Only line feeds end a line: str.splitlines knows ends that people do not see.
    for number, raw_line in enumerate(text.split("\n"), start=1):
        line = raw_line.strip(_SPACE)
        if any(unicodedata.category(character) == "Cc" and character != "\t" for character in line):
            raise LicenseFileError(Refusal.NOT_TEXT, line=number)
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            header = _SECTION.fullmatch(line)
            if header is None:
                raise LicenseFileError(Refusal.MALFORMED_LINE, line=number)
            name = header[1]
            if name in lines_of_sections:
                raise LicenseFileError(Refusal.DUPLICATE_SECTION, line=number, subject=name)
            lines_of_sections[name] = number
            blocks.append(_Block(name=name, line=number, entries=()))
            continue
        key, equals, value = (part.strip(_SPACE) for part in line.partition("="))
        if not key or not equals:
            raise LicenseFileError(Refusal.MALFORMED_LINE, line=number)
        if not blocks:
            raise LicenseFileError(Refusal.KEY_OUTSIDE_SECTION, line=number, subject=key)
        block = blocks[-1]
        if any(entry.key == key for entry in block.entries):
            raise LicenseFileError(Refusal.DUPLICATE_KEY, line=number, subject=key)
        entry = Entry(line=number, text=line, key=key, value=value)
        blocks[-1] = _Block(name=block.name, line=block.line, entries=(*block.entries, entry))
    if not blocks:
        raise LicenseFileError(Refusal.NO_SECTION, subject=REST_POOL)
    return blocks


def _read_section(block: _Block, *, is_signed: bool = True) -> Section:
    entries = {entry.key: entry for entry in block.entries}
    for key in KEYS if is_signed else KEYS[:-1]:
        if key not in entries or not entries[key].value:
            line = entries[key].line if key in entries else block.line
            raise LicenseFileError(Refusal.MISSING_KEY, line=line, subject=key)
    products = tuple(product.strip(_SPACE) for product in entries["products"].value.split(","))
    return Section(
        name=block.name,
        line=block.line,
        entries=block.entries,
        contract_party=entries["contractParty"].value,
        products=tuple(product for product in products if product),
        version=entries["version"].value,
        expires_on=_read_date(entries["expirationDate"]),
        licensed=_read_count(entries["licenses"]),
        signature=entries["signature"].value if is_signed else "",
    )


def _read_date(entry: Entry) -> date:
    # datetime.strptime would take "1.1.27" and digits of other scripts as well.
    if re.fullmatch(r"[0-9]{2}\.[0-9]{2}\.[0-9]{4}", entry.value):
        day, month, year = (int(part) for part in entry.value.split("."))
        with suppress(ValueError):
            return date(year, month, day)
    raise LicenseFileError(Refusal.BAD_DATE, line=entry.line, subject=entry.value[:50])


def _read_count(entry: Entry) -> int:
    if re.fullmatch(r"[0-9]{1,9}", entry.value) is None:
        raise LicenseFileError(Refusal.BAD_COUNT, line=entry.line, subject=entry.value[:50])
    return int(entry.value)


def _signed_bytes(name: str, entries: Sequence[Entry]) -> bytes:
    return "\n".join([f"[{name}]", *(entry.text for entry in entries if entry.key != "signature")]).encode()


def _decode_base64(text: str) -> bytes:
    """Return the bytes of canonical base64.

    Raises ValueError.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error
    # The last character has bits to spare: without this, several texts would be the same signature.
    if base64.b64encode(decoded).decode() != text:
        raise ValueError(text)
    return decoded
