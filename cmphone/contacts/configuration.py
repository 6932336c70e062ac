"""What the configuration means for reading, naming and finding contacts, as one immutable value.

A process keeps the last one it loaded.  That stays true without a time-out: every use compares its version with
the one that the same database transaction or statement sees, and loads again when they differ.  What was loaded
inside a transaction is not kept: it may be the one that changes the configuration, and yet be rolled back.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from functools import cached_property

import phonenumbers
from django.conf import settings
from django.db import connection

from cmphone.contacts.erasure_models import Erasure
from cmphone.contacts.models import ContactField, ContactKind, CustomerGroup, Subject, choose_label
from cmphone.contacts.pages import Pages
from cmphone.properties import registry
from cmphone.properties.selectors import get_versions, load_properties
from numbering import countries
from numbering.dialing import Dialling
from numbering.reading import RULES_VERSION, Plan
from numbering.selectors import Tiers
from templates_store.models import DisplayNames
from templates_store.rendering import RENDERING_VERSION, Templates

# Of the label of a customer group in the standard names.
LABEL_LANGUAGE = "de"


@dataclass(frozen=True)
class FieldRule:
    """A contact field as the rules need it."""

    name: str
    label_de: str
    label_en: str
    dialable: bool
    indexed: str

    def label(self) -> str:
        """Return what people read instead of the internal name, in the language in force."""
        return choose_label(de=self.label_de, en=self.label_en, name=self.name)


@dataclass(frozen=True)
class Naming:
    """Templates by kind of contact: those of the standard names, and those of the languages whose names may differ."""

    standard: Mapping[str, Templates]
    languages: Mapping[str, Mapping[str, Templates]]


@dataclass(frozen=True)
class GroupRules:
    """A customer group: its plan, and the fields and display names of its contact model by `person` and `company`.

    `templates` have a language each, empty for all of them.
    """

    id: int
    name: str
    label_de: str
    label_en: str
    plan: Plan
    fields: Mapping[str, tuple[FieldRule, ...]]
    templates: Mapping[tuple[str, str], Templates]

    def label(self, language: str) -> str:
        """Return what people read, in `language`, else in the other one, else the internal name."""
        return choose_label(de=self.label_de, en=self.label_en, name=self.name, language=language)

    @property
    def has_persons(self) -> bool:
        return bool(self.fields.get("person"))

    @property
    def has_companies(self) -> bool:
        return bool(self.fields.get("company"))

    @cached_property
    def names(self) -> Mapping[str, frozenset[str]]:
        """Return the internal names of the fields, by kind of contact."""
        return {kind: frozenset(rule.name for rule in fields) for kind, fields in self.fields.items()}

    @property
    def company_name_field(self) -> str:
        """Return the field that companies are called by in imports and exports; empty where there are none."""
        names = [rule.name for rule in self.fields.get(ContactKind.COMPANY, ())]
        return "name" if "name" in names else next(iter(names), "")

    @cached_property
    def naming(self) -> Naming:
        """Return what the group's contacts are named by."""
        every = {kind: self.templates.get((kind, ""), Templates()) for kind in ContactKind.values}
        languages = {language for _, language in self.templates if language}
        # The label of the group is another one in another language, and so is a name with it.
        if self.label_de != self.label_en and any(each.use("customer_group") for each in self.templates.values()):
            languages |= dict(settings.LANGUAGES).keys()
        return Naming(
            every,
            {
                language: {
                    kind: self.templates.get((kind, language), Templates()).complete(every[kind])
                    for kind in ContactKind.values
                }
                for language in sorted(languages)
            },
        )

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Return hashes of what index entries and names are built from: built from another one, they are stale."""
        # What a telephone system puts in front means nothing in a field that people type into.
        plan = replace(self.plan, outside_codes=(), key="")
        indexed = {kind: [(f.name, f.indexed) for f in fields if f.indexed] for kind, fields in self.fields.items()}
        named = {kind: [f.name for f in fields] for kind, fields in self.fields.items()}
        templates = sorted((*key, *astuple(each)) for key, each in self.templates.items())
        labels = {language: self.label(language) for language in (LABEL_LANGUAGE, *self.naming.languages)}
        shows_phones = any(each.use("phone") for each in self.templates.values())
        return {
            Subject.NUMBERS.value: _hash(
                RULES_VERSION, phonenumbers.__version__, astuple(plan), sorted(indexed.items())
            ),
            Subject.NAMES.value: _hash(
                RENDERING_VERSION,
                labels,
                sorted(named.items()),
                templates,
                (RULES_VERSION, phonenumbers.__version__, astuple(plan)) if shows_phones else (),
            ),
        }


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Configuration:
    """All settings at one version."""

    version: str
    properties: Mapping[str, str]
    site: Plan
    groups: Mapping[int, GroupRules]
    # Whether there are erased contacts that no source may bring back (erasures.py).
    has_suppressions: bool = False

    @cached_property
    def inside_plans(self) -> tuple[Plan, ...]:
        """Return the plans by which a short number may be a colleague's: those with an area or a company line."""
        return tuple(g.plan for g in self.groups.values() if g.plan.area or g.plan.company_line)

    @cached_property
    def tiers(self) -> Tiers:
        """Return which looser matches a look-up tries when nobody has exactly the number."""
        return Tiers(
            company=self.properties[registry.COMPANY_MATCH] == registry.TRUE,
            tail=self.properties[registry.TAIL_MATCH] == registry.TRUE,
        )

    def list_own_lines(self, groups: Collection[int]) -> list[str]:
        """Return the company lines of these customer groups within which only the extension is dialled: none unless
        the property dial.internal.shorten is set.
        """
        if self.properties[registry.DIAL_INTERNAL_SHORTEN] != registry.TRUE:
            return []
        plans = [self.groups[id].plan for id in groups if id in self.groups]
        return [plan.country + plan.area + plan.company_line for plan in plans if plan.company_line]

    def make_dial_uri(self, dialling: Dialling) -> str | None:
        """Return the link that dials, or None for what cannot be dialled."""
        return f"{self.properties[registry.DIAL_URI_SCHEME]}:{dialling.string}" if dialling.string else None

    @cached_property
    def pages(self) -> Pages:
        """Return where the pages about contacts are."""
        names = (registry.CONTACT_PAGE, registry.NEW_CONTACT_PAGE, registry.NEW_CASE_PAGE)
        return Pages(*(self.properties[name] for name in names))

    @cached_property
    def rest_session_timeout(self) -> timedelta:
        own = self.properties[registry.REST_SESSION_TIMEOUT]
        return timedelta(seconds=int(own or self.properties[registry.SESSION_TIMEOUT]))


