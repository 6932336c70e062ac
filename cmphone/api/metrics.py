"""/metrics: the state of the service in figures, for Prometheus.  Not part of the API document: it is no JSON."""

import functools

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cmphone.api.monitoring_access import require_monitoring
from cmphone.monitoring.checks import DATABASE, check_health
from cmphone.monitoring.metrics import read_metrics


@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics: to everybody, unless a monitoring key is configured."""
    report = functools.cache(check_health)
    if settings.MONITORING_KEY:
        require_monitoring(request, is_database_up=lambda: report().is_up(DATABASE))
    body, content_type = read_metrics(report(), accept=request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})
