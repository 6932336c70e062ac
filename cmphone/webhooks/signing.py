"""Secrets and signatures by the Standard Webhooks specification 1.0.0.  Pure.

docs/webhooks.md shows receivers how to verify them.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

_PREFIX = "whsec_"


def make_secret() -> str:
    """Return a new secret: 256 random bits in base64, behind a prefix that makes a leaked one recognisable."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def is_secret(text: str) -> bool:
    """Say whether a text is a secret: the prefix, and as many bytes in base64 as the specification allows."""
    try:
        return text.startswith(_PREFIX) and 24 <= len(base64.b64decode(text[len(_PREFIX) :], validate=True)) <= 64
    except ValueError:
        return False


def sign(body: bytes, *, event_id: str, timestamp: int, keys: Iterable[str]) -> Mapping[str, str]:
    """Return the headers that say of which event a body is, when it was sent, and by whom: a signature by each key.

    `timestamp` is in seconds; the id must not hold a full stop.
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_sign(signed, key)}" for key in keys),
    }


def _sign(content: bytes, key: str) -> str:
    raw = base64.b64decode(key.removeprefix(_PREFIX))
    return base64.b64encode(hmac.new(raw, content, hashlib.sha256).digest()).decode()
