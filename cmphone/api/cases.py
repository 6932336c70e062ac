"""/api/v1/cases: what contacts want, in queues."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.customer_groups import describe_group, describe_queue
from cmphone.api.documentation import problems
from cmphone.api.notation import format_time
from cmphone.api.paging import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE, LONGEST_CURSOR, make_page, read_cursor
from cmphone.calls.cases import (
    MAX_DESCRIPTION,
    MAX_SUBJECT,
    create_case,
    find_contact,
    find_queue,
    list_cases,
    list_known_queues,
)
from cmphone.calls.models import Case
from cmphone.contacts.configuration import get_current_configuration
from cmphone.events_address import find_public_url
from cmphone.problems import NotFound

SHOWN = ("queue", "contact", "created_by")
ID = OpenApiParameter("id", str, OpenApiParameter.PATH, pattern="^[0-9]+$")
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    pattern="^[!-~]{1,100}$",
    description="Any text of your own that is new for every new case. Sent again, it makes no second one.",
)


class CaseSerializer(serializers.Serializer[None]):
    """A case."""

    class QueueSerializer(serializers.Serializer[None]):
        id = serializers.CharField()
        name = serializers.CharField(help_text="In the language of the user.")
        internal_name = serializers.CharField()

        class Meta:
            ref_name = "QueueOfCase"

    class ContactSerializer(serializers.Serializer[None]):
        id = serializers.CharField()
        name = serializers.CharField()

        class Meta:
            ref_name = "ContactOfCase"

    class GroupSerializer(serializers.Serializer[None]):
        id = serializers.CharField()
        name = serializers.CharField(help_text="In the language of the user.")
        internal_name = serializers.CharField()

        class Meta:
            ref_name = "CustomerGroupOfCase"

    class AuthorSerializer(serializers.Serializer[None]):
        id = serializers.CharField(allow_null=True, help_text="null where the user has been deleted.")
        display_name = serializers.CharField()

        class Meta:
            ref_name = "AuthorOfCase"

    id = serializers.CharField(help_text="The number that people say.")
    queue = QueueSerializer()
    contact = ContactSerializer()
    customer_group = GroupSerializer()
    subject = serializers.CharField()
    description = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = AuthorSerializer()
    url = serializers.CharField(help_text="The page of the case.")

    class Meta:
        ref_name = "Case"


class ContactCaseSerializer(serializers.Serializer[None]):
    """What somebody says of a new case of a contact that the address names."""

    queue = serializers.CharField(max_length=50, help_text="Id or internal name.")
    subject = serializers.CharField(max_length=MAX_SUBJECT)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, allow_blank=True, default="")

    class Meta:
        ref_name = "NewCaseOfContact"


class NewCaseSerializer(ContactCaseSerializer):
    """What somebody says of a new case."""

    contact = serializers.CharField(max_length=50, help_text="Its id.")

    class Meta:
        ref_name = "NewCase"


class CasesView(APIView):
    """The cases that the caller may read."""

    scopes = (Scope.CONTACTS,)

    class InputSerializer(serializers.Serializer[None]):
        contact = serializers.CharField(max_length=50, required=False, help_text="Only of this contact (id).")
        queue = serializers.CharField(
            max_length=50, required=False, help_text="Only in this one (id or internal name)."
        )
        page_size = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE_SIZE, default=DEFAULT_PAGE_SIZE)
        cursor = serializers.CharField(
            max_length=LONGEST_CURSOR, required=False, help_text="What `next` of the page before has."
        )

    class OutputSerializer(serializers.Serializer[None]):
        results = CaseSerializer(many=True)
        next = serializers.URLField(allow_null=True)

        class Meta:
            ref_name = "Cases"

    @extend_schema(
        operation_id="list_cases",
        summary="List cases, the newest first",
        parameters=[InputSerializer],
        responses={200: OutputSerializer, **problems(404)},
    )
    def get(self, request: Request) -> Response:
        # Not as a form, in which an empty value would count as none.
        serializer = self.InputSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        user = current_user(request)
        cases = list_cases(user)
        if "contact" in asked:
            contact = find_contact(user, asked["contact"])
            if contact is None:
                raise NotFound
            cases = cases.filter(contact=contact)
        if "queue" in asked:
            queue = find_queue(list_known_queues(user), asked["queue"])
            if queue is None:
                raise NotFound
            cases = cases.filter(queue=queue)
        # A page may have another size than the one before it.
        this_list = ["cases", user.pk, asked.get("contact"), asked.get("queue")]
        if (place := read_cursor(asked.get("cursor"), of=this_list)) is not None:
            cases = cases.filter(pk__lt=int(place[0]))
        size = asked["page_size"]
        found = list(cases.select_related(*SHOWN)[: size + 1])
        page, next_url = make_page(request, found, size=size, of=this_list, find_place=lambda case: [case.pk])
        return Response({"results": describe_cases(page, request), "next": next_url})

    @extend_schema(
        operation_id="create_case",
        summary="Create a case",
        parameters=[IDEMPOTENCY_KEY],
        request=NewCaseSerializer,
        responses={201: CaseSerializer, 200: CaseSerializer, **problems(409)},
    )
    def post(self, request: Request) -> Response:
        serializer = NewCaseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return _create(request, serializer.validated_data)


class CaseView(APIView):
    """One case."""

    scopes = (Scope.CONTACTS,)

    @extend_schema(
        operation_id="get_case",
        summary="Show a case",
        parameters=[ID],
        responses={200: CaseSerializer, **problems(404)},
    )
    def get(self, request: Request, id: int) -> Response:
        case = list_cases(current_user(request)).select_related(*SHOWN).filter(pk=id).first()
        if case is None:
            raise NotFound
        (answer,) = describe_cases([case], request)
        return Response(answer)


class ContactCasesView(APIView):
    """The cases of one contact."""

    scopes = (Scope.CONTACTS,)

    @extend_schema(
        operation_id="create_case_of_contact",
        summary="Create a case of this contact",
        parameters=[ID, IDEMPOTENCY_KEY],
        request=ContactCaseSerializer,
        responses={201: CaseSerializer, 200: CaseSerializer, **problems(404, 409)},
    )
    def post(self, request: Request, id: int) -> Response:
        if find_contact(current_user(request), str(id)) is None:
            raise NotFound
        serializer = ContactCaseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return _create(request, {**serializer.validated_data, "contact": str(id)})


def _create(request: Request, said: dict[str, Any]) -> Response:
    key = request.headers.get("Idempotency-Key")
    case, is_new = create_case(current_user(request), **said, idempotency_key=key)
    (answer,) = describe_cases([case], request)
    return Response(answer, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


def describe_cases(cases: Sequence[Case], request: Request) -> list[dict[str, object]]:
    """Return cases as an answer has them."""
    language, base_url = current_user(request).language, find_public_url(request)
    groups = get_current_configuration().groups
    return [
        {
            "id": str(case.pk),
            "queue": describe_queue(case.queue, language),
            "contact": {"id": str(case.contact_id), "name": case.contact.name},
            "customer_group": describe_group(groups[case.contact.customer_group_id], language),
            "subject": case.subject,
            "description": case.description,
            "created_at": format_time(case.created_at),
            "created_by": {"id": str(case.created_by_id) if case.created_by_id else None, "display_name": case.author},
            "url": f"{base_url}/cases/{case.pk}/",
        }
        for case in cases
    ]
