"""Hands an installer out over HTTP: whole, or from where an earlier download broke off."""

import re

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header, parse_etags
from rest_framework.request import Request

from cmphone.releases.models import ClientRelease
from cmphone.releases.services import read_release

_range = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})", re.ASCII)


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
    if match := _range.fullmatch(asked.replace(" ", "")):
        first, last = match.groups()
        if first:
            start, end = int(first), min(int(last) + 1, release.size) if last else release.size
        elif last:
            start = max(0, release.size - int(last))
        if start >= end:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{release.size}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{release.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers)
    return StreamingHttpResponse(read_release(release, start, end), status=status, headers=headers)
