"""/api/v1/client-config: what a client has to know of the site."""

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from cmphone.access.models import Scope
from cmphone.api.authentication import current_user
from cmphone.api.client_releases import ReleaseSerializer, describe_release
from cmphone.api.documentation import problems
from cmphone.api.popup_templates import ASK_AGAIN, answer_document, make_document
from cmphone.contacts.configuration import get_configuration
from cmphone.events_address import find_events_url, find_files_url, find_public_url
from cmphone.properties import registry
from cmphone.properties.selectors import get_versions
from cmphone.releases.services import find_latest_release


class ClientConfigView(APIView):
    """What a client has to know of the site."""

    scopes = (Scope.LOOKUP, Scope.CALLS)

    class OutputSerializer(serializers.Serializer[None]):
        class PrefixesSerializer(serializers.Serializer[None]):
            country = serializers.CharField(help_text="local.country.prefix")
            international = serializers.CharField(
                allow_blank=True, help_text="international.access.prefix; empty: the country's own"
            )
            internal_line_access = serializers.CharField(
                allow_blank=True, help_text="What the telephone system wants before a call out of the company."
            )
            external_line_access = serializers.CharField(
                allow_blank=True, help_text="What stands before an area code within the country."
            )

            class Meta:
                ref_name = "Prefixes"

        class UrlsSerializer(serializers.Serializer[None]):
            contact = serializers.CharField()
            new_contact = serializers.CharField()
            new_case = serializers.CharField()

            class Meta:
                ref_name = "PageUrls"

        dial_uri_scheme = serializers.CharField(help_text="What dial links begin with, and the client registers for.")
        prefixes = PrefixesSerializer()
        urls = UrlsSerializer(
            help_text="Of the pages that a popup opens, with what is to be filled in in braces. A look-up has them "
            "filled in."
        )
        events_url = serializers.CharField(help_text="The stream of the user's calls (Server-Sent Events).")
        language = serializers.CharField(help_text="Of the user.")
        heartbeat_seconds = serializers.IntegerField()
        latest_release = ReleaseSerializer(allow_null=True)
        config_version = serializers.CharField()
        templates_version = serializers.CharField()

        class Meta:
            ref_name = "ClientConfig"

    @extend_schema(
        operation_id="get_client_config",
        summary="What a client has to know of the site",
        responses={200: OutputSerializer, 304: OpenApiResponse(description="Unchanged."), **problems()},
    )
    def get(self, request: Request) -> HttpResponse:
        user = current_user(request)
        config_version, templates_version = get_versions()
        configuration = get_configuration(config_version)
        base_url = find_public_url(request)
        release = find_latest_release()
        known = configuration.properties
        answer = {
            "dial_uri_scheme": known[registry.DIAL_URI_SCHEME],
            "prefixes": {
                "country": known[registry.COUNTRY_PREFIX],
                "international": known[registry.INTERNATIONAL_PREFIX],
                "internal_line_access": known[registry.OUTSIDE_CODES],
                "external_line_access": known[registry.TRUNK_PREFIX],
            },
            "urls": configuration.pages.describe(base_url),
            "events_url": find_events_url(request),
            "language": user.language,
            "heartbeat_seconds": int(configuration.rest_session_timeout.total_seconds()) // 4,
            "latest_release": describe_release(release, language=user.language, base_url=find_files_url(request))
            if release
            else None,
            "config_version": config_version,
            "templates_version": templates_version,
        }
        document = make_document(orjson.dumps(answer), Content_Type="application/json", Cache_Control=ASK_AGAIN)
        return answer_document(request, document)
