"""Writes system properties, and counts the version of the configuration."""

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.translation import gettext

from cmphone.properties.models import SystemProperty
from cmphone.properties.registry import DEFINITIONS


@transaction.atomic
def set_property(*, name: str, value: str) -> bool:
    """Give the property `name` (without module) this value, and say whether that changed anything.

    Raises ValidationError for an unknown name or a value of the wrong form.
    """
    definition = DEFINITIONS.get(name)
    if definition is None:
        raise ValidationError({"name": gettext("There is no property with this name.")}, code="unknown")
    value = value.strip()
    if message := definition.find_error(value):
        raise ValidationError({"value": gettext(message)}, code="invalid")
    mark_configuration_changed()
    row, created = SystemProperty.objects.get_or_create(name=name, defaults={"value": value})
    if created:
        return value != definition.default
    if row.value == value:
        return False
    row.value = value
    row.save(update_fields=["value"])
    return True


def mark_configuration_changed() -> None:
    """Count the configuration's version up.  Call it first in the transaction that changes the configuration:
    it waits for writers of contacts that still rely on the old one, and makes later ones wait for the new.
    """
    _count_up("number", "templates_number")


def mark_templates_changed() -> int:
    """Count the version of the popup templates up, which clients learn of, and return it.

    It takes the same lock: nobody else publishes until this transaction ends.
    """
    return _count_up("templates_number", "number")


def _count_up(column: str, other: str) -> int:
    _require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(
            f"insert into properties_configurationversion as v (id, {column}, {other}) values (1, 2, 1) "  # noqa: S608
            f"on conflict (id) do update set {column} = v.{column} + 1 returning {column}"
        )
        return int(cursor.fetchone()[0])


def hold_configuration() -> int:
    """Keep the configuration as it is until this transaction ends, and return its version.

    Writers of contacts share it; a change of it waits.  Without this a contact could be indexed by settings that
    are replaced while it is being saved.
    """
    _require_transaction()
    share = "select number from properties_configurationversion where id = 1 for share"
    with connection.cursor() as cursor:
        cursor.execute(share)
        if (row := cursor.fetchone()) is None:
            cursor.execute("insert into properties_configurationversion values (1, 1, 1) on conflict do nothing")
            cursor.execute(share)
            row = cursor.fetchone()
    return int(row[0])


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("The configuration is held or changed inside a transaction only.")
