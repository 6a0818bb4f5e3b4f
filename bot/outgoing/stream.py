"""A connection to one checked address, over TLS or not, in which no wait is longer than its deadline."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.outgoing.addresses import Address
from bot.outgoing.answer import CallFailed, Outcome
from vault.errors import StartRefused

RECEIVE_BYTES = 65_536
_REASONS = {
    10: "the certificate has expired",
    9: "the certificate is not valid yet",
    62: "the certificate is for another host",
    64: "the certificate is for another address",
}
"""X509_V_ERR_… of OpenSSL; what is not listed comes from an authority that is not trusted."""


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer that proves the host, by the certificates of `ca_file` or else by the system's. Raises `StartRefused`.

    Not `ssl.create_default_context`: that one writes session keys wherever SSLKEYLOGFILE says, and trusts what SSL_CERT_FILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate and checks the host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    # Python before 3.11.4 takes a cut connection for a proper end, by default.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    paths = ssl.get_default_verify_paths()
    file = ca_file or Path(paths.openssl_cafile)
    with contextlib.suppress(OSError):  # ssl.SSLError too: what is left without certificates is refused below
        context.load_verify_locations(cafile=file)
    if ca_file is None and Path(paths.openssl_capath).is_dir():
        context.load_verify_locations(capath=paths.openssl_capath)
    elif not context.cert_store_stats()["x509"]:
        raise StartRefused(
            f"{file} holds no certificate to trust",
            remedy="install the system's (ca-certificates) or name a ca_file",
        )
    return context


class Stream:
    """Bytes to and from a peer. Every wait ends at `deadline` (seconds of `time.monotonic`), however slowly bytes trickle."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self.deadline = deadline

    def send(self, data: bytes) -> None:
        """Sends all of it. Raises `CallFailed`."""
        view = memoryview(data)
        with _translated():
            while view:
                self._limit()
                view = view[self._sock.send(view) :]

    def receive(self) -> bytes:
        """Some bytes, or none at the peer's end. Raises `CallFailed`."""
        with _translated():
            self._limit()
            return self._sock.recv(RECEIVE_BYTES)

    def is_quiet(self) -> bool:
        """Whether nothing has arrived, not even an end: only then may an idle connection be used again."""
        pending = self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not pending and not poll.poll(0)

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Shakes hands, and proves that the peer is `host`. Raises `CallFailed`."""
        with _translated():
            # A cut connection is an error, not an end: else a body without a length could be cut short unnoticed.
            self._sock = context.wrap_socket(
                self._sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
            self._limit()
            self._sock.do_handshake()

    def close(self) -> None:
        self._sock.close()

    def _limit(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


def connect(addresses: Sequence[Address], port: int, deadline: float) -> Stream:
    """A connection to the first of the addresses that answers; each gets its share of the time. Raises `CallFailed`."""
    failed = CallFailed(Outcome.UNAVAILABLE, "no address accepts connections")
    for number, address in enumerate(addresses):
        left = deadline - time.monotonic()
        sock = None
        try:
            with _translated("no address accepts connections"):
                family = socket.AF_INET if address.version == 4 else socket.AF_INET6
                sock = socket.socket(family, socket.SOCK_STREAM)
                sock.settimeout(max(0.001, left / (len(addresses) - number)))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect((str(address), port))
            return Stream(sock, deadline)
        except CallFailed as error:
            if sock is not None:
                sock.close()
            failed = error
    raise failed


@contextlib.contextmanager
def _translated(otherwise: str = "the connection broke") -> Iterator[None]:
    """Errors of the sockets as `CallFailed`."""
    try:
        yield
    except TimeoutError:
        raise CallFailed(Outcome.TIMEOUT, "no answer in time") from None
    except ssl.SSLCertVerificationError as error:
        reason = _REASONS.get(error.verify_code, "the certificate comes from nobody who is trusted")
        raise CallFailed(Outcome.UNTRUSTED, reason) from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        raise CallFailed(Outcome.UNAVAILABLE, "the connection broke") from None
    except ssl.SSLError as error:
        if error.reason == "UNEXPECTED_EOF_WHILE_READING":  # in the same versions of Python
            raise CallFailed(Outcome.UNAVAILABLE, "the connection broke") from None
        raise CallFailed(Outcome.UNTRUSTED, "TLS was not agreed on") from None
    except OSError as error:
        # EMFILE, ENOBUFS: ours, not theirs, but the same to whoever waits.
        ours = error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
        raise CallFailed(Outcome.UNAVAILABLE, "this machine has no more connections" if ours else otherwise) from None
