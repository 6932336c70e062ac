"""Opens the line to a directory, encrypted or not, with a limit to every wait.

The encryption is Python's own: the LDAP library's waits for ever for a server that falls silent in the middle of a
record or while it agrees on the encryption, and does not say what it minds about a certificate.
"""

import selectors
import socket
import ssl
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from cmphone.problems import Unavailable

PORTS = {"ldap": 389, "ldaps": 636}
# The request of RFC 4511, 4.14.1, and the tags of what answers it.
_START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
_MESSAGE, _ANSWER, _CODE = 0x30, 0x78, 0x0A
_CHUNK = 65_536


class DirectoryFailed(Unavailable):
    """A directory could not be read, or not to its end; `detail` says why, and never the password."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds are waited: for the network and the encryption, for every answer, and for all of it."""

    connecting: float = 10
    answering: float = 30
    reading: float = 3_600


@dataclass(frozen=True, slots=True)
class DirectoryServer:
    """How to reach a directory.  `ca_certificates` is PEM text; empty: whom the system trusts.  Without `bind_dn`
    nobody logs in.
    """

    uri: str
    start_tls: bool = False
    is_plain_allowed: bool = False
    ca_certificates: str = ""
    bind_dn: str = ""
    password: str = field(default="", repr=False)
    patience: Patience = Patience()

    @property
    def is_encrypted(self) -> bool:
        return self.start_tls or urlsplit(self.uri).scheme == "ldaps"


def open_line(server: DirectoryServer) -> socket.socket:
    """Return a connected socket that speaks plain LDAP on our side.  Raises DirectoryFailed."""
    if not server.is_encrypted and not server.is_plain_allowed:
        raise DirectoryFailed(_("The connection would not be encrypted. Use ldaps:// or StartTLS."))
    parts = urlsplit(server.uri)
    host = parts.hostname or ""
    try:
        address = (host, parts.port or PORTS[parts.scheme])
        line = socket.create_connection(address, server.patience.connecting)
    except TimeoutError:
        raise _silence(server) from None
    except (OSError, UnicodeError) as error:
        what = {"uri": server.uri, "reason": getattr(error, "strerror", None) or error}
        raise DirectoryFailed(_("There is no directory at %(uri)s: %(reason)s.") % what) from None
    if not server.is_encrypted:
        line.setblocking(False)
        return line
    try:
        encrypted = _encrypt(line, host, server)
    except DirectoryFailed:
        line.close()
        raise
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    threading.Thread(
        target=_carry, args=(encrypted, theirs, server.patience), name="directory-line", daemon=True
    ).start()
    return ours


def _silence(server: DirectoryServer) -> DirectoryFailed:
    return DirectoryFailed(_("The directory at %s does not answer in time.") % server.uri)


def _encrypt(line: socket.socket, host: str, server: DirectoryServer) -> ssl.SSLSocket:
    try:
        if server.start_tls:
            _ask_for_encryption(line)
        return _make_context(server).wrap_socket(line, server_hostname=host)
    except TimeoutError:
        raise _silence(server) from None
    except ssl.SSLCertVerificationError as error:
        message = _(
            "The certificate of %(uri)s is not accepted: %(reason)s. It has to be valid, for the host name in the "
            "address, and of an authority that is trusted here."
        )
        what = {"uri": server.uri, "reason": error.verify_message.rstrip(".")}
        raise DirectoryFailed(message % what) from None
    except (OSError, ValueError):
        raise DirectoryFailed(_("%s does not agree on an encrypted connection.") % server.uri) from None


def _make_context(server: DirectoryServer) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=server.ca_certificates or None)
    # Who is named may also be the server itself, or an authority below another one.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _carry(encrypted: ssl.SSLSocket, plain: socket.socket, patience: Patience) -> None:
    """Carry what comes on either side to the other one, until one of them ends.  Who waits for too long ends his."""
    try:
        with encrypted, plain, selectors.DefaultSelector() as selector:
            selector.register(encrypted, selectors.EVENT_READ)
            selector.register(plain, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _events in selector.select()}
                if plain in ready:
                    if not (data := plain.recv(_CHUNK)):
                        return
                    encrypted.settimeout(patience.answering)
                    encrypted.sendall(data)
                if encrypted in ready:
                    # A record may have come in part, or hold nothing for us.
                    encrypted.setblocking(False)
                    if not _take_what_is_there(encrypted, plain):
                        return
    except OSError:
        # Both are closed by now: our side notices, and says that the connection broke off.
        return


def _take_what_is_there(encrypted: ssl.SSLSocket, plain: socket.socket) -> bool:
    """Carry what has been decrypted, and say whether more may come."""
    try:
        while data := encrypted.recv(_CHUNK):
            plain.sendall(data)
    except ssl.SSLWantReadError:
        return True
    return False


# --- StartTLS ---


def _ask_for_encryption(line: socket.socket) -> None:
    refused = DirectoryFailed(_("The directory refuses StartTLS. Use ldaps://, if it has that."))
    line.sendall(_START_TLS)
    tag, length = line.recv(1), line.recv(1)
    if tag != bytes([_MESSAGE]) or not length:
        raise refused
    if length[0] & 0x80:
        length = _receive(line, length[0] & 0x7F)
    body = _receive(line, min(int.from_bytes(length, "big"), _CHUNK))
    _tag, _number, answer = _split(body)
    tag_of_answer, result, _rest = _split(answer)
    tag_of_code, code, _rest = _split(result)
    if (tag_of_answer, tag_of_code) != (_ANSWER, _CODE) or any(code):
        raise refused


def _receive(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (more := line.recv(count - len(data))):
            raise ConnectionResetError
        data += more
    return data


def _split(data: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and content of the first element (BER), and what follows it.  Of nothing, nothing."""
    if len(data) < 2:
        return 0, b"", b""
    start, length = 2, data[1]
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return data[0], data[start : start + length], data[start + length :]
