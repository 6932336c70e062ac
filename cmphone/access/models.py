"""API keys of programs, and failed log-ins of late.

How keys are made and checked, and when a log-in has to wait, lives in services.py.
"""

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """What an API key is good for."""

    LOOKUP = "lookup", _("look-ups and numbers")
    CONTACTS = "contacts", _("contacts")
    CALLS = "calls", _("calls")
    MONITORING = "monitoring", _("health report and metrics")


class ApiKey(models.Model):
    """What a program shows instead of logging in.  It has the rights of its user, within its scopes, and no seat.

    Only the hash of the secret is kept.
    """

    name = models.CharField(_("name"), max_length=100, help_text=_("What it is for, for example: telephone system."))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="api_keys",
        verbose_name=_("user"),
        help_text=_("The key has the rights of this user."),
    )
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices), verbose_name=_("scopes"))
    key_hash = models.BinaryField(max_length=32, unique=True)
    hint = models.CharField(_("begins with"), max_length=20)
    created_at = models.DateTimeField(_("made"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("made by"),
        help_text=_("Empty: made by command."),
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("Empty: never."))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, help_text=_("To the minute."))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    # Not a column: what services read along in the same statement.
    read_at: datetime

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="api_key_has_a_name"),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values) & Q(scopes__len__gt=0), name="api_key_scopes_are_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FailedLogin(models.Model):
    """Log-ins that failed in a row from an address: of one user name, or, without one, of any that is not at home
    there.  A row that nobody adds to for a while counts as none.
    """

    # Not the name: now and then somebody types the password there.
    name_hash = models.BinaryField(max_length=32)
    address = models.GenericIPAddressField(_("address"))
    failures = models.PositiveIntegerField(_("failures"))
    last_failed_at = models.DateTimeField(_("last failure"))

    class Meta:
        verbose_name = _("failed log-ins")
        verbose_name_plural = _("failed log-ins")
        constraints = [models.UniqueConstraint(fields=["address", "name_hash"], name="one_row_of_an_address_and_name")]
        indexes = [models.Index(fields=["last_failed_at"], name="failed_login_age")]

    def __str__(self) -> str:
        return str(self.address)
