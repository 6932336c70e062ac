"""Sends one request to where a webhook leads, and says how that went.  Pure but for the network.

It asks for the addresses of a name once, checks them, and connects to the very one that it checked: a name that
leads elsewhere a moment later leads nowhere.  Redirects are not followed, proxies of the environment not asked, and
of the answer only its head is read.  http.client and urllib have none of these in their hands.
"""

import contextlib
import io
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException, parse_headers
from ipaddress import ip_address

from cmphone.webhooks.targets import Address, Network, Target, is_allowed, read_target

CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 15.0
_LONGEST_HEAD = 32_768


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try went.  `status` is None without an answer, and `failure` then says why (models.Failure)."""

    status: int | None = None
    failure: str = ""
    retry_after: str = ""


class _Failed(Exception):
    """The try has failed; the message is one of models.Failure."""


class _Deadline:
    """Seconds from now, for everything together."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, at_most: float = WHOLE_SECONDS) -> float:
        left = min(self._at - time.monotonic(), at_most)
        if left <= 0:
            raise TimeoutError
        return left


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    networks: Sequence[Network] = (),
    context: ssl.SSLContext | None = None,
    seconds: float = WHOLE_SECONDS,
) -> Outcome:
    """POST the body, and return how it went.  Never raises.

    `networks` may be internal and are allowed all the same; `context` None: certificates are checked by the system's
    authorities.
    """
    deadline = _Deadline(seconds)
    try:
        target = read_target(url)
        addresses = _resolve(target, networks)
        with _connect(target, addresses, deadline) as plain, _encrypt(plain, target, context, deadline) as connection:
            connection.settimeout(deadline.left())
            connection.sendall(_write_request(target, body, headers))
            return _read_answer(connection, deadline)
    except _Failed as failed:
        return Outcome(failure=str(failed))
    except TimeoutError:
        return Outcome(failure="timeout")
    except ssl.SSLCertVerificationError:
        return Outcome(failure="certificate")
    except OSError:
        return Outcome(failure="connection")
    except (HTTPException, ValueError):
        return Outcome(failure="answer")


def _resolve(target: Target, networks: Sequence[Network]) -> list[Address]:
    """Return the addresses of the server.  Where one of them is not allowed, none is."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _Failed("name") from error
    # Without the zone of a link-local address, which is refused anyway.
    addresses = list(dict.fromkeys(ip_address(str(where[0]).partition("%")[0]) for *_, where in found))
    if not all(is_allowed(address, networks) for address in addresses):
        raise _Failed("address")
    return addresses


def _connect(target: Target, addresses: Sequence[Address], deadline: _Deadline) -> socket.socket:
    last_error: OSError = ConnectionError()
    for address in addresses:
        try:
            # A number: nothing is resolved again.
            return socket.create_connection((str(address), target.port), timeout=deadline.left(CONNECT_SECONDS))
        except OSError as error:
            last_error = error
    raise last_error


@lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    # To read the authorities takes longer than to send.
    return ssl.create_default_context()


@contextlib.contextmanager
def _encrypt(
    plain: socket.socket, target: Target, context: ssl.SSLContext | None, deadline: _Deadline
) -> Iterator[socket.socket]:
    if not target.is_encrypted:
        yield plain
        return
    plain.settimeout(deadline.left())
    # By the name of the webhook's address, not by the number that it led to.
    with (context or _default_context()).wrap_socket(plain, server_hostname=target.host) as encrypted:
        yield encrypted


def _write_request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    all_headers = {
        "Host": target.authority,
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Accept": "*/*",
        **headers,
    }
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _read_answer(connection: socket.socket, deadline: _Deadline) -> Outcome:
    """Read the head of the answer; a body is left where it is: nobody here would want it."""
    received = b""
    while True:
        head, has_ended, rest = received.partition(b"\r\n\r\n")
        if has_ended:
            status_line, _, headers = head.partition(b"\r\n")
            match = re.match(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\Z)", status_line)
            if match is None:
                raise _Failed("answer")
            status = int(match[1])
            if status >= 200:
                found = parse_headers(io.BytesIO(headers + b"\r\n\r\n"))
                return Outcome(status, "" if status < 300 else "status", found.get("Retry-After", ""))
            # On the way to the answer, such as 103.
            received = rest
            continue
        if len(received) > _LONGEST_HEAD or (received and not b"HTTP/1.".startswith(received[:7])):
            raise _Failed("answer")
        connection.settimeout(deadline.left())
        chunk = connection.recv(8192)
        if not chunk:
            raise _Failed("answer" if received else "connection")
        received += chunk
