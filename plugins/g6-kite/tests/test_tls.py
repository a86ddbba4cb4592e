"""The stream insists that the server proves who it is, before it says a word."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from g6_kite.stream import Stream

Made = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
SECRET = "an access token of this length"


def certificate(name: str, by: Made | None = None) -> Made:
    """For that host, issued by that authority; without one by itself, as an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    return builder.sign(by[1] if by else key, hashes.SHA256()), key


def pem(made: Made) -> bytes:
    certificate, key = made
    kind = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM) + private


@pytest.fixture
def listen(tmp_path: Path) -> Callable[[Made], tuple[int, list[bytes]]]:
    """`listen(certificate)`: a port that speaks TLS, and what clients said to it after the handshake."""

    def start(made: Made) -> tuple[int, list[bytes]]:
        (tmp_path / "server.pem").write_bytes(pem(made))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        server, heard = socket.create_server(("127.0.0.1", 0)), []

        def serve() -> None:
            while True:
                client, _ = server.accept()
                try:
                    heard.append(context.wrap_socket(client, server_side=True).recv(4096))
                except OSError as e:
                    heard.append(type(e).__name__.encode())

        threading.Thread(target=serve, daemon=True).start()
        return server.getsockname()[1], heard

    return start


@pytest.mark.parametrize(
    ("host", "trusted", "told"),
    [("localhost", True, True), ("ws.other.test", True, False), ("localhost", False, False)],
)
def test_the_session_is_told_to_the_right_server_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listen: Callable[[Made], tuple[int, list[bytes]]],
    host: str,
    trusted: bool,
    told: bool,
) -> None:
    authority = certificate("authority")
    (tmp_path / "authorities.pem").write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    # Where the library looks for the usual authorities.
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "authorities.pem"))
    port, heard = listen(certificate(host, authority if trusted else certificate("somebody")))
    silent: dict[str, Any] = {"silence": 3.0, "quiet": 15.0, "now": lambda: 0}
    stream = Stream(f"wss://localhost:{port}", lambda *_: None, lambda _: None, **silent)
    stream.want([256265])
    stream.connect("demo", SECRET)
    end = time.monotonic() + 20
    while not heard and time.monotonic() < end:
        time.sleep(0.05)
    stream.close()
    assert heard and any(b"an%20access" in words or SECRET.encode() in words for words in heard) == told
