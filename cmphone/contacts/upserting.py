"""Makes and changes many contacts at once for a program, each whole or not at all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum

from django.core.exceptions import ValidationError
from django.db import transaction

from cmphone.contacts.configuration import Configuration, get_configuration, get_current_configuration
from cmphone.contacts.editing import (
    ContactValues,
    Editor,
    find_companies,
    find_wanted_company,
    link_company,
    refuse_version,
)
from cmphone.contacts.erasures import ErasedContact
from cmphone.contacts.models import Contact, ContactKind, User
from cmphone.contacts.services import ContactDraft, find_draft_errors, is_storable, save_contacts
from cmphone.contacts.writing import Author
from cmphone.problems import Conflict, Problem, as_problem
from cmphone.properties.services import hold_configuration

# So many are written in one transaction.
BATCH = 500


class Outcome(StrEnum):
    """What became of a contact."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(slots=True)
class Upsert:
    """A contact to be made, or changed where the customer group has its external id; then what became of it."""

    values: ContactValues
    expected_version: int | None = None
    outcome: Outcome = Outcome.REFUSED
    contact: Contact | None = None
    problem: Problem | None = None

    def refuse(self, error: Exception) -> None:
        """Note why it does not go in."""
        self.outcome, self.problem = Outcome.REFUSED, as_problem(error)


_Draft = tuple[Upsert, ContactDraft]


def upsert_contacts(
    user: User, upserts: Sequence[Upsert], *, by: Author, overwrite_empty: bool = False, dry_run: bool = False
) -> None:
    """Make or change contacts in their order, and note in each what became of it.

    Safe to repeat for those with an external id; others are new.  Empty values overwrite nothing unless
    `overwrite_empty`.  `dry_run` does the same and takes it back.

    Many share a transaction; where one of them does not go in after all, each gets one of its own, so that none
    spoils another.
    """
    with transaction.atomic() if dry_run else nullcontext():
        for batch in _cut(upserts):
            _save_batch(user, batch, by, overwrite_empty=overwrite_empty)
        if dry_run:
            transaction.set_rollback(True)


def _cut(upserts: Sequence[Upsert]) -> Iterator[list[Upsert]]:
    """Yield batches that name each external id once, so that the second finds what the first made."""
    batch: list[Upsert] = []
    seen: set[str] = set()
    for upsert in upserts:
        external_id = upsert.values.get("external_id", "")
        if len(batch) == BATCH or external_id in seen:
            yield batch
            batch, seen = [], set()
        batch.append(upsert)
        if external_id:
            seen.add(external_id)
    if batch:
        yield batch


def _save_batch(
    user: User, upserts: Sequence[Upsert], by: Author, *, overwrite_empty: bool, may_be_late: bool = True
) -> None:
    # Outside the transaction it is kept; inside, it is only compared.
    get_current_configuration()
    with transaction.atomic():
        # First, as whoever writes contacts does it, so that two of them never wait for each other.
        configuration = get_configuration(str(hold_configuration()))
        editor = Editor(user, configuration)
        known = _lock_known(upserts, editor)
        drafts: list[_Draft] = []
        for upsert in upserts:
            try:
                drafts.append((upsert, _draft(upsert, editor, known, overwrite_empty=overwrite_empty)))
            except (Problem, ValidationError) as error:
                upsert.refuse(error)
        # A person may come before its company.
        companies = [each for each in drafts if each[1].kind == ContactKind.COMPANY]
        others = [each for each in drafts if each[1].kind != ContactKind.COMPANY]
        late = [*_write(_check(companies, configuration), by), *_write(_check(others, configuration), by)]
        if may_be_late:
            for upsert in late:
                _save_batch(user, [upsert], by, overwrite_empty=overwrite_empty, may_be_late=False)


def _lock_known(upserts: Sequence[Upsert], editor: Editor) -> Mapping[tuple[int, str], Contact]:
    """Return the contacts that the user may view and that have one of these external ids, by group and external id."""
    ids = {external_id for upsert in upserts if (external_id := upsert.values.get("external_id"))}
    known = Contact.objects.filter(
        customer_group_id__in=editor.viewable, external_id__in=[id for id in ids if is_storable(id)]
    ).order_by("id")
    return {
        (contact.customer_group_id, contact.external_id): contact
        for contact in known.select_related("company").select_for_update(of=("self",))
    }


def _draft(
    upsert: Upsert, editor: Editor, known: Mapping[tuple[int, str], Contact], *, overwrite_empty: bool
) -> ContactDraft:
    values = upsert.values
    contact = known.get((editor.get_group(values).id, values.get("external_id", "")))
    if contact is None:
        if upsert.expected_version is not None:
            refuse_version()
        return editor.draft_new(values)
    editor.check_editable(contact, upsert.expected_version)
    return editor.draft_changed(contact, values if overwrite_empty else _leave_out_empty(values))


def _leave_out_empty(values: ContactValues) -> ContactValues:
    given = values.copy()
    given["fields"] = {name: value for name, value in values.get("fields", {}).items() if value}
    if not values.get("company"):
        given.pop("company", None)
    return given


def _check(drafts: Sequence[_Draft], configuration: Configuration) -> Iterator[_Draft]:
    """Yield the drafts, with their companies, that fit their contact model."""
    wanted = [place for upsert, draft in drafts if (place := find_wanted_company(draft, upsert.values))]
    companies = find_companies(wanted)
    for upsert, draft in drafts:
        try:
            link_company(draft, upsert.values, companies)
            if errors := find_draft_errors(draft, configuration.groups[draft.customer_group_id]):
                raise ValidationError(errors)  # noqa: TRY301
        except ValidationError as error:
            upsert.refuse(error)
        else:
            yield upsert, draft


def _write(drafts: Iterable[_Draft], by: Author) -> list[Upsert]:
    """Write drafts, and return those that came too late: somebody else has made a contact of their external id."""
    waiting = list(drafts)
    if not waiting:
        return []
    try:
        saved = save_contacts([draft for _, draft in waiting], by=by)
    except ErasedContact as error:
        return _write(_refuse_erased(waiting, error), by)
    except Conflict as error:
        if len(waiting) > 1:
            return [late for each in waiting for late in _write([each], by)]
        waiting[0][0].refuse(error)
        return [waiting[0][0]]
    for (upsert, draft), contact in zip(waiting, saved, strict=True):
        upsert.contact, upsert.problem = contact, None
        if draft.contact is None:
            upsert.outcome = Outcome.CREATED
        else:
            upsert.outcome = Outcome.UNCHANGED if contact.version == draft.contact.version else Outcome.CHANGED
    return []


def _refuse_erased(drafts: Iterable[_Draft], error: ErasedContact) -> Iterator[_Draft]:
    """Refuse the drafts of erased contacts, and yield the others."""
    for upsert, draft in drafts:
        if own := error.find(draft.customer_group_id, draft.external_id):
            upsert.refuse(own)
        else:
            yield upsert, draft
