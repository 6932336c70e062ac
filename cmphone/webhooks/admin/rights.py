"""Who may see webhooks."""

from django.http import HttpRequest


def is_superuser(request: HttpRequest) -> bool:
    """Say whether who asks may see and change webhooks: no permission gives it."""
    return request.user.is_active and request.user.is_superuser
