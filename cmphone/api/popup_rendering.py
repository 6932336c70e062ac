"""/api/v1/popup-templates/{lang}/{name}/render: a popup as a page, for clients that do not render."""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from django.utils import translation
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from cmphone.access.models import ApiKey, Scope
from cmphone.access.services import require_scope
from cmphone.api.authentication import current_user
from cmphone.api.calls import MISSED_POPUP, describe_calls
from cmphone.api.documentation import problems
from cmphone.api.popup_templates import AnyContentNegotiation
from cmphone.calls.models import Call
from cmphone.calls.selectors import get_call
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.pages import Shown
from cmphone.events_address import find_public_url
from cmphone.problems import InvalidRequest, NotFound
from templates_store.popup_context import build_context
from templates_store.popup_sets import PopupSet
from templates_store.popup_store import get_popups
from templates_store.popup_texts import get_texts
from templates_store.popups import CSS, NAMES, PopupError, render_popup
from templates_store.shipped_popups import list_languages, read_shipped

logger = logging.getLogger(__name__)

# A page holds what it needs; nothing is run, loaded or sent, even if a template got past its checks.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def _text(*, null: bool = False, required: bool = True) -> serializers.CharField:
    return serializers.CharField(allow_blank=True, allow_null=null, required=required, trim_whitespace=False)


class ShownLookupSerializer(serializers.Serializer[None]):
    """The answer to a look-up, as it was given."""

    class ShownNumberSerializer(serializers.Serializer[None]):
        raw = _text()
        canonical = _text(null=True)
        e164 = _text(null=True)
        display = _text()
        tapi = _text()
        kind = _text()
        place = _text(null=True)
        country = _text(null=True)

    class ShownContactSerializer(serializers.Serializer[None]):
        class ShownGroupSerializer(serializers.Serializer[None]):
            id = _text()
            name = _text()
            internal_name = _text(required=False)

        class ShownCompanySerializer(serializers.Serializer[None]):
            id = _text()
            name = _text()

        id = _text()
        kind = serializers.ChoiceField(["person", "company"])
        name = _text()
        customer_group = ShownGroupSerializer()
        company = ShownCompanySerializer(allow_null=True)
        field = _text()
        extension = _text(null=True)
        url = _text()
        can_create_case = serializers.BooleanField()
        create_case_url = _text(null=True, required=False)

    class ShownActionsSerializer(serializers.Serializer[None]):
        create_contact = _text(null=True)
        call_back = _text(null=True)

    number = ShownNumberSerializer()
    match = serializers.ChoiceField(["exact", "company", "tail", "none", "withheld"])
    more = serializers.BooleanField()
    contacts = ShownContactSerializer(many=True)
    actions = ShownActionsSerializer()


class PopupRenderingView(APIView):
    """A popup as a page."""

    scopes = (Scope.LOOKUP, Scope.CALLS)
    content_negotiation_class = AnyContentNegotiation

    class InputSerializer(serializers.Serializer[None]):
        lookup = ShownLookupSerializer(required=False)
        call_id = serializers.CharField(max_length=200, required=False, help_text="Instead of `lookup`.")

        class Meta:
            ref_name = "PopupToRender"

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            if len(attrs) != 1:
                raise serializers.ValidationError(_("Send either lookup or call_id."), code="required")
            return attrs

    @extend_schema(
        operation_id="render_popup_template",
        summary="A popup as a page that needs nothing else, filled in with the answer to a look-up or a call reported",
        request=InputSerializer,
        responses={(200, "text/html"): OpenApiTypes.STR, **problems(404)},
    )
    def post(self, request: Request, language: str, name: str) -> HttpResponse:
        if language not in list_languages() or name not in NAMES or name == CSS:
            raise NotFound
        serializer = self.InputSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user, base_url = current_user(request), find_public_url(request)
        if "call_id" in serializer.validated_data:
            if isinstance(request.auth, ApiKey):
                require_scope(request.auth, Scope.CALLS)
            call = get_call(user, serializer.validated_data["call_id"])
            (described,) = describe_calls([call], user, base_url=base_url)
            lookup: Any = described["lookup"]
            told = _describe_call(call, language)
        else:
            lookup = serializer.validated_data["lookup"]
            _add_case_urls(lookup["contacts"], base_url=base_url)
            told = {"state": "missed"} if name == MISSED_POPUP else {}
        context = build_context(
            lookup,
            language=language,
            texts=get_texts(language),
            user={"username": user.username, "display_name": user.display_name},
            call=told,
        )
        page = render_in_force(language, name, context)
        return HttpResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


def _describe_call(call: Call, language: str) -> dict[str, str]:
    started_at = localtime(call.started_at)
    with translation.override(language):
        is_today = started_at.date() == localtime().date()
        time = date_format(started_at, "TIME_FORMAT" if is_today else "SHORT_DATETIME_FORMAT")
    # A popup knows of no other state.
    state = "missed" if call.is_missed else "ringing"
    return {"id": call.call_id, "state": state, "time": time, "line": call.line}


def _add_case_urls(contacts: Sequence[dict[str, Any]], *, base_url: str) -> None:
    """Say where a new case is made, of contacts whose look-up did not say it yet."""
    for contact in contacts:
        if contact["can_create_case"] and not contact.get("create_case_url"):
            group = contact["customer_group"].get("internal_name", "")
            shown = Shown(contact["id"], "", contact["kind"], group)
            contact["create_case_url"] = get_current_configuration().pages.make_new_case_url(base_url, shown)


def render_in_force(language: str, name: str, context: Mapping[str, object]) -> str:
    """Return the page that the published template makes, or the product's own where that one fails.

    Raises InvalidRequest where it is too much for either.
    """
    popups = get_popups()
    try:
        return render_popup(_decode_files(popups, language), name, context)
    except PopupError as error:
        # Not what it says: it may name what it failed on.
        logger.warning(
            "The popup %s/%s of version %s fails in line %s of %s; the product's own is shown.",
            *(language, name, popups.version, error.line, error.name),
        )
    try:
        return render_popup(read_shipped(language), name, context)
    except PopupError as error:
        raise InvalidRequest(_("This is too much for one popup.")) from error


@lru_cache(maxsize=32)
def _decode_files(popups: PopupSet, language: str) -> Mapping[str, str]:
    return {name: content.decode() for (of, name), content in popups.files.items() if of == language}
