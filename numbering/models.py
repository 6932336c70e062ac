"""The index of numbers: what a look-up searches."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class IndexEntry(models.Model):
    """One number of an active contact's indexed field, written in the same transaction as the contact."""

    contact = models.ForeignKey("contacts.Contact", on_delete=models.CASCADE, related_name="index_entries")
    # Copied from the contact, so that a look-up checks rights before it joins anything.
    customer_group = models.ForeignKey("contacts.CustomerGroup", on_delete=models.CASCADE, db_index=False)
    field = models.CharField(_("field"), max_length=50)
    scope = models.CharField(_("indexed for search"), max_length=10)
    raw = models.CharField(_("as typed"), max_length=200)
    canonical = models.CharField(_("canonical number"), max_length=40)
    extension = models.CharField(_("extension"), max_length=20, blank=True)
    kind = models.CharField(_("kind"), max_length=10)
    # The last eight digits, or all of a number of seven; empty where a number is too short to compare ends.
    tail = models.CharField(max_length=8, blank=True)
    # A company's line without extension; empty where it is not known.
    block = models.CharField(max_length=40, blank=True)

    class Meta:
        verbose_name = _("index entry")
        verbose_name_plural = _("index entries")
        indexes = [models.Index(fields=["canonical", "customer_group"], name="index_entry_canonical")]

    def __str__(self) -> str:
        return self.canonical
