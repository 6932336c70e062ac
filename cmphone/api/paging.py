"""Pages of a list: a cursor says where the next one begins, and of which list it is."""

import hashlib
from collections.abc import Sequence
from typing import Any

from django.core.signing import BadSignature, Signer
from rest_framework.request import Request

from cmphone.api.notation import find_base_url

DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 200
LONGEST_CURSOR = 4_000


def write_cursor(place: Sequence[object], *, of: Sequence[object]) -> str:
    """Return the cursor that stands for a place, JSON values, in the list that `of` says everything about."""
    # Without the time, which other signatures have: the same page is the same to the byte.
    return _signer().sign_object([_hash(of), *place], compress=True)


def read_cursor(cursor: str, *, of: Sequence[object]) -> list[Any] | None:
    """Return the place that a cursor stands for, or None where it is none of this list."""
    try:
        list_hash, *place = _signer().unsign_object(cursor)
    except BadSignature:
        return None
    return place if list_hash == _hash(of) else None


def _signer() -> Signer:
    return Signer(salt="cmphone.api.paging")


def _hash(of: Sequence[object]) -> str:
    return hashlib.sha256(repr(of).encode(errors="surrogatepass")).hexdigest()[:16]


def make_next_url(request: Request, cursor: str) -> str:
    """Return the address of the next page: this one's with all its parameters."""
    parameters = request.query_params.copy()
    parameters["cursor"] = cursor
    return f"{find_base_url(request)}{request.path_info}?{parameters.urlencode()}"
