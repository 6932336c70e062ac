"""Whose signature this server accepts.  The form of keys and signatures lives in files.py."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from license.files import format_public_key, read_public_key


def find_accepted_key() -> Ed25519PublicKey | None:
    """Return the public key that licences must be signed for.

    None when the configured one is malformed, or is the demo key in production: its private half is public.
    """
    if settings.PRODUCTION and is_demo_key_configured():
        return None
    try:
        return read_public_key(settings.LICENSE_PUBLIC_KEY)
    except ValueError:
        return None


def is_accepted(public_key: str) -> bool:
    """Say whether a licence that was verified with this key when it was imported still counts."""
    accepted = find_accepted_key()
    return accepted is not None and format_public_key(accepted) == public_key


def is_demo_key_configured() -> bool:
    """Say whether the configured public key is that of the demo licence."""
    return bool(settings.LICENSE_PUBLIC_KEY.strip() == settings.DEMO_LICENSE_PUBLIC_KEY)
