"""Admin pages of licence and sessions."""

from license.admin.licenses import LicenseFileAdmin, PoolAdmin
from license.admin.sessions import SessionAdmin

__all__ = ["LicenseFileAdmin", "PoolAdmin", "SessionAdmin"]
