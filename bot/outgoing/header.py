"""Names of HTTP headers that a declaration may set."""

from __future__ import annotations

import re

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
"""RFC 9110 5.6.2, shorter."""

_OURS = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "accept",
        "accept-encoding",
        "user-agent",
        "cookie",
    }
)
"""What frames a message is the client's to say, so that a declaration cannot say it otherwise."""


def forbidden(name: str) -> bool:
    """Whether a declaration may not set this header."""
    return not TOKEN.fullmatch(name) or name.lower() in _OURS or name.lower().startswith(("webhook-", "proxy-"))
