"""Takes what people write around a number off it: URIs, separators, remarks, extensions.  Pure; knows no plan.

What is left of each number is a Written; what it means is for reading.py to say.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from phonenumbers import convert_alpha_characters_in_number

MAX_LENGTH = 2_000
MAX_NUMBERS = 20


@dataclass(frozen=True, slots=True)
class Written:
    """One number as it was written.

    `plus`: it says itself that it begins with a country code.  `digits` leaves out a zero in brackets after the
    country code; `digits_with_zero` keeps it, and is empty where there is none.  `vanity`: the digits with letters
    taken for digits, where letters follow digits.  `direct_dial`: how many digits at the end stand behind a dash
    after area and line, as in `0211 339903-12`.
    """

    raw: str
    plus: bool
    digits: str
    digits_with_zero: str = ""
    extension: str = ""
    vanity: str = ""
    direct_dial: int = 0


_digits_alone = re.compile(r"(?P<plus>\+?)(?P<digits>[0-9]+)")
# One number in groups, and nothing that says more than they.
_one_number = re.compile(r"\s*\+?[0-9 ().-]*[0-9][0-9 ().-]*")
_digit, _no_digits = re.compile(r"[0-9]"), re.compile(r"[^0-9]+")
_no_groups = re.compile(r"[^\d+()\[\]./\s-]")
_scheme = re.compile(r"\s*(?:tel|phone|callto|sips?|fax)\s*:(?://)?", re.IGNORECASE)
_uri_scheme = re.compile(r"(?:tel|phone|callto|sips?):", re.IGNORECASE)
_angle_brackets = re.compile(r"<([^<>]*\d[^<>]*)>")
_label = re.compile(r"\A[^+\d(]*[^\W\d_][^:+()]{0,30}:")
_or = re.compile(r"[;,\n\r|]|\b(?:oder|or|und|and|ou|bzw\.?)\b", re.IGNORECASE)
_words_of_extensions = "extension|ext|durchwahl|dw|klappe|kl|nebenstelle|nst|apparat|app|poste|interno|int|x"
_extension_word = re.compile(rf"(?<![^\W\d_])(?:{_words_of_extensions})(?![^\W\d_])", re.IGNORECASE)
_extension = re.compile(
    rf"(?:;\s*ext\s*=|(?<![^\W\d_])(?:{_words_of_extensions})"
    r"\s*[.:]?|\#)\s*(?P<digits>\d{1,7})\s*\)?\s*\Z",
    re.IGNORECASE,
)
_remark = re.compile(r"\([^()]*[^\W\d_][^()]*\)|\[[^\[\]]*[^\W\d_][^\[\]]*\]")
_other_ends = re.compile(r"(?P<number>[^/]*\d{5,}\s*)(?P<ends>(?:/\s*-\s*\d{1,4}\s*)+)")
_extension_alone = re.compile(r"\s*[1-9]\d{0,4}\s+")
_zero_in_brackets = re.compile(r"(?<=\d)(\W*)[(\[]\s*0\s*[)\]]")
_vanity = re.compile(r"\+?[\d\s()./-]*\d[\s()./-]*(?:[A-Za-z][\d\s()./-]*){3,}")
_several_extensions = re.compile(r"(?P<line>.*\d\W+\d+\W*-\s*)(?P<extensions>\d{1,5}(?:\s*/\s*-?\s*\d{1,5})+)\s*")
# Words between a number and the beginning of another one, as in `Tel. 0211 1234567 Fax 0211 1234568`.
_words_between = re.compile(r"(?<=\d)[\s.(-]+(?:[^\W\d_]{2,}[\s.:)-]*)+(?=\(?\s*[+0])")
_remark_behind = re.compile(r"(?<=\d)\s+[^\W\d_]{2,}.*", re.DOTALL)
_dialled_direct = re.compile(r"\d\W+\d+\W*-\s*(\d{1,5})\s*\Z")
_dialled_direct_abroad = re.compile(r"\d\W+\d+\W+\d+\W*-\s*(\d{1,5})\s*\Z")


_ascii_controls = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127)) | {9: " "}


def to_ascii(text: str) -> str:
    """Return `text` with every script's digits, dashes and spaces as ASCII, and invisible characters out."""
    if text.isascii():
        return text if text.isprintable() else text.translate(_ascii_controls)
    result = []
    for character in unicodedata.normalize("NFKC", text):
        category = unicodedata.category(character)
        if category == "Nd":
            result.append(str(unicodedata.decimal(character)))
        elif category == "Pd":
            result.append("-")
        elif category == "Zs" or character == "\t":
            result.append(" ")
        elif category not in {"Cf", "Cc", "Co", "Cs"} or character in "\n\r":
            result.append(character)
    return "".join(result)


def clean(text: str) -> tuple[Written, ...]:
    """Return every number that `text` holds, in order; none where it holds no digit."""
    text = to_ascii(text[:MAX_LENGTH])
    if match := _digits_alone.fullmatch(text):
        # Most of what telephone systems present: there is nothing to take off.
        return (Written(text, plus=bool(match["plus"]), digits=match["digits"]),)
    if _one_number.fullmatch(text):
        return (_read_groups(text.strip(), text),)
    if match := _angle_brackets.search(text):
        text = match[1]
    if _uri_scheme.match(text.strip()):
        parts = [_from_uri(text.strip())]
    else:
        parts = [piece for part in _separate(text) for piece in _split_at_plus(part)]
    written = [_read_part(part) for part in parts if any(c.isdecimal() for c in part)]
    return tuple(w for w in written if w.digits or w.vanity)[:MAX_NUMBERS]


