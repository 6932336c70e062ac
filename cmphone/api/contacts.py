"""/api/v1/contacts: contacts by typed numbers and names, and one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.customer_groups import describe_group, find_group
from cmphone.api.documentation import problems
from cmphone.api.notation import find_base_url, format_time
from cmphone.api.numbers import NumberField
from cmphone.api.paging import (
    DEFAULT_PAGE_SIZE,
    LARGEST_PAGE_SIZE,
    LONGEST_CURSOR,
    make_next_url,
    read_cursor,
    write_cursor,
)
from cmphone.contacts.configuration import Configuration, get_current_configuration
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.pages import Shown
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
from cmphone.contacts.selectors import Rights, get_rights, list_contacts
from cmphone.problems import NotFound
from numbering.dialing import Obstacle, dial
from numbering.display import format_international
from numbering.reading import Plan, Reading, read_typed
from numbering.typed_search import NumberSearch, read_number_search

_is_active = {"true": True, "false": False, "all": None}


class DialNumberSerializer(serializers.Serializer[None]):
    """One number of a telephone field, and what to dial for it."""

    raw = serializers.CharField()
    canonical = serializers.CharField(allow_null=True, help_text="Digits with country code, without +.")
    display = serializers.CharField()
    extension = serializers.CharField(allow_null=True, help_text="Beside the number, not part of it.")
    kind = serializers.ChoiceField(["public", "internal", "service", "withheld", "unreadable"])
    dial_string = serializers.CharField(allow_null=True)
    dial_uri = serializers.CharField(allow_null=True)
    reason = serializers.ChoiceField(
        list(get_args(Obstacle)), allow_null=True, help_text="Why it cannot be dialled; null where it can."
    )

    class Meta:
        ref_name = "DialNumber"


class PhoneValueSerializer(serializers.Serializer[None]):
    """The value of a telephone field.  What stands beside `numbers` is of the first one, but `raw` is all the text."""

    raw = serializers.CharField()
    canonical = serializers.CharField(allow_null=True)
    display = serializers.CharField()
    dial_uri = serializers.CharField(allow_null=True)
    numbers = DialNumberSerializer(many=True)

    class Meta:
        ref_name = "PhoneValue"


class FieldValuesField(serializers.DictField):
    """The values of a contact by the names of its fields: texts, and a PhoneValue where the field is dialable."""


class _FieldValuesSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """How the API document describes them."""

    target_class = FieldValuesField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        phone = auto_schema.resolve_serializer(PhoneValueSerializer, direction).ref
        return {"type": "object", "additionalProperties": {"oneOf": [{"type": "string"}, phone]}}


class ContactSerializer(serializers.Serializer[None]):
    """A contact, with the values of its contact model's fields."""

    class GroupSerializer(serializers.Serializer[None]):
        id = serializers.CharField()
        name = serializers.CharField(help_text="In the language of the user.")
        internal_name = serializers.CharField()

        class Meta:
            ref_name = "CustomerGroupOfContact"

    class CompanySerializer(serializers.Serializer[None]):
        id = serializers.CharField()
        name = serializers.CharField()

        class Meta:
            ref_name = "CompanyOfContact"

    id = serializers.CharField()
    customer_group = GroupSerializer()
    kind = serializers.ChoiceField(ContactKind.values)
    name = serializers.CharField()
    company = CompanySerializer(allow_null=True)
    external_id = serializers.CharField(help_text="Empty where it has none.")
    active = serializers.BooleanField(help_text="Nobody finds an inactive contact by its numbers.")
    url = serializers.CharField(help_text="The page of the contact.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    fields = FieldValuesField(  # type: ignore[assignment]
        help_text="In the order of the contact model; fields without a value are not there."
    )

    class Meta:
        ref_name = "Contact"


@dataclass(frozen=True)
class Viewer:
    """For whom contacts are described, and by which configuration.  `viewable`: the groups that he may view."""

    configuration: Configuration
    viewable: frozenset[int]
    language: str
    base_url: str

    @cached_property
    def own_lines(self) -> list[str]:
        return self.configuration.list_own_lines(self.viewable)


def read_viewer(request: Request) -> Viewer:
    """Return for whom the answer to a request is."""
    user = current_user(request)
    rights = get_rights(user)
    # After the rights: it knows every group that they name.
    configuration = get_current_configuration()
    viewable = frozenset(id for id, right in rights.items() if right.view and id in configuration.groups)
    return Viewer(configuration, viewable, user.language, find_base_url(request))


