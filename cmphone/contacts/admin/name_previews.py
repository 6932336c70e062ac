"""Shows what templates give, as they stand in a form, for contacts that whoever edits them may view.  Saves nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib.admin.utils import label_for_field
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import get_language, gettext

from cmphone.contacts.configuration import Configuration, GroupRules, get_current_configuration
from cmphone.contacts.models import Contact, ContactKind, ContactModel, CustomerGroup, Subject, User
from cmphone.contacts.naming import Named, NamedCompany, render_names, show_number
from cmphone.contacts.selectors import list_contacts
from numbering.reading import read_typed
from templates_store.models import DisplayNames
from templates_store.rendering import Names, Templates, put_number
from templates_store.services import find_template_errors

# As many as show how different contacts come out, and no more than one takes in.
SAMPLES = 5
MAX_FORMS = 100
OF_ALL_LANGUAGES = ""


@dataclass(frozen=True)
class Sample:
    """A contact with the address of its page, and the names that the templates in the form give it."""

    name: str
    url: str
    group: str
    number: str
    names: Names


def preview_names(values: QueryDict, *, model: ContactModel, user: User) -> dict[str, Any]:
    """Return what the preview shows: names of some contacts, and how many would be rendered anew; or what is wrong.

    `values` are the display names of the whole form; of those that `form` names, the names are shown.
    """
    forms = dict(_list_forms(values))
    chosen = values.get("form", "")
    if chosen not in forms:
        return {"errors": [gettext("Choose whether these are names of persons or of companies.")]}
    # In case two forms are for the same, which saving refuses.
    order = [*(prefix for prefix in forms if prefix != chosen), chosen]
    templates = {forms[prefix]: _read_templates(values, prefix) for prefix in order}
    kind, language = forms[chosen]
    if errors := find_template_errors(templates[kind, language]):
        return {"errors": [f"{label_for_field(name, DisplayNames)}: {message}" for name, message in errors.items()]}
    configuration = get_current_configuration()
    groups = {
        id: replace(configuration.groups[id], templates=templates)
        for id in CustomerGroup.objects.filter(contact_model=model).order_by("id").values_list("id", flat=True)
        if id in configuration.groups
    }
    return {
        "samples": [
            _name(contact, groups[contact.customer_group_id], language) for contact in _find(user, groups, kind)
        ],
        "count": count_stale_names(configuration, replace(configuration, groups=groups), model, user),
    }


def _list_forms(values: QueryDict) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the forms that will be saved: their prefix, and the kind of contact and language that they are for."""
    for number in range(MAX_FORMS):
        prefix = f"display_names-{number}"
        kind, language = values.get(f"{prefix}-object", ""), values.get(f"{prefix}-language", OF_ALL_LANGUAGES)
        is_known = language == OF_ALL_LANGUAGES or language in dict(settings.LANGUAGES)
        if kind in ContactKind.values and is_known and not values.get(f"{prefix}-DELETE"):
            yield prefix, (kind, language)


def _read_templates(values: QueryDict, prefix: str) -> Templates:
    sources = (values.get(f"{prefix}-{name}", "") for name in ("default", "details", "list"))
    return Templates(*(source.replace("\r\n", "\n") for source in sources))


def _find(user: User, groups: Mapping[int, GroupRules], kind: str) -> list[Contact]:
    """Return the first contacts of the kind that the user may view."""
    found: list[Contact] = []
    for id in groups:
        # Group by group, as the index has them.
        contacts = list_contacts(user).filter(customer_group=id, kind=kind, is_active=True)
        found += contacts.select_related("company").order_by("id")[: SAMPLES - len(found)]
        if len(found) == SAMPLES:
            break
    return found


def _name(contact: Contact, rules: GroupRules, language: str) -> Sample:
    company = None
    if contact.company is not None:
        fields = contact.company.fields
        standard, others = render_names(Named(ContactKind.COMPANY, fields, contact.company.external_id), rules)
        company = NamedCompany(fields, standard.default, others)
    standard, others = render_names(Named(contact.kind, contact.fields, contact.external_id, company), rules)
    names = standard._replace(**others.get(language, {}))
    number = _find_number(contact, rules)
    return Sample(
        name=contact.name,
        url=reverse("admin:contacts_contact_change", args=[contact.pk]),
        group=rules.label(get_language() or "en"),
        number=number,
        names=Names(*(put_number(name, number or gettext("[number]")) for name in names)),
    )


def _find_number(contact: Contact, rules: GroupRules) -> str:
    """Return the first number that the contact could be found by, else none."""
    for rule in rules.fields.get(contact.kind, ()):
        if rule.indexed:
            for reading in read_typed(contact.fields.get(rule.name, ""), rules.plan):
                return show_number(reading)
    return ""


def count_stale_names(before: Configuration, after: Configuration, model: ContactModel, user: User) -> int:
    """Return of how many contacts of the model a change of the configuration has the names rendered anew.

    Who may see customer groups may know this of all contacts, as he sees their rebuilds; else those count that he
    may view.
    """
    stale = [
        id
        for id, rules in after.groups.items()
        if id in before.groups and rules.fingerprints[Subject.NAMES] != before.groups[id].fingerprints[Subject.NAMES]
    ]
    if not stale:
        return 0
    sees_groups = user.has_perm("contacts.view_customergroup") or user.has_perm("contacts.change_customergroup")
    contacts = Contact.objects.all() if sees_groups else list_contacts(user)
    return contacts.filter(customer_group__in=stale, customer_group__contact_model=model).count()
