"""Servers on loopback that answer as a test says, byte by byte, and the certificates they show."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.outgoing import Limits, Origin

Behaviour = Callable[[socket.socket, "Server"], None]
LOOPBACK = ("127.0.0.0/8",)
QUICK = Limits(connect_ms=400, first_byte_ms=200, total_ms=400, pause_ms=10)
"""For calls that are to run out of time."""
PATIENT = Limits(connect_ms=8_000, first_byte_ms=8_000, total_ms=15_000, idle_ms=15_000, pause_ms=10)
"""For the others: a busy machine must not end them."""


class Server:
    """Accepts connections and lets `behaviour` have each, in a thread of its own. `requests` are those that `request` read."""

    def __init__(self, behaviour: Behaviour, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.behaviour = behaviour
        self.context = context
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        self._listening = socket.create_server((host, 0), backlog=256)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._listening.shutdown(socket.SHUT_RDWR)  # wakes whoever accepts, which closing alone does not
        self._listening.close()

    def origin(self, host: str = "127.0.0.1", limits: Limits = PATIENT, **more: object) -> Origin:
        """This server, declared."""
        scheme = "https" if self.context else "http"
        given = {"networks": LOOPBACK, **more}
        return Origin("town", f"{scheme}://{host}:{self.port}", limits=limits, **given)  # type: ignore[arg-type]

    def request(self, connection: socket.socket) -> bytes:
        """The next request, whole; empty at the end."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65_536)
            if not more:
                return data
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]):
                    body += connection.recv(65_536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                connection.settimeout(20)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.behaviour(connection, self)
        except OSError:
            connection.close()


def says(raw: bytes) -> Behaviour:
    """Answers every request of a connection with these bytes, then closes it."""

    def behave(connection: socket.socket, server: Server) -> None:
        server.request(connection)
        connection.sendall(raw)

    return behave


def answers(body: bytes = b'{"ok":true}', status: str = "200 OK", headers: str = "") -> Behaviour:
    """Answers every request, and keeps the connection."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n"

    def behave(connection: socket.socket, server: Server) -> None:
        while server.request(connection):
            connection.sendall(head.encode() + body)

    return behave


def hangs(after: bytes = b"") -> Behaviour:
    """Reads a request, sends `after`, and then nothing until the test is over."""

    def behave(connection: socket.socket, server: Server) -> None:
        server.request(connection)
        connection.sendall(after)
        server.over.wait(20)

    return behave


def fails_first(times: int, behaviour: Behaviour, then: Behaviour) -> Behaviour:
    """The first connections go badly, the next ones well."""
    return lambda connection, server: (behaviour if server.connections <= times else then)(connection, server)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder of a test."""

    folder: Path
    file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path, name: str = "authority") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key, days=1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = folder / f"{name}.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, file, key, certificate)

    def context(self, host: str, *, days: int = 1, common_name: str = "server") -> ssl.SSLContext:
        """A server's TLS with a certificate for `host`, valid for `days` from now (expired, if below 0)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        named = x509.IPAddress(ip_address(host)) if host[:1].isdigit() else x509.DNSName(host)
        certificate = (
            _builder(subject, self.certificate.subject, key, days=days)
            .add_extension(x509.SubjectAlternativeName([named]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        file = self.folder / f"server-{host}-{days}-{common_name}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - datetime.timedelta(days=3))
        .not_valid_after(until)
    )
