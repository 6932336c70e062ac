"""The record of what made contacts, so that it makes none twice."""

from django.db import models

from cmphone.contacts.user_models import User


class CreationKey(models.Model):
    """That a user made a contact with this key.  Who sends it again gets the same contact."""

    # The database deletes it with the user and with the contact (migration 0014).
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+"
    )
    key = models.CharField(max_length=100)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_contact_of_a_creation_key")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.contact_id}"
