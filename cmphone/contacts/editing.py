"""What users make of contacts, each within his rights: new ones, changes, and deletions.

How a contact is written belongs to services.py, which asks nobody for rights; many at once to upserting.py.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, NoReturn, TypedDict

from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.db.models.deletion import ProtectedError
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import Configuration, GroupRules, get_current_configuration
from cmphone.contacts.models import Contact, ContactKind, CreationKey, User
from cmphone.contacts.naming import show_number
from cmphone.contacts.selectors import NO_RIGHTS, find_group, get_rights, list_contacts
from cmphone.contacts.services import ContactDraft, StaleContact, draft_contact, is_storable, save_contact, tell
from cmphone.contacts.writing import Author
from cmphone.idempotency import check_key
from cmphone.problems import Conflict, FieldError, InvalidRequest, NotFound, PermissionDenied, PreconditionFailed
from cmphone.webhooks.models import EventKind
from cmphone.webhooks.services import announce
from numbering.reading import read_presented

# So often a change is made anew on top of somebody else's.
TRIES = 5
LARGEST_ID = 2**63 - 1

# A customer group, and what names a company in it.
CompanyPlace = tuple[int, "CompanyKey"]


class KeyIsTaken(Conflict):
    """Another contact was made with this key."""


class CompanyKey(NamedTuple):
    """What names a company: its `id` or its `external_id`, as `by` says."""

    by: str
    value: str


class ContactValues(TypedDict, total=False):
    """What somebody says of a contact; of what is not there he says nothing.

    `customer_group` is an id or an internal name.  Of `fields`, an empty value takes away the one that is there.
    """

    customer_group: str
    kind: str
    company: CompanyKey | None
    external_id: str
    is_active: bool
    fields: Mapping[str, str]


def create_contact(user: User, values: ContactValues, *, by: Author, key: str | None = None) -> Contact:
    """Make a contact.

    With a key it is safe to repeat: the user's contact of this key is not made again, but returned.  Raises NotFound,
    PermissionDenied, InvalidRequest, ValidationError (as `save_contact`) or Conflict, and makes none then; KeyIsTaken
    where the contact of the key is another one.
    """
    draft = _link(Editor(user, get_current_configuration()).draft_new(values), values)
    if key is None:
        return save_contact(draft, by=by)
    check_key(key)
    with transaction.atomic():
        # Of two at once, the second waits for the first here.
        made, _is_new = CreationKey.objects.select_related("contact").get_or_create(user=user, key=key)
        if made.contact is None:
            made.contact = save_contact(draft, by=by)
            made.save(update_fields=["contact"])
        elif not _is_made_of(draft, made.contact):
            raise KeyIsTaken(_("A contact was created with this form before. Send it again to create another one."))
        return made.contact


def _is_made_of(draft: ContactDraft, contact: Contact) -> bool:
    fields = {name: value for name, value in draft.fields.items() if value.strip()}
    company_id = draft.company.pk if draft.company else None
    return (draft.customer_group_id, draft.kind, company_id, fields) == (
        contact.customer_group_id,
        contact.kind,
        contact.company_id,
        contact.fields,
    )


def prepare_contact(
    user: User, *, number: str = "", customer_group: str | None = None, kind: str | None = None
) -> ContactDraft:
    """Return a contact that the user may make, with all fields of its model, empty but for the first telephone field.

    That has the caller's `number`, as the telephone system presents it, in international notation; one that is
    no public number as it is, and nothing of one that is withheld.  Without `customer_group` it is the first by label
    of those that he may create in.  Raises NotFound, PermissionDenied or ValidationError.
    """
    editor = Editor(user, get_current_configuration())
    rules = editor.get_creatable(customer_group)
    if kind is None:
        kind = ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
    fields = {rule.name: "" for rule in rules.fields.get(kind, ())}
    if not fields:
        raise ValidationError({"kind": [_("The contact model has no contacts of this kind.")]})
    if first := next((rule.name for rule in rules.fields[kind] if rule.dialable), None):
        fields[first] = editor.show_caller(number)
    return ContactDraft(rules.id, kind, fields)


def change_contact(
    user: User, contact_id: int, values: ContactValues, *, by: Author, expected_version: int | None = None
) -> Contact:
    """Change what is said of a contact, and leave the rest as it is.  Safe to repeat.

    Raises what `create_contact` does, and PreconditionFailed when the contact is not of the version expected.
    """
    tries = TRIES if expected_version is None else 1
    while True:
        tries -= 1
        editor = Editor(user, get_current_configuration())
        contact = editor.get_editable(contact_id, expected_version)
        draft = _link(editor.draft_changed(contact, values), values)
        try:
            return save_contact(draft, by=by)
        except StaleContact:
            if expected_version is not None:
                refuse_version()
            # What was said goes in on top of what the other one changed.
            if not tries:
                raise


@transaction.atomic
def delete_contact(user: User, contact_id: int, *, expected_version: int | None = None) -> None:
    """Delete a contact, with its index entries and its history.

    Raises NotFound, PermissionDenied, PreconditionFailed, or Conflict when others need it.
    """
    editor = Editor(user, get_current_configuration())
    contact = editor.get_editable(contact_id, expected_version)
    # Nobody makes a version after the one that was seen.
    if expected_version is not None:
        locked = Contact.objects.select_for_update().filter(pk=contact_id, version=expected_version)
        if not locked.exists():
            refuse_version()
    delete_contacts([contact], user=user)


@transaction.atomic
def delete_contacts(contacts: Iterable[Contact], *, user: User | None) -> None:
    """Delete contacts; all that is kept is that `user` did, None: the system.

    Raises Conflict when others need one of them.
    """
    gone = list(contacts)
    # A case that is being made of one is waited for, and then seen: otherwise the commit would fail by it.
    list(Contact.objects.select_for_update().filter(pk__in=[contact.pk for contact in gone]).order_by("pk"))
    announce([tell(contact, EventKind.CONTACT_DELETED) for contact in gone])
    try:
        # Persons first: so companies go with all of theirs.
        for contact in sorted(gone, key=lambda contact: contact.kind == ContactKind.COMPANY):
            if user is not None:
                log_contact(contact, user=user, action=DELETION)
            contact.delete()
    except ProtectedError as error:
        if any(isinstance(each, Contact) for each in error.protected_objects):
            message = _("Persons belong to this company. Make it inactive instead, or delete them first.")
        else:
            message = _("There are cases of this contact. Make it inactive instead.")
        raise Conflict(message) from error


def log_contact(contact: Contact, *, user: User, action: int, message: str = "") -> LogEntry:
    """Write down that `user` did something to a contact.

    Others read it than may see the contact, and it outlives it: so it has no name in it.
    """
    return LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(Contact),
        object_id=str(contact.pk),
        object_repr=_("contact %d") % contact.pk,
        action_flag=action,
        change_message=message,
    )


def refuse_version() -> NoReturn:
    """Raise that a contact is not of the version expected."""
    raise PreconditionFailed(_("The contact has changed since you read it. Read it again."))


class Editor:
    """A user who writes contacts, with his rights in the groups of a configuration."""

    def __init__(self, user: User, configuration: Configuration) -> None:
        self._user = user
        self._configuration = configuration
        # One that is newer than the configuration does not exist yet.
        self._rights = {id: rights for id, rights in get_rights(user).items() if id in configuration.groups}

    @property
    def viewable(self) -> list[int]:
        """Return the customer groups that the user may view."""
        return [id for id, rights in self._rights.items() if rights.view]

    def list_creatable(self) -> list[GroupRules]:
        """Return the customer groups in which the user may create contacts, by label.  Raises PermissionDenied."""
        groups = [self._configuration.groups[id] for id, rights in self._rights.items() if rights.create]
        if not groups:
            raise PermissionDenied(_("You may not create contacts."))
        return sorted(groups, key=lambda group: group.label(self._user.language).casefold())

    def get_creatable(self, named: str | None) -> GroupRules:
        """Return the customer group named, None: the first.  Raises NotFound, or PermissionDenied."""
        group = self.get_group({"customer_group": named}) if named else self.list_creatable()[0]
        if not self._rights[group.id].create:
            raise PermissionDenied(_("You may not create contacts in this customer group."))
        return group

    def get_group(self, values: ContactValues) -> GroupRules:
        """Return the customer group that is named, else the only one in which the user may create contacts.

        Raises NotFound, PermissionDenied or InvalidRequest.
        """
        if named := values.get("customer_group"):
            group = find_group(self._configuration, self._rights, named)
            if group is None:
                raise NotFound(errors=[_name_error("not-found", _("There is no such customer group."))])
            return group
        groups = self.list_creatable()
        if len(groups) > 1:
            raise InvalidRequest(_("See errors."), errors=[_name_error("required", _("Name a customer group."))])
        return groups[0]

    def show_caller(self, number: str) -> str:
        """Return the number of a caller as people write it, as far as the user may know what it is; empty: withheld."""
        plans = [plan for plan in self._configuration.inside_plans if int(plan.key) in self.viewable]
        reading, *_others = read_presented(number, self._configuration.site, plans)
        if reading.kind == "withheld":
            return ""
        return show_number(reading) if reading.kind == "public" else number

    def get_editable(self, contact_id: int, expected_version: int | None) -> Contact:
        """Return a contact that the user may change.  Raises NotFound, PermissionDenied or PreconditionFailed."""
        visible = list_contacts(self._user).select_related("company")
        contact = visible.filter(pk=contact_id).first() if contact_id <= LARGEST_ID else None
        if contact is None:
            raise NotFound
        self.check_editable(contact, expected_version)
        return contact

    def check_editable(self, contact: Contact, expected_version: int | None) -> None:
        """Raise what `get_editable` does, of a contact at hand."""
        rights = self._rights.get(contact.customer_group_id, NO_RIGHTS)
        if not rights.view:
            raise NotFound
        if not rights.edit:
            raise PermissionDenied(_("You may not change contacts of this customer group."))
        if expected_version not in {None, contact.version}:
            refuse_version()

    def draft_new(self, values: ContactValues) -> ContactDraft:
        """Return a new contact, without its company.  Raises what `create_contact` does."""
        rules = self.get_group(values)
        rights = self._rights[rules.id]
        if not rights.create:
            raise PermissionDenied(_("You may not create contacts in this customer group."))
        if not rights.view and (values.get("external_id") or values.get("company")):
            # Whether there is such a contact already is nothing that he may see.
            raise PermissionDenied(_("External ids and companies are for those who may view the customer group."))
        return ContactDraft(
            rules.id,
            values.get("kind") or (ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY),
            values.get("fields", {}),
            external_id=values.get("external_id", ""),
            is_active=values.get("is_active", True),
        )

    def draft_changed(self, contact: Contact, values: ContactValues) -> ContactDraft:
        """Return a contact as the values make it, with the company that it has.  Raises ValidationError."""
        rules = self._configuration.groups[contact.customer_group_id]
        draft = draft_contact(contact, rules)
        if values.get("customer_group", rules.name) not in {str(rules.id), rules.name}:
            message = _("The kind and the customer group of a contact stay as they are.")
            raise ValidationError({"customer_group": [message]})
        draft.kind = values.get("kind", draft.kind)
        draft.fields = {**draft.fields, **values.get("fields", {})}
        draft.external_id = values.get("external_id", draft.external_id)
        draft.is_active = values.get("is_active", draft.is_active)
        return draft


def _name_error(code: str, detail: str) -> FieldError:
    return {"pointer": "#/customer_group", "code": code, "detail": detail}


def _link(draft: ContactDraft, values: ContactValues) -> ContactDraft:
    wanted = find_wanted_company(draft, values)
    link_company(draft, values, find_companies([wanted] if wanted else []))
    return draft


def find_wanted_company(draft: ContactDraft, values: ContactValues) -> CompanyPlace | None:
    """Return which company is named for a draft, None if none is."""
    key = values.get("company")
    return (draft.customer_group_id, key) if key else None


def find_companies(wanted: Iterable[CompanyPlace]) -> dict[CompanyPlace, Contact]:
    """Return the companies that there are."""
    found: dict[CompanyPlace, Contact] = {}
    places = set(wanted)
    ids = [int(key.value) for _, key in places if key.by == "id" and re.fullmatch("[0-9]{1,18}", key.value)]
    external_ids = [key.value for _, key in places if key.by == "external_id" and is_storable(key.value)]
    if places:
        named = Q(pk__in=ids) | Q(external_id__in=external_ids)
        of_groups = Contact.objects.filter(customer_group_id__in={group_id for group_id, _ in places})
        for company in of_groups.filter(named, kind=ContactKind.COMPANY):
            group_id = company.customer_group_id
            found[group_id, CompanyKey("id", str(company.pk))] = company
            found[group_id, CompanyKey("external_id", company.external_id)] = company
    return found


def link_company(draft: ContactDraft, values: ContactValues, found: Mapping[CompanyPlace, Contact]) -> None:
    """Give a draft the company that is named for it.  Raises ValidationError when it is not among those `found`."""
    if "company" in values:
        wanted = find_wanted_company(draft, values)
        if wanted and wanted not in found:
            raise ValidationError({"company": [_("The customer group has no such company.")]})
        draft.company = found[wanted] if wanted else None