def describe_contact(contact: Contact, viewer: Viewer) -> dict[str, object]:
    """Return a contact as an answer has it."""
    rules = viewer.configuration.groups[contact.customer_group_id]
    company = contact.company if contact.company and contact.company.customer_group_id in viewer.viewable else None
    shown = Shown(contact.pk, contact.external_id, contact.kind, rules.name)
    return {
        "id": str(contact.pk),
        "customer_group": describe_group(rules, viewer.language),
        "kind": contact.kind,
        "name": contact.name,
        "company": {"id": str(company.pk), "name": company.name} if company else None,
        "external_id": contact.external_id,
        "active": contact.is_active,
        "url": viewer.configuration.pages.make_contact_url(viewer.base_url, shown),
        "created_at": format_time(contact.created_at),
        "updated_at": format_time(contact.updated_at),
        "fields": {
            rule.name: _describe_phone(contact.fields[rule.name], rules.plan, viewer)
            if rule.dialable
            else contact.fields[rule.name]
            for rule in rules.fields.get(contact.kind, ())
            if rule.name in contact.fields
        },
    }


def _describe_phone(text: str, plan: Plan, viewer: Viewer) -> dict[str, object]:
    numbers = [_describe_dialling(reading, viewer) for reading in read_typed(text, plan)]
    first = {key: numbers[0][key] for key in ("canonical", "display", "dial_uri")}
    return {"raw": text, **first, "numbers": numbers}


def _describe_dialling(reading: Reading, viewer: Viewer) -> dict[str, object]:
    dialling = dial(reading, viewer.configuration.site, viewer.own_lines)
    return {
        "raw": reading.raw,
        "canonical": reading.canonical or None,
        "display": format_international(reading),
        "extension": reading.extension or None,
        "kind": reading.kind,
        "dial_string": dialling.string,
        "dial_uri": viewer.configuration.make_dial_uri(dialling),
        "reason": dialling.obstacle,
    }


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
        after = _read_place(asked.get("cursor"), of=this_list)
        found = search_contacts(search, after=after, limit=asked["page_size"] + 1)
        page, has_more = found[: asked["page_size"]], len(found) > asked["page_size"]
        cursor = write_cursor([page[-1].name, page[-1].pk], of=this_list) if has_more else None
        return Response(
            {
                "results": [_describe_found(contact, search, viewer) for contact in page],
                "next": make_next_url(request, cursor) if cursor else None,
            }
        )


def read_search(asked: dict[str, Any], viewer: Viewer) -> Search:
    """Return what the parameters search for.

    Raises NotFound for a customer group that the caller may not view, ValidationError for a number that cannot be
    searched for.
    """
    groups = viewer.viewable
    if "customer_group" in asked:
        group = find_group(viewer.configuration, dict.fromkeys(groups, _MAY_VIEW), asked["customer_group"])
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


_MAY_VIEW = Rights(view=True, create=False, edit=False, create_case=False)


def _explain(number: NumberSearch) -> str:
    if number.obstacle == "wildcard_inside":
        return _("Put * only in front of the digits or behind them.")
    return _("Enter at least three digits of the number.")


def _read_place(cursor: str | None, *, of: Sequence[object]) -> Place | None:
    if cursor is None:
        return None
    place = read_cursor(cursor, of=of)
    if place is None:
        message = _("This is no cursor of this list. Take next as it came, or begin again without a cursor.")
        raise serializers.ValidationError({"cursor": ErrorDetail(message, code="invalid")})
    name, contact_id = place
    return Place(name, contact_id)


def _describe_found(contact: Contact, search: Search, viewer: Viewer) -> dict[str, object]:
    numbers = [each.number for conditions in search.conditions for each in conditions if each.number is not None]
    rules = viewer.configuration.groups[contact.customer_group_id]
    matched = [{"field": field, "canonical": canonical} for field, canonical in list_matched(contact, rules, numbers)]
    return describe_contact(contact, viewer) | {"matched": matched}


class ContactView(APIView):
    """One contact."""

    scopes = (Scope.CONTACTS,)

    @extend_schema(
        operation_id="get_contact",
        summary="Show a contact",
        # Ids are strings everywhere, which clients hand on as they came.
        parameters=[OpenApiParameter("id", str, OpenApiParameter.PATH, pattern="^[0-9]+$")],
        responses={200: ContactSerializer, **problems(404)},
    )
    def get(self, request: Request, id: int) -> Response:
        contact = list_contacts(current_user(request)).select_related("company").filter(pk=id).first()
        viewer = read_viewer(request)
        # A right may have gone between the two.
        if contact is None or contact.customer_group_id not in viewer.viewable:
            raise NotFound
        return Response(describe_contact(contact, viewer))
