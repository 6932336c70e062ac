"""Keys by which somebody sends again what he may have sent already, so that it is done once."""

import re
import uuid

from django.utils.translation import gettext as _

from cmphone.problems import InvalidRequest

MAX_KEY = 100
_key = re.compile(f"[!-~]{{1,{MAX_KEY}}}", re.ASCII)


def make_key() -> str:
    """Return a key that nobody has used."""
    return uuid.uuid4().hex


def check_key(key: str) -> None:
    """Raise InvalidRequest for what is no key."""
    if not _key.fullmatch(key):
        raise InvalidRequest(_("Send as Idempotency-Key 1 to 100 printable ASCII characters without space."))
