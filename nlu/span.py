"""A stretch of text that means something: [start, end) in code points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """`kind`: entity type or kind of personal data. `value`: the normalised value, where there is one. `found_by` says what found it."""

    start: int
    end: int
    kind: str
    score: float = 1.0
    value: Any = None
    found_by: str = ""
