"""Reads how pools were used over time."""

from dataclasses import dataclass

from django.db.models import QuerySet, Sum

from license.charting import Usage
from license.files import REST_POOL
from license.models import HourlyUsage
from license.periods import HOUR, Period


@dataclass(frozen=True)
class Summary:
    """The most of a period: the first hour that had the highest peak, and how many clients were refused in all."""

    highest: HourlyUsage
    refused: int


def list_usage(pool_name: str, period: Period) -> QuerySet[HourlyUsage]:
    """Return the pool's rows of the hours that begin in the period, in order."""
    return HourlyUsage.objects.filter(
        pool_name=pool_name, hour__gte=period.begins_at, hour__lt=period.ends_at
    ).order_by("hour")


def list_pool_names() -> list[str]:
    """Return every pool of which there are rows, the one whose seats are given first."""
    names = HourlyUsage.objects.order_by("pool_name").values_list("pool_name", flat=True).distinct()
    return sorted(names, key=lambda name: (name != REST_POOL, name))


def read_hours(pool_name: str, period: Period) -> list[Usage]:
    """Return the same hours as list_usage, as values to draw."""
    rows = list_usage(pool_name, period).values_list("hour", "licensed", "peak", "claims", "refused")
    return [Usage(hour, hour + HOUR, *counts) for hour, *counts in rows]


def find_summary(pool_name: str, period: Period) -> Summary | None:
    """Return the most of the period, or None when it has no rows."""
    rows = list_usage(pool_name, period)
    highest = rows.order_by("-peak", "hour").first()
    if highest is None:
        return None
    return Summary(highest, rows.aggregate(refused=Sum("refused"))["refused"])
