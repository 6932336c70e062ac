"""Writes a site out as the tables of a site file: every key of every entry, so that all of it can be carried on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group

from cmphone.contacts.models import (
    ContactField,
    ContactKind,
    ContactModel,
    CustomerGroup,
    CustomerGroupRight,
    Labelled,
    Queue,
    QueueRight,
    Role,
    User,
)
from cmphone.contacts.site.people import QUEUE_RIGHTS, RIGHTS, USER_COLUMNS
from cmphone.contacts.site.records import SiteSection
from cmphone.contacts.site.tables import Section
from cmphone.contacts.site.webhooks import read_webhooks
from cmphone.properties import registry
from cmphone.properties.selectors import load_properties
from templates_store.rendering import Templates
from templates_store.selectors import load_templates


def read_site(sections: Sequence[SiteSection] = ()) -> dict[str, Any]:
    """Return the configuration as the tables of a site file: `apply_site` with them changes nothing.

    The order depends on names alone, so that two exports can be compared.  Passwords and secrets are left out.
    `sections` are those of rooms above.
    """
    site = {
        "properties": Section((registry.full_name(name), value) for name, value in sorted(load_properties().items())),
        "contact_models": [_read_contact_model(each) for each in sorted(ContactModel.objects.all(), key=_name)],
        "customer_groups": [
            _read_customer_group(each)
            for each in sorted(CustomerGroup.objects.select_related("contact_model"), key=_name)
        ],
        "queues": [
            Section(
                name=queue.name,
                label=_read_label(queue),
                customer_groups=sorted(group.name for group in queue.customer_groups.all()),
            )
            for queue in sorted(Queue.objects.prefetch_related("customer_groups"), key=_name)
        ],
        "roles": [_read_role(each) for each in sorted(Role.objects.all(), key=_name)],
        "users": [
            Section(
                username=user.username,
                **{key: getattr(user, column) for key, column in USER_COLUMNS.items()},
                roles=sorted(role.name for role in user.groups.all()),
            )
            for user in sorted(User.objects.prefetch_related("groups"), key=lambda user: user.username)
        ],
        "webhooks": read_webhooks(),
        **{section.key: section.read() for section in sections},
    }
    return {name: section for name, section in site.items() if section}


def _name(record: Any) -> str:
    return str(record.name)


def _read_label(record: Labelled) -> dict[str, str]:
    return {"de": record.label_de, "en": record.label_en}


def _read_contact_model(model: ContactModel) -> Section:
    fields = list(ContactField.objects.filter(contact_model=model))
    templates = load_templates(model.pk)
    return Section(
        name=model.name,
        fields=[
            Section(
                object=field.object,
                name=field.name,
                label=_read_label(field),
                dialable=field.dialable,
                indexed=field.indexed,
            )
            for kind in ContactKind.values
            for field in fields
            if field.object == kind
        ],
        templates=Section(
            (kind, section) for kind in ContactKind.values if (section := _read_templates(templates, kind))
        ),
    )


def _read_templates(templates: Mapping[tuple[str, str], Templates], kind: str) -> Section:
    """Return those for all languages, and below them, by language, those of one."""
    section = Section(asdict(templates[kind, ""]) if (kind, "") in templates else ())
    of_languages = {language: each for (object_, language), each in templates.items() if language and object_ == kind}
    known = [language for language, _name in settings.LANGUAGES if language in of_languages]
    return Section(section | {language: Section(asdict(of_languages[language])) for language in known})


def _read_customer_group(group: CustomerGroup) -> Section:
    return Section(
        name=group.name,
        label=_read_label(group),
        contact_model=group.contact_model.name,
        country_prefix=group.country_prefix,
        area_prefix=group.area_prefix,
        company_line=group.company_line,
        # TOML has no null.
        extension_min="" if group.extension_min is None else group.extension_min,
        extension_max="" if group.extension_max is None else group.extension_max,
    )


def _read_role(role: Group) -> Section:
    groups = CustomerGroupRight.objects.filter(role=role).select_related("customer_group")
    queues = QueueRight.objects.filter(role=role).select_related("queue")
    return Section(
        name=role.name,
        customer_groups=_read_rights({right.customer_group.name: right for right in groups}, RIGHTS),
        queues=_read_rights({right.queue.name: right for right in queues}, QUEUE_RIGHTS),
    )


def _read_rights(rows: dict[str, Any], rights: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the rights by name, without those that give none."""
    given = {name: [right for right in rights if getattr(row, f"can_{right}")] for name, row in sorted(rows.items())}
    return {name: each for name, each in given.items() if each}
