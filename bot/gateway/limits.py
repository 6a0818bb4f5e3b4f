"""The gateway's limits, each with its name; the defaults are those of the settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GatewayLimits:
    """`burst_messages`, `minute_messages`: of one sender on one channel. `waiting_max`: messages that wait to be taken in.

    `batch_records`: most that are taken in together. `message_bytes_max`: of a message's text. `body_bytes_max`: of a request, or of
    a frame. `body_ms`: longest that a request's headers or its body take to arrive. `reply_ms`: longest that a REST request waits for
    its reply. `connections_max`: open at once. `replay_max`: most that is shown again to who resumes. `replay_records`: most
    records read back for that. `token_hours`: how long a conversation can be resumed.
    """

    burst_messages: int = 20
    minute_messages: int = 30
    waiting_max: int = 5_000
    batch_records: int = 500
    message_bytes_max: int = 65_536
    body_bytes_max: int = 131_072
    body_ms: int = 10_000
    reply_ms: int = 10_000
    connections_max: int = 10_000
    replay_max: int = 200
    replay_records: int = 65_536
    token_hours: int = 24
