"""Licence file, seats and sessions."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LicenseConfig(AppConfig):
    name = "license"
    verbose_name = _("Licence")
