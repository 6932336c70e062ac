"""Pages for people."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebConfig(AppConfig):
    name = "cmphone.web"
    verbose_name = _("Pages")
