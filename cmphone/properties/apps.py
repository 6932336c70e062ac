"""The lowest room: settings that an administrator changes while the system runs."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PropertiesConfig(AppConfig):
    name = "cmphone.properties"
    verbose_name = _("System properties")
