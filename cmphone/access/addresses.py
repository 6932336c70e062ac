"""From where a request comes."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def find_client_address(request: HttpRequest) -> str | None:
    """Return the address of the client; None where it is not known, as over a Unix socket.

    Behind a proxy it is what the proxy itself added last to X-Forwarded-For; what stands before it anybody may claim.
    """
    text = str(request.META.get("REMOTE_ADDR", ""))
    if settings.BEHIND_PROXY:
        text = request.headers.get("X-Forwarded-For", text).rpartition(",")[2].strip()
    try:
        # Without the zone of a link-local address, which means something on this machine only.
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None
