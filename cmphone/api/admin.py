"""The preview of popups with a real caller.

It is here since a popup is made of the answer to a look-up, which the popups' own room does not know.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from cmphone.contacts.admin.rights import require_user
from cmphone.contacts.callers import look_up
from cmphone.events_address import find_public_url
from templates_store.admin import PopupVersionAdmin
from templates_store.admin.previews import Caller
from templates_store.models import PopupVersion

admin.site.unregister(PopupVersion)


@admin.register(PopupVersion)
class CallerPopupAdmin(PopupVersionAdmin):
    def find_caller(self, request: HttpRequest, number: str) -> Caller:
        """Return how to look up who calls from a number, by the rights of who asks."""
        # Not above: every command loads this module, and that one a map of the world's telephone areas.
        from cmphone.api.lookup import describe_call

        user = require_user(request)

        def find(language: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
            answer = look_up([number], who=user)
            answer = replace(answer, search=replace(answer.search, language=language))
            described = describe_call(answer.calls[0], answer, base_url=find_public_url(request))
            return described, {"username": user.username, "display_name": user.display_name}

        return find
