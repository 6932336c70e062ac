"""Who calls: the bearer token of a session, or the API key of a program."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from cmphone.access.credentials import Credentials, read_credentials
from cmphone.access.models import ApiKey
from cmphone.access.services import authenticate_key, require_scope
from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from license.models import Session
from license.services import authenticate


def require_credentials(request: Request) -> Credentials:
    """Return what the request shows.  Raises NotAuthenticated when that is nothing that is known."""
    credentials = read_credentials(request.headers.get("Authorization", ""))
    if credentials is None:
        raise NotAuthenticated
    return credentials


def current_user(request: Request) -> User:
    """Return the user whose session or key the request shows.  Raises NotAuthenticated where a view let anybody in."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user


def current_session(request: Request) -> Session:
    """Return the session that the request shows.  Raises NotAuthenticated where a view let anybody in."""
    if not isinstance(request.auth, Session):
        raise NotAuthenticated
    return request.auth


class SessionTokenAuthentication(BaseAuthentication):
    """`request.user` is the session's user, `request.auth` the session.  Every call counts as a sign of life."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        credentials = read_credentials(request.headers.get("Authorization", ""))
        if credentials is None or credentials.scheme != "bearer":
            return None
        session = authenticate(credentials.secret)
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ApiKeyAuthentication(BaseAuthentication):
    """`request.user` is the user whose rights the key has, `request.auth` the key."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        credentials = read_credentials(request.headers.get("Authorization", ""))
        if credentials is None or credentials.scheme != "api-key":
            return None
        key = authenticate_key(credentials.secret)
        return key.user, key


class KeyHasScope(BasePermission):
    """Lets an API key in only where the view names one of its scopes in `scopes`: by default nowhere."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raise PermissionDenied, which says what scope it takes, or let the caller in."""
        if isinstance(request.auth, ApiKey):
            require_scope(request.auth, *getattr(view, "scopes", ()))
        return True


class _SessionTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library has no types
    """How the API document describes it."""

    target_class = SessionTokenAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "The token that `POST /api/v1/sessions` gave."}


class _ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library has no types
    """Likewise, of operations that some scope is good for."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Api-Key`, a space, and a key that an administrator made.  It takes no seat.",
        }

    def get_security_requirement(self, auto_schema: Any) -> Any:
        return {self.name: []} if getattr(auto_schema.view, "scopes", ()) else None
