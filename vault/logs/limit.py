"""The one bound that both logs keep in the same way."""

from __future__ import annotations

from collections.abc import Sequence

from vault.errors import LimitExceeded

RECORD_BYTES_MAX = 1_000_000
"""Of a record; a broker as it comes takes 1,048,588 with what Kafka adds."""


def refuse_large(topic: str, records: Sequence[bytes], limit: int) -> None:
    """Raises `LimitExceeded` when a record is too large: before any of them is sent."""
    largest = max(map(len, records), default=0)
    if largest > limit:
        raise LimitExceeded(
            f"a record of {largest} bytes for {topic} exceeds record_bytes_max ({limit}); nothing was sent",
            remedy="append less at once",
        )
