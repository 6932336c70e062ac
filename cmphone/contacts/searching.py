"""Finds contacts by what a person types: part of a number, words of a name, or either in one box.

What typed digits mean belongs to numbering/typed_search.py.  Of inactive contacts no number is in the index.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Concat

from cmphone.contacts.configuration import Configuration, GroupRules
from cmphone.contacts.models import Contact
from numbering.cleaning import to_ascii
from numbering.models import IndexEntry
from numbering.reading import Plan, read_typed
from numbering.typed_search import SHORTEST_SEARCH, WILDCARD, NumberSearch, Pattern, read_number_search

# So many matching contacts are taken by their ids.
FEW = 2_000
# Of more, enough for a page are often among so many contacts that come next.
NEAR = 20_000
MAX_BOX_LENGTH = 200
_word = re.compile(r"[^\s,;]+")
_number_word = re.compile(r"(?:(?:tel|phone|callto|fax):)?[\d+()\[\]./*-]+", re.IGNORECASE)
# The index of parts is one of upper case.
_lookups = {"anywhere": "icontains", "start": "istartswith", "end": "iendswith"}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a contact has to be: `words` all in its name, and one of its numbers as `number` says, None for any."""

    words: tuple[str, ...] = ()
    number: NumberSearch | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody searches for.  A contact fulfils one condition of each of `conditions`.

    `groups`: the customer groups that are searched, which are none that he may not view.  `is_active` None: both.
    """

    groups: frozenset[int]
    conditions: tuple[tuple[Condition, ...], ...] = ()
    is_active: bool | None = True


@dataclass(frozen=True, slots=True)
class Place:
    """Between two contacts in the order of names and ids: behind this one."""

    name: str
    contact_id: int


def list_plans(configuration: Configuration, viewable: Collection[int]) -> list[Plan]:
    """Return the plans by which typed numbers are read, after the site's: those of the groups one may view."""
    return [rules.plan for id, rules in configuration.groups.items() if id in viewable]


def read_box(text: str, site: Plan, groups: Sequence[Plan] = ()) -> tuple[Condition, ...]:
    """Return what a text in the one box means: a contact fulfils one of the conditions.

    Its name has all the words.  Or, where there are three digits in words without letters: its name has the words
    with letters, and one of its numbers those digits.  Empty where nothing is typed: everybody.
    """
    words = [match[0] for match in _word.finditer(text)]
    if not words and text.strip():
        words = [text.strip()]
    if not words:
        return ()
    conditions = [Condition(words=_read_names(words))]
    number_text = _word.sub(lambda match: match[0] if _is_of_a_number(match[0]) else " ", text)
    if sum(character.isdecimal() for character in number_text) >= SHORTEST_SEARCH:
        number = read_number_search(number_text, site, groups)
        if number.obstacle is None:
            names = _read_names([word for word in words if not _is_of_a_number(word)])
            conditions.append(Condition(names, number))
    return tuple(conditions)


def _is_of_a_number(word: str) -> bool:
    return _number_word.fullmatch(to_ascii(word)) is not None


def _read_names(words: Sequence[str]) -> tuple[str, ...]:
    # A name is found by any part of it: there the wildcard changes nothing.
    return tuple(dict.fromkeys(word.strip(WILDCARD) or word for word in words))


def match_contacts(conditions: Sequence[Condition], groups: Collection[int]) -> Q:
    """Return what contacts match that fulfil one of the conditions, by numbers of these groups only."""
    matching = Q(pk__in=[])
    for condition in conditions:
        both = _match_name(condition.words)
        if condition.number is not None:
            entries = IndexEntry.objects.filter(contact=OuterRef("pk"), customer_group__in=groups)
            both &= Q(Exists(entries.filter(_match_number(condition.number.patterns))))
        matching |= both
    return matching


def _match_name(words: Sequence[str], field: str = "name") -> Q:
    matching = Q()
    for word in words:
        matching &= Q(**{f"{field}__icontains": word})
    return matching


def _match_number(patterns: Sequence[Pattern]) -> Q:
    # One by one, and not as an array: each then has the index that is the best for it.
    matching = Q(pk__in=[])
    for pattern in patterns:
        matching |= Q(**{f"canonical__{_lookups[pattern.where]}": pattern.digits})
    return matching


def list_matched(contact: Contact, rules: GroupRules, numbers: Sequence[NumberSearch]) -> list[tuple[str, str]]:
    """Return the field and canonical of each number of the contact by which one of `numbers` found it."""
    if not contact.is_active or not numbers:
        return []
    matched = [
        (rule.name, reading.canonical)
        for rule in rules.fields.get(contact.kind, ())
        if rule.indexed and rule.name in contact.fields
        for reading in read_typed(contact.fields[rule.name], rules.plan)
        if any(number.matches(reading.canonical) for number in numbers)
    ]
    return list(dict.fromkeys(matched))


def search_contacts(search: Search, *, after: Place | None, limit: int) -> list[Contact]:
    """Return the first contacts behind `after` (None: of all) in the order of names and ids, with their companies.

    Three statements at most, however many contacts there are.
    """
    contacts = Contact.objects.filter(customer_group__in=search.groups)
    if search.is_active is not None:
        contacts = contacts.filter(is_active=search.is_active)
    matching = _begin(contacts.select_related("company"), after)
    if not search.conditions:
        return list(matching.order_by("name", "id")[:limit])
    first, *others = search.conditions
    for conditions in others:
        matching = matching.filter(match_contacts(conditions, search.groups))
    # Left to itself, the database goes through a million names for a number which three contacts have, or sorts
    # most of the contacts where nearly all of them match.
    ids = _find_few(contacts, first, search.groups)
    if ids is not None:
        return list(matching.filter(pk__in=ids).order_by("name", "id")[:limit])
    matching = matching.filter(match_contacts(first, search.groups))
    names = _begin(Contact.objects.order_by("name"), after).values("name")
    near = matching.filter(name__lte=Subquery(names[NEAR : NEAR + 1]))
    found = list(near.order_by("name", "id")[:limit])
    # By an expression, as an index in the order of names would tempt to go through all of them.
    return found if len(found) == limit else list(matching.order_by(Concat("name", Value("")), "id")[:limit])


def _begin(contacts: QuerySet[Contact], after: Place | None) -> QuerySet[Contact]:
    if after is None:
        return contacts
    # The first comparison is for the index, which knows nothing of the second.
    return contacts.filter(name__gte=after.name).exclude(name=after.name, pk__lte=after.contact_id)


def _find_few(
    contacts: QuerySet[Contact], conditions: Sequence[Condition], groups: Collection[int]
) -> Collection[int] | None:
    """Return the contacts that fulfil one of the conditions, or None where they are more than a few."""
    parts: list[QuerySet[Any, int]] = []
    for condition in conditions:
        if condition.number is None:
            named = contacts.filter(_match_name(condition.words)).order_by()
            parts.append(named.values_list("pk", flat=True)[: FEW + 1])
        else:
            entries = IndexEntry.objects.filter(_match_number(condition.number.patterns), customer_group__in=groups)
            entries = entries.filter(_match_name(condition.words, "contact__name"))
            parts.append(entries.values_list("contact_id", flat=True)[: FEW + 1])
    first, *others = parts
    ids = set(first.union(*others, all=True) if others else first)
    return ids if len(ids) <= FEW else None
