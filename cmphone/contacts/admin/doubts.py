"""Says to people what contradicts itself in the settings of a number plan.  Nothing here keeps them from saving."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.contrib.admin.utils import label_for_field
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration import build_site_plan
from cmphone.contacts.models import CustomerGroup
from cmphone.properties import registry
from numbering.doubts import Doubt, find_doubts, find_site_doubts
from numbering.reading import Plan

# The customer group's fields and the site's properties, by the name of a plan's setting.
_fields = {
    "country": "country_prefix",
    "area": "area_prefix",
    "company_line": "company_line",
    "extension_min": "extension_min",
    "extension_max": "extension_max",
}
_properties = {
    "country": registry.COUNTRY_PREFIX,
    "trunk": registry.TRUNK_PREFIX,
    "international": registry.INTERNATIONAL_PREFIX,
}
_texts: dict[str, str | Promise] = {
    "no-such-country": _("There is no country with the code %(value)s."),
    "begins-with-international-prefix": _(
        "%(setting)s %(value)s begins with %(other)s, which is dialled before a country code and is no part of it."
    ),
    "begins-with-trunk-prefix": _(
        "%(setting)s %(value)s begins with %(other)s, which is dialled before an area code and is no part of it."
    ),
    "begins-with-country": _("%(setting)s %(value)s begins with the country prefix %(other)s."),
    "begins-with-area": _("%(setting)s %(value)s begins with the area prefix %(other)s, which is put in front anyway."),
    "area-missing": _(
        "%(setting)s %(value)s has no area prefix before it, and +%(other)s %(value)s with an extension is no number "
        "of the country."
    ),
    "too-long": _(
        "%(setting)s %(value)s: with an extension, +%(other)s %(value)s is longer than any number of the country."
    ),
    "too-short": _(
        "%(setting)s %(value)s: with an extension, +%(other)s %(value)s is shorter than a number of the country."
    ),
    "no-such-number": _(
        "%(setting)s %(value)s: the country has no number that begins with +%(other)s %(value)s and goes on."
    ),
    "without-effect": _("%(setting)s %(value)s has no effect, as there is no company line."),
}
_probably = _("Probably %s is meant.")
_no_such_extension = _("%(setting)s %(value)s: with so many digits behind it, +%(other)s is no number of the country.")
_unlike_country = {
    # By the setting, and whether the country has a value of its own.
    ("trunk", True): _("In the country +%(other)s one dials %(instead)s before an area code."),
    ("trunk", False): _("In the country +%(other)s one dials nothing before an area code: leave it empty."),
    ("international", True): _("From the country +%(other)s one dials %(instead)s to call abroad."),
    ("international", False): _("From the country +%(other)s one does not dial %(value)s to call abroad."),
}
_missing = _(
    "From the country +%(other)s there are several ways to call abroad, none of them preferred: without one here, "
    "numbers abroad cannot be dialled."
)


def describe_doubts(plan: Plan) -> list[str]:
    """Return in words what is doubtful in a customer group's plan; empty if nothing."""
    # The same doubts whoever's plan it is.
    return [_describe(doubt) for doubt in find_doubts(replace(plan, key="", outside_codes=()))]


def describe_site_doubts(properties: Mapping[str, str]) -> dict[str, list[str]]:
    """Return in words what is doubtful in the properties, by their names."""
    texts: dict[str, list[str]] = {}
    for doubt in find_site_doubts(build_site_plan(properties)):
        texts.setdefault(_properties[doubt.setting], []).append(_describe(doubt))
    return texts


def show_doubts(texts: Sequence[str]) -> SafeString:
    """Return the warnings as a list; nothing where there are none."""
    return render_to_string("admin/doubts.html", {"texts": texts}) if texts else SafeString("")


def _describe(doubt: Doubt) -> str:
    values = {"value": doubt.value, "other": doubt.other, "instead": doubt.instead}
    if doubt.code == "unlike-country":
        return str(_unlike_country[doubt.setting, bool(doubt.instead)]) % values
    if doubt.code == "missing":
        return str(_missing) % values
    label = label_for_field(_fields[doubt.setting], CustomerGroup)
    is_extension = doubt.code == "no-such-number" and doubt.setting == "extension_max"
    text = str(_no_such_extension if is_extension else _texts[doubt.code])
    text %= {**values, "setting": capfirst(str(label))}
    return f"{text} {_probably % doubt.instead}" if doubt.instead else text
