"""E-mail addresses: as they are written, internationalised ones and `name (at) host` included, and their normal form."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Final

import idna

from nlu.span import Span

_AT: Final = re.compile(r"@| ?(?:\(at\)|\[at\]|\(arobase\)|\[arobase\]) ?", re.IGNORECASE)
_LOCAL: Final = re.compile(r"[\w.!#$%&*+/=?^`{|}~-]+\Z")
_EDGE: Final = ".!#$%&*/=?^`{|}~-"
"""What a sentence may put before an address."""
_DOMAIN: Final = re.compile(
    r"(?:\w(?:[\w-]{0,61}\w)?(?:\.| ?[(\[](?:dot|point)[)\]] ?)){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w@])",
    re.IGNORECASE,
)
_NUMERIC: Final = re.compile(r"\[?\d{1,3}(?:\.\d{1,3}){3}\]?(?![\w.])")
_DOT: Final = re.compile(r" ?[(\[](?:dot|point)[)\]] ?", re.IGNORECASE)
LONGEST_LOCAL: Final = 64
"""RFC 5321, 4.5.3.1.1."""


def find(text: str) -> Iterator[Span]:
    """Spans of `email` in folded text; `value` is the normal form. Looks 64 characters back from each @, so time is linear."""
    last = 0
    for at in _AT.finditer(text):
        before = text[max(last, at.start() - LONGEST_LOCAL - 1) : at.start()]
        local = _LOCAL.search(before[-LONGEST_LOCAL:])
        domain = _DOMAIN.match(text, at.end()) or _NUMERIC.match(text, at.end())
        if local is None or domain is None:
            continue
        name = local[0].lstrip(_EDGE)
        if not name or name.endswith("."):
            continue
        last = domain.end()
        yield Span(at.start() - len(name), last, "email", 0.99, normal(f"{name}@{domain[0]}"), "email")


def normal(address: str) -> str:
    """Lower case, the domain in its ASCII form (IDNA 2008 with UTS 46 mapping; as it is where that refuses it)."""
    local, _, domain = _DOT.sub(".", address).lower().rpartition("@")
    with contextlib.suppress(idna.IDNAError):
        domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    return f"{local}@{domain}"
