"""How answers write addresses and times."""

from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def format_time(time: datetime) -> str:
    """Return a moment by RFC 3339 in UTC, whatever the site's zone."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def find_base_url(request: Request | HttpRequest) -> str:
    """Return what every address begins with, without a slash at the end."""
    return str(settings.PUBLIC_URL) or request.build_absolute_uri("/").rstrip("/")
