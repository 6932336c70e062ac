"""What who asks for a page may do with contacts."""

from collections.abc import Mapping

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from cmphone.contacts.models import User
from cmphone.contacts.selectors import Rights, get_rights


def read_rights(request: HttpRequest) -> Mapping[int, Rights]:
    """Return the rights of who asks by customer group, read once a request."""
    if not isinstance(request.user, User):
        return {}
    if not hasattr(request, "contact_rights"):
        request.contact_rights = get_rights(request.user)  # type: ignore[attr-defined]  # kept with the request
    rights: Mapping[int, Rights] = request.contact_rights  # type: ignore[attr-defined]  # kept with the request
    return rights


def list_viewable(request: HttpRequest) -> set[int]:
    """Return the customer groups whose contacts he may view."""
    return {id for id, rights in read_rights(request).items() if rights.view}


def require_user(request: HttpRequest) -> User:
    """Return who asks."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
