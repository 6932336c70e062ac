"""Pages of a list: a cursor says where the next one begins, and of which list it is."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.signing import BadSignature, Signer
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from cmphone.events_address import find_public_url

DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 200
LONGEST_CURSOR = 4_000
RowT = TypeVar("RowT")


def read_cursor(cursor: str | None, *, of: Sequence[object]) -> list[Any] | None:
    """Return the place that a cursor stands for in the list that `of` says everything about; None: its beginning.

    Raises ValidationError where it is none of this list.
    """
    if cursor is None:
        return None
    place: list[Any]
    try:
        list_hash, *place = _signer().unsign_object(cursor)
    except BadSignature:
        list_hash, place = "", []
    if list_hash != _hash(of):
        message = _("This is no cursor of this list. Take next as it came, or begin again without a cursor.")
        raise serializers.ValidationError({"cursor": ErrorDetail(message, code="invalid")})
    return place


def make_page(
    request: Request,
    found: Sequence[RowT],
    *,
    size: int,
    of: Sequence[object],
    find_place: Callable[[RowT], Sequence[object]],
) -> tuple[Sequence[RowT], str | None]:
    """Return the first `size` rows of what was found, and the address of the next page; None: there is no more.

    One row more than `size` tells that there is more.  `find_place`: what the next page begins after, as JSON values.
    """
    page = found[:size]
    if len(found) <= size:
        return page, None
    parameters = request.query_params.copy()
    # Without the time, which other signatures have: the same page is the same to the byte.
    parameters["cursor"] = _signer().sign_object([_hash(of), *find_place(page[-1])], compress=True)
    return page, f"{find_public_url(request)}{request.path_info}?{parameters.urlencode()}"


def _signer() -> Signer:
    return Signer(salt="cmphone.api.paging")


def _hash(of: Sequence[object]) -> str:
    return hashlib.sha256(repr(of).encode(errors="surrogatepass")).hexdigest()[:16]
