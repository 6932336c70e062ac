"""Display-name templates, and the popup files."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class TemplatesStoreConfig(AppConfig):
    name = "templates_store"
    verbose_name = _("Templates")

    def ready(self) -> None:
        from templates_store.checks import check_popup_folder

        register(check_popup_folder)
