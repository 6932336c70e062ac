"""Records of contacts and of who may see them.  Rules over several rows live in services.py."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, HashIndex, OpClass
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Trim, Upper
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

# Django looks for all models of contacts here.
from cmphone.contacts import directory_models as directory_models
from cmphone.contacts import erasure_models as erasure_models
from cmphone.contacts import import_models as import_models
from license.named_users import require_free_name
from numbering.models import IndexEntry

internal_name = RegexValidator(
    r"\A[a-z][a-z0-9_-]*\Z", _("Enter lower-case letters, digits, - and _, beginning with a letter.")
)
field_name = RegexValidator(
    r"\A[a-z][a-z0-9_]*\Z", _("Enter lower-case letters, digits and _, beginning with a letter.")
)
only_digits = RegexValidator(r"\A[0-9]*\Z", _("Enter digits only."))
country_code = RegexValidator(r"\A[1-9][0-9]{0,2}\Z", _("Enter a country code without + or zeros, for example 49."))


def list_languages() -> list[Any]:
    """Return the languages of the site: code and name."""
    return [*settings.LANGUAGES]


class UserManager(DjangoUserManager["User"]):
    """Makes users."""

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra_fields: Any
    ) -> "User":
        """Make an administrator.  `manage.py createsuperuser` does, and tells what a ValidationError says."""
        require_free_name()
        return super().create_superuser(username, email, password, **extra_fields)


class User(AbstractUser):
    """Somebody who logs in: an agent at the telephone, an administrator, or a program.

    No more may be active than the licence names; that is a trigger (migration 0006).
    """

    language = models.CharField(_("language"), max_length=10, default="de", choices=list_languages)
    # Counts up when he logs out everywhere: log-ins of browsers from before count no more.
    log_in_generation = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    def clean(self) -> None:
        super().clean()
        if self.is_active and not User.objects.filter(pk=self.pk, is_active=True).exists():
            require_free_name()

    def get_session_auth_hash(self) -> str:
        """Return what a browser's log-in is good for: another password ends it, and so does another generation."""
        return f"{super().get_session_auth_hash()}:{self.log_in_generation}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Yield the same by the secret keys from before, while keys are changed."""
        for fallback in super().get_session_auth_fallback_hash():
            yield f"{fallback}:{self.log_in_generation}"

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username


def choose_label(*, de: str, en: str, name: str, language: str | None = None) -> str:
    """Return the label in `language` (None: the one in force), else in the other one, else the internal name."""
    german_first = (language or get_language() or "").startswith("de")
    return (de or en if german_first else en or de) or name


class Labelled(models.Model):
    """What people read instead of the internal name, in both languages."""

    label_de = models.CharField(_("label (German)"), max_length=100, blank=True)
    label_en = models.CharField(_("label (English)"), max_length=100, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return choose_label(de=self.label_de, en=self.label_en, name=self.name)  # type: ignore[attr-defined]


class ContactKind(models.TextChoices):
    """What a contact is."""

    PERSON = "person", _("person")
    COMPANY = "company", _("company")


class ContactModel(models.Model):
    """Which fields the contacts of a customer group have.  With fields for both persons and companies it has
    two levels, and a person may belong to one company; else one.
    """

    name = models.CharField(_("internal name"), max_length=50, unique=True, validators=[internal_name])

    class Meta:
        verbose_name = _("contact model")
        verbose_name_plural = _("contact models")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class IndexScope(models.TextChoices):
    """Whom a number in a field finds."""

    NONE = "", _("nobody (not indexed)")
    LOCAL = "local", _("the contact itself")
    UNIT = "unit", _("a company and its persons")
    TRANSITIVE = "transitive", _("a company, its persons and cases")


class ContactField(Labelled):
    """A field of the persons or of the companies of a contact model."""

    contact_model = models.ForeignKey(
        ContactModel, on_delete=models.CASCADE, related_name="fields", verbose_name=_("contact model")
    )
    object = models.CharField(_("object"), max_length=10, choices=ContactKind.choices)
    name = models.CharField(_("internal name"), max_length=50, validators=[field_name])
    position = models.PositiveIntegerField(_("order"), default=0)
    dialable = models.BooleanField(_("phone number"), default=False, help_text=_("The value is a dial link."))
    indexed = models.CharField(
        _("indexed for search"),
        max_length=10,
        choices=IndexScope.choices,
        default=IndexScope.NONE,
        blank=True,
        help_text=_("Whom a caller's number in this field finds."),
    )

    class Meta:
        verbose_name = _("contact field")
        verbose_name_plural = _("contact fields")
        ordering = ["contact_model", "object", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["contact_model", "object", "name"], name="one_field_of_a_name"),
            models.CheckConstraint(condition=Q(object__in=ContactKind.values), name="field_object_is_known"),
            models.CheckConstraint(condition=Q(indexed__in=IndexScope.values), name="field_indexed_is_known"),
        ]


