"""Records of cases and of calls.

Who may make and see cases is decided in cases.py, whose calls are whose in selectors.py, and what is true of a call in
states.py.
"""

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.models import Contact, Queue, User


class Case(models.Model):
    """What a contact wants, in a queue.  Its id is the number that people say; nobody changes it once it is there."""

    # The indexes below serve both.
    queue = models.ForeignKey(
        Queue, on_delete=models.PROTECT, related_name="cases", db_index=False, verbose_name=_("queue")
    )
    contact = models.ForeignKey(
        Contact, on_delete=models.PROTECT, related_name="cases", db_index=False, verbose_name=_("contact")
    )
    subject = models.CharField(_("subject line"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="cases", verbose_name=_("created by")
    )
    # Kept though the user be deleted.
    created_by_name = models.CharField(_("created by"), max_length=301)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    # What the client called the request, so that it may send it again.
    idempotency_key = models.CharField(max_length=100, blank=True, editable=False)

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(subject=""), name="case_has_a_subject"),
            models.UniqueConstraint(
                fields=["created_by", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="one_case_of_an_idempotency_key",
            ),
        ]
        indexes = [
            models.Index(fields=["contact", "id"], name="case_contact_order"),
            models.Index(fields=["queue", "id"], name="case_queue_order"),
        ]

    def __str__(self) -> str:
        # Without the subject: it stands in the log of the administration, which others read.
        return f"#{self.pk}"

    @property
    def author(self) -> str:
        """The name of who made it."""
        return self.created_by.display_name if self.created_by else self.created_by_name


class Line(models.Model):
    """A line of the telephone system that several people answer: its incoming calls are those of all its users."""

    name = models.CharField(
        _("name"),
        max_length=200,
        unique=True,
        help_text=_("As clients and the telephone system report it with a call, for example 12."),
    )
    label = models.CharField(_("label"), max_length=100, blank=True, help_text=_("For people, for example: hotline."))
    users = models.ManyToManyField(User, blank=True, related_name="lines", verbose_name=_("users"))

    class Meta:
        verbose_name = _("line")
        verbose_name_plural = _("lines")
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="line_has_a_name")]

    def __str__(self) -> str:
        return f"{self.label} ({self.name})" if self.label else self.name


class CallRight(models.Model):
    """That who has a role may see, and no more than see, the calls of whoever has another one."""

    role = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="call_rights", verbose_name=_("role"))
    seen_role = models.ForeignKey(
        Group, on_delete=models.CASCADE, related_name="+", verbose_name=_("sees the calls of users with the role")
    )

    class Meta:
        verbose_name = _("right on calls")
        verbose_name_plural = _("rights on calls")
        constraints = [models.UniqueConstraint(fields=["role", "seen_role"], name="one_right_of_a_role_on_calls")]

    def __str__(self) -> str:
        return f"{self.role}: {self.seen_role}"


class Direction(models.TextChoices):
    """Who called whom."""

    INCOMING = "incoming", _("incoming")
    OUTGOING = "outgoing", _("outgoing")


class CallState(models.TextChoices):
    """How far a call has come."""

    RINGING = "ringing", _("ringing")
    ANSWERED = "answered", _("answered")
    ENDED = "ended", _("ended")


