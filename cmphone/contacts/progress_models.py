"""Records of work that goes through many contacts in batches, and how far it is: changes of fields, rebuilds."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration_models import ContactKind, ContactModel, CustomerGroup


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
