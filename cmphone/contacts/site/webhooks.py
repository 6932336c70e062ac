"""Applies the webhooks of a site file, and reads them for one.  Their secrets come from variables, and never go out."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from cmphone.contacts.site.records import Site, refuse_all, show, show_names
from cmphone.contacts.site.tables import Section, Table, WrongType, read_flag, read_names, read_text
from cmphone.webhooks.models import EventKind, Webhook
from cmphone.webhooks.services import change_secret, save_webhook
from cmphone.webhooks.signing import is_secret

# Instead of names of customer groups: also those that are made later.
ALL = "all"


def apply_webhook(site: Site, table: Table) -> None:
    """Make a webhook, and its secret, as its table says."""
    problems = len(site.problems)
    values = table.take(
        name=read_text,
        url=read_text,
        events=_read_events,
        customer_groups=_read_groups,
        active=read_flag,
        secret_env=read_text,
    )
    webhook = Webhook.objects.filter(name=values["name"]).first() or Webhook(name=values["name"])
    is_new = webhook.pk is None
    if is_new:
        for key in ("url", "events"):
            if key not in table.values:
                table.refuse(_("%s is missing.") % key)
    secret = site.read_secret(table, "secret_env", values, is_required=is_new)
    if secret and not is_secret(secret):
        table.refuse(_("secret_env: the variable must hold whsec_ and behind it 24 to 64 bytes in base64."))
    before = {"customer_groups": ALL} if is_new else _describe(webhook)
    wanted = before | {key: value for key, value in values.items() if key != "secret_env"}
    groups = None
    if wanted["customer_groups"] != ALL:
        groups = [site.find(site.groups, name, table, "customer_groups") for name in wanted["customer_groups"]]
    if len(site.problems) > problems or (groups is not None and None in groups):
        return
    if is_new:
        webhook.secret = secret
    ids = None if groups is None else [group.pk for group in groups if group]
    if wanted != before and not _save(table, webhook, wanted, ids):
        return
    if is_new:
        site.note(table, _("created"))
        if not secret:
            site.note(table, _("with a secret that nobody has seen: name one with secret_env, or make one on its page"))
    else:
        for key, value in _describe(webhook).items():
            if value != before[key]:
                site.note_value(table, key, _show(before[key]), _show(value))
    if secret and secret != webhook.secret:
        change_secret(webhook, secret=secret)
        site.note(table, _("secret changed; the one before signs along for a while"))


def _save(table: Table, webhook: Webhook, wanted: dict[str, Any], groups: list[int] | None) -> bool:
    """Write a webhook; False, and the problems noted, if it cannot be so."""
    webhook.url, webhook.events = wanted["url"], wanted["events"]
    webhook.is_active = wanted.get("active", True)
    try:
        # What its services give by themselves is not there yet, and a pause ends as they save it.
        webhook.full_clean(exclude=["secret", "secret_changed_at", "created_at", "pause_reason"])
        save_webhook(webhook, customer_groups=groups)
    except ValidationError as error:
        refuse_all(table, error)
        return False
    return True


def read_webhooks() -> list[Section]:
    """Return the webhooks as tables of a site file."""
    webhooks = sorted(Webhook.objects.prefetch_related("customer_groups"), key=lambda webhook: webhook.name)
    return [Section(_describe(webhook)) for webhook in webhooks]


def _describe(webhook: Webhook) -> dict[str, Any]:
    names = sorted(webhook.customer_groups.values_list("name", flat=True))
    return {
        "name": webhook.name,
        "url": webhook.url,
        "events": [kind for kind in EventKind.values if kind in webhook.events],
        "customer_groups": ALL if webhook.is_for_all_groups else names,
        "active": webhook.is_active,
    }


def _read_events(value: object) -> list[str]:
    """Take the kinds of events, in the order in which they are kept."""
    names = read_names(value)
    if not names:
        raise WrongType(_("must name at least one event"))
    if unknown := [name for name in names if name not in EventKind.values]:
        raise WrongType(
            _("“%(name)s” is no event; there are %(names)s")
            % {"name": unknown[0], "names": ", ".join(EventKind.values)}
        )
    return [kind for kind in EventKind.values if kind in names]


def _read_groups(value: object) -> str | list[str]:
    """Take names of customer groups, or all."""
    return ALL if value == ALL else sorted(read_names(value))


def _show(value: object) -> str:
    return show_names(value) if isinstance(value, list) else show(value)