class FieldAction(models.TextChoices):
    """What is done to a contact field whose contacts have values."""

    RENAME = "rename", _("renamed")
    REMOVE = "remove", _("removed")


class FieldStep(models.TextChoices):
    """How far it is.  A rename copies, switches and clears; a removal only clears."""

    COPY = "copy", _("values are copied to the new name")
    SWITCH = "switch", _("the new name comes into force")
    CLEAR = "clear", _("old values are deleted")


class FieldChange(models.Model):
    """That a field of a contact model is renamed, or was removed, and how far that is in the values of its contacts.

    The contacts up to and with (`last_group`, `last_id`) are done with the step; every batch writes its place in its
    own transaction (field_moving.py).
    """

    contact_model = models.ForeignKey(
        ContactModel, on_delete=models.CASCADE, related_name="field_changes", verbose_name=_("contact model")
    )
    object = models.CharField(_("object"), max_length=10, choices=ContactKind.choices)
    action = models.CharField(_("change"), max_length=10, choices=FieldAction.choices)
    name = models.CharField(_("field"), max_length=50)
    new_name = models.CharField(_("new name"), max_length=50, blank=True)
    # A name, not a reference: it outlives its user.
    requested_by_name = models.CharField(_("requested by"), max_length=150, blank=True)
    requested_at = models.DateTimeField(_("requested"))
    step = models.CharField(_("step"), max_length=10, choices=FieldStep.choices)
    total = models.PositiveIntegerField(_("contacts"), default=0, help_text=_("When the step began."))
    done = models.PositiveIntegerField(_("done"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0, help_text=_("Contacts with a value there."))
    last_group = models.BigIntegerField(default=0)
    last_id = models.BigIntegerField(default=0)
    # Why a rename was given up: everything is then as it was before.
    problem = models.TextField(_("given up"), blank=True)
    updated_at = models.DateTimeField(_("last batch"))
    finished_at = models.DateTimeField(_("end"), null=True, blank=True)

    class Meta:
        verbose_name = _("change of a field")
        verbose_name_plural = _("changes of fields")
        constraints = [
            models.CheckConstraint(condition=Q(object__in=ContactKind.values), name="field_change_object_is_known"),
            models.CheckConstraint(condition=Q(action__in=FieldAction.values), name="field_change_action_is_known"),
            models.CheckConstraint(condition=Q(step__in=FieldStep.values), name="field_change_step_is_known"),
            models.CheckConstraint(
                condition=Q(action="rename") ^ Q(new_name=""), name="field_change_has_a_new_name_if_it_renames"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(finished_at=None), name="field_change_unfinished"),
        ]

    def __str__(self) -> str:
        what = f"{self.name} → {self.new_name}" if self.new_name else self.name
        return f"{self.contact_model}, {self.get_object_display()}: {what}"

    @property
    def percent(self) -> int:
        """How much of it is done, as far as can be told.  A rename goes through the contacts twice."""
        if self.finished_at is not None:
            return 100
        share = min(99, self.done * 100 // self.total) if self.total else 0
        if self.action == FieldAction.REMOVE:
            return share
        return {FieldStep.COPY: share // 2, FieldStep.SWITCH: 50}.get(FieldStep(self.step), 50 + share // 2)


class CustomerGroup(Labelled):
    """Contacts that belong together: one contact model, one number plan, one set of rights."""

    name = models.CharField(_("internal name"), max_length=50, unique=True, validators=[internal_name])
    contact_model = models.ForeignKey(ContactModel, on_delete=models.PROTECT, verbose_name=_("contact model"))
    country_prefix = models.CharField(
        _("country prefix"),
        max_length=3,
        blank=True,
        validators=[country_code],
        help_text=_("For example 49. Empty: the system property local.country.prefix."),
    )
    area_prefix = models.CharField(
        _("area prefix"),
        max_length=8,
        blank=True,
        validators=[only_digits],
        help_text=_("Without the leading zero, for example 211."),
    )
    company_line = models.CharField(
        _("company line"),
        max_length=12,
        blank=True,
        validators=[only_digits],
        help_text=_("The number up to the extension, without area, for example 339903."),
    )
    extension_min = models.PositiveSmallIntegerField(
        _("shortest extension"),
        null=True,
        blank=True,
        help_text=_("In digits. Empty: every number that is not longer is taken for an extension."),
    )
    extension_max = models.PositiveSmallIntegerField(
        _("longest extension"), null=True, blank=True, help_text=_("In digits.")
    )

    class Meta:
        verbose_name = _("customer group")
        verbose_name_plural = _("customer groups")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(country_prefix__regex=r"^([1-9][0-9]{0,2})?$"), name="country_prefix_is_a_code"
            ),
            models.CheckConstraint(condition=Q(area_prefix__regex="^[0-9]*$"), name="area_prefix_is_digits"),
            models.CheckConstraint(condition=Q(company_line__regex="^[0-9]*$"), name="company_line_is_digits"),
            models.CheckConstraint(
                condition=Q(extension_min__isnull=True)
                | Q(extension_max__isnull=True)
                | Q(extension_min__lte=models.F("extension_max")),
                name="shortest_extension_is_not_longer_than_the_longest",
                violation_error_message=_("The shortest extension is longer than the longest."),
            ),
        ]


class Subject(models.TextChoices):
    """What of a customer group's contacts is built from the configuration."""

    NUMBERS = "numbers", _("numbers")
    NAMES = "names", _("display names")


class Rebuild(models.Model):
    """How far the index entries, or the names, of a customer group's contacts are built from the present settings.

    The contacts up to and with (`last_kind`, `last_id`) are; every batch writes its place in its own transaction.
    """

    customer_group = models.ForeignKey(
        CustomerGroup, on_delete=models.CASCADE, related_name="rebuilds", verbose_name=_("customer group")
    )
    subject = models.CharField(_("subject"), max_length=10, choices=Subject.choices)
    # Of the settings that it is built from (configuration.py).
    fingerprint = models.CharField(max_length=64)
    total = models.PositiveIntegerField(_("contacts"), default=0, help_text=_("When it began."))
    done = models.PositiveIntegerField(_("done"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    last_kind = models.CharField(max_length=10, blank=True)
    last_id = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(_("start"))
    updated_at = models.DateTimeField(_("last batch"))
    finished_at = models.DateTimeField(_("end"), null=True, blank=True)

    class Meta:
        verbose_name = _("rebuild")
        verbose_name_plural = _("rebuilds")
        constraints = [
            models.UniqueConstraint(fields=["customer_group", "subject"], name="one_rebuild_of_a_subject"),
            models.CheckConstraint(condition=Q(subject__in=Subject.values), name="rebuild_subject_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_group}: {self.get_subject_display()}"

    @property
    def percent(self) -> int:
        """How much of it is done, as far as can be told: contacts may have come since it began."""
        if self.finished_at is not None:
            return 100
        return min(99, self.done * 100 // self.total) if self.total else 0


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


class Queue(Labelled):
    """Where cases of some customer groups are kept."""

    name = models.CharField(_("internal name"), max_length=50, unique=True, validators=[internal_name])
    customer_groups = models.ManyToManyField(
        CustomerGroup, blank=True, related_name="queues", verbose_name=_("customer groups")
    )

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        ordering = ["name"]


class Role(Group):
    """Rights that users have by having the role.  Rights of several roles add up; there is no deny."""

    class Meta:
        proxy = True
        verbose_name = _("role")
        verbose_name_plural = _("roles")


class CustomerGroupRight(models.Model):
    """What a role may do with the contacts of a customer group."""

    role = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="customer_group_rights")
    customer_group = models.ForeignKey(CustomerGroup, on_delete=models.CASCADE, verbose_name=_("customer group"))
    can_view = models.BooleanField(_("view"), default=True)
    can_create = models.BooleanField(_("create"), default=False)
    can_edit = models.BooleanField(_("edit"), default=False)

    class Meta:
        verbose_name = _("right on a customer group")
        verbose_name_plural = _("rights on customer groups")
        constraints = [
            models.UniqueConstraint(fields=["role", "customer_group"], name="one_right_of_a_role_on_a_group")
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.customer_group}"


class QueueRight(models.Model):
    """What a role may do with the cases of a queue."""

    role = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="queue_rights")
    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, verbose_name=_("queue"))
    can_create = models.BooleanField(_("create cases"), default=True)

    class Meta:
        verbose_name = _("right on a queue")
        verbose_name_plural = _("rights on queues")
        constraints = [models.UniqueConstraint(fields=["role", "queue"], name="one_right_of_a_role_on_a_queue")]

    def __str__(self) -> str:
        return f"{self.role}: {self.queue}"


class Access(models.Model):
    """What a user's roles give him, added up: the groups he may view, those he may create cases for, and whether he
    may create contacts anywhere.  A superuser has all.

    Read-only here: the database itself keeps it (migration 0004), so that no way of changing a right forgets it.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="access")
    visible_groups = ArrayField(models.BigIntegerField())
    case_groups = ArrayField(models.BigIntegerField())
    can_create = models.BooleanField()

    def __str__(self) -> str:
        return str(self.user)
