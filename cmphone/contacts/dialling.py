"""Says what to dial for the numbers that people typed, as every surface shows it: the API, pages and trials."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration import Configuration
from numbering.dialing import Dialling, Obstacle, dial
from numbering.international import format_international
from numbering.reading import Plan, Reading, read_typed

OBSTACLES: dict[Obstacle, str | Promise] = {
    "unreadable": _("It cannot be dialled, as it cannot be read."),
    "withheld": _("There is no number to be dialled."),
    "no-country": _("It cannot be dialled: no country has such a number."),
    "no-international-prefix": _(
        "It cannot be dialled: neither the property international.access.prefix nor the country of the site says how "
        "to call abroad."
    ),
}


@dataclass(frozen=True, slots=True)
class DialNumber:
    """A number, how people write it, and what to dial for it.  `uri` is the link that does; None: it cannot be."""

    reading: Reading
    display: str
    dialling: Dialling
    uri: str | None

    @property
    def obstacle(self) -> str | Promise:
        """Why it cannot be dialled, in words; empty where it can."""
        return OBSTACLES[self.dialling.obstacle] if self.dialling.obstacle else ""


@dataclass(frozen=True)
class Dialler:
    """Somebody who dials from the site's telephones.  `viewable`: the customer groups that he may view."""

    configuration: Configuration
    viewable: Collection[int]

    @cached_property
    def _own_lines(self) -> list[str]:
        return self.configuration.list_own_lines(self.viewable)

    def read(self, text: str, plan: Plan) -> list[DialNumber]:
        """Return every number that people typed into a text, in its order."""
        return [self.prepare(reading) for reading in read_typed(text, plan)]

    def prepare(self, reading: Reading) -> DialNumber:
        """Return what to dial for a number."""
        dialling = dial(reading, self.configuration.site, self._own_lines)
        return DialNumber(reading, format_international(reading), dialling, self.configuration.make_dial_uri(dialling))
