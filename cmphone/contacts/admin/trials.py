"""Tries a number out by a customer group's settings as they stand in a form, saved or not.  Saves nothing.

Who would be found is searched for in the index as it is, by the rights of who tries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.admin.doubts import describe_doubts
from cmphone.contacts.admin.readings import ReadNumber, describe, label_field
from cmphone.contacts.callers import Call, look_up
from cmphone.contacts.configuration import Configuration, GroupRules, build_group_plan, get_current_configuration
from cmphone.contacts.dialling import Dialler
from cmphone.contacts.models import ContactKind, CustomerGroup, User
from cmphone.contacts.selectors import get_rights
from numbering.reading import Plan, Reading, read_presented, read_typed
from numbering.selectors import Hit

PLAN_FIELDS = ["country_prefix", "area_prefix", "company_line", "extension_min", "extension_max"]
TYPED, PRESENTED = "typed", "presented"
WAYS = [(TYPED, _("as people type it")), (PRESENTED, _("as the telephone system presents it"))]
# What a group has for an id before it is saved.
NEW = 0

_matches: dict[str, str | Promise] = {
    "exact": _("who has exactly this number"),
    "company": _("nobody has this number, but it begins with the line of a company"),
    "tail": _("uncertain: nobody has this number, but one that ends like it"),
    "none": _("Nobody would be found."),
    "withheld": _("Nobody is looked for, as the number is withheld."),
}


class TrialForm(forms.Form):
    """What is tried."""

    number = forms.CharField(label=_("Number"), required=False, strip=True, max_length=200)
    way = forms.ChoiceField(choices=WAYS)


@dataclass(frozen=True)
class TriedReading:
    """A reading in words, and what would be dialled for it: digits and link, or else what is in the way."""

    number: ReadNumber
    chance: str | Promise
    digits: str
    uri: str
    obstacle: str | Promise


@dataclass(frozen=True)
class FoundContact:
    """A contact that would be found, with the address of its page."""

    name: str
    url: str
    kind: str | Promise
    group: str
    company: str
    field: str
    extension: str


def try_number(values: QueryDict, *, group: CustomerGroup, user: User) -> dict[str, Any]:
    """Return what the result shows: readings, who would be found, doubts, and what is wrong with the settings.

    `group` as it is saved, or a new one; `values` of the form override its own.
    """
    settings = _read_settings(values, group)
    trial = TrialForm(values)
    errors = [*_list_errors(settings), *_list_errors(trial)]
    if errors:
        return {"errors": errors}
    configuration = get_current_configuration()
    plan = replace(build_group_plan(settings.instance, configuration.site), key=str(group.pk or NEW))
    result: dict[str, Any] = {
        "doubts": describe_doubts(plan),
        "is_saved": bool(group.pk) and not settings.has_changed(),
    }
    number: str = trial.cleaned_data["number"]
    if not number:
        return result
    in_trial = _put_in_force(plan, configuration, user)
    if trial.cleaned_data["way"] == PRESENTED:
        readings = read_presented(number, in_trial.site, in_trial.inside_plans)
        searched = number
    else:
        readings = read_typed(number, plan)
        public = readings and readings[0].kind == "public"
        searched = f"+{readings[0].canonical}" if public else ""
    call = look_up([searched], who=user).calls[0] if searched else None
    found = [_describe_hit(hit, call, configuration) for hit in call.found.hits] if call else []
    return result | {
        "readings": [_describe_reading(reading, in_trial) for reading in readings],
        "found": found,
        "more": bool(call and call.found.more),
        "match": _describe_match(call),
        "summary": _summarize(readings, len(found), has_searched=call is not None),
    }


def _read_settings(values: QueryDict, group: CustomerGroup) -> Any:
    """Return the form of the plan, by the rules of the admin page's own."""
    form = forms.modelform_factory(CustomerGroup, fields=PLAN_FIELDS)
    saved = forms.model_to_dict(group, PLAN_FIELDS)
    return form({name: values.get(name, saved[name]) for name in PLAN_FIELDS}, instance=group)


def _list_errors(form: forms.BaseForm) -> list[str]:
    return [
        f"{capfirst(str(form.fields[name].label))}: {message}" if name in form.fields else str(message)
        for name, messages in form.errors.items()
        for message in messages
    ]


def _put_in_force(plan: Plan, configuration: Configuration, user: User) -> Configuration:
    """Return the configuration with this plan in it, and no customer group that the user may not view."""
    viewable = [id for id, rights in get_rights(user).items() if rights.view]
    groups = {id: configuration.groups[id] for id in viewable if id in configuration.groups}
    id = int(plan.key)
    new = GroupRules(id=id, name="", label_de="", label_en="", plan=plan, fields={}, templates={})
    groups[id] = replace(configuration.groups.get(id, new), plan=plan)
    return replace(configuration, groups=groups)


def _describe_reading(reading: Reading, configuration: Configuration) -> TriedReading:
    number = Dialler(configuration, configuration.groups).prepare(reading)
    chance: str | Promise = ""
    if reading.kind == "public" and reading.possible:
        chance = _("valid") if reading.valid else _("possible, but not known to be in use")
    return TriedReading(
        number=describe(reading),
        chance=chance,
        digits=number.dialling.string or "",
        uri=number.uri or "",
        obstacle=number.obstacle,
    )


def _describe_hit(hit: Hit, call: Call, configuration: Configuration) -> FoundContact:
    language = get_language() or "en"
    rules = configuration.groups.get(hit.customer_group_id)
    fields = (rule for of_kind in rules.fields.values() for rule in of_kind) if rules else ()
    label = next((label_field(rule) for rule in fields if rule.name == hit.field), hit.field)
    return FoundContact(
        # As a client shows it.
        name=hit.name_details if len(call.found.hits) == 1 else hit.name_list,
        url=reverse("admin:contacts_contact_change", args=[hit.contact_id]),
        kind=ContactKind(hit.kind).label,
        group=rules.label(language) if rules else "",
        company=hit.company_name or "",
        field=label,
        extension=hit.extension or "",
    )


def _describe_match(call: Call | None) -> str:
    if call is None:
        return gettext("Only who has a public number is looked for by it.")
    match = call.found.match
    if match in {"none", "withheld"}:
        return str(_matches[match])
    number = describe(call.reading)
    what = number.display or number.typed
    return f"{what}: {_matches[match]}"


def _summarize(readings: Sequence[Reading], count: int, *, has_searched: bool) -> str:
    """Return in a sentence what a screen reader says."""
    first = describe(readings[0]) if readings else None
    parts = [f"{first.display or first.typed}, {first.kind}."] if first else []
    if count:
        parts.append(ngettext("%d contact would be found.", "%d contacts would be found.", count) % count)
    elif has_searched:
        parts.append(gettext("Nobody would be found."))
    return " ".join(parts)


def describe_panel(group: Model) -> dict[str, Any]:
    """Return what the panel needs to ask for results."""
    return {"url": reverse(f"{admin.site.name}:contacts_customergroup_try"), "group": group.pk or "", "ways": WAYS}
