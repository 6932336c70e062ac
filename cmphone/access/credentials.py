"""What a program shows with each call, and what is kept of it.  Pure."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Literal

Scheme = Literal["bearer", "api-key"]
KEY_PREFIX = "cmphone_"
HINT_LENGTH = len(KEY_PREFIX) + 4


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token of a session (`bearer`) or an API key, as an `Authorization` header shows it."""

    scheme: Scheme
    secret: str = field(repr=False)


def read_credentials(header: str) -> Credentials | None:
    """Return what `Authorization: Bearer <token>` or `Authorization: Api-Key <key>` shows; None for anything else."""
    name, _, secret = header.strip().partition(" ")
    scheme, secret = name.lower(), secret.strip()
    match scheme:
        case "bearer" | "api-key" if secret:
            return Credentials(scheme, secret)
    return None


def make_key() -> str:
    """Return a new API key: a prefix that makes a leaked one recognisable, and 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> bytes:
    """Return what is stored of a key and searched for: 32 bytes.  Any text has a hash, a malformed one too.

    A plain hash is enough, since nobody can try out 256 random bits; and how long a search by it takes says
    nothing about the key.
    """
    return hashlib.sha256(key.encode(errors="replace")).digest()
