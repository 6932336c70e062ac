"""The one way to log in with a password, for the API and for pages: Django's own, braked after failures."""

import logging
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils.translation import ngettext

from cmphone.access.addresses import find_client_address
from cmphone.access.services import count_failure, find_wait, forget_failures, round_up
from cmphone.problems import Throttled

logger = logging.getLogger(__name__)


class PasswordBackend(ModelBackend):
    """Checks user name and password."""

    def authenticate(  # type: ignore[override]
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> AbstractBaseUser | None:
        """Return the user, or None.  One password hash, whoever it is.

        Raises Throttled, without trying the password, after too many failures of this name from where the request
        comes.
        """
        address = None if request is None else find_client_address(request)
        if username is None or password is None or address is None:
            return super().authenticate(request, username, password, **kwargs)
        wait, has_failed = find_wait(username=username, address=address)
        if wait:
            seconds = round_up(wait)
            logger.warning("A log-in from %s has to wait %d s: too many have failed.", address, seconds)
            detail = ngettext(
                "Too many log-ins have failed. Try again in %d second.",
                "Too many log-ins have failed. Try again in %d seconds.",
                seconds,
            )
            raise Throttled(detail % seconds, retry_after=seconds)
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            count_failure(username=username, address=address)
        elif has_failed:
            forget_failures(username=username, address=address)
        return user
