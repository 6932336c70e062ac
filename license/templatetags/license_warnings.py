"""The warnings of the licence, for the pages of the administration."""

from django import template
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from license.selectors import list_pool_states
from license.warnings import LicenseWarning, list_warnings

register = template.Library()


@register.simple_tag
def list_license_warnings(user: AbstractBaseUser | AnonymousUser) -> list[LicenseWarning]:
    """Return the warnings for staff who may see the pools, and none for anybody else.  One query."""
    if not getattr(user, "is_staff", False) or not user.has_perm("license.view_pool"):  # type: ignore[union-attr]
        return []
    return list_warnings(list_pool_states())
