"""Records of cases.  Who may make and see them is decided in cases.py."""

from django.db import models
from django.db.models import Q
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
