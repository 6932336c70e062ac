"""System checks of the licence's configuration."""

from django.conf import settings
from django.core.checks import CheckMessage, Error

from license.files import read_public_key
from license.keys import is_demo_key_configured


def check_public_key(**_kwargs: object) -> list[CheckMessage]:
    """Report a public key that cannot be used, and the demo key in production."""
    try:
        read_public_key(settings.LICENSE_PUBLIC_KEY)
    except ValueError:
        return [
            Error(
                "CMPHONE_LICENSE_PUBLIC_KEY is not an Ed25519 public key.",
                hint="Set it to the 44 characters of base64 that came with the licence.",
                id="license.E001",
            )
        ]
    if settings.PRODUCTION and is_demo_key_configured():
        return [
            Error(
                "CMPHONE_LICENSE_PUBLIC_KEY is the key of the demo licence, which anybody can sign with.",
                hint="Set it to the public key that came with your licence.",
                id="license.E002",
            )
        ]
    return []
