"""/health: for load balancers whether the process lives and can serve; for monitoring how everything is.

`check` and `report` answer 200 whatever they found: the report is the answer, and a monitor that gets another
status has not got it.  A status code that says whether to send requests here is what `ready` is for.
"""

import functools
import logging

from django.db import Error, connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.api.documentation import problems
from cmphone.api.monitoring_access import require_monitoring
from cmphone.monitoring.checks import (
    CHECKS,
    DATABASE,
    LICENSE,
    Section,
    Status,
    check_database,
    check_health,
    check_redis,
    find_days_until_next_expiry,
)
from cmphone.monitoring.running import run_together
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
        database, redis = run_together([check_database, check_redis])
        # Where it does not hang, the connection that look-ups use has the last word: it may be there when no new
        # one can be had, and the other way round.
        hangs = isinstance(database.error, TimeoutError)
        checks = {
            "database": "unavailable" if hangs else ask_own_connection(),
            "redis": "ok" if redis.error is None else "unavailable",
        }
        if checks["database"] != "ok":
            raise Unavailable(retry_after=5, checks=checks)
        return Response({"status": "ready", "checks": checks})


class CheckView(APIView):
    """How everything is, in a word each: for everybody, as it tells nothing that is secret."""

    authentication_classes = ()
    permission_classes = ()

    class OutputSerializer(serializers.Serializer[None]):
        class SectionSerializer(serializers.Serializer[None]):
            status = serializers.ChoiceField(list(Status))

            class Meta:
                ref_name = "HealthCheckSection"

        status = serializers.ChoiceField(list(Status), help_text="The worst of the sections.")
        sections = serializers.DictField(child=SectionSerializer(), help_text=f"By name: {', '.join(CHECKS)}.")

        class Meta:
            ref_name = "HealthCheck"

    @extend_schema(
        operation_id="check_health",
        summary="How is everything, in short?",
        description="200 whatever was found: the report is the answer.",
        responses=OutputSerializer,
        auth=[],
    )
    def get(self, request: Request) -> Response:
        report = check_health()
        sections = {name: {"status": section.finding.status} for name, section in report.sections.items()}
        return _answer({"status": report.status, "sections": sections})


class ReportView(APIView):
    """How everything is, in full: for staff, and for whoever shows a monitoring key."""

    # The report comes first: who asks can only be looked up in a database that answers.
    authentication_classes = ()
    permission_classes = ()

    class OutputSerializer(serializers.Serializer[None]):
        class SectionSerializer(serializers.Serializer[None]):
            class PoolSerializer(serializers.Serializer[None]):
                pool = serializers.CharField()
                bought = serializers.IntegerField()
                inUse = serializers.IntegerField(  # noqa: N815 (the vendor's name)
                    allow_null=True, help_text="null: nobody counts the seats of this pool."
                )

                class Meta:
                    ref_name = "HealthReportPool"

            status = serializers.ChoiceField(list(Status))
            description = serializers.CharField()
            duration_ms = serializers.FloatField(help_text="Of a look that hangs: how long it has taken so far.")
            daysUntilNextExpiry = serializers.IntegerField(  # noqa: N815 (the vendor's name)
                required=False, allow_null=True, help_text="Of the pool that ends first, among those that count."
            )
            statistics = PoolSerializer(many=True, required=False)

            class Meta:
                ref_name = "HealthReportSection"

        status = serializers.ChoiceField(list(Status), help_text="The worst of the sections.")
        sections = serializers.DictField(
            child=SectionSerializer(),
            help_text=f"By name: {', '.join(CHECKS)}. {LICENSE} also has daysUntilNextExpiry and statistics.",
        )

        class Meta:
            ref_name = "HealthReport"

    @extend_schema(
        operation_id="report_health",
        summary="How is everything, in full?",
        description="For staff, and with `Authorization: Api-Key` and a monitoring key. 200 whatever was found: the "
        "report is the answer.",
        responses={200: OutputSerializer, **problems(401, 403)},
        auth=[{"session": []}, {"apiKey": []}],  # type: ignore[list-item]
    )
    def get(self, request: Request) -> Response:
        report = functools.cache(check_health)
        require_monitoring(request._request, is_database_up=lambda: report().is_up(DATABASE))
        sections = {name: _describe(section) for name, section in report().sections.items()}
        return _answer({"status": report().status, "sections": sections})


def _describe(section: Section) -> dict[str, object]:
    described: dict[str, object] = {
        "status": section.finding.status,
        "description": section.finding.describe(),
        "duration_ms": round(section.seconds * 1000, 1),
    }
    pools = section.finding.pools
    if pools is not None:
        described["daysUntilNextExpiry"] = find_days_until_next_expiry(pools)
        described["statistics"] = [
            {"pool": pool.name, "bought": pool.licensed, "inUse": pool.in_use if pool.is_counted else None}
            for pool in pools
        ]
    return described


def _answer(body: dict[str, object]) -> Response:
    return Response(body, headers={"Cache-Control": "no-store"})


def ask_own_connection() -> str:
    """Return `ok`, `unavailable` when the database does not answer, or `not-migrated` without our tables."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("select to_regclass('properties_configurationversion'), to_regclass('license_session')")
            return "ok" if all(cursor.fetchone()) else "not-migrated"
    except Error as error:
        logger.warning("The database does not answer: %s", type(error).__name__)
        connection.close()
        return "unavailable"
