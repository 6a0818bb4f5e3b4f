"""What comes of a call: a value, whatever happened. Nothing in here quotes what was sent or what an error's text said."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vault.errors import VaultError


class Outcome(StrEnum):
    """How a call ended, told apart by what one does about it."""

    OK = "ok"
    """2xx, and the answer is what was declared."""
    REFUSED = "refused"
    """By us, before anything was sent: undeclared, an address that may not be connected to, a secret file that is too open."""
    REJECTED = "rejected"
    """The system said no: 4xx."""
    FAILED = "failed"
    """The system broke: 5xx."""
    UNAVAILABLE = "unavailable"
    """Not reached, closed half-way, overloaded (429, 502, 503, 504), or its circuit is open."""
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    """The request or the response is over its limit."""
    REDIRECTED = "redirected"
    """3xx: never followed."""
    UNTRUSTED = "untrusted"
    """TLS could not prove who answers."""
    MALFORMED = "malformed"
    """Not HTTP, another length than it said, or not the declared form."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Evidence that personal data left: for whom, why, and the names of the fields, never their values."""

    recipient: str
    purpose: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one call, retries included.

    `reason` is a constant text. `status` is the last HTTP status, 0 without one. `value` is the answer's JSON where JSON is declared
    and was sent, else None; `body` its bytes. `disclosures` are those of what left or may have left, so empty while `sent` is False.
    """

    outcome: Outcome
    reason: str = ""
    status: int = 0
    value: Any = field(default=None, repr=False)
    body: bytes = field(default=b"", repr=False)
    disclosures: tuple[Disclosure, ...] = ()
    sent: bool = False
    attempts: int = 0
    duration_ms: int = 0


class CallFailed(VaultError):
    """Inside this package only: ends an attempt with an outcome. The client makes an `Answer` of it."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
