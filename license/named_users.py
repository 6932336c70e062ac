"""How many users may be active: as many as the section NAMED_USERS of the licence in force names.

Without that section there is no limit.  One that has expired, or that was signed for another key than this
server's, limits as it did before: it names nobody more.  The database itself holds the limit, on whatever way
somebody becomes active (migration contacts.0006); here it is told to people before it comes to that.
"""

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils.translation import ngettext

from license.files import NAMED_POOL
from license.models import Pool


def count_active_users() -> int:
    """Return how many users are active now."""
    return get_user_model().objects.filter(is_active=True).count()


def require_free_name() -> None:
    """Raise ValidationError when as many users are active as the licence names."""
    named = Pool.objects.filter(name=NAMED_POOL).values_list("licensed", flat=True).first()
    if named is None:
        return
    active = count_active_users()
    if active >= named:
        text = ngettext(
            "The licence names %(named)d user, and %(active)d is active. Deactivate one, or import a licence for more.",
            "The licence names %(named)d users, and %(active)d are active. "
            "Deactivate one, or import a licence for more.",
            named,
        )
        raise ValidationError(text % {"named": named, "active": active}, code="no-free-license")
