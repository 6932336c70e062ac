"""Reads vCard files (2.1, 3.0 and 4.0) as programs really write them: into cards of properties, one by one.

Knows no contacts and no database.  A broken card spoils no other, and neither a file nor a picture in it is held in
memory.
"""

import binascii
import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from django.utils.translation import gettext as _

# In bytes: of a value, which may be folded over many lines, and of all values of a card.
MAX_VALUE = 1 << 16
MAX_CARD = 1 << 20
MAX_PROPERTIES = 1_000
MAX_WARNINGS = 20

_CHUNK = 1 << 16
# Of what is left out, so much is kept: its name.
_MAX_NAME = 200
_pictures = re.compile(
    rb"(?:[\w-]+\.)?(?:PHOTO|LOGO|SOUND|KEY)[;:]|[^:\"]*;(?:ENCODING=)?(?:BASE64|B)[;:]", re.IGNORECASE
)
_quoted_printable = re.compile(rb"[^:]*[;=]QUOTED-PRINTABLE[;:]", re.IGNORECASE)
_boundary = re.compile(rb"\s*(BEGIN|END)\s*:\s*VCARD\s*", re.IGNORECASE)
# Up to the colon that no quotes hold.
_head = re.compile(rb'((?:[^":]|"[^"]*")*):')
_name = re.compile(r"(?:([\w.-]+)\.)?([\w-]+)")
# What separators are not in: quotes, and behind a backslash.
_outside_quotes = re.compile(r'"[^"]*"|[^";,]+|.', re.DOTALL)
_unescaped = re.compile(r"\\.|[^\\;]+|.", re.DOTALL)
_encodings = {"QUOTED-PRINTABLE", "BASE64", "B", "8BIT", "7BIT"}
# Some write \\r, though the standard does not know it.
_escapes = {"n": "\n", "N": "\n", "r": "\r"}
_in_parameters = {"^n": "\n", "^N": "\n", "^^": "^", "^'": '"'}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a card, as in `item1.TEL;TYPE=cell:+49 171 1234567`.

    `name` and the names of `parameters` are in upper case, types in lower case.  `value` still has its escapes.
    """

    name: str
    value: str
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group: str = ""

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self.parameters.get("TYPE", ()))

    @property
    def is_preferred(self) -> bool:
        return "pref" in self.types or "1" in self.parameters.get("PREF", ())


@dataclass
class VCard:
    """A card.  `number` counts them from 1.  `error` says why it cannot be used, `warnings` what is missing in it."""

    number: int
    properties: list[Property] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    error: str = ""
    size: int = 0

    @cached_property
    def is_old(self) -> bool:
        """Whether it is of version 2.1, which hardly knows escapes."""
        return any(each.name == "VERSION" and each.value.strip().startswith("2") for each in self.properties)

    def find_all(self, name: str) -> list[Property]:
        """Return the properties of a name."""
        return [each for each in self.properties if each.name == name]

    def find_text(self, name: str) -> str:
        """Return the first value of a name, without space around it, or the empty text."""
        values = (self.unescape(each.value).strip() for each in self.properties if each.name == name)
        return next(values, "")

    def unescape(self, value: str) -> str:
        """Return what a value says."""
        return _unescape(value, is_old=self.is_old)

    def split(self, value: str) -> list[str]:
        """Return the parts of a value that semicolons separate."""
        return [self.unescape(part) for part in _split(value, ";", _unescaped)]


def _split(text: str, separator: str, tokens: re.Pattern[str]) -> list[str]:
    parts = [""]
    for token in tokens.findall(text):
        if token == separator:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def _unescape(value: str, *, is_old: bool) -> str:
    known = r"\\([;,:])" if is_old else r"\\([;,:\\nNr])"
    return re.sub(known, lambda match: _escapes.get(match[1], match[1]), value)


def read_cards(file: BinaryIO) -> Iterator[VCard]:
    """Yield the cards of a file, those that cannot be used with their error."""
    card: VCard | None = None
    number, is_nested, was_picture = 0, False, False
    for line in _unfold(_split_lines(_to_utf8(file))):
        boundary = _boundary.fullmatch(line.text)
        if boundary and boundary[1].upper() == b"BEGIN":
            if card and not is_nested and card.properties[-1:] == [Property("AGENT", "")]:
                # The card of somebody else within this one.
                is_nested = True
                continue
            if card:
                card.warnings.append(("", _("The card has no end (END:VCARD); the next one begins within it.")))
                yield card
            number += 1
            card, is_nested, was_picture = VCard(number), False, False
        elif boundary and is_nested:
            is_nested = False
        elif boundary:
            if card:
                yield card
            card = None
        # In old files, the lines of a picture follow without space in front.
        elif card and not is_nested and (line.is_picture or not was_picture or b":" in line.text):
            _add(card, line)
            was_picture = line.is_picture
    if card:
        card.error = _("The card has no end (END:VCARD): the file seems to be cut off.")
        yield card


def _add(card: VCard, line: "_Line") -> None:
    if line.is_picture or card.error:
        return
    card.size += len(line.text)
    if card.size > MAX_CARD or len(card.properties) == MAX_PROPERTIES:
        card.error = _("The card is too large.")
        card.properties.clear()
        return
    read = _read_property(bytes(line.text))
    if read is None:
        if len(card.warnings) < MAX_WARNINGS:
            message = _("“%s” is no property; it is left out.")
            card.warnings.append(("", message % _decode(bytes(line.text))[:60]))
    elif line.is_too_long:
        card.warnings.append((read.name, _("The value is too long; it is left out.")))
    else:
        card.properties.append(read)


# --- lines ---


def _to_utf8(file: BinaryIO) -> BinaryIO:
    """Return the file behind its byte order mark; one in UTF-16 as if it were in UTF-8."""
    start = file.read(3)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        file.seek(0)
        return codecs.EncodedFile(file, "utf-8", "utf-16", errors="replace")
    file.seek(3 if start == codecs.BOM_UTF8 else 0)
    return file


def _split_lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Yield the lines, whatever ends them, and whether more of one is left out than is given."""
    rest, is_too_long, is_end = b"", False, False
    while not is_end:
        chunk = file.read(_CHUNK)
        is_end = not chunk
        text = rest + chunk
        # At the end of a chunk, it may be half of what ends a line.
        held = b"\r" if text.endswith(b"\r") and not is_end else b""
        text = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        for line in lines:
            yield line[:MAX_VALUE], is_too_long or len(line) > MAX_VALUE
            is_too_long = False
        if len(rest) > MAX_VALUE:
            rest, is_too_long = rest[:MAX_VALUE], True
        rest += held
    if rest:
        yield rest, is_too_long


