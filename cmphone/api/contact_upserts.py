"""/api/v1/contacts by external ids: one, and many at once."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.contact_answers import ContactSerializer, answer_contact, read_viewer
from cmphone.api.contact_values import ContactValuesSerializer, read_expected_version, read_values
from cmphone.api.contacts import IF_MATCH
from cmphone.api.documentation import problems
from cmphone.contacts.models import Way
from cmphone.contacts.upserting import Outcome, Upsert, upsert_contacts
from cmphone.contacts.writing import Author
from cmphone.problems import InvalidRequest, NotFound, Problem

MAX_UPSERTS = 1_000


class WritingSerializer(serializers.Serializer[None]):
    """How upserts write."""

    overwrite_empty = serializers.BooleanField(
        default=False, help_text="Let empty values take away what is there. By default they overwrite nothing."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Answer the same, and change nothing.")


class ContactByExternalIdView(APIView):
    """The contact of an external id."""

    scopes = (Scope.CONTACTS,)

    class InputSerializer(serializers.Serializer[None]):
        overwrite_empty = serializers.BooleanField(default=False, help_text="As of the bulk.")

    @extend_schema(
        operation_id="upsert_contact",
        summary="Change the contact of this external id, or make it",
        description="Of an external id that is new in the customer group. What you do not send stays as it is.",
        parameters=[OpenApiParameter("external_id", str, OpenApiParameter.PATH), IF_MATCH, InputSerializer],
        request=ContactValuesSerializer,
        responses={200: ContactSerializer, 201: ContactSerializer, **problems(404, 409, 412)},
    )
    def put(self, request: Request, external_id: str) -> Response:
        serializer = self.InputSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        values = read_values(request.data)
        if values.setdefault("external_id", external_id) != external_id:
            message = ErrorDetail(_("The body has another external id than the address."), code="invalid")
            raise serializers.ValidationError({"external_id": message})
        user = current_user(request)
        upsert = Upsert(values, read_expected_version(request))
        upsert_contacts(user, [upsert], by=Author(user, Way.REST), **serializer.validated_data)
        if upsert.problem is not None:
            raise upsert.problem
        if upsert.contact is None:
            raise NotFound
        status = 201 if upsert.outcome is Outcome.CREATED else 200
        return answer_contact(upsert.contact, read_viewer(request), status=status)


class ContactsBulkView(APIView):
    """Many contacts at once."""

    scopes = (Scope.CONTACTS,)

    class InputSerializer(serializers.Serializer[None]):
        """How the API document describes it."""

        contacts = ContactValuesSerializer(many=True, help_text=f"At most {MAX_UPSERTS}.")

        class Meta:
            ref_name = "ContactsToUpsert"

    class OutputSerializer(serializers.Serializer[None]):
        class ResultSerializer(serializers.Serializer[None]):
            class ErrorSerializer(serializers.Serializer[None]):
                pointer = serializers.CharField(help_text="Into the body of the request.")
                code = serializers.CharField()
                detail = serializers.CharField()

                class Meta:
                    ref_name = "UpsertError"

            outcome = serializers.ChoiceField([each.value for each in Outcome])
            status = serializers.IntegerField(help_text="What this contact alone would have been answered with.")
            id = serializers.CharField(allow_null=True)
            external_id = serializers.CharField(allow_blank=True)
            type = serializers.CharField(allow_null=True, help_text="Slug of the problem, if it is refused.")
            detail = serializers.CharField(allow_null=True)
            errors = ErrorSerializer(many=True)  # type: ignore[assignment]  # DRF has this name too

            class Meta:
                ref_name = "UpsertResult"

        results = ResultSerializer(many=True, help_text="In the order of the contacts sent.")
        next = serializers.URLField(allow_null=True)

        class Meta:
            ref_name = "UpsertResults"

    @extend_schema(
        operation_id="upsert_contacts",
        summary=f"Change or make up to {MAX_UPSERTS} contacts by their external ids",
        description="Each goes in whole or not at all, and none spoils another. One without external id is new.",
        parameters=[WritingSerializer],
        request=InputSerializer,
        responses=OutputSerializer,
    )
    def post(self, request: Request) -> Response:
        serializer = WritingSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        user = current_user(request)
        upserts = [_read_upsert(each) for each in _read_list(request.data)]
        readable = [upsert for upsert in upserts if upsert.problem is None]
        upsert_contacts(user, readable, by=Author(user, Way.REST), **serializer.validated_data)
        is_dry = serializer.validated_data["dry_run"]
        results = [_describe(upsert, index, is_dry=is_dry) for index, upsert in enumerate(upserts)]
        return Response({"results": results, "next": None})


def _read_list(data: object) -> list[object]:
    contacts = data.get("contacts") if isinstance(data, dict) else data
    if not isinstance(contacts, list) or (isinstance(data, dict) and len(data) > 1):
        message = _('Send {"contacts": […]}, and nothing beside it.')
        raise InvalidRequest(errors=[{"pointer": "#/contacts", "code": "required", "detail": message}])
    if len(contacts) > MAX_UPSERTS:
        message = _("At most %d contacts at once.") % MAX_UPSERTS
        raise InvalidRequest(errors=[{"pointer": "#/contacts", "code": "max_length", "detail": message}])
    return contacts


def _read_upsert(data: object) -> Upsert:
    try:
        return Upsert(read_values(data))
    except InvalidRequest as problem:
        upsert = Upsert({})
        upsert.refuse(problem)
        return upsert


def _describe(upsert: Upsert, index: int, *, is_dry: bool) -> dict[str, Any]:
    problem = upsert.problem
    contact = upsert.contact
    # What a dry run made is not there.
    is_there = contact is not None and not (is_dry and upsert.outcome is Outcome.CREATED)
    return {
        "outcome": upsert.outcome.value,
        "status": problem.status if problem else 201 if upsert.outcome is Outcome.CREATED else 200,
        "id": str(contact.pk) if contact and is_there else None,
        "external_id": upsert.values.get("external_id", ""),
        "type": problem.slug if problem else None,
        "detail": _explain(problem) if problem else None,
        "errors": [
            {**error, "pointer": f"#/contacts/{index}{error['pointer'].removeprefix('#')}"} for error in problem.errors
        ]
        if problem
        else [],
    }


def _explain(problem: Problem) -> str:
    return problem.detail or str(problem.title)
