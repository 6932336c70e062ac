"""/api/v1/sessions: a client logs in and takes a seat, shows that it lives, and logs out."""

from django.contrib.auth import authenticate
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.addresses import find_client_address
from cmphone.api.authentication import current_session
from cmphone.api.documentation import problems
from cmphone.api.notation import format_time
from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from license.files import REST_POOL
from license.models import Session
from license.services import Claim, claim_seat, release_seat


class SessionsView(APIView):
    """Log-ins."""

    authentication_classes = ()
    permission_classes = ()

    class InputSerializer(serializers.Serializer[None]):
        username = serializers.CharField(max_length=150)
        password = serializers.CharField(max_length=1000, trim_whitespace=False)
        client_id = serializers.CharField(
            max_length=100, help_text="One installation of the client; it keeps its seat."
        )
        client_version = serializers.CharField(max_length=50, required=False, allow_blank=True, default="")
        workstation = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
        line = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")

    class OutputSerializer(serializers.Serializer[None]):
        class UserSerializer(serializers.Serializer[None]):
            id = serializers.CharField()
            username = serializers.CharField()
            display_name = serializers.CharField()
            language = serializers.CharField()

            class Meta:
                ref_name = "SessionUser"

        class LicenseSerializer(serializers.Serializer[None]):
            pool = serializers.CharField()
            licensed = serializers.IntegerField()
            in_use = serializers.IntegerField()

            class Meta:
                ref_name = "SessionLicense"

        id = serializers.CharField()
        token = serializers.CharField()
        heartbeat_seconds = serializers.IntegerField(help_text="Show a sign of life at least this often.")
        expires_at = serializers.DateTimeField()
        user = UserSerializer()
        license = LicenseSerializer()
        config_version = serializers.CharField()
        templates_version = serializers.CharField()

        class Meta:
            ref_name = "NewSession"

    @extend_schema(
        operation_id="log_in",
        summary="Log in and take a seat; the same client again renews its own",
        request=InputSerializer,
        responses={201: OutputSerializer, 200: OutputSerializer, **problems(401, 403, 409, 429)},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        serializer = self.InputSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        client = dict(serializer.validated_data)
        user = authenticate(request, username=client.pop("username"), password=client.pop("password"))
        if not isinstance(user, User):
            raise NotAuthenticated(gettext("User name or password is wrong, or the user is not active."))
        claim = claim_seat(user=user, address=find_client_address(request), **client)
        answer = describe_claim(claim, user)
        return Response(answer, status=status.HTTP_201_CREATED if claim.is_new else status.HTTP_200_OK)


def describe_claim(claim: Claim, user: User) -> dict[str, object]:
    """Return what a client is told once, when it logs in."""
    return {
        "id": str(claim.session.id),
        "token": claim.token,
        "heartbeat_seconds": heartbeat_seconds(claim.session),
        "user": {
            "id": str(user.id),
            "username": user.username,
            "display_name": user.display_name,
            "language": user.language,
        },
        "license": {"pool": REST_POOL, "licensed": claim.licensed, "in_use": claim.in_use},
        **describe_state(claim.session),
    }


def heartbeat_seconds(session: Session) -> int:
    """Return how often a client has to show that it lives: two heartbeats in a row may be lost before it times out."""
    return int(session.timeout.total_seconds()) // 4


def describe_state(session: Session) -> dict[str, object]:
    """Return what every heartbeat tells: until when the session lives, and whether to reload settings or templates."""
    return {
        "expires_at": format_time(session.expires_at),
        "config_version": session.config_version,
        "templates_version": session.templates_version,
    }


class CurrentSessionView(APIView):
    """The caller's own session."""

    class OutputSerializer(serializers.Serializer[None]):
        expires_at = serializers.DateTimeField()
        config_version = serializers.CharField()
        templates_version = serializers.CharField()

        class Meta:
            ref_name = "SessionState"

    @extend_schema(operation_id="show_sign_of_life", summary="Heartbeat", request=None, responses=OutputSerializer)
    def put(self, request: Request) -> Response:
        return Response(describe_state(current_session(request)))

    @extend_schema(operation_id="log_out", summary="Log out and give the seat back", responses={204: None})
    def delete(self, request: Request) -> Response:
        release_seat(current_session(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
