"""The REST edge: one module a resource."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ApiConfig(AppConfig):
    name = "cmphone.api"
    verbose_name = _("REST API")
