"""The client's installers: kept, offered, and handed out."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReleasesConfig(AppConfig):
    name = "cmphone.releases"
    verbose_name = _("Client")
