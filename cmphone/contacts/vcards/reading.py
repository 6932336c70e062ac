"""Makes records to import of the cards of a vCard file: which field of a customer group each value goes to.

How a file becomes cards is for parsing.py to say, what values they have for values.py, and which fields
these go to for filling.py.  Knows no database.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.imports.types import ImportRecord, Source, describe_plainly
from cmphone.contacts.models import ContactKind
from cmphone.contacts.vcards.fields import ACTIVE, COMPANY, KIND
from cmphone.contacts.vcards.filling import Filling, MappedProperty, read_entry
from cmphone.contacts.vcards.parsing import VCard, read_cards
from cmphone.contacts.vcards.values import list_values
from cmphone.problems import InvalidRequest

_company_values = {"org", "organization", "company"}


def open_vcards(path: Path, *, rules: GroupRules, property_map: Sequence[str] = ()) -> Source:
    """Return the cards of a file as records, companies before persons.

    `property_map` says by `PROPERTY=FIELD` where other values go than their names tell: `TEL;TYPE=cell=mobile`,
    `ADR;PART=city=town`, `X-NUMBER=customer_no`; `NOTE=` leaves one out.  Raises InvalidRequest, before anything is
    read, where it names no field, or the file has no card.
    """
    mapped = [read_entry(entry, rules) for entry in property_map]
    try:
        with path.open("rb") as file:
            is_empty = next(read_cards(file), None) is None
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}.") from error
    if is_empty:
        raise InvalidRequest(_("%s has no vCard in it: one begins with BEGIN:VCARD.") % path)
    if not (rules.has_persons and rules.has_companies):
        return Source(_read_records(path, rules, mapped, None), describe_plainly)
    # A person may stand above its company.
    kinds = (ContactKind.COMPANY, ContactKind.PERSON)
    records = chain.from_iterable(_read_records(path, rules, mapped, kind) for kind in kinds)
    return Source(records, describe_plainly)


def _read_records(
    path: Path, rules: GroupRules, mapped: Sequence[MappedProperty], kind: ContactKind | None
) -> Iterator[ImportRecord]:
    """Yield the records of a kind, None: of all.  Cards without a kind come with the persons."""
    before: ImportRecord | None = None
    skipped: list[tuple[str, str]] = []
    with path.open("rb") as file:
        for card in read_cards(file):
            found = ContactKind.PERSON if card.error else find_kind(card, rules)
            if kind and (found or ContactKind.PERSON) != kind:
                continue
            if not found:
                # Told with the record before or behind it, as it is none itself.
                message = _("Card %d is a list of others and no contact; it is left out.") % card.number
                skipped.append(("KIND", message))
                continue
            if before:
                yield replace(before, warnings=(*before.warnings, *skipped))
                skipped = []
            before = read_card(card, rules=rules, kind=found, mapped=mapped)
    if before:
        yield replace(before, warnings=(*before.warnings, *skipped))
    elif skipped:
        yield ImportRecord(1, {}, error=" ".join(message for _name, message in skipped[:1]))


def find_kind(card: VCard, rules: GroupRules) -> str:
    """Return what contact a card is, as far as the contact model has such; empty for a list of others."""
    said = (card.find_text(KIND) or card.find_text("KIND") or card.find_text("X-ADDRESSBOOKSERVER-KIND")).lower()
    if said == "group":
        return ""
    if not rules.has_persons or not rules.has_companies:
        return ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
    if said in _company_values or card.find_text("X-ABSHOWAS").upper() == "COMPANY":
        return ContactKind.COMPANY
    if said:
        return ContactKind.PERSON
    # Many programs say of a company only that nobody's name stands beside its own.
    organization = next((card.split(each.value)[0].strip() for each in card.find_all("ORG")), "")
    has_name = any(part.strip() for each in card.find_all("N") for part in card.split(each.value))
    is_company = organization and not has_name and card.find_text("FN") in {"", organization}
    return ContactKind.COMPANY if is_company else ContactKind.PERSON


def read_card(card: VCard, *, rules: GroupRules, kind: str, mapped: Sequence[MappedProperty] = ()) -> ImportRecord:
    """Return what a card says of a contact of this kind."""
    if card.error:
        return ImportRecord(card.number, {}, error=card.error, warnings=card.warnings)
    filling = Filling(kind, rules, mapped)
    for value in list_values(card):
        filling.put(value)
    is_of_company = kind == ContactKind.PERSON and rules.has_companies
    return ImportRecord(
        card.number,
        filling.fields,
        kind=kind,
        external_id=filling.external_id or card.find_text("UID"),
        company=(card.find_text(COMPANY) or filling.company) if is_of_company else "",
        is_active={"0": False, "1": True}.get(card.find_text(ACTIVE)),
        warnings=(*card.warnings, *filling.warnings),
    )
