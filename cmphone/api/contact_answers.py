"""How answers describe contacts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cmphone.api.authentication import current_user
from cmphone.api.customer_groups import describe_group
from cmphone.api.notation import format_time
from cmphone.contacts.configuration import Configuration, get_current_configuration
from cmphone.contacts.dialling import Dialler, DialNumber
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.pages import Shown
from cmphone.contacts.selectors import get_rights
from cmphone.contacts.services import ContactDraft
from cmphone.events_address import find_public_url
from numbering.dialing import Obstacle
from numbering.reading import Plan


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


class _FieldValuesSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # the library has no types
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
    fields = FieldValuesField(  # type: ignore[assignment]  # DRF has this name too
        help_text="In the order of the contact model; fields without a value are not there."
    )

    class Meta:
        ref_name = "Contact"


class ContactDraftSerializer(serializers.Serializer[None]):
    """A contact that is not there yet, as it may be sent when it is filled in."""

    customer_group = serializers.CharField(help_text="Id.")
    kind = serializers.ChoiceField(ContactKind.values)
    company = serializers.CharField(allow_null=True)
    external_id = serializers.CharField(allow_blank=True)
    active = serializers.BooleanField()
    fields = serializers.DictField(child=serializers.CharField(allow_blank=True))  # type: ignore[assignment]

    class Meta:
        ref_name = "ContactDraft"


@dataclass(frozen=True)
class Viewer:
    """For whom contacts are described, and by which configuration.  `viewable`: the groups that he may view."""

    configuration: Configuration
    viewable: frozenset[int]
    language: str
    base_url: str

    @cached_property
    def dialler(self) -> Dialler:
        return Dialler(self.configuration, self.viewable)


def read_viewer(request: Request) -> Viewer:
    """Return for whom the answer to a request is."""
    user = current_user(request)
    rights = get_rights(user)
    # After the rights: it knows every group that they name.
    configuration = get_current_configuration()
    viewable = frozenset(id for id, right in rights.items() if right.view and id in configuration.groups)
    return Viewer(configuration, viewable, user.language, find_public_url(request))


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


def answer_contact(contact: Contact, viewer: Viewer, *, status: int = 200) -> Response:
    """Return the answer that is a contact.  Its ETag is the version, which says what somebody changes."""
    headers = {"ETag": f'"{contact.version}"'}
    if status == 201:
        headers["Location"] = f"{viewer.base_url}/api/v1/contacts/{contact.pk}"
    return Response(describe_contact(contact, viewer), status=status, headers=headers)


def describe_draft(draft: ContactDraft) -> dict[str, object]:
    """Return a contact that is not there yet."""
    return {
        "customer_group": str(draft.customer_group_id),
        "kind": draft.kind,
        "company": None,
        "external_id": "",
        "active": True,
        "fields": draft.fields,
    }


def _describe_phone(text: str, plan: Plan, viewer: Viewer) -> dict[str, object]:
    numbers = [_describe_number(number) for number in viewer.dialler.read(text, plan)]
    first = {key: numbers[0][key] for key in ("canonical", "display", "dial_uri")}
    return {"raw": text, **first, "numbers": numbers}


def _describe_number(number: DialNumber) -> dict[str, object]:
    return {
        "raw": number.reading.raw,
        "canonical": number.reading.canonical or None,
        "display": number.display,
        "extension": number.reading.extension or None,
        "kind": number.reading.kind,
        "dial_string": number.dialling.string,
        "dial_uri": number.uri,
        "reason": number.dialling.obstacle,
    }
