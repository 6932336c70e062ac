"""Says in every page what a browser may load and run in it: nothing that is not ours, and no script in the page itself.

Twenty lines of our own instead of a package: there is one policy, and pages that need another set it themselves.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse

from cmphone.events_address import find_events_url

HEADER = "Content-Security-Policy"
# The page of the API document draws itself by script, with styles and pictures in what it draws.
_API_PAGE = "/api/docs/"
_OTHER_HEADERS = {
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
}


def allow_to_lead(request: HttpRequest, address: str) -> None:
    """Let the forms of the page lead to this address, which may be one of another site.

    Browsers hold the policy against where a form leads in the end, too.
    """
    target = urlsplit(address)
    if target.netloc:
        request.leads_to = f"{target.scheme}://{target.netloc}"  # type: ignore[attr-defined]  # kept with the request


def build_policy(request: HttpRequest) -> str:
    """Return the policy of a page."""
    events = urlsplit(find_events_url(request))
    is_api_page = request.path == _API_PAGE
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'" if is_api_page else "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": f"'self' {events.scheme}://{events.netloc}",
        "media-src": "'self'",
        "frame-src": "'self'",
        "form-action": f"'self' {getattr(request, 'leads_to', '')}".strip(),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


class ContentPolicyMiddleware:
    """Set the policy of pages that set none of their own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html") and HEADER not in response:
            response[HEADER] = build_policy(request)
            for name, value in _OTHER_HEADERS.items():
                response.setdefault(name, value)
        return response
