"""/health: whether the process lives, and whether it can serve.  For load balancers and monitoring; no log-in."""

import logging

import redis
from django.conf import settings
from django.db import Error, connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.problems import Unavailable

logger = logging.getLogger(__name__)


class LiveView(APIView):
    """Whether this process answers at all."""

    authentication_classes = ()
    permission_classes = ()

    class OutputSerializer(serializers.Serializer[None]):
        status = serializers.ChoiceField(["live"])

        class Meta:
            ref_name = "Live"

    @extend_schema(operation_id="is_live", summary="Does the process answer?", responses=OutputSerializer, auth=[])
    def get(self, request: Request) -> Response:
        return Response({"status": "live"})


class ReadyView(APIView):
    """Whether this process can look up and log in.  Without Redis it can; only background jobs wait."""

    authentication_classes = ()
    permission_classes = ()

    class OutputSerializer(serializers.Serializer[None]):
        class ChecksSerializer(serializers.Serializer[None]):
            database = serializers.ChoiceField(["ok"])
            redis = serializers.ChoiceField(["ok", "unavailable"])

            class Meta:
                ref_name = "ReadyChecks"

        status = serializers.ChoiceField(["ready"])
        checks = ChecksSerializer()

        class Meta:
            ref_name = "Ready"

    @extend_schema(operation_id="is_ready", summary="Can it serve?", responses=OutputSerializer, auth=[])
    def get(self, request: Request) -> Response:
        checks = {"database": check_database(), "redis": check_redis()}
        if checks["database"] != "ok":
            raise Unavailable(retry_after=5, checks=checks)
        return Response({"status": "ready", "checks": checks})


def check_database() -> str:
    """Return `ok`, `unavailable` when the database does not answer, or `not-migrated` without our tables."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("select to_regclass('properties_configurationversion'), to_regclass('license_session')")
            return "ok" if all(cursor.fetchone()) else "not-migrated"
    except Error as error:
        logger.warning("The database does not answer: %s", type(error).__name__)
        connection.close()
        return "unavailable"


def check_redis() -> str:
    """Return `ok` or `unavailable`."""
    try:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
        with client:
            client.ping()
    except redis.RedisError:
        return "unavailable"
    return "ok"
