"""Records of imports: each run, the file it reads, and what became of every line."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class ImportSource(models.TextChoices):
    """Where contacts come from."""

    CSV = "csv", _("CSV file")
    VCARD = "vcard", _("vCard file")
    DIRECTORY = "directory", _("directory")


class ImportState(models.TextChoices):
    """How far a run is.  A draft waits for people to say what its columns are."""

    DRAFT = "draft", _("not started")
    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("under way")
    FINISHED = "finished", _("finished")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class ImportRun(models.Model):
    """An import of contacts into a customer group, from when its file is there until its report is removed.

    `place`: how many records are done; every batch writes it in its own transaction.  `total`: how many there are,
    about.
    """

    source = models.CharField(_("source"), max_length=10, choices=ImportSource.choices)
    customer_group = models.ForeignKey(
        "contacts.CustomerGroup", on_delete=models.CASCADE, verbose_name=_("customer group")
    )
    # None: the system itself.  Kept by name though the user be deleted.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, verbose_name=_("user"))
    user_name = models.CharField(_("user"), max_length=150, blank=True)
    file_name = models.CharField(_("file"), max_length=255, blank=True)
    # Of a CSV file: encoding, delimiter, header, and mapping, the field of every column.  Of a vCard file: header, its
    # properties, mapping, and the fields that each was recognized as.
    options = models.JSONField(_("options"), default=dict)
    overwrite_empty = models.BooleanField(
        _("empty values overwrite"),
        default=False,
        help_text=_("What is empty in the file is emptied in the contact, too. Otherwise the contact keeps it."),
    )
    dry_run = models.BooleanField(_("dry run"), default=False)
    state = models.CharField(_("state"), max_length=10, choices=ImportState.choices, default=ImportState.DRAFT)
    total = models.PositiveIntegerField(_("records"), default=0)
    place = models.PositiveIntegerField(_("done"), default=0)
    # As Totals has them.
    counts = models.JSONField(default=dict)
    # How many values had no field: [column, kind, count] each.
    left_out = models.JSONField(default=list)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(_("start"), null=True)
    updated_at = models.DateTimeField(_("last batch"), null=True)
    finished_at = models.DateTimeField(_("end"), null=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("import of contacts")
        verbose_name_plural = _("imports of contacts")
        ordering = ["-id"]
        # Rights on contacts decide.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(source__in=ImportSource.values), name="import_source_is_known"),
            models.CheckConstraint(condition=Q(state__in=ImportState.values), name="import_state_is_known"),
        ]
        indexes = [
            models.Index(fields=["requested_at"], condition=Q(state__in=["waiting", "running"]), name="import_queue"),
        ]

    def __str__(self) -> str:
        return self.file_name or self.get_source_display()

    @property
    def is_active(self) -> bool:
        """Whether it waits or is under way."""
        return self.state in {ImportState.WAITING, ImportState.RUNNING}

    @property
    def percent(self) -> int:
        """How much of it is done, as far as can be told."""
        if self.state == ImportState.FINISHED:
            return 100
        return min(99, self.place * 100 // self.total) if self.total else 0


class ImportFileChunk(models.Model):
    """A piece of a run's file: pages and worker may be on different machines.  It goes when the run has ended."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="one_chunk_of_a_number")]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.number}"


class ImportReport(models.Model):
    """What became of the records of one batch.

    `outcomes` has [number, outcome, contact id or null] each; `findings` [line, column, message, value, is_error].
    """

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="reports", db_index=False)
    outcomes = models.JSONField()
    findings = models.JSONField()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["run", "id"], name="import_report_order"),
            models.Index(fields=["run", "id"], condition=~Q(findings=[]), name="import_report_findings"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.pk}"
