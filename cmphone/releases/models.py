"""Records of the client's installers."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

version_form = RegexValidator(
    r"\A[0-9]{1,6}(\.[0-9]{1,6}){0,3}\Z", _("Enter one to four numbers between dots, for example 2.10.1.")
)


class ClientRelease(models.Model):
    """An installer of the client, with what people should know of it.  The newest that is offered is the latest."""

    version = models.CharField(_("version"), max_length=27, validators=[version_form])
    # What `versions.make_order` makes of it.
    order = ArrayField(models.PositiveIntegerField(), size=4, unique=True, editable=False)
    file_name = models.CharField(_("file name"), max_length=150, editable=False)
    size = models.PositiveBigIntegerField(_("size"), editable=False, help_text=_("In bytes."))
    sha256 = models.CharField("SHA-256", max_length=64, editable=False)
    notes_de = models.TextField(_("release notes (German)"), blank=True)
    notes_en = models.TextField(_("release notes (English)"), blank=True)
    is_offered = models.BooleanField(
        _("offered"), default=True, help_text=_("Untick it to withdraw the version: nobody gets it, and it is kept.")
    )
    uploaded_at = models.DateTimeField(_("uploaded at"), auto_now_add=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, verbose_name=_("uploaded by")
    )

    class Meta:
        verbose_name = _("client release")
        verbose_name_plural = _("client releases")
        ordering = ["-order"]

    def __str__(self) -> str:
        return self.version

    def get_notes(self, language: str) -> str:
        """Return the notes in a language, else in the other one."""
        first, second = self.notes_en, self.notes_de
        if language.startswith("de"):
            first, second = second, first
        return first or second


class ReleaseChunk(models.Model):
    """A piece of an installer: several web servers hand out the same file, and none has it in memory whole."""

    release = models.ForeignKey(ClientRelease, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["release", "number"], name="one_chunk_of_a_release")]

    def __str__(self) -> str:
        return f"{self.release_id}: {self.number}"
