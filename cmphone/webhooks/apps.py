"""Tells other systems what happens here, over HTTP.  Knows contacts, cases and calls by their ids only."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebhooksConfig(AppConfig):
    name = "cmphone.webhooks"
    verbose_name = _("Webhooks")
