"""How answers write times."""

from datetime import UTC, datetime


def format_time(time: datetime) -> str:
    """Return a moment by RFC 3339 in UTC, whatever the site's zone."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
