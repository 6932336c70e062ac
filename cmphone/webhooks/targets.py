"""Which addresses events may be sent to: none that leads into a network of our own, unless the site allows it.  Pure.

A webhook is an order to this server to call somewhere.  Without these rules whoever gives it could reach what only
this server can reach: a database, a cloud's metadata, the neighbour's printer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What Python does not, or not in every version, count as not global, by the special-purpose registries of IANA.
_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # behind a provider's address translation
            "168.63.129.16/32",  # what only Azure's own machines reach
            "192.0.0.0/24",
            "192.88.99.0/24",  # relays to IPv6
            "198.18.0.0/15",  # benchmarks
            "240.0.0.0/4",
            "2001::/23",  # protocols, Teredo among them, which holds an IPv4 address
            "2001:db8::/32",
            "2002::/16",  # 6to4, which holds an IPv4 address
            "3fff::/20",
        ),
    )
)
# All of IPv6 that is given out.  NAT64 and other addresses that stand for one of IPv4 are outside.
_GLOBAL_UNICAST = ip_network("2000::/3")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook's address leads: a server by name or number, and what to ask it for."""

    is_encrypted: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_encrypted else 80) else f"{host}:{self.port}"


def read_target(url: str) -> Target:
    """Return where an address leads.  Raises ValueError where it is not one of http or https, or has more in it."""
    if not re.fullmatch(r"[!-~]{1,500}", url) or re.search(r"[\"<>\\^`{|}]", url):
        raise ValueError(url)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.fragment or "@" in parts.netloc or not _has_server(parts):
        raise ValueError(url)
    is_encrypted = parts.scheme == "https"
    port = parts.port if parts.port is not None else (443 if is_encrypted else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(is_encrypted, parts.hostname or "", port, path)


def _has_server(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    is_number = ":" in host and isinstance(ip_address(host), IPv6Address) and "%" not in host
    return parts.port != 0 and (
        is_number or re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?", host) is not None
    )


def is_allowed(address: Address, networks: Sequence[Network] = ()) -> bool:
    """Say whether events may be sent to an address: it is one of everybody's internet, or of these networks."""
    if isinstance(address, IPv6Address):
        # The system sends it as what it stands for.
        address = address.ipv4_mapped or address
    if any(address.version == network.version and address in network for network in networks):
        return True
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _NOT_PUBLIC)
