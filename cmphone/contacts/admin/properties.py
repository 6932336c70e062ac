"""The page of the system properties, with warnings where the site's prefixes do not fit its country.

It is here since the page's own room does not know what numbers are.
"""

from collections.abc import Mapping

from django.contrib import admin
from django.http import HttpRequest

from cmphone.contacts.admin.doubts import describe_site_doubts
from cmphone.properties.admin import SystemPropertyAdmin
from cmphone.properties.models import SystemProperty

admin.site.unregister(SystemProperty)


@admin.register(SystemProperty)
class CheckedPropertyAdmin(SystemPropertyAdmin):
    def find_doubts(self, request: HttpRequest, values: Mapping[str, str]) -> Mapping[str, list[str]]:
        return describe_site_doubts(values)
