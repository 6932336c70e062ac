"""/api/v1/contacts/export: all contacts that the caller may view, as a file."""

from typing import Any

from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.contact_answers import read_viewer
from cmphone.api.documentation import problems
from cmphone.api.popup_templates import AnyContentNegotiation
from cmphone.contacts.exporting import export_csv, export_vcards
from cmphone.contacts.selectors import find_group, list_contacts
from cmphone.problems import NotFound

_is_active = {"true": True, "false": False, "all": None}
_delimiters = {",": ",", ";": ";", "tab": "\t"}


class ContactsExportView(APIView):
    """The contacts that the caller may view, as CSV or vCard."""

    scopes = (Scope.CONTACTS,)
    # The parameter `format` is ours.
    content_negotiation_class = AnyContentNegotiation

    class InputSerializer(serializers.Serializer[None]):
        format = serializers.ChoiceField(["csv", "vcard"], default="csv")
        customer_group = serializers.CharField(
            max_length=50,
            required=False,
            help_text="Id or internal name. CSV needs one; vCards: all where it is missing.",
        )
        active = serializers.ChoiceField(list(_is_active), default="all")
        delimiter = serializers.ChoiceField(list(_delimiters), default=",", help_text="Of CSV.")
        version = serializers.ChoiceField(["4.0", "3.0"], default="4.0", help_text="Of vCards.")

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            if attrs["format"] == "csv" and "customer_group" not in attrs:
                message = _("Name a customer group: the columns of a CSV file are the fields of one.")
                raise serializers.ValidationError({"customer_group": message}, code="required")
            return attrs

    @extend_schema(
        operation_id="export_contacts",
        summary="Download all contacts that you may view, as a file that an import reads back",
        description="CSV comes in UTF-8 with a byte order mark; the header has the internal names of the fields. "
        "A cell that a spreadsheet would run as a formula has an apostrophe in front, which imports take off.",
        parameters=[InputSerializer],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "text/vcard"): OpenApiTypes.STR,
            **problems(404),
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        serializer = self.InputSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        viewer = read_viewer(request)
        groups = {id: viewer.configuration.groups[id] for id in viewer.viewable}
        group = None
        if "customer_group" in asked:
            group = find_group(viewer.configuration, groups, asked["customer_group"])
            if group is None:
                raise NotFound
            groups = {group.id: group}
        contacts = list_contacts(current_user(request))
        if (is_active := _is_active[asked["active"]]) is not None:
            contacts = contacts.filter(is_active=is_active)
        if asked["format"] == "csv" and group is not None:
            export = export_csv(
                contacts, rules=group, viewable=viewer.viewable, delimiter=_delimiters[asked["delimiter"]]
            )
        else:
            export = export_vcards(contacts, groups=groups, viewable=viewer.viewable, version=asked["version"])
        return StreamingHttpResponse(export.text, headers=export.headers)
