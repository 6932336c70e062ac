"""Admin pages of webhooks and of what was sent to them: for superusers only, since what is told leaves the house."""

from cmphone.webhooks.admin.deliveries import DeliveryAdmin
from cmphone.webhooks.admin.webhooks import WebhookAdmin

__all__ = ["DeliveryAdmin", "WebhookAdmin"]
