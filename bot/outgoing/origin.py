"""An origin: scheme, host and port that may be called, where it must lie, whom it trusts for TLS, and the limits of its calls."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

from bot.outgoing.addresses import Network, address_of, may_connect, networks_of
from vault.errors import BadInput

_PORTS = {"https": 443, "http": 80}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""The name of an origin, an operation or a field."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of an origin's calls. Times in milliseconds; sizes in bytes, of a body before and after decompression."""

    connect_ms: int = 3_000
    """To resolve the name, connect and shake hands."""
    first_byte_ms: int = 10_000
    """From there, to send the request and read the answer's headers."""
    total_ms: int = 30_000
    """One call from being asked for to its answer: waiting for a place, retries and pauses included."""
    request_bytes: int = 262_144
    response_bytes: int = 1_048_576
    concurrent_calls: int = 8
    """At once; further ones wait."""
    waiting_calls: int = 256
    """Waiting for a place; further ones are answered at once."""
    idle_ms: int = 2_000
    """How long an unused connection is kept: less than servers keep it, so that few are closed as they are used."""
    failures: int = 5
    """In a row, that open the circuit."""
    open_ms: int = 15_000
    """How long the circuit stays open before a trial."""
    pause_ms: int = 200
    """Longest pause before the first retry; it doubles at each further one."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 2**31:
                raise BadInput(f"{each.name} is a whole number above 0")


@dataclass(frozen=True)
class Origin:
    """A declared place. `url` is scheme, host and port only. Raises `BadInput` that says what is wrong with the declaration.

    `networks`: where its addresses must lie ("10.2.0.0/16"); without any, they must be public. Plain http is for declared
    networks only. `ca_file`: the certificates that the server's must come from, instead of the system's.
    """

    name: str
    url: str
    networks: tuple[str, ...] = ()
    ca_file: Path | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise BadInput("the name of an origin is letters, digits, _ and -")
        if self.scheme == "http" and not self.networks:
            # Risk: personal data in the clear across networks that nobody named.
            raise BadInput(
                f"{self.where}: plain http without declared networks", remedy="use https, or name the networks it is in"
            )
        allowed, literal = self.allowed, address_of(self.host)
        if literal is not None and not may_connect(literal, allowed):
            raise BadInput(
                f"{self.where}: the address is not public, or in no declared network", remedy="declare its network"
            )

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"origin {self.name}"

    @cached_property
    def scheme(self) -> str:
        return self._parts[0]

    @cached_property
    def host(self) -> str:
        """As it is resolved and as the certificate names it: no brackets."""
        return self._parts[1]

    @cached_property
    def port(self) -> int:
        return self._parts[2]

    @cached_property
    def authority(self) -> str:
        """As the Host header says it."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == _PORTS[self.scheme] else f"{shown}:{self.port}"

    @cached_property
    def allowed(self) -> tuple[Network, ...]:
        return networks_of(self.networks, self.where)

    @cached_property
    def _parts(self) -> tuple[str, str, int]:
        remedy = "write it like https://host or https://host:8443"
        if not self.url.isascii() or re.search(r"[\s\x00-\x20\x7f\\%]", self.url):
            raise BadInput(f"{self.where}: the URL has characters that a URL has not", remedy=remedy)
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise BadInput(f"{self.where}: the URL is not one", remedy=remedy) from None
        if parts.scheme not in _PORTS:
            raise BadInput(f"{self.where}: the scheme is https or http", remedy=remedy)
        if "@" in parts.netloc:
            raise BadInput(f"{self.where}: the URL names a user or a password", remedy="give a secret by its file")
        if parts.path not in {"", "/"} or "?" in self.url or "#" in self.url or port == 0:
            raise BadInput(f"{self.where}: an origin is scheme, host and port only", remedy=remedy)
        return parts.scheme, _host(parts.hostname or "", self.where), port or _PORTS[parts.scheme]


def _host(host: str, where: str) -> str:
    """The host in lower case. Refuses what one program takes for a name and another for an address: 127.1, 0x7f000001, 2130706433."""
    if ":" in host:
        try:
            return str(IPv6Address(host))
        except ValueError:
            raise BadInput(f"{where}: the IPv6 address is not one") from None
    if not _HOST.fullmatch(host):
        raise BadInput(f"{where}: the host is not a host name", remedy="write an international name in its xn-- form")
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise BadInput(
                f"{where}: the host is neither a name nor an IPv4 address", remedy="write an address as 192.0.2.7"
            ) from None
    return host
