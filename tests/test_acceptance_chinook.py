"""Contacts nobody here wrote: imported from their file, each is found by each way its numbers may be presented.

The file lies beside the checkout or nowhere; where it does not, these tests say so.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from cmphone.contacts.models import Contact, ContactField, ContactModel
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.contacts.services import save_configuration
from cmphone.properties.services import set_property
from numbering import countries
from numbering.display import show
from numbering.reading import Plan, read_typed
from tests.make import give_rights, log_in, make_customer_group, make_user

CHINOOK = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "chinook" / "contacts.csv"

pytestmark = [
    # Not inside one transaction, in which nothing of the configuration would be kept between look-ups.
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHINOOK.exists(), reason=f"{CHINOOK} is not there: its contacts are not looked up"),
]

Rows = list[dict[str, str]]


@pytest.fixture
def rows() -> Rows:
    with CHINOOK.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def headers(rows: Rows) -> dict[str, str]:
    """The file imported into a customer group of country 1, and an agent who may view it."""
    model = ContactModel(name="chinook")
    save_configuration([model])
    names = [name for name in rows[0] if name not in {"external_id", "kind"}]
    save_configuration(
        ContactField(
            contact_model=model,
            object="person",
            name=name,
            position=position,
            dialable=name in {"phone", "fax"},
            indexed="local" if name in {"phone", "fax"} else "",
        )
        for position, name in enumerate(names)
    )
    group = make_customer_group("chinook", model, country_prefix="1")
    call_command("import_contacts", str(CHINOOK), customer_group="chinook", stdout=io.StringIO())
    agent = make_user()
    give_rights(agent, group)
    return log_in(agent)


def test_nothing_of_the_file_is_lost(rows: Rows, headers: dict[str, str]) -> None:
    stored = {contact.external_id: contact.fields for contact in Contact.objects.all()}

    assert stored == {
        row["external_id"]: {
            name: value for name, value in row.items() if value and name not in {"external_id", "kind"}
        }
        for row in rows
    }


def canonical_of(text: str) -> str:
    return read_typed(text, Plan(country="1", trunk="1"))[0].canonical


def list_holders(rows: Rows) -> Mapping[str, set[str]]:
    """Return who has each number."""
    holders = defaultdict(set)
    for row in rows:
        for text in (row["phone"], row["fax"]):
            if text:
                holders[canonical_of(text)].add(row["external_id"])
    return holders


def present(canonical: str, site: Plan) -> Iterator[str]:
    """Yield the number as telephone systems of this site may present it."""
    outside = site.outside_codes[0]
    international = countries.international_prefix(site.country)
    yield f"+{canonical}"
    yield canonical
    yield f"{international}{canonical}"
    yield f"{outside}{international}{canonical}"
    yield f"{outside}{canonical}"
    shown = show(read_typed(f"+{canonical}", site)[0], "en")
    yield shown.tapi
    yield shown.display
    yield f"tel:+{canonical}"
    yield f"tel:{shown.display.replace(' ', '-')}"
    yield f"sip:+{canonical}@pbx.example;user=phone"
    yield f"sip:{canonical}@10.0.0.1"
    yield f'"Somebody" <sip:+{canonical}@pbx.example>'
    country, national = countries.split_country(canonical)
    if country == site.country:
        yield national
        yield site.trunk + national
        yield outside + site.trunk + national
        yield f"{national[:3]}/{national[3:6]}-{national[6:]}"
        yield f"({national[:3]}) {national[3:]}"


@pytest.mark.parametrize(("country", "outside", "trunk"), [("49", "0", "0"), ("1", "9", "1")])
def test_each_number_however_presented_finds_everybody_who_has_it_and_nobody_else(
    client: Client, rows: Rows, headers: dict[str, str], country: str, outside: str, trunk: str
) -> None:
    set_property(name="local.country.prefix", value=country)
    set_property(name="internal.line.access.prefix", value=outside)
    set_property(name="external.line.access.prefix", value=trunk)
    rebuild_stale_customer_groups()
    site = Plan(country=country, outside_codes=(outside,), trunk=trunk)
    external_ids = {str(contact.id): contact.external_id for contact in Contact.objects.all()}
    wrong = []

    for canonical, holders in list_holders(rows).items():
        for presented in present(canonical, site):
            answer = client.get("/api/v1/lookup", {"number": presented}, headers=headers).json()
            found = {external_ids[contact["id"]] for contact in answer["contacts"]}
            if found != holders:
                wrong.append((presented, found, holders))

    assert wrong == []


def test_the_number_of_two_employees_gives_both(client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/api/v1/lookup", {"number": "+14032623443"}, headers=headers).json()

    assert (answer["match"], answer["more"]) == ("exact", False)
    # Without templates a contact is called by its first field.
    assert [contact["name"] for contact in answer["contacts"]] == ["Jane", "Nancy"]
