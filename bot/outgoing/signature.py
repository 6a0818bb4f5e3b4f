"""Signatures of webhooks, as the Standard Webhooks specification 1.0 has them, so that receivers find a library in their language.

Three headers: webhook-id, webhook-timestamp (whole seconds since the epoch) and webhook-signature, one `v1,<base64>` for each valid
key, separated by spaces. What is signed, by HMAC-SHA256, is `id.timestamp.body` with the body's exact bytes. A key is 24 to 64
bytes, written `whsec_<base64>`. To change a key: receivers take both, senders sign with both, then both drop the old one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

from vault.errors import BadInput

WINDOW_S = 300
"""How far a webhook's time may be from the receiver's clock, either way."""

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
_HEADERS = {ID: r"[\x21-\x2d\x2f-\x7e]{1,256}", TIMESTAMP: r"[0-9]{1,12}", SIGNATURE: r"[\x20-\x7e]{1,1024}"}
_SIGNATURES_MAX = 8


def key_of(text: str) -> bytes:
    """The key of `whsec_<base64>`. Raises `BadInput`, which does not quote it."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise BadInput(
            "a webhook key is not whsec_ and the base64 of 24 to 64 bytes", remedy="make one from a random source"
        )
    return key


def signed(webhook_id: str, at_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers, with one signature a key. Raises `BadInput` for an id that cannot be signed."""
    if not re.fullmatch(_HEADERS[ID], webhook_id):
        raise BadInput("a webhook's id is 1 to 256 visible ASCII characters without a full stop")
    at = str(at_s)
    signatures = (f"v1,{_signature(key, webhook_id, at, body)}" for key in keys)
    return {ID: webhook_id, TIMESTAMP: at, SIGNATURE: " ".join(signatures)}


def verified(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now_s: float) -> str | None:
    """For a receiver: the webhook's id if one of the keys signed it within the window, else None.

    A webhook may come again within the window, as a repeat or a replay: keep the ids that long. Takes the same time whichever key
    or signature fits.
    """
    held = {name.lower(): value for name, value in headers.items()}
    if not all(re.fullmatch(form, held.get(name, "")) for name, form in _HEADERS.items()):
        return None
    if abs(now_s - int(held[TIMESTAMP])) > WINDOW_S:
        return None
    expected = [_signature(key, held[ID], held[TIMESTAMP], body) for key in keys]
    fits = False
    for given in held[SIGNATURE].split(" ")[:_SIGNATURES_MAX]:
        version, _, signature = given.partition(",")
        for each in expected:
            fits |= hmac.compare_digest(each, signature) and version == "v1"
    return held[ID] if fits else None


def _signature(key: bytes, webhook_id: str, at: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(key, f"{webhook_id}.{at}.".encode() + body, "sha256")).decode()
