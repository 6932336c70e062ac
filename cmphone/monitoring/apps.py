"""Health checks, metrics, and the worker's sign of life."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MonitoringConfig(AppConfig):
    name = "cmphone.monitoring"
    verbose_name = _("Monitoring")
