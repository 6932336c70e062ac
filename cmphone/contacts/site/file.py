"""Applies a site file, the configuration of a site as one TOML file; export.py writes one out.

Applying is all or nothing, and changes only what the file mentions; a second time it changes nothing.
Contacts are no configuration: a change of what their numbers mean is followed up by contacts/services.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from cmphone.contacts.models import Contact, CustomerGroup, Queue
from cmphone.contacts.site.contact_models import apply_contact_model
from cmphone.contacts.site.people import apply_role, apply_user
from cmphone.contacts.site.records import Change, Site, SiteSection, read_columns, show, show_names
from cmphone.contacts.site.tables import (
    SiteFileError,
    Table,
    WrongType,
    read_label,
    read_length,
    read_names,
    read_table,
    read_tables,
    read_text,
)
from cmphone.contacts.site.webhooks import apply_webhook
from cmphone.properties import registry
from cmphone.properties.selectors import load_properties
from cmphone.properties.services import mark_configuration_changed, set_property


@transaction.atomic
def apply_site(
    *,
    data: Mapping[str, Any],
    environ: Mapping[str, str],
    dry_run: bool = False,
    sections: Sequence[SiteSection] = (),
) -> Sequence[Change]:
    """Make the configuration as the tables of a site file say, and return what that changed.

    Safe to repeat.  `environ` holds the passwords and secrets that `password_env` and `secret_env` name; `sections` are
    those of rooms above.  `dry_run` does all of it, and takes it back.  Raises SiteFileError, with everything that is
    wrong, and changes nothing.
    """
    mark_configuration_changed()
    site = Site(environ)
    _apply_sections(site, data, sections)
    if site.problems:
        raise SiteFileError(site.problems)
    if dry_run or not site.changes:
        # Without a change the version of the configuration does not move either.
        transaction.set_rollback(True)
    return site.changes


def _apply_sections(site: Site, data: Mapping[str, Any], more: Sequence[SiteSection]) -> None:
    sections = Table("", data, site.problems).take(
        properties=read_table,
        contact_models=read_tables,
        customer_groups=read_tables,
        queues=read_tables,
        roles=read_tables,
        users=read_tables,
        webhooks=read_tables,
        **{section.key: read_tables for section in more},
    )
    # In the order in which they refer to each other, whatever the order in the file is.
    _apply_properties(site, sections.get("properties", {}))
    for table in _entries(site, sections.get("contact_models", []), _("contact model %s")):
        apply_contact_model(site, table)
    for table in _entries(site, sections.get("customer_groups", []), _("customer group %s")):
        _apply_customer_group(site, table)
    for table in _entries(site, sections.get("queues", []), _("queue %s")):
        _apply_queue(site, table)
    for table in _entries(site, sections.get("roles", []), _("role %s")):
        apply_role(site, table)
    users = _entries(site, sections.get("users", []), _("user %s"), key="username")
    # Who is deactivated makes room for others: the licence may name no more.
    for table in sorted(users, key=lambda table: table.values.get("active") is not False):
        apply_user(site, table)
    for table in _entries(site, sections.get("webhooks", []), _("webhook %s")):
        apply_webhook(site, table)
    for section in more:
        for table in _entries(site, sections.get(section.key, []), str(section.where), key=section.name_key):
            section.apply(site, table)


def _entries(site: Site, tables: Sequence[Mapping[str, Any]], where: str, key: str = "name") -> Iterator[Table]:
    """Yield the tables that have a name which none before them has."""
    names = set()
    for number, values in enumerate(tables, start=1):
        table = Table(where % f"no. {number}", values, site.problems)
        try:
            name = read_text(values.get(key, ""))
        except WrongType as error:
            table.refuse(f"{key}: {error}")
            continue
        if not name:
            table.refuse(_("%s is missing.") % key)
            continue
        table.where = where % name
        if name in names:
            table.refuse(_("This stands in the file twice."))
            continue
        names.add(name)
        yield table


def _apply_properties(site: Site, values: Mapping[str, Any]) -> None:
    present = load_properties()
    known = {registry.full_name(name): name for name in registry.DEFINITIONS}
    for full_name, value in values.items():
        table = Table(_("property %s") % full_name, {}, site.problems)
        name = known.get(full_name)
        if name is None:
            table.refuse(_("There is no such property; there are %s.") % ", ".join(known))
        elif not isinstance(value, str | int):
            table.refuse(_("must be a text in quotes, a whole number, or true or false"))
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            try:
                if set_property(name=name, value=text):
                    site.note(table, f"{show(present[name])} → {show(text.strip())}")
            except ValidationError as error:
                for message in error.messages:
                    table.refuse(message)


def _apply_customer_group(site: Site, table: Table) -> None:
    values = table.take(
        name=read_text,
        label=read_label,
        contact_model=read_text,
        country_prefix=read_text,
        area_prefix=read_text,
        company_line=read_text,
        extension_min=read_length,
        extension_max=read_length,
    )
    name = values["name"]
    present = site.groups.setdefault(name, None)
    group = present or CustomerGroup(name=name)
    columns = read_columns(values, "country_prefix", "area_prefix", "company_line", "extension_min", "extension_max")
    if "contact_model" in values:
        model = site.find(site.models, values["contact_model"], table, "contact_model")
        if model is None:
            return
        if present and group.contact_model != model and Contact.objects.filter(customer_group=group).exists():
            table.refuse(_("The contact model cannot change any more: there are contacts."))
            return
        columns["contact_model"] = model
    elif not present:
        table.refuse(_("%s is missing.") % "contact_model")
        return
    if site.save(table, group, columns):
        site.groups[name] = group


def _apply_queue(site: Site, table: Table) -> None:
    values = table.take(name=read_text, label=read_label, customer_groups=read_names)
    name = values["name"]
    queue = site.queues.get(name) or Queue(name=name)
    if not site.save(table, queue, read_columns(values)):
        site.queues[name] = None
        return
    site.queues[name] = queue
    if "customer_groups" in values:
        found = [site.find(site.groups, each, table, "customer_groups") for each in values["customer_groups"]]
        before = {group.name for group in queue.customer_groups.all()}
        after = {group.name for group in found if group}
        if before != after:
            queue.customer_groups.set([group for group in found if group])
            site.note_value(table, "customer_groups", show_names(before), show_names(after))
