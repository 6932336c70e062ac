"""Values of system properties, and the version of the configuration as a whole."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class SystemProperty(models.Model):
    """A property with its value.  A property without a row has the default of the registry."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    value = models.CharField(_("value"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("system property")
        verbose_name_plural = _("system properties")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ConfigurationVersion(models.Model):
    """The one row that every change of the configuration counts up, in its own transaction.

    It is a version, so that a process knows whether what it read earlier still holds, and a lock: who changes
    the configuration updates it, who writes what depends on the configuration shares it (services.py).
    """

    number = models.BigIntegerField(default=1)
    templates_number = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_configuration_version")]

    def __str__(self) -> str:
        return str(self.number)