class Call(models.Model):
    """A call as it was reported.  Who calls is not kept: that is looked up anew, with the rights of who asks.

    A user's own name for it is `call_id`; that of another one is another call.
    """

    call_id = models.CharField(_("call id"), max_length=200, help_text=_("What its client calls it."))
    # The index below serves it.
    reporter = models.ForeignKey(
        User,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="reported_calls",
        verbose_name=_("reported by"),
    )
    line = models.CharField(_("line"), max_length=200, blank=True)
    direction = models.CharField(_("direction"), max_length=10, choices=Direction.choices)
    # As it was presented, empty where it is withheld, whatever stood there instead.
    number = models.CharField(_("number"), max_length=500, blank=True)
    canonical = models.CharField(_("canonical number"), max_length=40, blank=True)
    kind = models.CharField(_("kind of number"), max_length=10)
    # By the clock of its client, but never later than reported.
    started_at = models.DateTimeField(_("start"))
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("end"), null=True, blank=True)
    is_end_assumed = models.BooleanField(
        _("end assumed"), default=False, help_text=_("Nobody reported its end within the limit.")
    )
    # By our own.
    reported_at = models.DateTimeField(_("reported at"))
    # Both follow from the times, and the database holds them to that.
    state = models.CharField(_("state"), max_length=10, choices=CallState.choices)
    is_missed = models.BooleanField(_("missed"), default=False)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)
    done_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("done by")
    )
    called_back_at = models.DateTimeField(_("called back at"), null=True, blank=True)
    called_back_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("called back by")
    )

    # Not columns: whether who asks may change it (selectors.py), and whether it was not known before (services.py).
    is_own: bool
    is_new: bool

    class Meta:
        verbose_name = _("call")
        verbose_name_plural = _("calls")
        ordering = ["-started_at", "-id"]
        constraints = [
            # In this order it also finds by the id alone.
            models.UniqueConstraint(fields=["call_id", "reporter"], name="one_call_of_an_id_and_reporter"),
            models.CheckConstraint(condition=~Q(call_id=""), name="call_has_an_id"),
            models.CheckConstraint(condition=Q(direction__in=Direction.values), name="call_direction_is_known"),
            models.CheckConstraint(condition=~Q(kind="withheld") | Q(number=""), name="withheld_number_is_not_kept"),
            models.CheckConstraint(
                condition=(Q(answered_at=None) | Q(answered_at__gte=F("started_at")))
                & (Q(ended_at=None) | Q(ended_at__gte=F("started_at")))
                & (Q(answered_at=None) | Q(ended_at=None) | Q(ended_at__gte=F("answered_at"))),
                name="call_times_are_in_order",
            ),
            models.CheckConstraint(
                condition=Q(state="ended", ended_at__isnull=False)
                | Q(state="answered", ended_at=None, answered_at__isnull=False)
                | Q(state="ringing", ended_at=None, answered_at=None),
                name="call_state_follows_from_times",
            ),
            models.CheckConstraint(
                condition=Q(is_missed=True, direction="incoming", state="ended", answered_at=None)
                | Q(is_missed=False) & ~Q(direction="incoming", state="ended", answered_at=None),
                name="missed_follows_from_times",
            ),
            models.CheckConstraint(
                condition=Q(is_end_assumed=False) | Q(ended_at__isnull=False), name="assumed_end_is_an_end"
            ),
        ]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="call_order"),
            models.Index(fields=["reporter", "-started_at", "-id"], name="call_reporter_order"),
            models.Index(
                fields=["line", "-started_at", "-id"],
                condition=~Q(line=""),
                name="call_line_order",
            ),
            models.Index(fields=["canonical", "-started_at", "-id"], name="call_number_order"),
            models.Index(fields=["reported_at"], condition=~Q(state="ended"), name="call_open"),
        ]

    def __str__(self) -> str:
        # Without the number: it stands in logs.
        return f"#{self.pk}"


class EventKind(models.TextChoices):
    """What a user's streams tell of a call.  One that ends unanswered is `missed`, and not `ended` as well."""

    RINGING = "call.ringing", "call.ringing"
    ANSWERED = "call.answered", "call.answered"
    ENDED = "call.ended", "call.ended"
    MISSED = "call.missed", "call.missed"
    DONE = "call.done", "call.done"
    CALLED_BACK = "call.called-back", "call.called-back"


class CallFeed(models.Model):
    """The number of a user's last event.  Its row is the lock of his events: who adds one holds it."""

    # The database deletes it with the user (migration 0002), and the event with both.
    user = models.OneToOneField(
        User, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.user_id)


class CallEvent(models.Model):
    """That something happened to a call, for one of those whom it concerns.  A user's events are numbered in the order
    in which they are committed.
    """

    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    number = models.BigIntegerField()
    call = models.ForeignKey(Call, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "number"], name="one_event_of_a_number"),
            models.CheckConstraint(condition=Q(kind__in=EventKind.values), name="call_event_kind_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.number}"
