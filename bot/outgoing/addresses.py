"""Which addresses may be connected to: public ones, or those of networks that an origin declares. Pure; nothing is resolved here.

Risk: a name that an origin declares may resolve, now or later, to this machine, to its neighbours or to a cloud's metadata service.
So what is judged is the address that is then connected to, never the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from vault.errors import BadInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers; some clouds' metadata
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved and broadcast
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
"""The IANA special-purpose registries (RFC 6890), written out because Python's own table changes from patch to patch."""

_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All that is given out of IPv6. Outside are loopback, link-local, unique local, multicast, mapped and NAT64."""

_EMBEDDING: tuple[tuple[IPv6Network, int], ...] = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # mapped (RFC 4291)
        ("::ffff:0:0:0/96", 0),  # translated (RFC 2765)
        ("::/96", 0),  # compatible (RFC 4291)
        ("64:ff9b::/96", 0),  # NAT64 (RFC 6052)
        ("64:ff9b:1::/48", 0),  # local NAT64 (RFC 8215)
        ("2002::/16", 80),  # 6to4 (RFC 3056)
    )
)
"""IPv6 networks whose addresses stand for an IPv4 address, and how many bits are to its right."""

_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x5EFE, 0x0200_5EFE)

_WIDEST = {4: 8, 6: 7}
"""Shortest prefix that may be declared, by version: whoever writes 0.0.0.0/0 means something else."""


def networks_of(declared: Sequence[str], where: str) -> tuple[Network, ...]:
    """The networks as written ("10.2.0.0/16", "::1/128"). Raises `BadInput` that says `where`."""
    found = []
    for text in declared:
        try:
            network = ip_network(text)
        except ValueError:
            raise BadInput(f"{where}: a network is not one", remedy="write it like 10.2.0.0/16 or fd00::/8") from None
        if network.prefixlen < _WIDEST[network.version]:
            raise BadInput(f"{where}: {network} is too wide", remedy="name the networks that the system is in")
        found.append(network)
    return tuple(found)


def address_of(text: str) -> Address | None:
    """The address as a resolver writes it, or None where it is not one."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def may_connect(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an origin that declares `networks` may be at this address: in one of them; without any, at a public one.

    An address that embeds another one needs both: its own form declared, and the embedded address allowed.
    """
    declared = any(address.version == network.version and address in network for network in networks)
    embedded = _embedded(address)
    if embedded:
        return declared and all(_is_public(each) or may_connect(each, networks) for each in embedded)
    return declared if networks else _is_public(address)


def _is_public(address: Address) -> bool:
    if address.version == 6 and address not in _PUBLIC_IPV6:
        return False
    return not any(address.version == network.version and address in network for network in _NOT_PUBLIC)


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if not isinstance(address, IPv6Address):
        return []
    bits = int(address)
    if bits <= 1:  # :: and ::1 are themselves
        return []
    if address in _TEREDO:
        return [IPv4Address(bits >> 64 & 0xFFFF_FFFF), IPv4Address(~bits & 0xFFFF_FFFF)]
    if bits >> 32 & 0xFFFF_FFFF in _ISATAP:
        return [IPv4Address(bits & 0xFFFF_FFFF)]
    return [IPv4Address(bits >> shift & 0xFFFF_FFFF) for network, shift in _EMBEDDING if address in network]
