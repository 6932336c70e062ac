"""Addresses of the REST API and of what monitoring asks."""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from cmphone.api.calls import CallBackView, CallsView, CallView
from cmphone.api.cases import CasesView, CaseView, ContactCasesView
from cmphone.api.client_config import ClientConfigView
from cmphone.api.client_releases import LatestReleaseView, ReleaseDownloadView
from cmphone.api.contact_export import ContactsExportView
from cmphone.api.contact_upserts import ContactByExternalIdView, ContactsBulkView
from cmphone.api.contacts import ContactDraftView, ContactsView, ContactView
from cmphone.api.customer_groups import CustomerGroupsView
from cmphone.api.health import CheckView, LiveView, ReadyView, ReportView
from cmphone.api.license import LicenseView
from cmphone.api.lookup import LOOKUP_PATH, LookupBatchView, LookupView
from cmphone.api.metrics import show_metrics
from cmphone.api.numbers import CanonicalizeView, DialView
from cmphone.api.popup_rendering import PopupRenderingView
from cmphone.api.popup_templates import MANIFEST_PATH, ZIP_PATH, PopupFileView, PopupManifestView, PopupZipView
from cmphone.api.sessions import CurrentSessionView, SessionsView

urlpatterns = [
    path("api/v1/sessions", SessionsView.as_view()),
    path("api/v1/sessions/current", CurrentSessionView.as_view()),
    path("api/v1/license", LicenseView.as_view()),
    path(LOOKUP_PATH.removeprefix("/"), LookupView.as_view()),
    path("api/v1/lookup/batch", LookupBatchView.as_view()),
    path("api/v1/numbers/canonicalize", CanonicalizeView.as_view()),
    path("api/v1/numbers/dial", DialView.as_view()),
    path("api/v1/contacts", ContactsView.as_view()),
    path("api/v1/contacts/draft", ContactDraftView.as_view()),
    path("api/v1/contacts/export", ContactsExportView.as_view()),
    path("api/v1/contacts/bulk", ContactsBulkView.as_view()),
    # An external id may have slashes in it.
    path("api/v1/contacts/by-external-id/<path:external_id>", ContactByExternalIdView.as_view()),
    path("api/v1/contacts/<int:id>", ContactView.as_view()),
    path("api/v1/contacts/<int:id>/cases", ContactCasesView.as_view()),
    path("api/v1/cases", CasesView.as_view()),
    path("api/v1/cases/<int:id>", CaseView.as_view()),
    path("api/v1/calls", CallsView.as_view()),
    # What a client calls a call may have slashes in it.
    path("api/v1/calls/<path:call_id>/callback", CallBackView.as_view()),
    path("api/v1/calls/<path:call_id>", CallView.as_view()),
    path("api/v1/client-config", ClientConfigView.as_view()),
    path("api/v1/client-releases/latest", LatestReleaseView.as_view()),
    path("api/v1/client-releases/<str:version>/download", ReleaseDownloadView.as_view()),
    path("api/v1/customer-groups", CustomerGroupsView.as_view()),
    path(MANIFEST_PATH.removeprefix("/"), PopupManifestView.as_view()),
    path(ZIP_PATH.removeprefix("/"), PopupZipView.as_view()),
    path(f"{MANIFEST_PATH.removeprefix('/')}/<str:language>/<str:name>", PopupFileView.as_view()),
    path(f"{MANIFEST_PATH.removeprefix('/')}/<str:language>/<str:name>/render", PopupRenderingView.as_view()),
    path("api/v1/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="openapi")),
    path("health/live", LiveView.as_view()),
    path("health/ready", ReadyView.as_view()),
    path("health/check", CheckView.as_view()),
    path("health/report", ReportView.as_view()),
    path("metrics", show_metrics),
]
