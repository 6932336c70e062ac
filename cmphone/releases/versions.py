"""Versions of the client: numbers between dots, of which 1.10 comes after 1.9.  Pure."""

import re

MAX_PARTS = 4
_version = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}", re.ASCII)


def is_version(text: str) -> bool:
    """Say whether a text is one to four numbers between dots."""
    return _version.fullmatch(text) is not None


def make_order(version: str) -> list[int]:
    """Return what orders versions; missing parts count as 0, so 1.2 and 1.2.0 are the same.

    Raises ValueError for what is no version.
    """
    if not is_version(version):
        raise ValueError(version)
    parts = [int(part) for part in version.split(".")]
    return parts + [0] * (MAX_PARTS - len(parts))
