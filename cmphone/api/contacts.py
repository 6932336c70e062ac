"""/api/v1/contacts: contacts by typed numbers and names, and one by one."""

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
from cmphone.api.contact_answers import (
    ContactDraftSerializer,
    ContactSerializer,
    Viewer,
    answer_contact,
    describe_contact,
    describe_draft,
    read_viewer,
)
from cmphone.api.contact_values import ContactValuesSerializer, read_expected_version, read_values
from cmphone.api.documentation import problems
from cmphone.api.numbers import NumberField
from cmphone.api.paging import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE, LONGEST_CURSOR, make_page, read_cursor
from cmphone.contacts.editing import change_contact, create_contact, delete_contact, prepare_contact
from cmphone.contacts.models import Contact, ContactKind, Way
from cmphone.contacts.searching import (
    MAX_BOX_LENGTH,
    Condition,
    Place,
    Search,
    list_matched,
    list_plans,
    read_box,
    search_contacts,
)
from cmphone.contacts.selectors import find_group, list_contacts
from cmphone.contacts.writing import Author
from cmphone.problems import NotFound
from numbering.typed_search import NumberSearch, read_number_search

_is_active = {"true": True, "false": False, "all": None}


class ContactsView(APIView):
    """The contacts that the caller may view."""

    scopes = (Scope.CONTACTS,)

    class InputSerializer(serializers.Serializer[None]):
        phone = NumberField(
            required=False,
            allow_blank=True,
            help_text="Digits of a number, three at least, as somebody types them: anywhere in it, or national or "
            "international from its beginning. `*` in front: it ends so; behind: it begins so.",
        )
        q = serializers.CharField(
            required=False,
            allow_blank=True,
            max_length=MAX_BOX_LENGTH,
            help_text="One box for both: words of the name, digits of a number, or some of each.",
        )
        customer_group = serializers.CharField(max_length=50, required=False, help_text="Id or internal name.")
        active = serializers.ChoiceField(
            list(_is_active), default="true", help_text="Inactive contacts are found by name alone."
        )
        page_size = serializers.IntegerField(min_value=1, max_value=LARGEST_PAGE_SIZE, default=DEFAULT_PAGE_SIZE)
        cursor = serializers.CharField(
            max_length=LONGEST_CURSOR, required=False, help_text="What `next` of the page before has."
        )

    class OutputSerializer(serializers.Serializer[None]):
        class FoundSerializer(ContactSerializer):
            class MatchSerializer(serializers.Serializer[None]):
                field = serializers.CharField()
                canonical = serializers.CharField()

                class Meta:
                    ref_name = "MatchedNumber"

            matched = MatchSerializer(many=True, help_text="The numbers by which the contact was found.")

            class Meta:
                ref_name = "TypedSearchContact"

        results = FoundSerializer(many=True)
        next = serializers.URLField(allow_null=True)

        class Meta:
            ref_name = "Contacts"

    @extend_schema(
        operation_id="list_contacts",
        summary="List contacts by name, or search for a number as one types it",
        parameters=[InputSerializer],
        responses={200: OutputSerializer, **problems(404)},
    )
    def get(self, request: Request) -> Response:
        # Not as a form, in which an empty value would count as none.
        serializer = self.InputSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        viewer = read_viewer(request)
        search = read_search(asked, viewer)
        # A page may have another size than the one before it.
        keys = ("phone", "q", "customer_group", "active")
        this_list = [current_user(request).pk, *(asked.get(key) for key in keys)]
        place = read_cursor(asked.get("cursor"), of=this_list)
        size = asked["page_size"]
        found = search_contacts(search, after=Place(*place) if place else None, limit=size + 1)
        page, next_url = make_page(
            request, found, size=size, of=this_list, find_place=lambda contact: [contact.name, contact.pk]
        )
        return Response({"results": [_describe_found(each, search, viewer) for each in page], "next": next_url})

    @extend_schema(
        operation_id="create_contact",
        summary="Make a contact",
        request=ContactValuesSerializer,
        responses={201: ContactSerializer, **problems(404, 409)},
    )
    def post(self, request: Request) -> Response:
        user = current_user(request)
        contact = create_contact(user, read_values(request.data), by=Author(user, Way.REST))
        return answer_contact(contact, read_viewer(request), status=201)


