"""Takes the values out of a card, and what is known of each: its property, its types, its label."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from cmphone.contacts.vcards.fields import FIELD, PARTS, Place, find_use
from cmphone.contacts.vcards.parsing import Property, VCard

_label = re.compile(r"_\$!<(.*)>!\$_")


@dataclass(frozen=True, slots=True)
class Value:
    """A text of a card on its way to a field.

    `words`: types and label, in lower case.  `own`: the field that a card of ours names, empty for none; None where
    it names none.
    """

    place: Place
    text: str
    words: frozenset[str] = frozenset()
    label: str = ""
    own: str | None = None
    # Of an address, whose text is all of it in one line.
    parts: tuple[str, ...] = ()

    @property
    def property(self) -> str:
        """Return how the property map names it."""
        name, place = self.place.name, self.place
        types = sorted(self.words & {"cell", "fax", "home", "work", "pager", "main", "other"})
        return name + (f";TYPE={','.join(types)}" if types else "") + (f";PART={place.part}" if place.part else "")


def list_values(card: VCard) -> Iterator[Value]:
    """Yield the values of a card, in the order in which they look for their fields."""
    properties = sorted(card.properties, key=lambda each: not each.is_preferred)
    values = [value for each in properties for value in _list_property_values(card, each)]
    if not card.find_text("FN"):
        parts = {value.place.part: value.text for value in reversed(values) if value.place.name == "N"}
        whole = " ".join(filter(None, (parts.get(part, "") for part in ("given", "additional", "family"))))
        values.append(Value(Place("FN"), whole))
    first = {"TITLE": 0, "ORG": 1, "N": 2, "FN": 3}
    yield from sorted((v for v in values if v.text.strip()), key=lambda value: first.get(value.place.name, 4))


def _list_property_values(card: VCard, each: Property) -> Iterator[Value]:
    label = _find_label(card, each)
    words = each.types | ({label.lower()} if label else set())
    own = each.parameters.get(FIELD)
    parts = PARTS.get(each.name)
    if parts is None:
        text = card.unescape(each.value)
        if each.name == "TEL" and own is None:
            text = _read_tel(text)
        place = Place(each.name, use=find_use(*words) if each.name in {"TEL", "EMAIL"} else "")
        yield Value(place, text if own else text.strip(), words, label, own[0] if own else None)
        return
    texts = card.split(each.value)
    if own is None:
        texts = [text.strip() for text in texts]
    if each.name == "ADR" and own is None:
        yield Value(Place("ADR"), compose_address(texts), words, label, parts=tuple(texts))
        return
    if each.name == "ORG":
        texts[1:] = [", ".join(filter(None, texts[1:]))]
    for index, (part, text) in enumerate(zip(parts, texts, strict=False)):
        its_own = None if own is None else own[index] if index < len(own) else ""
        yield Value(Place(each.name, part), text, words, label, its_own)


def compose_address(texts: Sequence[str]) -> str:
    """Return an address as people write it in one line."""
    pobox, extended, street, city, region, zip_code, country = (*texts, *[""] * 7)[:7]
    return ", ".join(filter(None, (street, extended, pobox, f"{zip_code} {city}".strip(), region, country)))


def _find_label(card: VCard, each: Property) -> str:
    """Return what somebody called a property by himself, as in `item1.X-ABLabel:_$!<Mobile>!$_`."""
    if not each.group:
        return ""
    labels = (other.value for other in card.find_all("X-ABLABEL") if other.group == each.group)
    label = card.unescape(next(labels, "")).strip()
    return _label.sub(r"\1", label)


def _read_tel(text: str) -> str:
    """Return what people write for a telephone URI, as in `tel:+49-211-33990312;ext=12`."""
    scheme, _colon, rest = text.strip().partition(":")
    if scheme.lower() != "tel":
        return text
    number, *parameters = rest.split(";")
    values = {name.lower(): value for name, _equals, value in (each.partition("=") for each in parameters)}
    number = unquote(number)
    context = values.get("phone-context", "")
    if re.fullmatch(r"\+[\d.()-]+", context) and not number.startswith("+"):
        number = f"{context}-{number}"
    extension = unquote(values.get("ext", ""))
    return f"{number} ext. {extension}" if extension else number
