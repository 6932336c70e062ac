"""Display-name templates."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TemplatesStoreConfig(AppConfig):
    name = "templates_store"
    verbose_name = _("Templates")
