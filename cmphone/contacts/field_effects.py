"""Says what a change of a contact model's fields does to the values of contacts.  Reads only.

Who may see customer groups may know how many contacts that are, as he sees their rebuilds; else those count that he may
view.  Values themselves are shown only of contacts that he may view.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.db.models.fields.json import KeyTextTransform

from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.field_changes import Edit, FieldEdit
from cmphone.contacts.models import Contact, ContactModel, CustomerGroup, User
from cmphone.contacts.selectors import get_rights, list_contacts
from numbering.models import IndexEntry
from numbering.reading import read_typed

# As many as are read in some seconds; who asks waits for it.
READ_AT_MOST = 100_000
SAMPLES = 5


@dataclass(frozen=True)
class Numbers:
    """What values read as.  `is_complete`: all were read, and not only the first READ_AT_MOST."""

    values: int
    numbers: int
    unreadable: int
    samples: Sequence[str]
    is_complete: bool


@dataclass(frozen=True)
class Effect:
    """What one change does.

    `counts`: contacts with a value in the field, by customer group.  `hidden`: contacts that have one under the name
    that a field gets, of an earlier field.  `lost`: numbers that find nobody any more.
    """

    edit: FieldEdit
    counts: Sequence[tuple[str, int]]
    hidden: int = 0
    numbers: Numbers | None = None
    lost: int | None = None
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(count for _, count in self.counts))


def find_effects(model: ContactModel, edits: Sequence[FieldEdit], user: User, language: str) -> list[Effect]:
    """Return what these changes do to the contacts that `user` may know of; labels in `language`."""
    groups = get_current_configuration().groups
    of_model = CustomerGroup.objects.filter(contact_model=model).order_by("name").values_list("id", flat=True)
    rules = {id: groups[id] for id in of_model if id in groups and (sees_all_groups(user) or _may_view(user, id))}
    return [_find_effect(edit, rules, user, language) for edit in edits]


def sees_all_groups(user: User) -> bool:
    """Say whether contacts of all customer groups are counted for him."""
    return user.has_perm("contacts.view_customergroup") or user.has_perm("contacts.change_customergroup")


def _may_view(user: User, group_id: int) -> bool:
    rights = get_rights(user).get(group_id)
    return rights is not None and rights.view


def count_values(groups: Sequence[int] | QuerySet[CustomerGroup, int], kind: str, name: str) -> Mapping[int, int]:
    """Return how many contacts have a value under a field's name, by customer group; without those with none."""
    contacts = Contact.objects.filter(customer_group__in=groups, kind=kind, fields__has_key=name)
    return dict(contacts.order_by().values_list("customer_group").annotate(Count("id")))


def _find_effect(edit: FieldEdit, rules: Mapping[int, GroupRules], user: User, language: str) -> Effect:
    ids = list(rules)
    counts = count_values(ids, edit.kind, edit.name)
    shown = [(each.label(language), counts.get(each.id, 0)) for each in rules.values()]
    match edit.edit:
        case Edit.ADD:
            return Effect(edit, [], hidden=sum(counts.values()))
        case Edit.REMOVE:
            return Effect(edit, shown, lost=_count_lost(edit, ids))
        case Edit.RENAME:
            return Effect(edit, shown, hidden=sum(count_values(ids, edit.kind, edit.after).values()))
        case Edit.DIALABLE if edit.after:
            return Effect(edit, shown, numbers=_read_numbers(edit, rules, user))
        case Edit.INDEXED if not edit.before:
            return Effect(edit, shown, numbers=_read_numbers(edit, rules, user))
        case Edit.INDEXED if not edit.after:
            return Effect(edit, shown, lost=_count_lost(edit, ids))
    return Effect(edit, shown)


def _read_numbers(edit: FieldEdit, rules: Mapping[int, GroupRules], user: User) -> Numbers:
    viewable = {id for id, rights in get_rights(user).items() if rights.view}
    contacts = Contact.objects.filter(customer_group__in=list(rules), kind=edit.kind, fields__has_key=edit.name)
    if edit.edit == Edit.INDEXED:
        # Nobody else is found.
        contacts = contacts.filter(is_active=True)
    rows = contacts.order_by().values_list("customer_group_id", KeyTextTransform(edit.name, "fields"))
    values = numbers = unreadable = 0
    samples: dict[str, None] = {}
    is_complete = True
    for group_id, text in rows[: READ_AT_MOST + 1].iterator():
        if values == READ_AT_MOST:
            is_complete = False
            break
        values += 1
        readings = read_typed(text, rules[group_id].plan)
        count = sum(reading.kind != "unreadable" for reading in readings)
        numbers += count
        if not count:
            unreadable += 1
            if group_id in viewable and len(samples) < SAMPLES:
                samples[text] = None
    return Numbers(values, numbers, unreadable, list(samples), is_complete)


def _count_lost(edit: FieldEdit, groups: Sequence[int]) -> int:
    """Return how many numbers of the field's index entries no other entry in these groups has."""
    entries = IndexEntry.objects.filter(customer_group__in=groups, field=edit.name, contact__kind=edit.kind)
    others = IndexEntry.objects.filter(customer_group__in=groups, canonical=OuterRef("canonical")).exclude(
        field=edit.name, contact__kind=edit.kind
    )
    found = entries.exclude(canonical="").filter(~Exists(others))
    return found.order_by().values("canonical").distinct().count()


def list_values(
    model: ContactModel, *, kind: str, name: str, user: User
) -> Iterator[Sequence[tuple[int, str, str, str]]]:
    """Yield id, external id, name and value of every contact with a value in the field that the user may view, in
    chunks.
    """
    contacts = list_contacts(user).filter(customer_group__contact_model=model, kind=kind, fields__has_key=name)
    after = 0
    rows = contacts.order_by("id").values_list("id", "external_id", "name", KeyTextTransform(name, "fields"))
    while chunk := list(rows.filter(id__gt=after)[:CHUNK]):
        yield chunk
        after = chunk[-1][0]


CHUNK = 2_000