class _Line:
    """A line with all that is folded.  Of pictures, only the beginning is kept."""

    def __init__(self, start: bytes, is_too_long: bool) -> None:
        self.is_picture = _pictures.match(start) is not None
        self._is_quoted = _quoted_printable.match(start) is not None
        self.text = bytearray(start[:_MAX_NAME] if self.is_picture else start)
        self.is_too_long = is_too_long

    @property
    def goes_on(self) -> bool:
        """Whether the next line belongs to it though it has no space in front."""
        return self._is_quoted and self.text.endswith(b"=")

    def add(self, more: bytes, is_too_long: bool) -> None:
        if self.is_picture:
            return
        if self.goes_on:
            del self.text[-1]
        self.is_too_long |= is_too_long or len(self.text) + len(more) > MAX_VALUE
        self.text += more[: MAX_VALUE - len(self.text)]


def _unfold(lines: Iterable[tuple[bytes, bool]]) -> Iterator[_Line]:
    """Yield lines with what is folded.  Bytes, as some programs fold within a character."""
    line: _Line | None = None
    for text, is_too_long in lines:
        if line and text[:1] in {b" ", b"\t"}:
            if line.goes_on:
                line.add(text, is_too_long)
            else:
                line.add(text[1:], is_too_long)
        elif line and line.goes_on and text and not _boundary.fullmatch(text):
            line.add(text, is_too_long)
        elif text.strip():
            if line:
                yield line
            line = _Line(text, is_too_long)
    if line:
        yield line


# --- properties ---


def _read_property(line: bytes) -> Property | None:
    match = _head.match(line)
    head, colon, raw = (match[1], b":", line[match.end() :]) if match else line.partition(b":")
    first, *others = _split(_decode(head), ";", _outside_quotes)
    name = _name.fullmatch(first.strip())
    if not colon or name is None:
        return None
    found: dict[str, list[str]] = {}
    for other in others:
        key, values = _read_parameter(other)
        found.setdefault(key, []).extend(values)
    parameters = {key: tuple(values) for key, values in found.items()}
    charset = next(iter(parameters.get("CHARSET", ())), "")
    if "QUOTED-PRINTABLE" in (value.upper() for value in parameters.get("ENCODING", ())):
        value = _decode(binascii.a2b_qp(raw.removesuffix(b"=")), charset).replace("\r\n", "\n")
    else:
        value = _decode(raw, charset)
    return Property(name[2].upper(), value, parameters, (name[1] or "").lower())


def _read_parameter(text: str) -> tuple[str, tuple[str, ...]]:
    key, equals, listed = (part.strip() for part in text.partition("="))
    key = key.upper()
    if not equals:
        # As in the old `TEL;WORK;VOICE:`.
        return ("ENCODING", (key,)) if key in _encodings else ("TYPE", (key.lower(),))
    values = [value.strip().strip('"') for value in _split(listed, ",", _outside_quotes)]
    if key == "TYPE":
        # Some quote the list instead of its members.
        return key, tuple(each.strip().lower() for value in values for each in value.split(","))
    return key, tuple(re.sub(r"\^[nN^']", lambda match: _in_parameters[match[0]], value) for value in values)


def _decode(text: bytes, charset: str = "") -> str:
    for encoding in (charset, "utf-8"):
        try:
            return text.decode(encoding)
        except (LookupError, UnicodeError, ValueError):
            continue
    return text.decode("cp1252", errors="replace")
