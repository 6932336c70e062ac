"""Tokens of sessions.  Pure.  A token is told to its client once and kept nowhere; only its hash is."""

import hashlib
import secrets


def make_token() -> str:
    """Return a new token: 256 random bits, safe in a header."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """Return what is stored of a token and searched for: 32 bytes.  Any text has a hash, a malformed one too.

    A plain hash is enough, since nobody can try out 256 random bits; and how long a search by it takes says
    nothing about the token.
    """
    return hashlib.sha256(token.encode(errors="replace")).digest()
