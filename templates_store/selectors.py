"""Reads display-name templates."""

from collections.abc import Mapping

from templates_store.models import DisplayNames
from templates_store.rendering import Templates


def load_templates(contact_model_id: int) -> Mapping[tuple[str, str], Templates]:
    """Return a contact model's templates by object (`person`, `company`) and language, empty for all languages;
    without those never set.
    """
    return {
        (row.object, row.language): Templates(row.default, row.details, row.list)
        for row in DisplayNames.objects.filter(contact_model=contact_model_id).order_by("object", "language")
    }
