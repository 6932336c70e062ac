"""A real directory for tests: a slapd that they start, and what stands between it and us on a bad day."""

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BASE = "dc=example,dc=com"
ADMIN = f"cn=admin,{BASE}"
READER = f"cn=reader,{BASE}"
PASSWORD = "a password that nobody may read"
SCHEMA = Path("/etc/ldap/schema")
# What Active Directory has and inetOrgPerson has not, with the syntaxes that it has there.
ACTIVE_DIRECTORY = """
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID'
    EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
    EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.146 NAME 'company'
    EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.610 NAME 'ipPhone'
    EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'adUser' SUP top AUXILIARY
    MAY ( objectGUID $ userAccountControl $ company $ ipPhone ) )
"""
Values = Mapping[str, str | bytes | Sequence[str | bytes]]


def find_slapd() -> str | None:
    """Return the path of slapd, which is in no ordinary user's PATH."""
    return shutil.which("slapd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/usr/libexec")


def require_slapd() -> str:
    """Return the path of slapd, or skip the test."""
    require_library()
    path = find_slapd()
    if path is None or not SCHEMA.is_dir():
        pytest.skip("There is no slapd: install Debian's package slapd.")
    return path


def require_library() -> None:
    """Skip the test where there is no python-ldap."""
    # In CI, too: to build it takes a compiler and headers, which not every machine gets.
    if not _has_library():
        pytest.skip("There is no python-ldap: pip install -r requirements-ldap.txt.")


def _has_library() -> bool:
    try:
        import ldap  # noqa: F401
    except ImportError:
        return False
    return True


class Slapd:
    """A directory in a folder of its own, on two ports of 127.0.0.1."""

    def __init__(self, folder: Path, binary: str) -> None:
        self.folder = folder
        self.binary = binary
        self.port, self.tls_port = _find_free_ports()
        self.certificate, key = make_certificate()
        (folder / "data").mkdir()
        (folder / "certificate.pem").write_text(self.certificate)
        (folder / "key.pem").write_text(key)
        (folder / "active_directory.schema").write_text(ACTIVE_DIRECTORY)
        self.process: subprocess.Popen[bytes] | None = None
        self.write_settings()

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_uri(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def write_settings(self, *more: str) -> None:
        """Write slapd.conf; `more` are lines for the database.  They count from the next start."""
        schemas = [str(SCHEMA / f"{name}.schema") for name in ("core", "cosine", "inetorgperson")]
        modules = "\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n" if Path("/usr/lib/ldap").is_dir() else "\n"
        lines = [f"include {path}" for path in (*schemas, self.folder / "active_directory.schema")]
        settings = f"""{modules}
TLSCertificateFile {self.folder}/certificate.pem
TLSCertificateKeyFile {self.folder}/key.pem
database mdb
maxsize 200000000
suffix "{BASE}"
rootdn "{ADMIN}"
rootpw "{PASSWORD}"
directory {self.folder}/data
dbnosync
sizelimit unlimited
"""
        (self.folder / "slapd.conf").write_text("\n".join(lines) + settings + "\n".join(more) + "\n")

    def start(self) -> None:
        listen = f"{self.uri} {self.tls_uri}"
        command = [self.binary, "-f", str(self.folder / "slapd.conf"), "-h", listen, "-d", "0"]
        with (self.folder / "slapd.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        give_up_at = time.monotonic() + 20
        while time.monotonic() < give_up_at:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError((self.folder / "slapd.log").read_text())

    def stop(self, signal_: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(signal_)
            self.process.wait(20)
            self.process = None

    def load(self, entries: Iterable[tuple[str, Values]]) -> None:
        """Put entries into the stopped directory in place of all there are."""
        for old in (self.folder / "data").iterdir():
            old.unlink()
        ldif = self.folder / "entries.ldif"
        with ldif.open("w") as file:
            for dn, values in entries:
                file.write(f"dn: {dn}\n")
                for name, value in _lines(values):
                    file.write(f"{name}:: {base64.b64encode(value).decode()}\n")
                file.write("\n")
        tool = ["-T", "add", "-q", "-f", str(self.folder / "slapd.conf"), "-l", str(ldif)]
        done = subprocess.run([self.binary, *tool], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @contextlib.contextmanager
    def logged_in(self) -> Iterator["ldap.ldapobject.SimpleLDAPObject"]:  # type: ignore[name-defined]  # noqa: F821
        """Give a connection that may change entries."""
        import ldap

        connection = ldap.initialize(self.uri)
        connection.simple_bind_s(ADMIN, PASSWORD)
        try:
            yield connection
        finally:
            connection.unbind_s()

    def add(self, dn: str, values: Values) -> None:
        grouped: dict[str, list[bytes]] = {}
        for name, value in _lines(values):
            grouped.setdefault(name, []).append(value)
        with self.logged_in() as connection:
            connection.add_s(dn, list(grouped.items()))

    def change(self, dn: str, attribute: str, *values: str | bytes) -> None:
        """Give an attribute these values, or none."""
        import ldap

        with self.logged_in() as connection:
            encoded = [value if isinstance(value, bytes) else value.encode() for value in values]
            connection.modify_s(dn, [(ldap.MOD_REPLACE, attribute, encoded or None)])

    def remove(self, *dns: str) -> None:
        with self.logged_in() as connection:
            for dn in dns:
                connection.delete_s(dn)


def _lines(values: Values) -> Iterator[tuple[str, bytes]]:
    for name, several in values.items():
        for value in [several] if isinstance(several, str | bytes) else several:
            yield name, value if isinstance(value, bytes) else value.encode()


def make_entries(persons: Iterable[tuple[str, Values]] = ()) -> Iterator[tuple[str, Values]]:
    """Yield what a directory stands on, then persons, each an id and what it has beside the name."""
    yield BASE, {"objectClass": ["dcObject", "organization"], "dc": "example", "o": "Example"}
    reader = {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": "reader", "userPassword": PASSWORD}
    yield READER, reader
    for uid, values in persons:
        yield dn_of(uid), make_entry(uid, **values)


def dn_of(uid: str) -> str:
    return f"uid={uid},{BASE}"


def make_entry(uid: str, **values: str | bytes | Sequence[str | bytes]) -> Values:
    """Return a person: called after the id, unless the values say otherwise."""
    classes = ["inetOrgPerson", "adUser"]
    return {"objectClass": classes, "uid": uid, "cn": uid, "sn": uid.capitalize(), "givenName": "Maria", **values}


def make_certificate() -> tuple[str, str]:
    """Return a certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test directory")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), private.decode()


def _find_free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@contextlib.contextmanager
def relay(port: int, *, after: int, hangs: bool = False) -> Iterator[int]:
    """Give a port that leads to `port` until so many bytes have come from there; then it ends the connection in the
    middle, or `hangs`.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:

        def serve() -> None:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            stack.callback(client.close)
            stack.callback(server.close)
            threading.Thread(target=_copy, args=(client, server, sys.maxsize), daemon=True).start()
            _copy(server, client, after)
            if hangs:
                over.wait(60)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join(10)


def _copy(source: socket.socket, target: socket.socket, count: int) -> None:
    with contextlib.suppress(OSError):
        while count > 0 and (data := source.recv(min(count, 65_536))):
            target.sendall(data)
            count -= len(data)


if __name__ == "__main__":
    print((_has_library() and find_slapd()) or sys.exit("There is no slapd here, or no python-ldap."))
