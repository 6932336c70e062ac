"""Use over time for tests: single hours, and a week as an office has it."""

from datetime import UTC, datetime, timedelta

from license.files import REST_POOL
from license.models import HourlyUsage


def make_usage(
    hour: str | datetime,
    peak: int = 1,
    *,
    licensed: int = 10,
    claims: int = 0,
    refused: int = 0,
    pool: str = REST_POOL,
) -> HourlyUsage:
    """A row of the hour that begins at this moment, which names its zone."""
    begin = datetime.fromisoformat(hour) if isinstance(hour, str) else hour
    return HourlyUsage.objects.create(
        pool_name=pool, hour=begin, licensed=licensed, peak=peak, claims=claims, refused=refused
    )


def make_week(now: datetime) -> None:
    """Seven days up to now: offices fill by day, the server rested for a night, and two days ago the licence shrank."""
    now = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    by_hour = [1, 1, 1, 1, 1, 2, 5, 11, 16, 18, 19, 17, 15, 18, 19, 18, 14, 9, 5, 3, 2, 2, 1, 1]
    for ago in range(7 * 24):
        hour = now - timedelta(hours=ago)
        if 70 <= ago < 80:
            continue
        licensed = 15 if ago < 48 else 20
        wanted = by_hour[hour.hour] // (4 if hour.isoweekday() > 5 else 1)
        # Who had a seat before the licence shrank keeps it.
        held = wanted if ago > 44 else min(wanted, licensed)
        make_usage(hour, held, licensed=licensed, claims=wanted // 2, refused=max(0, wanted - held) * (1 + ago % 3))
