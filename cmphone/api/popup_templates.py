"""/api/v1/popup-templates: the popup files, for clients that keep them.

Every address in the manifest names its version, so a client gets the files of one version, whatever is published
while it loads them.  `templates_version` of log-in and heartbeat tells when there is another manifest.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.documentation import problems
from cmphone.events_address import find_public_url
from cmphone.problems import NotFound
from templates_store.popup_sets import PopupSet
from templates_store.popup_store import get_popups

MANIFEST_PATH = "/api/v1/popup-templates"
ZIP_PATH = f"{MANIFEST_PATH}.zip"
SCOPES = (Scope.LOOKUP, Scope.CALLS)
# Kept by nobody but who asked: what needs no question again, and what does.
KEEP = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
# Opened in a browser, a file does nothing; a popup is what a client makes of it.
INERT = "default-src 'none'; sandbox"

_VERSION = OpenApiParameter("version", str, description="One that a manifest named; otherwise the one in force.")
_IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of what the client has."
)
_PARAMETERS: list[Any] = [_VERSION, _IF_NONE_MATCH]
_UNCHANGED = OpenApiResponse(description="The client has it already.")


@dataclass(frozen=True)
class Document:
    """What is answered, with its headers, among them the ETag."""

    body: bytes
    headers: Mapping[str, str]

    def is_unchanged(self, if_none_match: str) -> bool:
        """Say whether a client that sends this header has it already."""
        if not if_none_match:
            return False
        etags = {etag.removeprefix("W/") for etag in parse_etags(if_none_match)}
        return "*" in etags or self.headers["ETag"] in etags


def make_document(body: bytes, *, digest: str = "", **headers: str) -> Document:
    """Return a document; its ETag is the SHA-256 of its body, which is `digest` where that is known."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    etag = f'"{digest or hashlib.sha256(body).hexdigest()}"'
    return Document(body, {**named, "ETag": etag, "Content-Length": str(len(body))})


def answer_document(request: Request, document: Document) -> HttpResponse:
    """Return the document, or 304 where the client has it already."""
    if not document.is_unchanged(request.headers.get("If-None-Match", "")):
        return HttpResponse(document.body, headers=document.headers)
    # The length is that of the document also here, by RFC 9110.
    return HttpResponseNotModified(headers=list_unchanged_headers(document))


def list_unchanged_headers(document: Document) -> dict[str, str]:
    """Return the headers of a 304: those without the ones of the body that is not there."""
    return {name: value for name, value in document.headers.items() if name != "Content-Type"}


# By the host that the request names, of which there may be as many as somebody likes.
@lru_cache(maxsize=32)
def make_manifest(popups: PopupSet, base_url: str) -> Document:
    """Return the manifest of a version."""
    files = [
        {
            "language": language,
            "name": name,
            "size": len(content),
            "sha256": popups.hashes[language, name],
            "url": f"{base_url}{MANIFEST_PATH}/{language}/{name}?version={popups.version}",
        }
        for (language, name), content in popups.files.items()
    ]
    body = orjson.dumps({"version": popups.version, "files": files})
    return make_document(body, Content_Type="application/json", Cache_Control=ASK_AGAIN)


@lru_cache(maxsize=8)
def _hash_zip(popups: PopupSet) -> str:
    return hashlib.sha256(popups.zip).hexdigest()


class AnyContentNegotiation(BaseContentNegotiation):
    """Serves a file as what it is, whatever the client says that it accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        # Of problems.
        return renderers[0], renderers[0].media_type


class PopupManifestView(APIView):
    """What files there are in a version."""

    scopes = SCOPES

    class OutputSerializer(serializers.Serializer[None]):
        class FileSerializer(serializers.Serializer[None]):
            language = serializers.CharField()
            name = serializers.CharField()
            size = serializers.IntegerField(help_text="In bytes.")
            sha256 = serializers.CharField(help_text="In hexadecimal.")
            url = serializers.CharField(help_text="Of this file in this version.")

            class Meta:
                ref_name = "PopupFile"

        version = serializers.CharField(help_text="The templates_version of log-in and heartbeat.")
        files = FileSerializer(many=True)

        class Meta:
            ref_name = "PopupManifest"

    @extend_schema(
        operation_id="list_popup_templates",
        summary="The manifest: which popup files there are",
        parameters=_PARAMETERS,
        responses={200: OutputSerializer, 304: _UNCHANGED, **problems(404)},
    )
    def get(self, request: Request) -> HttpResponse:
        popups = get_popups(request.query_params.get("version"))
        return answer_document(request, make_manifest(popups, find_public_url(request)))


class PopupFileView(APIView):
    """One file."""

    scopes = SCOPES
    content_negotiation_class = AnyContentNegotiation

    @extend_schema(
        operation_id="get_popup_template",
        summary="A popup file",
        parameters=_PARAMETERS,
        responses={
            (200, "text/html"): OpenApiTypes.STR,
            (200, "text/css"): OpenApiTypes.STR,
            304: _UNCHANGED,
            **problems(404),
        },
    )
    def get(self, request: Request, language: str, name: str) -> HttpResponse:
        version = request.query_params.get("version")
        popups = get_popups(version)
        content = popups.files.get((language, name))
        if content is None:
            raise NotFound
        document = make_document(
            content,
            digest=popups.hashes[language, name],
            Content_Type=f"text/{name.rpartition('.')[2]}; charset=utf-8",
            Cache_Control=KEEP if version else ASK_AGAIN,
            Content_Security_Policy=INERT,
        )
        return answer_document(request, document)


class PopupZipView(APIView):
    """All files of a version."""

    scopes = SCOPES
    content_negotiation_class = AnyContentNegotiation

    @extend_schema(
        operation_id="download_popup_templates",
        summary="All popup files of a version; the same bytes each time",
        parameters=_PARAMETERS,
        responses={(200, "application/zip"): OpenApiTypes.BINARY, 304: _UNCHANGED, **problems(404)},
    )
    def get(self, request: Request) -> HttpResponse:
        version = request.query_params.get("version")
        popups = get_popups(version)
        document = make_document(
            popups.zip,
            digest=_hash_zip(popups),
            Content_Type="application/zip",
            Content_Disposition=f'attachment; filename="popup-templates-{popups.version}.zip"',
            Cache_Control=KEEP if version else ASK_AGAIN,
        )
        return answer_document(request, document)
