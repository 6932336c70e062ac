"""/api/v1/license: the pools of the licence in force, and how many of their seats are in use."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from license.selectors import PoolState, list_pool_states


class LicenseView(APIView):
    """The licence in force."""

    scopes = tuple(Scope)

    class OutputSerializer(serializers.Serializer[None]):
        class PoolSerializer(serializers.Serializer[None]):
            pool = serializers.CharField()
            licensed = serializers.IntegerField()
            in_use = serializers.IntegerField()
            free = serializers.IntegerField()
            expires_on = serializers.DateField(help_text="The last day on which it is valid, where the site is.")
            days_left = serializers.IntegerField(help_text="0 on the last day, negative after it.")
            counted = serializers.BooleanField(
                help_text="Whether this server counts its use; of the others, nothing is in use here."
            )

            class Meta:
                ref_name = "LicensePool"

        results = PoolSerializer(many=True)
        next = serializers.CharField(allow_null=True)

        class Meta:
            ref_name = "License"

    @extend_schema(
        operation_id="show_license",
        summary="The pools of the licence in force, with what is in use and free",
        responses=OutputSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response({"results": [_describe_pool(state) for state in list_pool_states()], "next": None})


def _describe_pool(state: PoolState) -> dict[str, object]:
    return {
        "pool": state.name,
        "licensed": state.licensed,
        "in_use": state.in_use,
        "free": state.free,
        "expires_on": state.expires_on.isoformat(),
        "days_left": state.days_left,
        "counted": state.is_counted,
    }
