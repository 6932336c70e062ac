"""Customer groups, contact models, contacts, users, roles and rights, imports."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ContactsConfig(AppConfig):
    name = "cmphone.contacts"
    verbose_name = _("Contacts")
