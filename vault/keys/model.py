"""What the key store takes and gives. Times are microseconds since the epoch, UTC; `subject` and `case` are pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, NewType
from uuid import UUID

from vault.errors import BadInput
from vault.ids import NOBODY, KeyId

IMPROVEMENT = "improvement"
"""The purpose that stands under consent; the others stand under contract or law."""

Month = NewType("Month", int)
"""A calendar month, UTC: year times 12, plus 0 for January to 11 for December."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000


def month_of(at_us: int) -> Month:
    """The calendar month that a time lies in. Raises `BadInput` for a time before the year 1 or after 9999."""
    return _month_of_day(at_us // _DAY_US)


@lru_cache(maxsize=4_096)
def _month_of_day(day: int) -> Month:
    try:
        at = _EPOCH + timedelta(days=day)
    except OverflowError:
        raise BadInput(f"day {day} since 1970 is in no year that has a calendar") from None
    return Month(at.year * 12 + at.month - 1)


class Unreadable(Enum):
    """Why a key does not open. A value, because for a reader these are ordinary."""

    ERASED = "the person was erased"
    WITHHELD = "no grant for a purpose of this process: not consented, restricted, or another process's"
    EXPIRED = "the chapter's retention is over"
    MISSING = "the key store knows no such key"


@dataclass(frozen=True, slots=True)
class Person:
    """A person's two pseudonyms. `created`: they were unknown before this very call."""

    subject: UUID
    case: UUID
    created: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """Something begun that a restart must finish. `body` is what was noted."""

    id: int
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fence:
    """No key can be made for `subject` since `at_us`. `offset`: where `Erased` stands in its partition; None until it does."""

    subject: UUID
    at_us: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure destroyed. `already`: it had been done before, at `at_us`; the ids were given then."""

    subject: UUID
    case: UUID | None
    key_ids: tuple[bytes, ...]
    at_us: int
    already: bool


@dataclass(frozen=True, slots=True)
class Rotation:
    """A finished rotation: the epoch that holds now, how many rows were rewrapped, and the backup that can be restored."""

    epoch: int
    rewrapped: int
    backup: Path


# Changes that follow accepted events


@dataclass(frozen=True, slots=True)
class Give:
    """Consent was given: chapters from now on may serve `purpose`."""

    subject: UUID
    purpose: str = IMPROVEMENT


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Consent was withdrawn at `at_us`: no chapter serves `purpose` any more, and what was learnt from the person is stale since then."""

    subject: UUID
    purpose: str = IMPROVEMENT
    at_us: int = 0


@dataclass(frozen=True, slots=True)
class Restrict:
    """Processing was restricted (GDPR Art. 18) at `at_us`: only access remains, and what was learnt from the person is stale."""

    subject: UUID
    at_us: int = 0


@dataclass(frozen=True, slots=True)
class Lift:
    """The restriction was lifted."""

    subject: UUID


@dataclass(frozen=True, slots=True)
class EraseApplied:
    """The register says the person was erased; `at_us` counts if the key store did not know, as after a restore."""

    subject: UUID
    at_us: int
    note: Mapping[str, Any] = field(default_factory=dict)


Change = Give | Withdraw | Restrict | Lift | EraseApplied


# What people typed, and what was learnt from it


class Mention(NamedTuple):
    """A subject typed the normal form `value` of an e-mail address or telephone number (`kind`) in the message `originator`."""

    kind: str
    value: str
    subject: UUID
    originator: UUID
    at_us: int


class Source(NamedTuple):
    """A message that a model learns from, and the key that it opened with."""

    subject: UUID
    originator: UUID
    key_id: KeyId
    at_us: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Sources whose people do not agree any more, so that nothing may be learnt from them."""

    sources: frozenset[Source]


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """A model that was trained on people. `stale_us`: since when one of them does not agree any more; None while all do."""

    id: UUID
    made_us: int
    stale_us: int | None


# Claims of message ids


class Claim(NamedTuple):
    """A message about to be appended as `originator`. `end`: the log's end that its writer has searched to."""

    claim_id: bytes
    originator: UUID
    partition: int
    end: int


class ClaimState(NamedTuple):
    """What was known of a claim. Neither new nor done is pending: look in the log from `end` on."""

    is_new: bool
    is_done: bool
    originator: UUID
    partition: int
    end: int


NEW_CLAIM = ClaimState(True, False, NOBODY, 0, 0)