_loaded: Configuration | None = None


def get_configuration(version: str | None = None) -> Configuration:
    """Return the configuration at `version`, loading it when this process has another one.

    None: whatever this process has; the caller compares the version afterwards and asks again.
    """
    global _loaded
    loaded = _loaded
    if loaded is None or version not in {None, loaded.version}:
        loaded = _load()
        if not connection.in_atomic_block:
            _loaded = loaded
    return loaded


def get_current_configuration() -> Configuration:
    """Return the configuration in force.  One query where this process has it already."""
    return get_configuration(get_versions()[0])


def keep_configuration(version: str) -> None:
    """Let this process keep the configuration at `version`, which it may have loaded inside a transaction only.

    No query where it has that one.
    """
    if not connection.in_atomic_block:
        get_configuration(version)


def _load() -> Configuration:
    version, _ = get_versions()
    while True:
        configuration = _load_once(version)
        version_after, _ = get_versions()
        if version_after == version:
            return configuration
        version = version_after


def _load_once(version: str) -> Configuration:
    properties = load_properties()
    site = build_site_plan(properties)
    fields: dict[int, dict[str, list[FieldRule]]] = defaultdict(lambda: defaultdict(list))
    for field in ContactField.objects.order_by("contact_model_id", "object", "position", "id"):
        rule = FieldRule(field.name, field.label_de, field.label_en, field.dialable, field.indexed)
        fields[field.contact_model_id][field.object].append(rule)
    templates: dict[int, dict[tuple[str, str], Templates]] = defaultdict(dict)
    for names in DisplayNames.objects.all():
        key = names.object, names.language
        templates[names.contact_model_id][key] = Templates(names.default, names.details, names.list)
    groups = {
        group.id: GroupRules(
            id=group.id,
            name=group.name,
            label_de=group.label_de,
            label_en=group.label_en,
            plan=build_group_plan(group, site),
            fields={kind: tuple(rules) for kind, rules in fields[group.contact_model_id].items()},
            templates=templates[group.contact_model_id],
        )
        for group in CustomerGroup.objects.order_by("id")
    }
    has_suppressions = Erasure.objects.exclude(external_id_hash="").exists()
    return Configuration(version, properties, site, groups, has_suppressions)


def build_site_plan(properties: Mapping[str, str]) -> Plan:
    """Return the plan of the site's own telephone system."""
    return Plan(
        country=properties[registry.COUNTRY_PREFIX],
        outside_codes=tuple(code.strip() for code in properties[registry.OUTSIDE_CODES].split(",") if code.strip()),
        trunk=properties[registry.TRUNK_PREFIX],
        international=properties[registry.INTERNATIONAL_PREFIX],
    )


def build_group_plan(group: CustomerGroup, site: Plan) -> Plan:
    """Return the plan of a customer group: abroad it is read by that country's rules, whatever the site's are."""
    country = group.country_prefix or site.country
    at_home = country == site.country
    return Plan(
        country=country,
        area=group.area_prefix,
        company_line=group.company_line,
        extension_min=group.extension_min,
        extension_max=group.extension_max,
        outside_codes=site.outside_codes,
        trunk=site.trunk if at_home else countries.trunk_prefix(country),
        international=site.international if at_home else "",
        key=str(group.id),
    )
