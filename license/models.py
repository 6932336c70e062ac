"""Imported licences, their pools, and the sessions that take seats of them.

How seats are given lives in services.py.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

TOUCH_AFTER_AT_MOST = timedelta(minutes=1)


class LicenseFile(models.Model):
    """A licence as it was imported.  The last one is in force; the others are the history."""

    text = models.TextField(_("text"))
    public_key = models.CharField(_("signed for the key"), max_length=44)
    imported_at = models.DateTimeField(_("imported at"))
    # The name as it was then: users come and go, the history stays.
    imported_by_name = models.CharField(
        _("imported by"), max_length=150, blank=True, help_text=_("Empty: imported by command.")
    )

    class Meta:
        verbose_name = _("licence file")
        verbose_name_plural = _("licence files")
        ordering = ["-imported_at", "-id"]

    def __str__(self) -> str:
        return f"{localtime(self.imported_at):%Y-%m-%d %H:%M}"


class Pool(models.Model):
    """A section of the licence in force.  Its row is the lock of its seats: who counts them holds it."""

    name = models.CharField(_("name"), max_length=50, unique=True)
    license_file = models.ForeignKey(
        LicenseFile, on_delete=models.PROTECT, related_name="pools", verbose_name=_("licence file")
    )
    contract_party = models.TextField(_("contract party"))
    products = models.TextField(_("products"))
    version = models.TextField(_("version"))
    expires_on = models.DateField(_("expires on"), help_text=_("The last day on which it is valid."))
    licensed = models.PositiveIntegerField(_("licences"))

    # Not columns: what selectors.list_pools reads along in the same statement.
    in_use: int
    read_at: datetime

    class Meta:
        verbose_name = _("pool")
        verbose_name_plural = _("pools")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EndReason(models.TextChoices):
    """Why a session ended."""

    NONE = "", "–"
    LOGGED_OUT = "logged-out", _("logged out")
    ENDED_BY_ADMINISTRATOR = "ended-by-administrator", _("ended by an administrator")
    ENDED_BY_USER = "ended-by-user", _("ended by the user in the profile")
    TIMED_OUT = "timed-out", _("timed out")
    REPLACED = "replaced", _("seat taken over by another client of the user")


class Session(models.Model):
    """A client that is logged in, or was.  While it lives it holds one seat of its pool.

    It lives while it has not ended and its last sign of life is younger than the time-out; the row of one
    that crashed says so only when somebody has tidied it.  All times are the database's.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, verbose_name=_("user"))
    # The partial index below serves it.
    pool = models.ForeignKey(
        Pool, on_delete=models.PROTECT, related_name="sessions", db_index=False, verbose_name=_("pool")
    )
    client_id = models.CharField(_("client"), max_length=100, help_text=_("One installation of the client."))
    client_version = models.CharField(_("version"), max_length=50, blank=True)
    workstation = models.CharField(_("workstation"), max_length=200, blank=True)
    line = models.CharField(_("line"), max_length=200, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    token_hash = models.BinaryField(max_length=32, unique=True)
    started_at = models.DateTimeField(_("start"))
    last_seen_at = models.DateTimeField(_("last sign of life"), help_text=_("To the minute."))
    ended_at = models.DateTimeField(_("end"), null=True, blank=True)
    end_reason = models.CharField(
        _("reason"), max_length=30, blank=True, choices=EndReason.choices, default=EndReason.NONE
    )

    # Not columns: what is read along in the same statement, the first two by selectors.list_sessions.
    read_at: datetime
    timeout: timedelta
    config_version: str
    templates_version: str

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        ordering = ["-started_at", "-id"]
        permissions = [("end_session", _("Can end sessions"))]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "client_id"], condition=Q(ended_at=None), name="one_live_session_of_a_client"
            ),
            models.CheckConstraint(condition=~Q(client_id=""), name="session_has_a_client"),
            models.CheckConstraint(
                condition=Q(ended_at=None, end_reason="") | Q(ended_at__isnull=False) & ~Q(end_reason=""),
                name="ended_session_has_a_reason",
            ),
            models.CheckConstraint(condition=Q(end_reason__in=EndReason.values), name="end_reason_is_known"),
        ]
        indexes = [
            models.Index(fields=["pool", "last_seen_at"], condition=Q(ended_at=None), name="session_live"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.client_id}"

    @property
    def expires_at(self) -> datetime:
        """When the session times out, if there is no other sign of life."""
        return self.last_seen_at + self.timeout

    @property
    def is_timed_out(self) -> bool:
        return self.read_at >= self.expires_at

    @property
    def why_over(self) -> EndReason:
        """Why it is over; NONE while it lives.  What has timed out is over before its row says so."""
        if self.ended_at is None and self.is_timed_out:
            return EndReason.TIMED_OUT
        return EndReason(self.end_reason)

    @property
    def over_at(self) -> datetime | None:
        """When it ended; None while it lives."""
        return self.expires_at if self.ended_at is None and self.is_timed_out else self.ended_at

    @property
    def state(self) -> str | Promise:
        return self.why_over.label if self.why_over else _("active")

    @property
    def is_touch_due(self) -> bool:
        """Say whether a sign of life is worth a write: once a minute, or a quarter of a shorter time-out."""
        age = self.read_at - self.last_seen_at
        # Negative: the clock of the database was set back.
        return age < timedelta(0) or age >= min(TOUCH_AFTER_AT_MOST, self.timeout / 4)


class HourlyUsage(models.Model):
    """How a pool was used in one hour, begun at `hour`.  Kept for good: a row an hour is little."""

    # Not a reference: the history outlives a pool that a later licence no longer has.
    pool_name = models.CharField(_("pool"), max_length=50)
    hour = models.DateTimeField(_("hour"))
    licensed = models.PositiveIntegerField(_("licences"), help_text=_("At the last look in this hour."))
    peak = models.PositiveIntegerField(_("peak"), default=0, help_text=_("Most seats in use at the same time."))
    claims = models.PositiveIntegerField(_("claims"), default=0, help_text=_("Seats given to clients that had none."))
    refused = models.PositiveIntegerField(_("refused"), default=0, help_text=_("Clients told that no seat is free."))

    class Meta:
        verbose_name = _("use in one hour")
        verbose_name_plural = _("use over time")
        ordering = ["-hour", "pool_name"]
        constraints = [models.UniqueConstraint(fields=["pool_name", "hour"], name="one_row_of_a_pool_and_hour")]

    def __str__(self) -> str:
        return f"{self.pool_name} {localtime(self.hour):%Y-%m-%d %H:%M}"


class ReplacedToken(models.Model):
    """The token that a client held before it logged in anew: it is dead, and its bearer learns why."""

    token_hash = models.BinaryField(max_length=32, unique=True)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="replaced_tokens")
    replaced_at = models.DateTimeField()

    class Meta:
        verbose_name = _("replaced token")
        verbose_name_plural = _("replaced tokens")

    def __str__(self) -> str:
        return str(self.replaced_at)
