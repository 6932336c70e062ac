"""Reads system properties."""

from collections.abc import Mapping

from cmphone.properties.models import ConfigurationVersion, SystemProperty
from cmphone.properties.registry import DEFINITIONS


def load_properties() -> Mapping[str, str]:
    """Return every property by its name without module: the value that is set, else the default.  One query."""
    values = {name: definition.default for name, definition in DEFINITIONS.items()}
    values.update(SystemProperty.objects.filter(name__in=DEFINITIONS).values_list("name", "value"))
    return values


def get_versions() -> tuple[str, str]:
    """Return the version of the configuration and that of the templates.  Opaque; equal means unchanged."""
    row = ConfigurationVersion.objects.filter(id=1).values_list("number", "templates_number").first()
    number, templates_number = row or (0, 0)
    return str(number), str(templates_number)
