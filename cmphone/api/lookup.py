"""/api/v1/lookup: who is calling.  The walk of a call: read the number, run one statement, answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import orjson
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from cmphone.api.authentication import read_token
from cmphone.api.customer_groups import describe_group
from cmphone.api.documentation import problems
from cmphone.api.numbers import NumberField, NumberSerializer, ReadingSerializer, describe_number, describe_reading
from cmphone.contacts.configuration import Configuration, get_configuration
from cmphone.problems import NotAuthenticated
from cmphone.properties.registry import DIAL_URI_SCHEME
from license.services import authenticate
from license.tokens import hash_token
from numbering.dialing import find_dial_string
from numbering.reading import Reading, read_presented
from numbering.selectors import Found, Hit, find_callers


class LookupView(APIView):
    """The contacts that have a caller's number."""

    # The statement that searches checks the token, too.
    authentication_classes = ()
    permission_classes = ()

    class InputSerializer(serializers.Serializer[None]):
        number = NumberField(allow_blank=True, help_text="As the telephone system presents it; empty: withheld.")
        explain = serializers.BooleanField(default=False, help_text="Add every reading of the number.")

    class OutputSerializer(serializers.Serializer[None]):
        class ContactSerializer(serializers.Serializer[None]):
            class GroupSerializer(serializers.Serializer[None]):
                id = serializers.CharField()
                name = serializers.CharField()
                internal_name = serializers.CharField()

                class Meta:
                    ref_name = "FoundCustomerGroup"

            class CompanySerializer(serializers.Serializer[None]):
                id = serializers.CharField()
                name = serializers.CharField()

                class Meta:
                    ref_name = "FoundCompany"

            id = serializers.CharField()
            kind = serializers.ChoiceField(["person", "company"])
            name = serializers.CharField(help_text="One contact: its details name; several: each its list name.")
            customer_group = GroupSerializer()
            company = CompanySerializer(allow_null=True)
            field = serializers.CharField(help_text="Where the number stands.")
            extension = serializers.CharField(allow_null=True)
            url = serializers.CharField()
            can_create_case = serializers.BooleanField()

            class Meta:
                ref_name = "FoundContact"

        class ActionsSerializer(serializers.Serializer[None]):
            create_contact = serializers.CharField(allow_null=True)
            call_back = serializers.CharField(allow_null=True)

            class Meta:
                ref_name = "Actions"

        number = NumberSerializer()
        match = serializers.ChoiceField(["exact", "company", "tail", "none", "withheld"])
        more = serializers.BooleanField(help_text="There are more contacts than these.")
        contacts = ContactSerializer(many=True)
        actions = ActionsSerializer()
        readings = ReadingSerializer(many=True, required=False)

        class Meta:
            ref_name = "Lookup"

    @extend_schema(
        operation_id="look_up",
        summary="Find out who is calling",
        parameters=[
            InputSerializer,
            OpenApiParameter("number", str, required=True, description="As the telephone system presents it."),
        ],
        responses={200: OutputSerializer, **problems(401)},
        auth=[{"session": []}],  # type: ignore[list-item]
    )
    def get(self, request: Request) -> HttpResponse:
        token = read_token(request)
        serializer = self.InputSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        call = look_up(token=token, number=serializer.validated_data["number"])
        base = settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")
        answer = describe_call(call, base_url=base)
        if serializer.validated_data["explain"]:
            answer["readings"] = [describe_reading(reading) for reading in call.readings]
        return HttpResponse(orjson.dumps(answer), content_type="application/json")


@dataclass(frozen=True, slots=True)
class Call:
    """A number, how it was read as far as the caller may know, and who was found."""

    raw: str
    readings: Sequence[Reading]
    reading: Reading
    found: Found
    configuration: Configuration


def look_up(*, token: str, number: str) -> Call:
    """Find who is calling, for the user of this token.  One statement, unless the configuration has just changed.

    Raises NotAuthenticated for a token that is nobody's (any more).
    """
    configuration = get_configuration()
    while True:
        readings = read_presented(number, configuration.site, configuration.inside_plans)
        timeout = configuration.rest_session_timeout
        found = find_callers(
            token_hash=hash_token(token),
            readings=readings,
            timeout=timeout,
            touch_after=min(timedelta(minutes=1), timeout / 4),
        )
        if found.version == configuration.version:
            break
        configuration = get_configuration(found.version)
    if found.user_id is None:
        authenticate(token)  # says why
        raise NotAuthenticated
    known = [r for r in readings if not r.plan_key or int(r.plan_key) in found.visible_groups]
    reading = readings[found.reading] if found.reading is not None else known[0]
    return Call(number, known, reading, found, configuration)


def describe_call(call: Call, *, base_url: str) -> dict[str, object]:
    """Return the answer to a look-up."""
    found = call.found
    match = "withheld" if call.reading.kind == "withheld" else "exact" if found.hits else "none"
    return {
        "number": describe_number(call.reading, raw=call.raw, language=found.language),
        "match": match,
        "more": found.more,
        "contacts": list(_describe_hits(call, base_url)),
        "actions": {"create_contact": _create_contact_url(call, base_url), "call_back": _call_back_uri(call)},
    }


def _describe_hits(call: Call, base_url: str) -> Iterator[dict[str, object]]:
    found = call.found
    for hit in found.hits:
        yield {
            "id": str(hit.contact_id),
            "kind": hit.kind,
            "name": hit.name_details if len(found.hits) == 1 else hit.name_list,
            "customer_group": describe_group(call.configuration.groups[hit.customer_group_id], found.language),
            "company": _describe_company(hit),
            "field": hit.field,
            "extension": hit.extension,
            "url": f"{base_url}/contacts/{hit.contact_id}/",
            "can_create_case": hit.customer_group_id in found.case_groups,
        }


def _describe_company(hit: Hit) -> dict[str, str | None] | None:
    return {"id": str(hit.company_id), "name": hit.company_name} if hit.company_id else None


def _create_contact_url(call: Call, base_url: str) -> str | None:
    if not call.found.creatable_groups:
        return None
    number = f"+{call.reading.canonical}" if call.reading.kind == "public" else call.reading.canonical
    return f"{base_url}/contacts/new/" + (f"?number={quote(number)}" if number else "")


def _call_back_uri(call: Call) -> str | None:
    dial_string = find_dial_string(call.reading, call.configuration.site)
    return f"{call.configuration.properties[DIAL_URI_SCHEME]}:{dial_string}" if dial_string else None
