"""/api/v1/client-releases: the client's installers."""

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.documentation import problems
from cmphone.api.notation import format_time
from cmphone.api.popup_templates import AnyContentNegotiation
from cmphone.events_address import find_files_url
from cmphone.problems import NotFound
from cmphone.releases.downloads import answer_download
from cmphone.releases.models import ClientRelease
from cmphone.releases.services import find_latest_release, find_release

# Whoever installs clients by program has a key of some scope.
SCOPES = tuple(Scope)


class ReleaseSerializer(serializers.Serializer[None]):
    """An installer of the client."""

    version = serializers.CharField()
    size = serializers.IntegerField(help_text="In bytes.")
    sha256 = serializers.CharField(help_text="In hexadecimal.")
    url = serializers.CharField()
    file_name = serializers.CharField()
    notes = serializers.CharField(help_text="In the language of the user.")
    released_at = serializers.DateTimeField()

    class Meta:
        ref_name = "ClientRelease"


def describe_release(release: ClientRelease, *, language: str, base_url: str) -> dict[str, object]:
    """Return an installer as answers have it."""
    return {
        "version": release.version,
        "size": release.size,
        "sha256": release.sha256,
        "url": f"{base_url}/api/v1/client-releases/{release.version}/download",
        "file_name": release.file_name,
        "notes": release.get_notes(language),
        "released_at": format_time(release.uploaded_at),
    }


class LatestReleaseView(APIView):
    """The newest installer."""

    scopes = SCOPES

    @extend_schema(
        operation_id="get_latest_client_release",
        summary="The newest installer of the client",
        responses={200: ReleaseSerializer, **problems(404)},
    )
    def get(self, request: Request) -> Response:
        release = find_latest_release()
        if release is None:
            raise NotFound
        language = current_user(request).language
        return Response(describe_release(release, language=language, base_url=find_files_url(request)))


class ReleaseDownloadView(APIView):
    """The file of an installer."""

    scopes = SCOPES
    content_negotiation_class = AnyContentNegotiation

    @extend_schema(
        operation_id="download_client_release",
        summary="Download an installer of the client",
        description="Its ETag is its SHA-256. A download that broke off goes on by Range.",
        parameters=[
            OpenApiParameter("version", str, OpenApiParameter.PATH),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="`bytes=FIRST-` or `bytes=FIRST-LAST`"),
            OpenApiParameter("If-Range", str, OpenApiParameter.HEADER, description="The ETag of what was begun."),
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="The client has it already."),
            **problems(404, 416),
        },
    )
    def get(self, request: Request, version: str) -> HttpResponseBase:
        release = find_release(version)
        if release is None:
            raise NotFound
        return answer_download(request, release)