def _from_uri(uri: str) -> str:
    """Take the parts of a telephone URI off (RFC 3966, RFC 3261): `tel:211-1;phone-context=+49;ext=5`."""
    body = unquote(_scheme.sub("", uri, count=1))
    number, *parameters = body.split(";")
    # Behind a colon a SIP URI may have a password.
    number = number.split("@")[0].split("?")[0].split(":")[0]
    # In a SIP URI a parameter may follow the host: it does not belong to the number.
    if uri.lower().startswith("sip") and re.search(r"[^\W\d_]", number):
        # The name of an account, whatever digits are in it.
        return ""
    values = dict(p.split("=", 1) for p in parameters if "=" in p)
    context = values.get("phone-context", "")
    if re.fullmatch(r"\+[\d.()-]+", context) and not number.lstrip().startswith("+"):
        number = context + number
    extension = values.get("ext", "")
    return f"{number};ext={extension}" if extension.isdecimal() else number


def _separate(text: str) -> Iterator[str]:
    # `;ext=12` belongs to the number before it.
    protected = re.sub(r";\s*ext\s*=", " ext ", text, flags=re.IGNORECASE)
    for part in _or.split(protected):
        for piece in _split_at_words(part):
            yield from _split_at_slash(piece)


def _split_at_words(part: str) -> Iterator[str]:
    start = 0
    for words in _words_between.finditer(part):
        is_of_the_number = _extension_word.search(words[0])
        if not is_of_the_number and _count_digits(part[start : words.start()]) >= 6 <= _count_digits(
            part[words.end() :]
        ):
            yield part[start : words.start()]
            start = words.end()
    yield part[start:]


def _split_at_slash(part: str) -> Iterator[str]:
    """Split `0211 1234567 / 0171 5678` but not `0211/1234567`: what follows must itself begin like a whole number.
    In `0211 339903-12/13` it is another extension of the same line, in `0211 33990312/-13` other last digits, and in
    `12 / 0171 5678` what stands before is one.
    """
    if match := _other_ends.fullmatch(part):
        yield match["number"]
        for end in re.findall(r"\d+", match["ends"]):
            yield match["number"].rstrip()[: -len(end)] + end
        return
    if match := _several_extensions.fullmatch(part):
        extensions = re.findall(r"\d+", match["extensions"])
        if len({len(extension) for extension in extensions}) == 1:
            for extension in extensions:
                yield match["line"] + extension
            return
    start = 0
    for slash in re.finditer("/", part):
        before, after = part[start : slash.start()], part[slash.end() :]
        if (
            (_count_digits(before) >= 6 or _extension_alone.fullmatch(before))
            and re.match(r"[\s(]*(?:\+|0)", after)
            and _count_digits(after.split("/")[0]) >= 6
        ):
            yield before
            start = slash.end()
    yield part[start:]


def _split_at_plus(part: str) -> Iterator[str]:
    """Split `+49 211 1 +49 171 2`: a second plus begins a second number."""
    start = 0
    for plus in re.finditer(r"\+", part):
        if _count_digits(part[start : plus.start()]) >= 3:
            yield part[start : plus.start()]
            start = plus.start()
    yield part[start:]


def _count_digits(text: str) -> int:
    return sum(c.isdecimal() for c in text)


def _read_part(part: str) -> Written:
    raw = part.strip()
    text = _scheme.sub("", raw, count=1) if _scheme.match(raw) else _label.sub("", raw, count=1)
    extension = ""
    if (match := _extension.search(text)) and _count_digits(text[: match.start()]) >= 2:
        extension, text = match["digits"], text[: match.start()]
    text = _remark.sub(" ", text)
    vanity = ""
    if _vanity.fullmatch(text.strip()):
        vanity = _digits(convert_alpha_characters_in_number(_zero_in_brackets.sub(r"\1", text)))
    if (match := _remark_behind.search(text)) and _count_digits(text[: match.start()]) >= 5:
        # `0211 1234567 bis 17`: what stands behind words is no part of the number.
        text = text[: match.start()]
    return _read_groups(raw, text, extension=extension, vanity=vanity)


def _read_groups(raw: str, text: str, *, extension: str = "", vanity: str = "") -> Written:
    """Read `text`, from which all is taken off that says more than digits."""
    with_zero = ""
    if "0" in text and _zero_in_brackets.search(text):
        with_zero = _digits(text)
        text = _zero_in_brackets.sub(r"\1", text)
    plus = "+" in text and "+" in _up_to_first_digit(text)
    numeric = _no_groups.sub(" ", text).strip()
    direct = (_dialled_direct_abroad if plus or with_zero else _dialled_direct).search(numeric)
    return Written(
        raw=raw,
        plus=plus or bool(with_zero),
        digits=_digits(text),
        digits_with_zero=with_zero,
        extension=extension,
        vanity=vanity,
        direct_dial=len(direct[1]) if direct and not extension else 0,
    )


def _up_to_first_digit(text: str) -> str:
    first = _digit.search(text)
    return text[: first.start()] if first else ""


def _digits(text: str) -> str:
    return _no_digits.sub("", text)
