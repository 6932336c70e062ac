"""The addresses that answers tell, as whoever asks can reach them."""

from django.conf import settings
from rest_framework.request import Request


def find_base_url(request: Request) -> str:
    """Return what every address begins with, without a slash at the end."""
    return str(settings.PUBLIC_URL) or request.build_absolute_uri("/").rstrip("/")
