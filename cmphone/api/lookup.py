"""/api/v1/lookup: who is calling.  The walk of a call: read the number, run one statement, answer."""

import time
from typing import Any

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from cmphone.api.authentication import require_credentials
from cmphone.api.customer_groups import describe_group
from cmphone.api.documentation import problems
from cmphone.api.numbers import NumberField, NumberSerializer, ReadingSerializer, describe_number, describe_reading
from cmphone.contacts.callers import Answer, Call, look_up
from cmphone.contacts.pages import Shown
from cmphone.events_address import find_public_url
from cmphone.monitoring.look_ups import count_batch, count_look_up
from numbering.selectors import Hit

# What the document says: the views check it themselves.
ANY_CALLER: list[Any] = [{"session": []}, {"apiKey": []}]
LOOKUP_PATH = "/api/v1/lookup"
MAX_BATCH = 100


class LookupView(APIView):
    """The contacts that have a caller's number."""

    # The statement that searches checks token or key, too.
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
            create_case_url = serializers.CharField(
                allow_null=True,
                help_text="The page for a new case of the contact; null where the user may create none.",
            )

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
        responses={200: OutputSerializer, **problems(401, 403)},
        auth=ANY_CALLER,
    )
    def get(self, request: Request) -> HttpResponse:
        started = time.perf_counter()
        credentials = require_credentials(request)
        # Not as a form, in which an empty value would count as none.
        serializer = self.InputSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        answer = look_up([serializer.validated_data["number"]], who=credentials)
        described = describe_call(answer.calls[0], answer, base_url=find_public_url(request))
        if serializer.validated_data["explain"]:
            described["readings"] = [describe_reading(reading) for reading in answer.calls[0].readings]
        response = HttpResponse(orjson.dumps(described), content_type="application/json")
        count_look_up(answer.calls[0].found.match, seconds=time.perf_counter() - started)
        return response


class LookupBatchView(APIView):
    """The contacts that have each of many numbers, for whoever goes through a list of calls."""

    authentication_classes = ()
    permission_classes = ()

    class InputSerializer(serializers.Serializer[None]):
        numbers = serializers.ListField(
            child=NumberField(allow_blank=True),
            max_length=MAX_BATCH,
            help_text="As the telephone system presents them.",
        )

        class Meta:
            ref_name = "NumbersToLookUp"

    class OutputSerializer(serializers.Serializer[None]):
        results = LookupView.OutputSerializer(many=True)

        class Meta:
            ref_name = "Lookups"

    @extend_schema(
        operation_id="look_up_batch",
        summary="Find out who is behind each of up to 100 numbers",
        request=InputSerializer,
        responses={200: OutputSerializer, **problems(401, 403)},
        auth=ANY_CALLER,
    )
    def post(self, request: Request) -> HttpResponse:
        credentials = require_credentials(request)
        serializer = self.InputSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        answer = look_up(serializer.validated_data["numbers"], who=credentials)
        results = [describe_call(call, answer, base_url=find_public_url(request)) for call in answer.calls]
        count_batch(call.found.match for call in answer.calls)
        return HttpResponse(orjson.dumps({"results": results}), content_type="application/json")


def describe_call(call: Call, answer: Answer, *, base_url: str) -> dict[str, object]:
    """Return the answer to a look-up."""
    return {
        "number": describe_number(call.reading, raw=call.raw, language=answer.search.language),
        "match": call.found.match,
        "more": call.found.more,
        "contacts": [_describe_hit(hit, call, answer, base_url) for hit in call.found.hits],
        "actions": {
            "create_contact": _create_contact_url(call, answer, base_url),
            "call_back": answer.configuration.make_dial_uri(answer.dial(call)),
        },
    }


def _describe_hit(hit: Hit, call: Call, answer: Answer, base_url: str) -> dict[str, object]:
    group = answer.configuration.groups[hit.customer_group_id]
    pages, shown = answer.configuration.pages, Shown(hit.contact_id, hit.external_id, hit.kind, group.name)
    can_create_case = hit.customer_group_id in answer.search.case_groups
    return {
        "id": str(hit.contact_id),
        "kind": hit.kind,
        "name": hit.name_details if len(call.found.hits) == 1 else hit.name_list,
        "customer_group": describe_group(group, answer.search.language),
        "company": {"id": str(hit.company_id), "name": hit.company_name} if hit.company_id else None,
        "field": hit.field,
        "extension": hit.extension,
        "url": pages.make_contact_url(base_url, shown),
        "can_create_case": can_create_case,
        "create_case_url": pages.make_new_case_url(base_url, shown, _number(call)) if can_create_case else None,
    }


def _create_contact_url(call: Call, answer: Answer, base_url: str) -> str | None:
    if not answer.search.can_create:
        return None
    return answer.configuration.pages.make_new_contact_url(base_url, _number(call))


def _number(call: Call) -> str:
    """Return the number as pages take it; empty where none is shown."""
    return f"+{call.reading.canonical}" if call.reading.kind == "public" else call.reading.canonical
