"""The index of numbers: what a look-up and a search by typing search."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
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
    # What happened to the number as it was read (reading.py), and whether its country has such a number.
    rule = models.CharField(_("rule"), max_length=30)
    is_possible = models.BooleanField(_("possible"))
    # The last digits, which every number that ends alike shares; empty where a number is too short for that.
    tail = models.CharField(max_length=7, blank=True)
    # A company's line without extension; empty where it is not known.
    block = models.CharField(max_length=40, blank=True)

    class Meta:
        verbose_name = _("index entry")
        verbose_name_plural = _("index entries")
        indexes = [
            # The customer group is no key: of a number's few entries it is checked faster than searched for.
            models.Index(fields=["canonical"], include=["customer_group", "contact"], name="index_entry_canonical"),
            models.Index(fields=["tail"], condition=~Q(tail=""), name="index_entry_tail"),
            models.Index(fields=["block"], condition=~Q(block=""), name="index_entry_block"),
            # A part of a number, wherever it stands.  Of the upper case, which digits have not: for a whole number
            # PostgreSQL would else take this index now and then, which is a hundred times slower at that.
            GinIndex(OpClass(Upper("canonical"), name="gin_trgm_ops"), name="index_entry_digits"),
            models.Index(
                fields=["customer_group", "id"],
                condition=Q(kind="unreadable") | Q(kind="public", is_possible=False),
                name="index_entry_doubtful",
            ),
        ]

    def __str__(self) -> str:
        return self.canonical
