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
) -> bool:
    """Give the persons or companies of a contact model these templates, and say if that changed anything.

    Raises ValidationError, keyed by template, with what is wrong and in which line.
    """
    templates = Templates(default, details, list)
    if errors := find_template_errors(templates):
        raise ValidationError(errors)
    with transaction.atomic():
        if load_templates(contact_model.pk).get(object, Templates()) == templates:
            return False
        mark_configuration_changed()
        row = DisplayNames.objects.filter(contact_model=contact_model.pk, object=object).first() or DisplayNames(
            contact_model_id=contact_model.pk, object=object
        )
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
            errors[name] = gettext("Line %(line)d: %(problem)s") % {"line": error.line, "problem": problem}
    return errors
