"""How pages show contacts: to whom, by which rights and configuration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils.functional import Promise
from django.utils.text import capfirst

from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.dialling import Dialler, DialNumber
from cmphone.contacts.models import Contact, ContactKind, User
from cmphone.contacts.pages import Shown
from cmphone.contacts.selectors import NO_RIGHTS, Rights, get_rights, list_contacts
from cmphone.problems import NotFound

# In a list, of each contact.
NUMBERS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field of a contact.  `numbers`: those in a telephone field, also such as cannot be dialled."""

    label: str | Promise
    text: str
    numbers: Sequence[DialNumber] = ()

    @property
    def has_more(self) -> bool:
        """Whether the text says more than the numbers do, such as whose they are."""
        is_shown = self.text.strip() in {each.reading.raw for each in self.numbers if not each.uri}
        return not is_shown and any(character.isalpha() for character in self.text)


@dataclass(frozen=True, slots=True)
class ShownContact:
    """A contact in a list.  Its `company` is None where it has none; `url` and that of the company lead to them."""

    contact: Contact
    url: str
    kind: str
    group: str
    company: Contact | None
    company_url: str
    numbers: Sequence[DialNumber]


class Viewer:
    """A user who looks at contacts."""

    def __init__(self, user: User) -> None:
        self.user = user
        rights = get_rights(user)
        # After the rights: it knows every group that they name.
        self.configuration = get_current_configuration()
        self._rights = {id: each for id, each in rights.items() if id in self.configuration.groups}
        self.viewable = frozenset(id for id, each in self._rights.items() if each.view)

    @cached_property
    def dialler(self) -> Dialler:
        return Dialler(self.configuration, self.viewable)

    def get_contact(self, contact_id: int) -> Contact:
        """Return a contact that he may view, with its company.  Raises NotFound."""
        contact = list_contacts(self.user).select_related("company").filter(pk=contact_id).first()
        # A right may have gone between the two.
        if contact is None or contact.customer_group_id not in self.viewable:
            raise NotFound
        return contact

    def get_rules(self, contact: Contact) -> GroupRules:
        """Return the customer group of a contact that he may view."""
        return self.configuration.groups[contact.customer_group_id]

    def get_rights(self, contact: Contact) -> Rights:
        """Return what he may do in the customer group of a contact."""
        return self._rights.get(contact.customer_group_id, NO_RIGHTS)

    def make_url(self, contact: Contact) -> str:
        """Return where the page of a contact is: here, or in the CRM of the site."""
        return self.configuration.pages.make_contact_url("", self._name(contact))

    def make_new_case_url(self, contact: Contact, number: str = "") -> str:
        """Return where he makes a case of a contact, who calls from this number or does not."""
        return self.configuration.pages.make_new_case_url("", self._name(contact), number)

    def _name(self, contact: Contact) -> Shown:
        return Shown(contact.pk, contact.external_id, contact.kind, self.get_rules(contact).name)

    def show_group(self, contact: Contact) -> str:
        """Return what the customer group of a contact is called in his language."""
        return self.get_rules(contact).label(self.user.language)

    def show_fields(self, contact: Contact) -> list[ShownField]:
        """Return the fields that have a value, in the order of the contact model."""
        rules = self.get_rules(contact)
        return [
            ShownField(
                rule.label(),
                contact.fields[rule.name],
                self.dialler.read(contact.fields[rule.name], rules.plan) if rule.dialable else (),
            )
            for rule in rules.fields.get(contact.kind, ())
            if rule.name in contact.fields
        ]

    def show_contacts(self, contacts: Iterable[Contact]) -> list[ShownContact]:
        """Return contacts that he may view, as a list shows them.  Their companies are loaded already."""
        return [self._show_contact(contact) for contact in contacts]

    def _show_contact(self, contact: Contact) -> ShownContact:
        rules = self.get_rules(contact)
        texts = (contact.fields.get(rule.name, "") for rule in rules.fields.get(contact.kind, ()) if rule.dialable)
        numbers = [number for text in texts for number in self.dialler.read(text, rules.plan) if number.uri]
        company = contact.company
        return ShownContact(
            contact,
            self.make_url(contact),
            capfirst(str(ContactKind(contact.kind).label)),
            self.show_group(contact),
            company,
            self.make_url(company) if company else "",
            numbers[:NUMBERS_SHOWN],
        )
