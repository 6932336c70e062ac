"""Keeps secrets that have to be read again, such as a directory's password, unreadable in the database.

The key comes out of CMPHONE_SECRET_KEY: a dump of the database alone opens nothing, and after a change of that key
every secret has to be entered again.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class BrokenSeal(Exception):
    """The secret was sealed with another key, or is damaged."""


def seal(secret: str, *, purpose: str) -> str:
    """Return a text from which only this site gets the secret back, for the same purpose.  Of nothing, nothing."""
    return _cipher(purpose).encrypt(secret.encode()).decode() if secret else ""


def unseal(sealed: str, *, purpose: str) -> str:
    """Return the secret.  Raises BrokenSeal."""
    try:
        return _cipher(purpose).decrypt(sealed.encode()).decode() if sealed else ""
    except InvalidToken as error:
        raise BrokenSeal from error


def _cipher(purpose: str) -> Fernet:
    key = HKDF(SHA256(), 32, salt=None, info=f"cmphone {purpose}".encode()).derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(key))
