"""/api/v1/numbers: how a number is read, and what to dial for it, without looking for anybody."""

import re
from collections.abc import Collection, Mapping
from typing import Any, get_args

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.documentation import problems
from cmphone.contacts.configuration import Configuration, get_current_configuration
from cmphone.contacts.models import User
from cmphone.contacts.selectors import Rights, find_group, get_rights, list_contacts
from cmphone.problems import NotFound
from numbering.dialing import Obstacle, dial
from numbering.display import show
from numbering.reading import Reading, read_presented, read_to_dial, read_typed

MAX_NUMBER_LENGTH = 500


class TextField(serializers.CharField):
    """Text, and nothing that might be taken for one."""

    def to_internal_value(self, data: object) -> str:
        # A JSON number has lost its leading zeros before it comes here.
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class NumberField(TextField):
    """A telephone number as it is written or presented: any text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_NUMBER_LENGTH, trim_whitespace=False, **kwargs)


class NumberSerializer(serializers.Serializer[None]):
    """A number in its written forms."""

    raw = serializers.CharField(help_text="As it came in.")
    canonical = serializers.CharField(allow_null=True, help_text="Digits with country code, without +.")
    e164 = serializers.CharField(allow_null=True)
    display = serializers.CharField()
    tapi = serializers.CharField()
    kind = serializers.ChoiceField(["public", "internal", "service", "withheld", "unreadable"])
    place = serializers.CharField(allow_null=True)
    country = serializers.CharField(allow_null=True, help_text="ISO 3166 code.")

    class Meta:
        ref_name = "Number"


class ReadingSerializer(serializers.Serializer[None]):
    """One way to understand a number."""

    canonical = serializers.CharField(allow_null=True)
    kind = serializers.CharField()
    rule = serializers.CharField(help_text="What happened to the number.")
    possible = serializers.BooleanField()
    valid = serializers.BooleanField()
    extension = serializers.CharField(allow_null=True)

    class Meta:
        ref_name = "Reading"


def describe_number(reading: Reading, *, raw: str, language: str) -> dict[str, object]:
    """Return the `number` object of an answer."""
    shown = show(reading, language)
    return {
        "raw": raw,
        "canonical": reading.canonical or None,
        "e164": shown.e164,
        "display": shown.display,
        "tapi": shown.tapi,
        "kind": reading.kind,
        "place": shown.place,
        "country": shown.country,
    }


def describe_reading(reading: Reading) -> dict[str, object]:
    """Return one of the `readings` of an answer."""
    return {
        "canonical": reading.canonical or None,
        "kind": reading.kind,
        "rule": reading.rule,
        "possible": reading.possible,
        "valid": reading.valid,
        "extension": reading.extension or None,
    }


class CanonicalizeView(APIView):
    """Reads a number."""

    scopes = (Scope.LOOKUP,)

    class InputSerializer(serializers.Serializer[None]):
        number = NumberField(allow_blank=True)
        customer_group = serializers.CharField(
            max_length=50, required=False, help_text="Id or internal name; its plan is taken instead of the site's."
        )
        direction = serializers.ChoiceField(["typed", "presented"], default="typed")

        class Meta:
            ref_name = "NumberToRead"

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            if attrs["direction"] == "typed" and not attrs["number"].strip():
                raise serializers.ValidationError({"number": ErrorDetail(_("Enter a number."), code="blank")})
            return attrs

    class OutputSerializer(NumberSerializer):
        rule = serializers.CharField()
        possible = serializers.BooleanField()
        valid = serializers.BooleanField()
        extension = serializers.CharField(allow_null=True)
        readings = ReadingSerializer(many=True)

        class Meta:
            ref_name = "ReadNumber"

    @extend_schema(
        operation_id="canonicalize_number",
        summary="Read a number as a customer group's plan, or the telephone system's, understands it",
        request=InputSerializer,
        responses={200: OutputSerializer, **problems(404)},
    )
    def post(self, request: Request) -> Response:
        serializer = self.InputSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        number = serializer.validated_data["number"]
        readings = self._read(request, **serializer.validated_data)
        language = current_user(request).language
        first = describe_number(readings[0], raw=number, language=language) | describe_reading(readings[0])
        return Response({**first, "readings": [describe_reading(reading) for reading in readings]})

    def _read(
        self, request: Request, *, number: str, direction: str, customer_group: str | None = None
    ) -> tuple[Reading, ...]:
        configuration = get_current_configuration()
        rights = get_rights(current_user(request))
        plan, inside = configuration.site, configuration.inside_plans
        if customer_group is not None:
            group = find_group(configuration, rights, customer_group)
            if group is None:
                raise NotFound
            plan, inside = group.plan, (group.plan,)
        if direction == "typed":
            return read_typed(number, plan)
        visible = {str(id) for id, right in rights.items() if right.view}
        return read_presented(number, configuration.site, [plan for plan in inside if plan.key in visible])


class DialView(APIView):
    """Says what to dial."""

    scopes = (Scope.LOOKUP, Scope.CALLS)

    class InputSerializer(serializers.Serializer[None]):
        number = NumberField(
            required=False,
            help_text="Canonical, or as people type it. Digits alone that are a whole number with country code are "
            "taken for one, unless the customer group's pattern completes them.",
        )
        customer_group = serializers.CharField(
            max_length=50, required=False, help_text="Id or internal name; its plan is taken instead of the site's."
        )
        contact = serializers.CharField(
            max_length=20, required=False, help_text="Id, with `field` instead of `number`."
        )
        field = serializers.CharField(max_length=50, required=False, help_text="Name of a field of the contact.")

        class Meta:
            ref_name = "NumberToDial"

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            if set(attrs) not in ({"number"}, {"number", "customer_group"}, {"contact", "field"}):
                raise serializers.ValidationError(
                    _("Send number, with or without customer_group; or contact and field."), code="required"
                )
            return attrs

    class OutputSerializer(serializers.Serializer[None]):
        canonical = serializers.CharField(allow_null=True)
        dial_string = serializers.CharField(allow_null=True, help_text="null: it cannot be dialled.")
        dial_uri = serializers.CharField(allow_null=True)
        reason = serializers.ChoiceField(get_args(Obstacle), allow_null=True, help_text="Why it cannot be dialled.")

        class Meta:
            ref_name = "Dialling"

    @extend_schema(
        operation_id="dial_number",
        summary="What the site's telephones dial for a number, or for a contact's field",
        request=InputSerializer,
        responses={200: OutputSerializer, **problems(404)},
    )
    def post(self, request: Request) -> Response:
        serializer = self.InputSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        configuration = get_current_configuration()
        user = current_user(request)
        rights = get_rights(user)
        if "contact" in serializer.validated_data:
            reading = _read_contact_field(user, configuration, **serializer.validated_data)
        else:
            reading = _read_number_to_dial(rights, configuration, **serializer.validated_data)
        visible = {id for id, right in rights.items() if right.view}
        return Response(describe_dialling(reading, configuration, visible))


def _read_number_to_dial(
    rights: Mapping[int, Rights], configuration: Configuration, *, number: str, customer_group: str | None = None
) -> Reading:
    plan = configuration.site
    if customer_group is not None:
        group = find_group(configuration, rights, customer_group)
        if group is None:
            raise NotFound
        plan = group.plan
    return read_to_dial(number, plan)


def _read_contact_field(user: User, configuration: Configuration, *, contact: str, field: str) -> Reading:
    found = list_contacts(user).filter(id=int(contact)).first() if re.fullmatch("[0-9]{1,18}", contact) else None
    rules = configuration.groups.get(found.customer_group_id) if found else None
    if found is None or rules is None or field not in {rule.name for rule in rules.fields.get(found.kind, ())}:
        raise NotFound
    readings = read_typed(found.fields.get(field, ""), rules.plan)
    return readings[0] if readings else Reading("", "unreadable", "no_digits")


def describe_dialling(
    reading: Reading, configuration: Configuration, visible: Collection[int]
) -> dict[str, str | None]:
    """Return what to dial for a number; `visible` are the customer groups that who asks may view."""
    dialling = dial(reading, configuration.site, configuration.list_own_lines(visible))
    return {
        "canonical": reading.canonical or None,
        "dial_string": dialling.string,
        "dial_uri": configuration.make_dial_uri(dialling),
        "reason": dialling.obstacle,
    }
