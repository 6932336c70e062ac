"""The page of the system properties, with how much goes in the coming night by those of retention.

It is here since the rooms below do not know what cases are.
"""

from collections.abc import Mapping

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import ngettext

from cmphone.calls.retention import count_expired
from cmphone.contacts.admin.properties import CheckedPropertyAdmin
from cmphone.contacts.admin.rights import require_user
from cmphone.properties.models import SystemProperty
from cmphone.properties.registry import CASE_DAYS, HISTORY_DAYS, INACTIVE_CONTACT_DAYS

admin.site.unregister(SystemProperty)


@admin.register(SystemProperty)
class RetentionPropertyAdmin(CheckedPropertyAdmin):
    def find_doubts(self, request: HttpRequest, values: Mapping[str, str]) -> Mapping[str, list[str]]:
        """Add how much would go; to superusers alone, as others may not know how many contacts there are."""
        doubts = dict(super().find_doubts(request, values))
        if not require_user(request).is_superuser:
            return doubts
        expired = count_expired(values)
        texts = {
            INACTIVE_CONTACT_DAYS: (
                expired.contacts,
                ngettext(
                    "%d contact is erased in the coming night.",
                    "%d contacts are erased in the coming night.",
                    expired.contacts,
                ),
            ),
            HISTORY_DAYS: (
                expired.changes,
                ngettext(
                    "%d change in the history of a contact is deleted in the coming night.",
                    "%d changes in the history of contacts are deleted in the coming night.",
                    expired.changes,
                ),
            ),
            CASE_DAYS: (
                expired.cases,
                ngettext(
                    "%d case is deleted in the coming night.",
                    "%d cases are deleted in the coming night.",
                    expired.cases,
                ),
            ),
        }
        return doubts | {name: [text % count] for name, (count, text) in texts.items() if count}
