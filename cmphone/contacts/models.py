"""Records of contacts and of their history, and, by this name, those of all else about them.

Rules over several rows live in services.py.
"""

from django.contrib.postgres.indexes import GinIndex, HashIndex, OpClass
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Trim, Upper
from django.utils.translation import gettext_lazy as _

# Django looks for all models of contacts here.
from cmphone.contacts import erasure_models as erasure_models
from cmphone.contacts.configuration_models import (
    ContactField,
    ContactKind,
    ContactModel,
    CustomerGroup,
    IndexScope,
    Labelled,
    Queue,
    choose_label,
)
from cmphone.contacts.creation_models import CreationKey
from cmphone.contacts.progress_models import FieldAction, FieldChange, FieldStep, Rebuild, Subject
from cmphone.contacts.right_models import Access, CustomerGroupRight, QueueRight, Role
from cmphone.contacts.user_models import User, UserManager, list_languages
from numbering.models import IndexEntry

__all__ = [
    "Access",
    "Contact",
    "ContactChange",
    "ContactField",
    "ContactKind",
    "ContactModel",
    "CreationKey",
    "CustomerGroup",
    "CustomerGroupRight",
    "DoubtfulNumber",
    "FieldAction",
    "FieldChange",
    "FieldStep",
    "IndexScope",
    "Labelled",
    "Queue",
    "QueueRight",
    "Rebuild",
    "Role",
    "Subject",
    "User",
    "UserManager",
    "Way",
    "choose_label",
    "company_name_start",
    "list_languages",
]


# Of a company's name, so much is indexed: an entry of a B-tree has a limit.
COMPANY_NAME_INDEXED = 200


def company_name_start(field: str) -> Left:
    """Return the expression for the start of a company's name, which stands in `field`, without space around it."""
    return Left(Trim(KeyTextTransform(field, "fields")), COMPANY_NAME_INDEXED)


class Contact(models.Model):
    """A person or a company of one customer group, with the values of its model's fields."""

    # The index below serves it.
    customer_group = models.ForeignKey(
        CustomerGroup, on_delete=models.PROTECT, db_index=False, verbose_name=_("customer group")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=ContactKind.choices)
    company = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="persons", verbose_name=_("company")
    )
    external_id = models.CharField(
        _("external id"),
        max_length=200,
        blank=True,
        help_text=_("The contact's key in the system it came from, if any."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Nobody finds an inactive contact by its number.")
    )
    fields = models.JSONField(_("fields"), default=dict, blank=True)
    # Rendered when the contact or a template changes, so that a call renders nothing.
    name = models.CharField(_("name"), max_length=300, editable=False)
    name_details = models.CharField(max_length=300, editable=False)
    name_list = models.CharField(max_length=300, editable=False)
    # In languages in which they differ: {"en": {"default": …, "details": …, "list": …}}, each only if it differs.
    names = models.JSONField(
        _("names"), default=dict, db_default=Value({}, models.JSONField()), blank=True, editable=False
    )
    # Counts up with every change that somebody makes, so that nobody overwrites what he has not seen.
    version = models.PositiveIntegerField(_("version"), default=1, db_default=1, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=ContactKind.values), name="contact_kind_is_known"),
            models.CheckConstraint(
                condition=Q(kind="person") | Q(company__isnull=True), name="only_a_person_has_a_company"
            ),
            models.UniqueConstraint(
                fields=["customer_group", "external_id"],
                condition=~Q(external_id=""),
                name="one_contact_of_an_external_id",
                violation_error_message=_("The customer group has a contact with this external id already."),
            ),
        ]
        indexes = [
            models.Index(fields=["customer_group", "name", "id"], name="contact_group_name"),
            models.Index(fields=["name", "id"], name="contact_name_order"),
            # A part of a name, wherever it stands.
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="contact_name_part"),
            # A rebuild goes through a group in this order.
            models.Index(fields=["customer_group", "kind", "id"], name="contact_rebuild_order"),
            # An import finds by it which contact a record without external id is.
            HashIndex(fields=["fields"], condition=Q(external_id=""), name="contact_content"),
            # An import finds the companies of its persons by it.
            models.Index(
                F("customer_group"),
                company_name_start("name"),
                condition=Q(kind="company"),
                name="contact_company_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Way(models.TextChoices):
    """By what way somebody changes contacts."""

    ADMIN = "admin", _("administration")
    PAGE = "page", _("page")
    REST = "rest", _("REST")
    CSV = "csv", _("CSV file")
    VCARD = "vcard", _("vCard file")
    DIRECTORY = "directory", _("directory")
    SYSTEM = "system", _("system")


class ContactChange(models.Model):
    """That somebody made or changed a contact: who, when, by what way, and what.  It goes with the contact.

    `changes` has, for each of `company` (its id), `external_id`, `is_active` and `fields/<name>`, what was and what is;
    null for none.  A new contact has no changes: what it was is what it is, with the changes since taken back.
    """

    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="changes", db_index=False, verbose_name=_("contact")
    )
    at = models.DateTimeField(_("when"))
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, verbose_name=_("user"))
    # Kept though the user be deleted.
    user_name = models.CharField(_("user"), max_length=150, blank=True)
    way = models.CharField(_("way"), max_length=10, choices=Way.choices)
    is_new = models.BooleanField(_("new"), default=False)
    changes = models.JSONField(_("changes"), default=dict)

    class Meta:
        verbose_name = _("change of a contact")
        verbose_name_plural = _("changes of contacts")
        indexes = [models.Index(fields=["contact", "id"], name="contact_change_order")]
        constraints = [models.CheckConstraint(condition=Q(way__in=Way.values), name="change_way_is_known")]

    def __str__(self) -> str:
        return f"{self.contact_id}: {self.at}"


class DoubtfulNumber(IndexEntry):
    """An index entry, as the page shows it that helps to keep the contacts' numbers in order."""

    class Meta:
        proxy = True
        verbose_name = _("doubtful number")
        verbose_name_plural = _("number quality")
        # Rights on contacts decide.
        default_permissions = ()
