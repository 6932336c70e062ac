"""Where events are told, and where the pages are: one address behind a proxy, two ports without one."""

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port
from rest_framework.request import Request

EVENTS_PATH = "/api/v1/events"


def find_events_url(request: HttpRequest) -> str:
    """Return the address of the stream of events, for whoever asks the web server."""
    if settings.EVENTS_URL:
        return str(settings.EVENTS_URL)
    if settings.PORTS:
        return _at_port(request, settings.PORTS[1]) + EVENTS_PATH
    return find_public_url(request) + EVENTS_PATH


def find_files_url(request: HttpRequest) -> str:
    """Return how the addresses of installers begin, which that process hands out, for whoever asks the web server."""
    return _at_port(request, settings.PORTS[1]) if settings.PORTS else find_public_url(request)


def find_pages_url(request: HttpRequest) -> str:
    """Return how the addresses of pages begin, for whoever asks the process that tells events."""
    if settings.PORTS and not settings.PUBLIC_URL:
        return _at_port(request, settings.PORTS[0])
    return find_public_url(request)


def find_public_url(request: Request | HttpRequest) -> str:
    """Return how addresses begin that people know the site by, without a slash at the end."""
    return str(settings.PUBLIC_URL) or f"{request.scheme}://{request.get_host()}"


def _at_port(request: HttpRequest, port: int) -> str:
    # By the name that whoever asks knows this machine by.
    name, _ = split_domain_port(request.get_host())
    return f"{request.scheme}://{name}:{port}"
