"""Where webhooks may lead, how requests are signed, and what becomes of an answer."""

import base64
import datetime
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cmphone.environment import SettingsError, read_networks
from cmphone.webhooks import posting
from cmphone.webhooks.posting import Outcome, post
from cmphone.webhooks.retrying import MAX_TRIES, delay_after, read_retry_after
from cmphone.webhooks.signing import make_secret, sign
from cmphone.webhooks.targets import is_allowed, read_target
from tests.receivers import Receiver, receiver

HERE = (ip_network("127.0.0.0/8"),)
DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def found() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


# --- addresses ---


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
        *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1"),
        *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
        *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *(
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:db8::1",
        ),
        *(
            "2002:7f00:1::",
            "2002:a00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ),
    ],
)
def test_an_address_that_is_not_of_everybodys_internet_is_refused(address: str) -> None:
    assert not is_allowed(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "::ffff:8.8.8.8", "2606:4700::1111", "2a01:4f8::1"])
def test_an_address_of_everybodys_internet_is_allowed(address: str) -> None:
    assert is_allowed(ip_address(address))


def test_a_site_may_allow_networks_of_its_own_and_no_others() -> None:
    networks = read_networks("X", {"X": "10.1.0.0/16, fd00:1::/64,192.168.7.7/32"})

    for address, allowed in (
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("192.168.7.7", True),
        ("192.168.7.8", False),
        ("fd00:1::5", True),
        ("fd00:2::5", False),
        ("127.0.0.1", False),
        ("8.8.8.8", True),
    ):
        assert is_allowed(ip_address(address), networks) is allowed, address
    assert read_networks("X", {}) == ()
    for text in ("10.1.2.3/16", "internal", "10.1.0.0/33"):
        with pytest.raises(SettingsError, match=r"X names networks as in 10\.1\.0\.0/16"):
            read_networks("X", {"X": text})


@pytest.mark.parametrize(
    "url",
    [
        *("", "crm.example.com", "//crm.example.com/", "/hook", "ftp://crm.example.com/", "file:///etc/passwd"),
        *("gopher://127.0.0.1:6379/_x", "https://", "https:///hook", "https://:443/", "https://user@crm.example.com/"),
        *("https://user:secret@crm.example.com/", "https://crm.example.com/#part", "https://crm.example.com/a b"),
        *(
            "https://crm.example.com/\r\nHost: x",
            "https://crm.example.com/\n",
            "https://crm.example.com\\@evil.example/",
        ),
        *("https://crm.example.com:0/", "https://crm.example.com:65536/", "https://crm.example.com:x/", "https://[::1"),
        *(
            "https://[fe80::1%25eth0]/",
            "https://[x]/",
            "https://ümlaut.example/",
            "https://crm.example.com/" + "x" * 500,
        ),
    ],
)
def test_an_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        read_target(url)
    assert post(url, b"", {}) == Outcome(failure="answer")


def test_what_an_address_says_is_what_the_receiver_is_asked_for() -> None:
    target = read_target("https://CRM.example.com:8443/a/b?c=d%20e")

    assert (target.host, target.port, target.path) == ("crm.example.com", 8443, "/a/b?c=d%20e")
    assert target.authority == "crm.example.com:8443"
    assert read_target("https://crm.example.com").path == "/"
    assert read_target("http://[2001:db8::1]:80/").authority == "[2001:db8::1]"


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "127.1",
            "0177.0.0.1",
            "0",
            "0.0.0.0",
        ),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254"),
    ],
)
def test_an_internal_address_is_refused_however_it_is_written(found: Receiver, host: str) -> None:
    outcome = post(f"http://{host}:{found.port}/", b"{}", {})

    assert outcome.failure in {"address", "name"}
    assert found.requests == []


