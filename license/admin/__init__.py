"""Admin pages of licence and sessions."""

from license.admin.licenses import LicenseFileAdmin, PoolAdmin
from license.admin.sessions import SessionAdmin
from license.admin.usage import HourlyUsageAdmin

__all__ = ["HourlyUsageAdmin", "LicenseFileAdmin", "PoolAdmin", "SessionAdmin"]