def read_search(asked: dict[str, Any], viewer: Viewer) -> Search:
    """Return what the parameters search for.

    Raises NotFound for a customer group that the caller may not view, ValidationError for a number that cannot be
    searched for.
    """
    groups = viewer.viewable
    if "customer_group" in asked:
        group = find_group(viewer.configuration, groups, asked["customer_group"])
        if group is None:
            raise NotFound
        groups = frozenset([group.id])
    plans = list_plans(viewer.configuration, viewer.viewable)
    conditions: list[tuple[Condition, ...]] = []
    if "phone" in asked:
        number = read_number_search(asked["phone"], viewer.configuration.site, plans)
        if number.obstacle:
            raise serializers.ValidationError({"phone": ErrorDetail(_explain(number), code=number.obstacle)})
        conditions.append((Condition(number=number),))
    if box := read_box(asked.get("q", ""), viewer.configuration.site, plans):
        conditions.append(box)
    return Search(groups, tuple(conditions), _is_active[asked["active"]])


def _explain(number: NumberSearch) -> str:
    if number.obstacle == "wildcard_inside":
        return _("Put * only in front of the digits or behind them.")
    return _("Enter at least three digits of the number.")


def _describe_found(contact: Contact, search: Search, viewer: Viewer) -> dict[str, object]:
    numbers = [each.number for conditions in search.conditions for each in conditions if each.number is not None]
    rules = viewer.configuration.groups[contact.customer_group_id]
    matched = [{"field": field, "canonical": canonical} for field, canonical in list_matched(contact, rules, numbers)]
    return describe_contact(contact, viewer) | {"matched": matched}


# Ids are strings everywhere, which clients hand on as they came.
ID = OpenApiParameter("id", str, OpenApiParameter.PATH, pattern="^[0-9]+$")
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag of the contact as you read it; else 412."
)


class ContactView(APIView):
    """One contact."""

    scopes = (Scope.CONTACTS,)

    @extend_schema(
        operation_id="get_contact",
        summary="Show a contact",
        parameters=[ID],
        responses={200: ContactSerializer, **problems(404)},
    )
    def get(self, request: Request, id: int) -> Response:
        contact = list_contacts(current_user(request)).select_related("company").filter(pk=id).first()
        viewer = read_viewer(request)
        # A right may have gone between the two.
        if contact is None or contact.customer_group_id not in viewer.viewable:
            raise NotFound
        return answer_contact(contact, viewer)

    @extend_schema(
        operation_id="change_contact",
        summary="Change what you send of a contact",
        parameters=[ID, IF_MATCH],
        request=ContactValuesSerializer,
        responses={200: ContactSerializer, **problems(404, 409, 412)},
    )
    def patch(self, request: Request, id: int) -> Response:
        user = current_user(request)
        values = read_values(request.data)
        contact = change_contact(
            user, id, values, by=Author(user, Way.REST), expected_version=read_expected_version(request)
        )
        return answer_contact(contact, read_viewer(request))

    @extend_schema(
        operation_id="delete_contact",
        summary="Delete a contact",
        description="What is only not to be found any more is better made inactive.",
        parameters=[ID, IF_MATCH],
        responses={204: None, **problems(404, 409, 412)},
    )
    def delete(self, request: Request, id: int) -> Response:
        delete_contact(current_user(request), id, expected_version=read_expected_version(request))
        return Response(status=204)


class ContactDraftView(APIView):
    """A contact that is not there yet."""

    scopes = (Scope.CONTACTS,)

    class InputSerializer(serializers.Serializer[None]):
        number = NumberField(required=False, allow_blank=True, default="", help_text="The caller's, as presented.")
        customer_group = serializers.CharField(
            max_length=50, required=False, help_text="Id or internal name; else one of those in which you may create."
        )
        kind = serializers.ChoiceField(ContactKind.values, required=False)

    @extend_schema(
        operation_id="draft_contact",
        summary="A new contact's fields, the first telephone field prefilled with a number",
        description="Send it to `POST /api/v1/contacts` when it is filled in.",
        parameters=[InputSerializer],
        responses={200: ContactDraftSerializer, **problems(404)},
    )
    def get(self, request: Request) -> Response:
        serializer = self.InputSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        return Response(describe_draft(prepare_contact(current_user(request), **serializer.validated_data)))
