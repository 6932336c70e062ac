"""Reads what a request says of a contact.  Whether that fits its contact model is for the services to say."""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from cmphone.contacts.editing import CompanyKey, ContactValues
from cmphone.contacts.models import ContactKind
from cmphone.problems import FieldError, InvalidRequest

MAX_FIELDS = 200
NO_VERSION = -1
# What an answer has beside the values: whoever sends a contact back as he got it may leave that in.
_ANSWERED = {"id", "name", "url", "created_at", "updated_at", "version"}


class ContactValuesSerializer(serializers.Serializer[None]):
    """How the API document describes a contact that is sent."""

    @extend_schema_field({"oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/CompanyKey"}]})
    class CompanyField(serializers.JSONField):
        pass

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "nullable": True}})
    class ValuesField(serializers.JSONField):
        pass

    customer_group = serializers.CharField(
        required=False, help_text="Id or internal name. A new contact needs it where you may create in several."
    )
    kind = serializers.ChoiceField(
        ContactKind.values, required=False, help_text="Of a new contact: person, where the model has persons."
    )
    company = CompanyField(
        required=False, allow_null=True, help_text='Of a person: id, or `{"external_id": …}`; null for none.'
    )
    external_id = serializers.CharField(required=False, allow_blank=True, max_length=200)
    active = serializers.BooleanField(required=False)
    fields = ValuesField(  # type: ignore[assignment]  # DRF has this name too
        required=False, help_text="Texts by field name. An empty one, or null, takes away what is there."
    )

    class Meta:
        ref_name = "ContactValues"


def read_values(data: object) -> ContactValues:
    """Return what is said of a contact.  Raises InvalidRequest, which names everything that cannot be read."""
    reader = _Reader()
    values = reader.read(data)
    if reader.errors:
        raise InvalidRequest(_("See errors."), errors=reader.errors)
    return values


def read_expected_version(request: Request) -> int | None:
    """Return the version that If-Match names: None where any will do, one that no contact has where it names none."""
    header = request.headers.get("If-Match", "*").strip()
    if header == "*":
        return None
    tags = re.findall(r'(?:^|,)\s*"([0-9]{1,9})"\s*(?=,|$)', header)
    return int(tags[0]) if len(tags) == 1 else NO_VERSION


class _Reader:
    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def read(self, data: object) -> ContactValues:
        values = ContactValues()
        if not isinstance(data, Mapping):
            self._refuse("#", _("Send an object with the values of a contact."))
            return values
        for name, value in data.items():
            match name, value:
                case ("customer_group", str() | {"id": str()}):
                    values["customer_group"] = value if isinstance(value, str) else value["id"]
                case ("kind" | "external_id", str()):
                    values[name] = value.strip()  # type: ignore[literal-required]
                case ("company", None | ""):
                    values["company"] = None
                case ("company", str()):
                    values["company"] = CompanyKey("id", value)
                case ("company", {"id": str()}):
                    values["company"] = CompanyKey("id", value["id"])
                case ("company", {"external_id": str()}):
                    values["company"] = CompanyKey("external_id", value["external_id"].strip())
                case ("active", bool()):
                    values["is_active"] = value
                case ("fields", Mapping()) if len(value) <= MAX_FIELDS:
                    values["fields"] = {field: self._read_field(field, text) for field, text in value.items()}
                case _ if name not in _ANSWERED:
                    self._refuse_member(name)
        return values

    def _read_field(self, name: str, value: object) -> str:
        # A telephone field as the API answers it is good for what it says.
        if isinstance(value, Mapping):
            value = value.get("raw")
        if value is None:
            return ""
        if not isinstance(value, str):
            self._refuse(f"#/fields/{_escape(name)}", _("Enter text."))
            return ""
        return value

    def _refuse_member(self, name: str) -> None:
        texts = {
            "customer_group": _("Name a customer group by its id or internal name, as text."),
            "kind": _("Write person or company."),
            "external_id": _("Enter text."),
            "company": _('Name a company by its id as text, or as {"external_id": "…"}.'),
            "active": _("Write true or false."),
            "fields": _("Send an object with texts by field name."),
        }
        self._refuse(f"#/{_escape(name)}", texts.get(name) or _("A contact has nothing of this name."))

    def _refuse(self, pointer: str, detail: str) -> None:
        self.errors.append({"pointer": pointer, "code": "invalid", "detail": detail})


def _escape(name: Any) -> str:
    """Return a member's name as a JSON pointer has it (RFC 6901)."""
    return str(name)[:100].replace("~", "~0").replace("/", "~1")
