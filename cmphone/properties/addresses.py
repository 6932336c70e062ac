"""Web addresses with placeholders, as in https://crm.example.com/people/{external_id}: what they may look like.  Pure.

A checked one is a format string of Python that names nothing but its placeholders.
"""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

# As long as a property may be.
MAX_LENGTH = 200
# Scheme and server come before the first placeholder: whatever a value is, the address leads to the same server.
_START = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/|\?|#|\Z)")
# What a browser would read in two ways, or encode by itself.
_strange = re.compile(r"[^!-~]|[\"<>\\^`|]")


def is_web_address(text: str) -> bool:
    """Say whether a text, with or without placeholders, is an address of http or https with a server in it."""
    if len(text) > MAX_LENGTH or _strange.search(text) or not _START.match(text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def has_only(text: str, names: Collection[str]) -> bool:
    """Say whether nothing but these names stands in braces; a brace that is meant itself stands twice."""
    return not re.search("[{}]", re.sub(r"\{\{|\}\}|\{(?:" + "|".join(names) + r")\}", "", text))


def list_placeholders(text: str) -> set[str]:
    """Return the names that stand in braces."""
    return set(re.findall(r"\{(\w+)\}", re.sub(r"\{\{|\}\}", "", text)))
