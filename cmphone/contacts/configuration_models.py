"""Records of the configuration: contact models and their fields, customer groups, queues."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

internal_name = RegexValidator(
    r"\A[a-z][a-z0-9_-]*\Z", _("Enter lower-case letters, digits, - and _, beginning with a letter.")
)
field_name = RegexValidator(
    r"\A[a-z][a-z0-9_]*\Z", _("Enter lower-case letters, digits and _, beginning with a letter.")
)
only_digits = RegexValidator(r"\A[0-9]*\Z", _("Enter digits only."))
country_code = RegexValidator(r"\A[1-9][0-9]{0,2}\Z", _("Enter a country code without + or zeros, for example 49."))


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
        # Whatever is labelled has a name of its own form.
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
