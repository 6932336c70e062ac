"""Says to people how the numbers that somebody typed are read, and why so."""

from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration import FieldRule, GroupRules
from cmphone.contacts.models import Contact, IndexScope
from numbering.reading import Plan, Reading, read_typed

_kinds: dict[str, str | Promise] = {
    "public": _("public number"),
    "internal": _("internal number"),
    "service": _("service number"),
    "withheld": _("withheld"),
    "unreadable": _("unreadable"),
}
_rules: dict[str, str | Promise] = {
    "company": _("an extension: country, area and company line of the customer group are put in front"),
    "area": _("a number within the area: country and area of the customer group are put in front"),
    "country": _("a number with its area: the country is put in front"),
    "complete": _("nothing is missing"),
    "international": _("it says its country itself"),
    "national": _("a number as one dials it within the country"),
    "national_without_trunk": _("a number within the country, without what one dials before an area code"),
    "outside_international": _("behind the outside-line code it says its country itself"),
    "outside_national": _("behind the outside-line code it is a number as one dials it within the country"),
    "outside_complete": _("behind the outside-line code nothing is missing"),
    "service": _("the country has this service number"),
    "internal": _("too short for any other number"),
    "digits": _("no country has such a number: it is found by just these digits"),
    "no_digits": _("there is no digit in it"),
    "withheld": _("the caller hides his number, or has none"),
}


@dataclass(frozen=True)
class ReadNumber:
    """A number and what it is taken for.  `doubt` says what may be wrong with it; empty if nothing."""

    field: str
    typed: str
    canonical: str
    display: str
    extension: str
    kind: str | Promise
    reason: str | Promise
    doubt: str | Promise
    finds: str | Promise


def label_field(rule: FieldRule) -> str:
    """Return what people read instead of a field's internal name, in the language in force."""
    return rule.label()


def read_numbers(contact: Contact, rules: GroupRules) -> list[ReadNumber]:
    """Return every number in the contact's telephone fields, in the order of the contact model."""
    scopes = dict(IndexScope.choices)
    return [
        describe(
            reading,
            field=label_field(rule),
            finds=scopes[rule.indexed] if contact.is_active else _("nobody (inactive)"),
        )
        for rule in rules.fields.get(contact.kind, ())
        if (rule.dialable or rule.indexed) and rule.name in contact.fields
        for reading in read_typed(contact.fields[rule.name], rules.plan)
    ]


def describe(reading: Reading, *, field: str = "", finds: str | Promise = "") -> ReadNumber:
    """Put a reading in words."""
    return ReadNumber(
        field=field,
        typed=reading.raw,
        canonical=reading.canonical,
        display=show_number(reading) if reading.canonical else "",
        extension=reading.extension,
        kind=_kinds.get(reading.kind, reading.kind),
        reason=_rules.get(reading.rule, reading.rule),
        doubt=find_doubt(reading),
        finds=finds,
    )


def show_number(reading: Reading) -> str:
    """Return a number as people write it internationally."""
    # Not above: every command loads the admin, and this a map of the world's telephone areas of a hundred megabytes.
    from numbering.display import show

    return show(reading, get_language() or "en").display


def find_doubt(reading: Reading) -> str | Promise:
    """Return what may be wrong with a number that was read; empty if nothing."""
    if reading.kind == "unreadable":
        return _("It cannot be read as a number.")
    if reading.kind == "public" and not reading.possible:
        return _("Its country has no such number.")
    return ""


def show_contact_numbers(contact: Contact, rules: GroupRules) -> SafeString:
    """Return a table of the contact's numbers."""
    return render_to_string("admin/contacts/contact/numbers.html", {"numbers": read_numbers(contact, rules)})


def show_examples(plan: Plan) -> SafeString:
    """Return a table of what some numbers mean under a plan."""
    local = plan.company_line + "12" if plan.company_line else "33990312"
    typed = ["12"] if plan.company_line else []
    typed += [local] if plan.area or plan.company_line else []
    typed += [f"{plan.area or '211'}{local}", f"{plan.trunk}{plan.area or '211'} {local}"]
    typed += [f"+{plan.country} {plan.area or '211'} {local}"]
    numbers = [describe(reading) for text in typed for reading in read_typed(text, plan)]
    return render_to_string("admin/contacts/contact/numbers.html", {"numbers": numbers, "without_fields": True})
