"""Filters of the list of contacts.  What they offer and find is what one may view."""

import re
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.admin.readings import show_number
from cmphone.contacts.admin.rights import list_viewable
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.models import Contact
from numbering.models import IndexEntry
from numbering.quality import Place, find_canonical
from numbering.reading import Reading


class ViewableGroupFilter(admin.RelatedFieldListFilter):
    """Offers the customer groups whose contacts one may view."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        groups = get_current_configuration().groups
        viewable = [id for id in list_viewable(request) if id in groups]
        return sorted(
            ((str(id), groups[id].label(get_language() or "en")) for id in viewable), key=lambda each: each[1]
        )


class SameNumberFilter(admin.SimpleListFilter):
    """Shows who has the number of an index entry.  It offers nothing: other pages link to it."""

    title = _("number")
    parameter_name = "number_of_entry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        text = str(request.GET.get(self.parameter_name, ""))
        self._place = Place(list_viewable(request))
        self._canonical = ""
        if re.fullmatch("[0-9]{1,18}", text):
            self._canonical = find_canonical(self._place, entry_id=int(text))
        if not text:
            return []
        shown = show_number(Reading(self._canonical, "public", "")) if self._canonical else "–"
        return [(text, shown)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        if self.value() is None:
            return queryset
        if not self._canonical:
            return queryset.none()
        groups = self._place.customer_groups
        entries = IndexEntry.objects.filter(canonical=self._canonical, customer_group__in=groups)
        return queryset.filter(id__in=entries.values("contact_id"))
