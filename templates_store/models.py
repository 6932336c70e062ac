"""Display-name templates as administrators write them.  How one is rendered belongs to rendering.py."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class DisplayNames(models.Model):
    """The three templates of a contact model's persons or companies.  An empty one falls back to the default."""

    contact_model = models.ForeignKey("contacts.ContactModel", on_delete=models.CASCADE, related_name="display_names")
    object = models.CharField(_("object"), max_length=10, choices=[("person", _("person")), ("company", _("company"))])
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
            models.UniqueConstraint(fields=["contact_model", "object"], name="one_set_of_display_names"),
            models.CheckConstraint(
                condition=models.Q(object__in=["person", "company"]), name="display_names_object_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact_model} ({self.get_object_display()})"
