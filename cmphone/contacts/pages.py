"""Web addresses of the pages about contacts: our own, or those of the CRM that the site is part of.

Every surface that leads there asks here, by `Configuration.pages`.  What the properties may hold is checked where
they are defined (properties/registry.py); values are always percent-encoded.
"""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

# A page of theirs is no address: who reads `..` in one goes up.
_NO_KEYS = frozenset(["", ".", ".."])


class Shown(NamedTuple):
    """A contact whose page is meant; `customer_group` is the internal name."""

    id: int | str
    external_id: str
    kind: str
    customer_group: str


@dataclass(frozen=True, slots=True)
class Pages:
    """Templates of addresses; empty: the page is our own, below the base URL that everybody names who asks."""

    contact: str = ""
    new_contact: str = ""
    new_case: str = ""

    def make_contact_url(self, base_url: str, contact: Shown) -> str:
        """Return the address of a contact's page."""
        return _fill(self.contact, contact) or f"{base_url}/contacts/{contact.id}/"

    def make_new_contact_url(self, base_url: str, number: str) -> str:
        """Return the address of the page for a new contact with this number; empty: without one."""
        if self.new_contact:
            return self.new_contact.format(number=quote(number, safe=""))
        return f"{base_url}/contacts/new/" + (f"?number={quote(number)}" if number else "")

    def make_new_case_url(self, base_url: str, contact: Shown, number: str = "") -> str:
        """Return the address of the page for a new case of a contact, who calls from this number or does not."""
        return _fill(self.new_case, contact, number) or f"{base_url}/cases/new/?contact={quote(str(contact.id))}"

    def describe(self, base_url: str) -> dict[str, str]:
        """Return the addresses with what is to be filled in in braces."""
        return {
            "contact": self.contact or f"{base_url}/contacts/{{id}}/",
            "new_contact": self.new_contact or f"{base_url}/contacts/new/?number={{number}}",
            "new_case": self.new_case or f"{base_url}/cases/new/?contact={{id}}",
        }


def _fill(template: str, contact: Shown, number: str = "") -> str:
    """Return the address; empty where there is no template, or it wants a key that the contact does not have."""
    if not template or (contact.external_id in _NO_KEYS and "{external_id}" in template):
        return ""
    return template.format(
        id=quote(str(contact.id), safe=""),
        external_id=quote(contact.external_id, safe=""),
        kind=contact.kind,
        customer_group=quote(contact.customer_group, safe=""),
        number=quote(number, safe=""),
    )
