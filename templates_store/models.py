"""Display-name templates as administrators write them.  How one is rendered belongs to rendering.py."""

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
