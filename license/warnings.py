"""What an administrator should know of the licence before clients are refused.  Pure: no database, no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext, ngettext

from license.files import NAMED_POOL, PRODUCT, REST_POOL
from license.selectors import PoolState

WARN_DAYS_BEFORE_EXPIRY = 30
WARN_FROM_PERCENT_IN_USE = 90


class Code(StrEnum):
    """What a warning is about."""

    MISSING = "license-missing"
    EXPIRED = "license-expired"
    EXPIRES_SOON = "license-expires-soon"
    FULL = "seats-all-in-use"
    NEARLY_FULL = "seats-nearly-all-in-use"


class Severity(StrEnum):
    """An error keeps every client out that is not logged in yet.  A pool that is full may be a good day."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class LicenseWarning:
    """A warning.  `pool` is None where there is no licence at all."""

    code: Code
    pool: PoolState | None = None

    @property
    def severity(self) -> Severity:
        return Severity.ERROR if self.code in {Code.MISSING, Code.EXPIRED} else Severity.WARNING

    @property
    def text(self) -> str:
        """The warning as a sentence, in the language that is active when it is asked for."""
        if self.pool is None:
            return gettext("There is no licence for %s: no client can log in.") % PRODUCT
        values = {
            "pool": self.pool.name,
            "date": f"{self.pool.expires_on:%d.%m.%Y}",
            "days": self.pool.days_left,
            "in_use": self.pool.in_use,
            "licensed": self.pool.licensed,
        }
        match self.code:
            case Code.EXPIRED:
                return gettext("The licence for %(pool)s expired on %(date)s.") % values
            case Code.EXPIRES_SOON if self.pool.days_left == 0:
                return gettext("The licence for %(pool)s expires today.") % values
            case Code.EXPIRES_SOON:
                return (
                    ngettext(
                        "The licence for %(pool)s expires in %(days)d day, on %(date)s.",
                        "The licence for %(pool)s expires in %(days)d days, on %(date)s.",
                        self.pool.days_left,
                    )
                    % values
                )
            case Code.FULL:
                return gettext("Every seat of %(pool)s is in use: %(in_use)d of %(licensed)d.") % values
            case _:
                return gettext("Nearly every seat of %(pool)s is in use: %(in_use)d of %(licensed)d.") % values


def list_warnings(pools: Sequence[PoolState]) -> list[LicenseWarning]:
    """Return what is wrong, or soon will be, with the pools of the licence in force; errors come first."""
    return sorted(_find_warnings(pools), key=lambda warning: warning.severity is not Severity.ERROR)


def _find_warnings(pools: Sequence[PoolState]) -> Iterator[LicenseWarning]:
    if not any(pool.name == REST_POOL for pool in pools):
        yield LicenseWarning(Code.MISSING)
    for pool in pools:
        if not pool.is_counted:
            continue
        if pool.days_left < 0:
            yield LicenseWarning(Code.EXPIRED, pool)
        elif pool.days_left <= WARN_DAYS_BEFORE_EXPIRY:
            yield LicenseWarning(Code.EXPIRES_SOON, pool)
        if pool.name == NAMED_POOL:
            # That as many users are active as are named is how it is meant.
            continue
        if pool.in_use >= pool.licensed:
            yield LicenseWarning(Code.FULL, pool)
        elif pool.in_use * 100 >= pool.licensed * WARN_FROM_PERCENT_IN_USE:
            yield LicenseWarning(Code.NEARLY_FULL, pool)
