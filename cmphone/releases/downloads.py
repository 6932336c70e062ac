"""Hands an installer out over HTTP: whole, or from where an earlier download broke off."""

import re

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header, parse_etags
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from cmphone.problems import Problem
from cmphone.releases.models import ClientRelease
from cmphone.releases.services import read_release

_range = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})", re.ASCII)


class NoSuchPart(Problem):
    """What a Range header asks for lies behind the end."""

    slug, title, status = "no-such-part", _("The file has no such part."), 416


def _read_range(asked: str, size: int) -> tuple[int, int] | None:
    """Return the first byte and that behind the last one; None for what is no range that is understood."""
    match = _range.fullmatch(asked)
    first, last = match.groups() if match else ("", "")
    if first and last and int(first) > int(last):
        return None
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    return (max(0, size - int(last)), size) if last else None


def answer_download(request: HttpRequest | Request, release: ClientRelease) -> HttpResponseBase:
    """Return the file, the part of it that a Range header asks for, or 304 where the client has it (RFC 9110)."""
    etag = f'"{release.sha256}"'
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": content_disposition_header(True, release.file_name) or "attachment",
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponse(status=304, headers={"ETag": etag})
    # Of another file than the one that it began with, a part is of no use.
    asked = request.headers.get("Range", "") if request.headers.get("If-Range", etag) == etag else ""
    start, end, status = 0, release.size, 200
    if part := _read_range(asked, release.size):
        start, end = part
        if start >= end:
            raise NoSuchPart(gettext("The file has %d bytes.") % release.size)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{release.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers)
    return StreamingHttpResponse(read_release(release, start, end), status=status, headers=headers)
