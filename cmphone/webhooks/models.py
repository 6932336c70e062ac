"""Webhooks, and what was sent to them or still has to be.

What is announced, and how it gets there, lives in services.py and delivering.py.
"""

import uuid
from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# For so long a secret that was replaced signs along, so that receivers change theirs when it suits them.
PREVIOUS_SECRET_LASTS = timedelta(days=7)


class EventKind(models.TextChoices):
    """What webhooks can be told of."""

    CONTACT_CREATED = "contact.created", _("contact created")
    CONTACT_CHANGED = "contact.changed", _("contact changed, deactivated or restored")
    CONTACT_DELETED = "contact.deleted", _("contact deleted")
    CASE_CREATED = "case.created", _("case created")
    CALL_MISSED = "call.missed", _("call missed")


# Sent by hand, to see whether anybody takes it.
TEST_KIND = "webhook.test"


class PauseReason(models.TextChoices):
    """Why a webhook was made inactive without anybody doing it."""

    NONE = "", ""
    GONE = "gone", _("the receiver answered that it is gone for good (410)")
    FAILING = "failing", _("nothing has got through for a day")


class Webhook(models.Model):
    """An address that is told of events.

    The secrets are kept as they are: without them nothing could be signed.
    """

    name = models.CharField(_("name"), max_length=100, unique=True, help_text=_("Whom it tells, for example: CRM."))
    url = models.CharField(_("address"), max_length=500, help_text=_("Where events are sent, for example https://…"))
    events = ArrayField(models.CharField(max_length=30, choices=EventKind.choices), verbose_name=_("events"))
    customer_groups = models.ManyToManyField(
        "contacts.CustomerGroup",
        blank=True,
        related_name="+",
        verbose_name=_("customer groups"),
        help_text=_("Only what happens in these is told."),
    )
    # Said, and not meant by naming none: the last of them may be deleted.
    is_for_all_groups = models.BooleanField(
        _("all customer groups"), default=True, help_text=_("Those that are made later, too.")
    )
    is_active = models.BooleanField(_("active"), default=True)
    pause_reason = models.CharField(max_length=10, choices=PauseReason.choices, blank=True, editable=False)
    secret = models.CharField(max_length=100, editable=False)
    previous_secret = models.CharField(max_length=100, blank=True, editable=False)
    secret_changed_at = models.DateTimeField(_("secret made"), editable=False)
    created_at = models.DateTimeField(_("made"), editable=False)
    # In a row; both end with the first delivery that is taken.
    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    # Nothing is sent before: the receiver asked for it, or was not there.
    waits_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["name"]
        # Superusers' alone: what is told leaves the house.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(events__contained_by=EventKind.values) & Q(events__len__gt=0),
                name="webhook_events_are_known",
            ),
            models.CheckConstraint(condition=Q(pause_reason__in=PauseReason.values), name="pause_reason_is_known"),
            models.CheckConstraint(
                condition=Q(pause_reason="") | Q(is_active=False), name="a_paused_webhook_is_not_active"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def list_secrets(self, now: datetime) -> list[str]:
        """Return the secrets that sign, the newest first."""
        has_previous = self.previous_secret and now < self.secret_changed_at + PREVIOUS_SECRET_LASTS
        return [self.secret, self.previous_secret] if has_previous else [self.secret]


class State(models.TextChoices):
    """What has become of a delivery."""

    WAITING = "waiting", _("waiting")
    SENDING = "sending", _("being sent")
    DELIVERED = "delivered", _("delivered")
    FAILED = "failed", _("given up")


class Failure(models.TextChoices):
    """Why a try failed."""

    NONE = "", ""
    STATUS = "status", _("the receiver did not take it")
    ADDRESS = "address", _("the address is not allowed: it leads into an internal network")
    NAME = "name", _("the name of the server cannot be resolved")
    CONNECTION = "connection", _("no connection")
    CERTIFICATE = "certificate", _("the certificate is not valid")
    TIMEOUT = "timeout", _("no answer in time")
    ANSWER = "answer", _("what answers is not an HTTP server")


class Delivery(models.Model):
    """That a webhook is to be told of an event, or was.  It names the subject by its id, and holds no personal data.

    `next_try_at` of one that is being sent is when its sender counts as dead, and another one takes it.
    """

    webhook = models.ForeignKey(
        Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False, verbose_name=_("webhook")
    )
    # The same for every webhook, and with every try.
    event_id = models.UUIDField(_("event id"), default=uuid.uuid4)
    kind = models.CharField(_("event"), max_length=30, choices=[*EventKind.choices, (TEST_KIND, _("test"))])
    occurred_at = models.DateTimeField(_("when"))
    subject_id = models.CharField(_("id"), max_length=200, blank=True)
    # Not keys: what is told of may be gone before it is told.
    customer_group_id = models.BigIntegerField(null=True)
    customer_group_name = models.CharField(max_length=50, blank=True)
    data = models.JSONField(default=dict)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    tries = models.PositiveIntegerField(_("tries"), default=0)
    next_try_at = models.DateTimeField(_("next try"), null=True)
    last_tried_at = models.DateTimeField(_("last try"), null=True)
    last_status = models.PositiveSmallIntegerField(_("answer"), null=True)
    last_failure = models.CharField(_("error"), max_length=20, choices=Failure.choices, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="delivery_state_is_known"),
            models.CheckConstraint(condition=Q(last_failure__in=Failure.values), name="delivery_failure_is_known"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "sending"], next_try_at__isnull=False)
                | Q(state__in=["delivered", "failed"], next_try_at__isnull=True),
                name="what_is_not_over_has_a_next_try",
            ),
        ]
        indexes = [
            # What is due.
            models.Index(
                fields=["webhook", "next_try_at", "id"],
                condition=Q(state__in=["waiting", "sending"]),
                name="delivery_due",
            ),
            models.Index(fields=["webhook", "occurred_at", "id"], name="delivery_of_webhook"),
            # The log's order, and what is old.
            models.Index(fields=["occurred_at", "id"], name="delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}".strip()

    @property
    def answer(self) -> str | Promise:
        """What the last try came to, for people."""
        if self.last_failure in {Failure.NONE, Failure.STATUS}:
            return str(self.last_status or "–")
        return Failure(self.last_failure).label
