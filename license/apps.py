"""Licence file, seats and sessions."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class LicenseConfig(AppConfig):
    name = "license"
    verbose_name = _("Licence")

    def ready(self) -> None:
        from license.checks import check_public_key

        register(check_public_key)
