"""What importing a licence would change: its sections beside the pools of the licence in force.  Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from license.files import COUNTED_SECTIONS, KNOWN_SECTIONS, NAMED_POOL, Entry, Section
from license.importing import read_license, read_pool_values, require_acceptable
from license.keys import is_accepted
from license.models import Pool
from license.named_users import count_active_users
from license.selectors import find_last_file, list_pools, site_day

SOON_DAYS = 30

Value = str | int | date


@dataclass(frozen=True)
class Difference:
    """A value of a pool, in force and in the new licence; None: there is no such pool."""

    name: str
    before: Value | None
    after: Value | None

    @property
    def is_change(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class PoolChange:
    """A pool before and after.  `in_use` is None where nobody counts; `days_left` is that of the new section."""

    name: str
    before: Pool | None
    after: Section | None
    in_use: int | None
    days_left: int | None

    @property
    def differences(self) -> list[Difference]:
        before = {} if self.before is None else {name: getattr(self.before, name) for name in _VALUES}
        after = {} if self.after is None else read_pool_values(self.after)
        return [Difference(name, before.get(name), after.get(name)) for name in _VALUES]

    @property
    def is_changed(self) -> bool:
        return any(each.is_change for each in self.differences)

    @property
    def is_known(self) -> bool:
        return self.name in KNOWN_SECTIONS

    @property
    def is_counted(self) -> bool:
        return self.name in COUNTED_SECTIONS

    @property
    def unknown_entries(self) -> list[Entry]:
        return [] if self.after is None else self.after.unknown_entries

    @property
    def is_short(self) -> bool:
        """Say whether more seats are in use than the new licence has."""
        return self.after is not None and self.in_use is not None and self.in_use > self.after.licensed

    @property
    def has_expired(self) -> bool:
        return self.days_left is not None and self.days_left < 0

    @property
    def expires_soon(self) -> bool:
        return self.days_left is not None and 0 <= self.days_left <= SOON_DAYS


@dataclass(frozen=True)
class Preview:
    """What would change.  `last_file_id` is the file it was compared with; 0: there is none."""

    text: str
    last_file_id: int
    is_last_file_accepted: bool
    pools: Sequence[PoolChange]

    @property
    def is_changed(self) -> bool:
        return any(pool.is_changed for pool in self.pools)


_VALUES = ("contract_party", "products", "version", "expires_on", "licensed")


def preview_license(text: str | bytes) -> Preview:
    """Return what importing this licence would change.  Raises LicenseRefused just as the import would."""
    granted, key = read_license(text)
    today = site_day(require_acceptable(granted, public_key=key))
    # The file before its pools: one that is imported in between is noticed when this one is brought into force.
    last_file = find_last_file()
    before = {pool.name: pool for pool in list_pools()}
    names = [*(section.name for section in granted.sections), *before]
    pools = []
    for name in dict.fromkeys(names):
        pool, section = before.get(name), granted.find_section(name)
        pools.append(
            PoolChange(
                name=name,
                before=pool,
                after=section,
                in_use=_count_use(name, pool),
                days_left=None if section is None else (section.expires_on - today).days,
            )
        )
    return Preview(
        text=granted.text,
        last_file_id=0 if last_file is None else last_file.pk,
        is_last_file_accepted=last_file is None or is_accepted(last_file.public_key),
        pools=pools,
    )


def _count_use(name: str, pool: Pool | None) -> int | None:
    if name not in COUNTED_SECTIONS:
        return None
    if pool is not None:
        return pool.in_use
    return count_active_users() if name == NAMED_POOL else 0
