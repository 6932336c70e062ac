"""Who calls: the bearer token of a session."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from license.models import Session
from license.services import authenticate


def read_token(request: Request) -> str:
    """Return the token of `Authorization: Bearer <token>`.  Raises NotAuthenticated when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return token.strip()


def current_user(request: Request) -> User:
    """Return the user whose session the request shows.  Raises NotAuthenticated where a view let anybody in."""
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

    def authenticate(self, request: Request) -> tuple[User, Session]:
        session = authenticate(read_token(request))
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class _SessionTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API document describes it."""

    target_class = SessionTokenAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "The token that `POST /api/v1/sessions` gave."}