def answer_names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names lead to these addresses, one list for each question; return the names that are asked for."""
    real, asked, left = socket.getaddrinfo, list[str](), list(answers)

    def getaddrinfo(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if not host.endswith(".example.com"):
            return real(host, port, *arguments, **options)
        asked.append(host)
        return [each for address in left.pop(0) for each in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_leads_inside_is_refused(found: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_names(monkeypatch, ["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::1"])

    for _ in range(3):
        assert post(f"http://crm.example.com:{found.port}/", b"{}", {}) == Outcome(failure="address")
    assert found.requests == []


def test_a_name_is_resolved_once_and_its_checked_address_is_the_one_that_is_called(
    found: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever asked a second time would be led elsewhere.
    asked = answer_names(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])

    assert post(f"http://crm.example.com:{found.port}/a?b", b"{}", {}, networks=HERE) == Outcome(204)
    assert asked == ["crm.example.com"]
    assert found.wait().headers["Host"] == f"crm.example.com:{found.port}"


def test_a_name_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert post("https://crm.example.com/", b"{}", {}) == Outcome(failure="name")


# --- answers ---


def test_proxies_of_the_environment_are_not_asked(found: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert post(found.url, b"{}", {}, networks=HERE) == Outcome(204)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(found: Receiver, status: int) -> None:
    found.answers = [(status, {"Location": f"http://127.0.0.1:{found.port}/secret"})]

    assert post(found.url, b"{}", {}, networks=HERE) == Outcome(status, "status")
    assert [request.path for request in found.requests] == ["/hook"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", Outcome(200)),
        (b"HTTP/1.0 202\r\n\r\n", Outcome(202)),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Outcome(200)),
        (b"HTTP/1.1 503 x\r\nretry-after: 120\r\n\r\n", Outcome(503, "status", "120")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", Outcome(200)),
        (b"", Outcome(failure="connection")),
        (b"HTTP/1.1 200 OK\r\n", Outcome(failure="answer")),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Outcome(failure="answer")),
        (b"HTTP/1.1 2000 x\r\n\r\n", Outcome(failure="answer")),
        (b"HTTP/2 200\r\n\r\n", Outcome(failure="answer")),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000, Outcome(failure="answer")),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 150 + b"\r\n", Outcome(failure="answer")),
    ],
)
def test_what_answers_is_understood_or_told(answer: bytes, outcome: Outcome) -> None:
    with answer_with(lambda connection: connection.sendall(answer)) as port:
        assert post(f"http://127.0.0.1:{port}/", b"{}", {}, networks=HERE) == outcome


class answer_with:  # noqa: N801
    """A server of one connection, which is handed to `answer` when the request has been read."""

    def __init__(self, answer: Callable[[socket.socket], object], context: ssl.SSLContext | None = None) -> None:
        self._answer, self._context = answer, context
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
            with connection if self._context is None else self._wrap(connection) as ready:
                ready.recv(65_536)
                self._answer(ready)
        except OSError:
            pass

    def _wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        assert self._context is not None
        return self._context.wrap_socket(connection, server_side=True)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert post(f"http://127.0.0.1:{port}/", b"{}", {}, networks=HERE) == Outcome(failure="connection")


def hang(connection: socket.socket) -> None:
    time.sleep(5)


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(50):
        connection.sendall(b"x")
        time.sleep(0.1)


@pytest.mark.parametrize("answer", [hang, drip])
def test_an_answer_has_to_be_there_in_time_as_a_whole(answer: Callable[[socket.socket], None]) -> None:
    with answer_with(answer) as port:
        started = time.monotonic()
        outcome = post(f"http://127.0.0.1:{port}/", b"{}", {}, networks=HERE, seconds=0.5)

    assert outcome == Outcome(failure="timeout")
    assert time.monotonic() - started < 2
    assert (posting.CONNECT_SECONDS, posting.WHOLE_SECONDS) == (5, 15)


# --- encryption ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server with a certificate for crm.example.com shows, and what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crm.example.com")])
    now = datetime.datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("crm.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


@pytest.mark.parametrize(
    ("host", "is_trusted", "outcome"),
    [
        ("crm.example.com", True, Outcome(200)),
        ("other.example.com", True, Outcome(failure="certificate")),
        ("127.0.0.1", True, Outcome(failure="certificate")),
        ("crm.example.com", False, Outcome(failure="certificate")),
    ],
)
def test_the_certificate_is_that_of_the_name_though_the_number_is_called(
    monkeypatch: pytest.MonkeyPatch,
    authority: tuple[ssl.SSLContext, ssl.SSLContext],
    host: str,
    is_trusted: bool,
    outcome: Outcome,
) -> None:
    server, client = authority
    names: list[str] = []
    server.sni_callback = lambda _, name, __: names.append(name)
    answer_names(monkeypatch, ["127.0.0.1"])
    with answer_with(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), server) as port:
        context = client if is_trusted else None
        assert post(f"https://{host}:{port}/", b"{}", {}, networks=HERE, context=context) == outcome
    assert names == [None if host == "127.0.0.1" else host]


# --- signatures ---


def test_a_signature_is_that_of_the_specification() -> None:
    # Computed apart, by OpenSSL: printf '%s' 'msg_1.1700000000.{"a":1}' | openssl dgst -sha256 -mac HMAC …
    headers = sign(
        b'{"a":1}',
        event_id="msg_1",
        timestamp=1_700_000_000,
        keys=["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="],
    )

    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,rkwp5YuvdrMkcu0ZhuMsXoTg44mHAr1Q0+FFgFpXsjY=",
    }


def test_a_secret_is_256_random_bits() -> None:
    secret = make_secret()

    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != make_secret()


def load_example() -> dict[str, Any]:
    """Return what the example of the document defines."""
    text = (DOCS / "webhooks.md").read_text(encoding="utf-8")
    match = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert match is not None
    names: dict[str, Any] = {}
    exec(match[1], names)
    return names


def test_the_example_of_the_document_verifies_what_is_signed_and_nothing_else() -> None:
    verify = load_example()["verify"]
    old, new = make_secret(), make_secret()
    now = int(time.time())
    headers = dict(sign(b"{}", event_id="e1", timestamp=now, keys=[new, old]))

    assert verify(b"{}", headers, new)
    assert verify(b"{}", headers, old)
    assert not verify(b"{} ", headers, new)
    assert not verify(b"{}", headers, make_secret())
    assert not verify(b"{}", {**headers, "webhook-id": "e2"}, new)
    assert not verify(b"{}", {**headers, "webhook-timestamp": str(now + 1)}, new)
    assert not verify(b"{}", {**headers, "webhook-signature": "v1,xxxx v2,yyyy"}, new)
    for age in (301, -301):
        assert not verify(b"{}", dict(sign(b"{}", event_id="e1", timestamp=now - age, keys=[new])), new)


# --- tries ---


def test_ten_tries_take_about_a_day() -> None:
    delays = [delay_after(tries, jitter=0.5).total_seconds() for tries in range(1, MAX_TRIES)]

    assert delays == [15, 60, 240, 960, 3_840, 15_360, 21_600, 21_600, 21_600]
    assert 23 * 3_600 < sum(delays) < 24 * 3_600


def test_what_failed_together_does_not_come_again_together() -> None:
    delays = {delay_after(3).total_seconds() for _ in range(100)}

    assert len(delays) > 90
    assert 192 <= min(delays) <= max(delays) <= 288


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("120", 120),
        (" 120 ", 120),
        ("999999999999", 86_400),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("١٢", 0),
        ("Tue, 01 Dec 2026 12:01:00 GMT", 60),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400),
    ],
)
def test_retry_after_is_understood_in_both_its_forms(header: str, seconds: int) -> None:
    now = datetime.datetime(2026, 12, 1, 12, tzinfo=UTC)

    assert read_retry_after(header, now=now) == timedelta(seconds=seconds)
