"""Records of who may see and do what.  Rules over several rows live in rights.py and editing.py."""

from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from cmphone.contacts.configuration_models import CustomerGroup, Queue
from cmphone.contacts.user_models import User


class Role(Group):
    """Rights that users have by having the role.  Rights of several roles add up; there is no deny."""

    class Meta:
        proxy = True
        verbose_name = _("role")
        verbose_name_plural = _("roles")


class CustomerGroupRight(models.Model):
    """What a role may do with the contacts of a customer group."""

    role = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="customer_group_rights")
    customer_group = models.ForeignKey(CustomerGroup, on_delete=models.CASCADE, verbose_name=_("customer group"))
    can_view = models.BooleanField(_("view"), default=True)
    can_create = models.BooleanField(_("create"), default=False)
    can_edit = models.BooleanField(_("edit"), default=False)

    class Meta:
        verbose_name = _("right on a customer group")
        verbose_name_plural = _("rights on customer groups")
        constraints = [
            models.UniqueConstraint(fields=["role", "customer_group"], name="one_right_of_a_role_on_a_group")
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.customer_group}"


class QueueRight(models.Model):
    """What a role may do with the cases of a queue."""

    role = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="queue_rights")
    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, verbose_name=_("queue"))
    can_create = models.BooleanField(_("create cases"), default=True)

    class Meta:
        verbose_name = _("right on a queue")
        verbose_name_plural = _("rights on queues")
        constraints = [models.UniqueConstraint(fields=["role", "queue"], name="one_right_of_a_role_on_a_queue")]

    def __str__(self) -> str:
        return f"{self.role}: {self.queue}"


class Access(models.Model):
    """What a user's roles give him, added up: the groups he may view, those he may create cases for, and whether he
    may create contacts anywhere.  A superuser has all.

    Read-only here: the database itself keeps it (migration 0004), so that no way of changing a right forgets it.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="access")
    visible_groups = ArrayField(models.BigIntegerField())
    case_groups = ArrayField(models.BigIntegerField())
    can_create = models.BooleanField()

    def __str__(self) -> str:
        return str(self.user)
