"""Records of erasures: that there was something, and nothing of what it was."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class ErasureReason(models.TextChoices):
    """Why a contact was erased: chosen, as a free text would name the person again."""

    REQUEST = "request", _("the person asked for it")
    CONSENT = "consent", _("consent was withdrawn")
    PURPOSE = "purpose", _("it is not needed any more")
    UNLAWFUL = "unlawful", _("it should never have been stored")
    RETENTION = "retention", _("its time was over")


class Erasure(models.Model):
    """That a contact was erased: when, by whom and why.

    Without `external_id_hash` (erasures.py) nothing keeps sources from bringing the contact back.
    """

    # Not a key: it is gone.
    contact_id = models.BigIntegerField(_("contact"))
    reason = models.CharField(_("reason"), max_length=10, choices=ErasureReason.choices)
    at = models.DateTimeField(_("when"))
    # None: the system itself.  Kept by name though the user be deleted.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("user")
    )
    user_name = models.CharField(_("user"), max_length=150, blank=True)
    external_id_hash = models.CharField(max_length=64, blank=True, editable=False)
    lifted_at = models.DateTimeField(_("allowed again"), null=True, editable=False)

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")
        ordering = ["-id"]
        # Superusers' alone.
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(reason__in=ErasureReason.values), name="reason_is_known")]
        indexes = [
            models.Index(fields=["external_id_hash"], condition=~Q(external_id_hash=""), name="erasure_suppression"),
        ]

    def __str__(self) -> str:
        return str(_("contact %d") % self.contact_id)
