"""Display-name templates as administrators write them, and the versions of the popup files.

How they are rendered belongs to rendering.py and popups.py.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _


class DisplayNames(models.Model):
    """The three templates of a contact model's persons or companies, for all languages or as one language has them.

    One that is empty in a language is that for all languages; an empty one there falls back to the default.
    """

    contact_model = models.ForeignKey("contacts.ContactModel", on_delete=models.CASCADE, related_name="display_names")
    object = models.CharField(_("object"), max_length=10, choices=[("person", _("person")), ("company", _("company"))])
    # Any of settings.LANGUAGES: a site may have more than others.
    language = models.CharField(
        _("language"), max_length=10, blank=True, default="", help_text=_("Empty: for all languages.")
    )
    default = models.TextField(
        _("standard display name"),
        blank=True,
        help_text=_("For example {{ last_name }}, {{ first_name }}. A missing value prints as empty."),
    )
    details = models.TextField(
        _("CM/Phone contact details"),
        blank=True,
        help_text=_("The name of the one contact that a number finds. Empty: the standard display name."),
    )
    list = models.TextField(
        _("CM/Phone contact list"),
        blank=True,
        help_text=_(
            "The name in the choice list, where a number finds several contacts. Empty: the standard display name."
        ),
    )

    class Meta:
        verbose_name = _("display names")
        verbose_name_plural = _("display names")
        constraints = [
            models.UniqueConstraint(fields=["contact_model", "object", "language"], name="one_set_of_display_names"),
            models.CheckConstraint(
                condition=models.Q(object__in=["person", "company"]), name="display_names_object_is_known"
            ),
        ]

    def __str__(self) -> str:
        parts = [self.get_object_display(), self.language]
        return f"{self.contact_model} ({', '.join(filter(None, parts))})"


class PopupSource(models.TextChoices):
    """Where a version of the popup files came from."""

    SHIPPED = "shipped", _("product")
    FOLDER = "folder", _("folder on disk")
    ADMINISTRATOR = "administrator", _("administrator")
    ZIP = "zip", _("zip file")
    ROLLBACK = "rollback", _("older version")


class PopupLayer(models.TextChoices):
    """Who made a file.  Of the layers that have a file, the last one here counts and hides the others."""

    SHIPPED = "shipped", _("product")
    FOLDER = "folder", _("folder on disk")
    OVERRIDE = "override", _("administrator")


class PopupVersion(models.Model):
    """A set of popup files as it was published: complete, and never changed.  The database refuses to.

    `number` is what clients know as `version` and `templates_version`.
    """

    number = models.BigIntegerField(_("version"), primary_key=True)
    created_at = models.DateTimeField(_("published"))
    # A name, not a reference: it outlives its user.
    created_by_name = models.CharField(_("published by"), max_length=150, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)
    source = models.CharField(_("source"), max_length=20, choices=PopupSource.choices)

    class Meta:
        verbose_name = _("version of the popups")
        verbose_name_plural = _("popup templates")
        ordering = ["-number"]
        constraints = [
            models.CheckConstraint(condition=models.Q(number__gt=0), name="popup_version_is_numbered"),
            models.CheckConstraint(
                condition=models.Q(source__in=PopupSource.values), name="popup_version_source_is_known"
            ),
        ]

    def __str__(self) -> str:
        return str(self.number)


class PopupFile(models.Model):
    """A file of a version, as one layer has it, also where another one hides it."""

    version = models.ForeignKey(PopupVersion, on_delete=models.CASCADE, related_name="files")
    layer = models.CharField(_("made by"), max_length=10, choices=PopupLayer.choices)
    language = models.CharField(_("language"), max_length=20)
    name = models.CharField(_("file"), max_length=50)
    content = models.TextField(_("content"), blank=True)
    sha256 = models.CharField("SHA-256", max_length=64)

    class Meta:
        verbose_name = _("popup file")
        verbose_name_plural = _("popup files")
        constraints = [
            models.UniqueConstraint(
                fields=["version", "language", "name", "layer"], name="one_popup_file_of_a_version_and_layer"
            ),
            models.CheckConstraint(condition=models.Q(layer__in=PopupLayer.values), name="popup_file_layer_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.language}/{self.name}"


class PopupFolder(models.Model):
    """The one row that says what the last look into the folder on disk saw."""

    checked_at = models.DateTimeField(_("last look"))
    path = models.TextField(_("folder"), blank=True)
    # Of what was read, so that the next look knows whether somebody is still writing.
    digest = models.CharField(max_length=64, blank=True)
    # What stood in the way, as popup_files.Trouble; who shows it translates it.
    troubles = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = _("popup folder")
        verbose_name_plural = _("popup folders")
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_popup_folder")]

    def __str__(self) -> str:
        return self.path
