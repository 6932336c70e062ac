"""Admin pages of contacts, of who may see them, and of what configures them.

A surface like the API: what it shows comes from selectors.py, what it writes goes through services.py.
"""

from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.admin.configuration import ContactModelAdmin, QueueAdmin
from cmphone.contacts.admin.contacts import ContactAdmin
from cmphone.contacts.admin.customer_groups import CustomerGroupAdmin
from cmphone.contacts.admin.directories import DirectoryAdmin
from cmphone.contacts.admin.erasures import ErasureAdmin
from cmphone.contacts.admin.field_changes import FieldChangeAdmin
from cmphone.contacts.admin.imports import ImportRunAdmin
from cmphone.contacts.admin.people import RoleAdmin, UserAdmin
from cmphone.contacts.admin.properties import CheckedPropertyAdmin
from cmphone.contacts.admin.quality import DoubtfulNumberAdmin
from cmphone.contacts.admin.rebuilds import RebuildAdmin

__all__ = [
    "CheckedPropertyAdmin",
    "ContactAdmin",
    "ContactModelAdmin",
    "CustomerGroupAdmin",
    "DirectoryAdmin",
    "DoubtfulNumberAdmin",
    "ErasureAdmin",
    "FieldChangeAdmin",
    "ImportRunAdmin",
    "QueueAdmin",
    "RebuildAdmin",
    "RoleAdmin",
    "UserAdmin",
]

# Roles stand in for it.
admin.site.unregister(Group)

admin.site.site_header = _("CM/Phone administration")
admin.site.site_title = _("CM/Phone")
admin.site.index_title = _("Overview")
