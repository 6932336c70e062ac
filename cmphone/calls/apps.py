"""Calls as clients report them, missed calls, call back, and cases."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CallsConfig(AppConfig):
    name = "cmphone.calls"
    verbose_name = _("Calls and cases")
