"""How programs and people prove who they are: API keys, and the brake on failed log-ins."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccessConfig(AppConfig):
    name = "cmphone.access"
    verbose_name = _("Access")
