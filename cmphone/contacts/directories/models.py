"""Records of directories (LDAP, Active Directory) that contacts are pulled from, and of who came from which."""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

EXAMPLE_MAP = """\
givenName = first_name
sn = last_name
telephoneNumber|ipPhone = phone
mobile = mobile"""


class DirectoryScope(models.TextChoices):
    """How deep a search goes."""

    SUBTREE = "subtree", _("everything below")
    ONE_LEVEL = "one", _("only what is directly below")


class Directory(models.Model):
    """A directory whose entries are contacts of one customer group.  What one may do with it is in services.py."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    customer_group = models.ForeignKey(
        "contacts.CustomerGroup", on_delete=models.CASCADE, verbose_name=_("customer group")
    )
    uri = models.CharField(
        _("address"), max_length=300, help_text=_("For example ldaps://dc1.example.com or ldap://ldap.example.com:389.")
    )
    start_tls = models.BooleanField(
        _("StartTLS"), default=False, help_text=_("Encrypts a connection to an address that begins with ldap://.")
    )
    is_plain_allowed = models.BooleanField(
        _("unencrypted connection allowed"),
        default=False,
        help_text=_("Password and contacts can then be read by whoever listens on the network."),
    )
    ca_certificates = models.TextField(
        _("trusted certificates"),
        blank=True,
        help_text=_(
            "In PEM form (-----BEGIN CERTIFICATE-----): of the authority that signed the directory's certificate. "
            "Empty: the authorities that this system trusts."
        ),
    )
    bind_dn = models.CharField(
        _("user name"),
        max_length=300,
        blank=True,
        help_text=_(
            "A distinguished name, for example cn=reader,dc=example,dc=com; for Active Directory also "
            "reader@example.com. Empty: nobody logs in."
        ),
    )
    # sealing.py
    sealed_password = models.TextField(blank=True, editable=False)
    base = models.CharField(
        _("base of the search"), max_length=500, help_text=_("For example ou=people,dc=example,dc=com.")
    )
    scope = models.CharField(_("depth"), max_length=10, choices=DirectoryScope.choices, default=DirectoryScope.SUBTREE)
    filter = models.CharField(
        _("filter"),
        max_length=2_000,
        default="(objectClass=person)",
        help_text=_(
            "Which entries are contacts, for example (&(objectCategory=person)(objectClass=user)(telephoneNumber=*))."
        ),
    )
    attribute_map = models.TextField(
        _("attributes"),
        default=EXAMPLE_MAP,
        help_text=_(
            "A line for each contact field: attribute = field. Of telephoneNumber|ipPhone = phone the first that has a "
            "value is taken."
        ),
    )
    external_id_attribute = models.CharField(
        _("attribute that identifies"),
        max_length=100,
        default="objectGUID",
        help_text=_(
            "It has to stay as it is for as long as the entry exists: objectGUID in Active Directory, else entryUUID."
        ),
    )
    company_attribute = models.CharField(
        _("attribute of the company"),
        max_length=200,
        blank=True,
        help_text=_(
            "For example company|o: name or external id of the person's company, which is made where there is none. "
            "Empty: persons get no company."
        ),
    )
    overwrite_empty = models.BooleanField(
        _("empty values overwrite"),
        default=False,
        help_text=_("What is empty in the directory is emptied in the contact, too. Otherwise the contact keeps it."),
    )
    most_missing = models.PositiveSmallIntegerField(
        _("at most missing (%)"),
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_(
            "Where more of the contacts than this, and more than ten, are missing in the directory, none of them is "
            "deactivated: then a filter or the directory is probably wrong."
        ),
    )
    interval_minutes = models.PositiveIntegerField(
        _("interval in minutes"), default=60, validators=[MinValueValidator(5), MaxValueValidator(10_080)]
    )
    is_active = models.BooleanField(
        _("pulled regularly"), default=False, help_text=_("Otherwise only when somebody says so.")
    )
    last_started_at = models.DateTimeField(_("last pull"), null=True, editable=False)
    last_success_at = models.DateTimeField(_("last complete pull"), null=True, editable=False)
    last_error = models.TextField(_("last error"), blank=True, editable=False)

    class Meta:
        verbose_name = _("directory")
        verbose_name_plural = _("directories")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=DirectoryScope.values), name="directory_scope_is_known")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_due(self) -> bool:
        """Whether its next regular pull should begin."""
        if not self.is_active:
            return False
        interval = timedelta(minutes=self.interval_minutes)
        return self.last_started_at is None or self.last_started_at + interval <= timezone.now()


class DirectoryEntry(models.Model):
    """That a contact is an entry of a directory; `missing_since`, that a complete pull did not find it any more."""

    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="entries", db_index=False)
    contact = models.ForeignKey("contacts.Contact", on_delete=models.CASCADE, related_name="directory_entries")
    external_id = models.CharField(max_length=200)
    missing_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("entry of a directory")
        verbose_name_plural = _("entries of directories")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["directory", "external_id"], name="one_entry_of_an_external_id")]

    def __str__(self) -> str:
        return f"{self.directory_id}: {self.external_id}"
