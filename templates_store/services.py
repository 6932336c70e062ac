"""Writes display-name templates.  Names already given are rendered anew by who keeps the contacts."""

from dataclasses import asdict

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.translation import gettext

from cmphone.properties.services import mark_configuration_changed
from templates_store.models import DisplayNames
from templates_store.rendering import TemplateError, Templates, check_template
from templates_store.selectors import load_templates


def save_display_names(
    *,
    contact_model: models.Model,
    object: str,
    default: str,
    details: str,
    list: str,
    language: str = "",
) -> bool:
    """Give the persons or companies of a contact model these templates, and say if that changed anything.

    `language` as in settings.LANGUAGES; empty: for all languages.
    Raises ValidationError, keyed by template, with what is wrong, and in which line and column.
    """
    templates = Templates(default, details, list)
    if errors := find_template_errors(templates):
        raise ValidationError(errors)
    with transaction.atomic():
        if load_templates(contact_model.pk).get((object, language), Templates()) == templates:
            return False
        mark_configuration_changed()
        key = {"contact_model_id": contact_model.pk, "object": object, "language": language}
        row = DisplayNames.objects.filter(**key).first() or DisplayNames(**key)
        if language and templates == Templates() and row.pk:
            # As if the language had never had any.
            row.delete()
            return True
        row.default, row.details, row.list = default, details, list
        row.full_clean()
        row.save()
    return True


def find_template_errors(templates: Templates) -> dict[str, str]:
    """Return what is wrong with the templates, by `default`, `details` and `list`; empty if nothing."""
    errors = {}
    for name, source in asdict(templates).items():
        try:
            check_template(source)
        except TemplateError as error:
            problem = gettext(error.message) % error.params
            errors[name] = gettext("Line %(line)d, column %(column)d: %(problem)s") % {
                "line": error.line,
                "column": error.column,
                "problem": problem,
            }
    return errors
