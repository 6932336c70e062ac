"""Records of users: who logs in."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _

from license.named_users import require_free_name


def list_languages() -> list[Any]:
    """Return the languages of the site: code and name."""
    return [*settings.LANGUAGES]


class UserManager(DjangoUserManager["User"]):
    """Makes users."""

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra_fields: Any
    ) -> "User":
        """Make an administrator.  `manage.py createsuperuser` does, and tells what a ValidationError says."""
        require_free_name()
        return super().create_superuser(username, email, password, **extra_fields)


class User(AbstractUser):
    """Somebody who logs in: an agent at the telephone, an administrator, or a program.

    No more may be active than the licence names; that is a trigger (migration 0006).
    """

    language = models.CharField(_("language"), max_length=10, default="de", choices=list_languages)
    # Counts up when he logs out everywhere: log-ins of browsers from before count no more.
    log_in_generation = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    def clean(self) -> None:
        super().clean()
        if self.is_active and not User.objects.filter(pk=self.pk, is_active=True).exists():
            require_free_name()

    def get_session_auth_hash(self) -> str:
        """Return what a browser's log-in is good for: another password ends it, and so does another generation."""
        return f"{super().get_session_auth_hash()}:{self.log_in_generation}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Yield the same by the secret keys from before, while keys are changed."""
        for fallback in super().get_session_auth_fallback_hash():
            yield f"{fallback}:{self.log_in_generation}"

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username
