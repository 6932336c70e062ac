"""What calls add to the admin page of roles.  It is here since their own room does not know what calls are."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from cmphone.calls.models import CallRight
from cmphone.contacts.admin.people import RoleAdmin
from cmphone.contacts.models import Role

admin.site.unregister(Role)


class CallRightInline(admin.TabularInline):
    model = CallRight
    fk_name = "role"
    extra = 0
    verbose_name_plural = _("Calls: whose the role may see beside one's own")


@admin.register(Role)
class RoleWithCallsAdmin(RoleAdmin):
    """Says whose calls a role sees."""

    inlines = [*RoleAdmin.inlines, CallRightInline]
