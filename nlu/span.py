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


def plain_value(span: Span, text: str) -> str:
    """The value as one text: ISO 8601, a number, "12.50 EUR", a canonical name; the words themselves where there is no value."""
    match span.value:
        case None:
            return text[span.start : span.end]
        case {"iso": str(iso)}:
            return iso
        case {"number": number} | {"ordinal": number}:
            return str(number)
        case {"amount": amount, "currency": currency}:
            return f"{amount} {currency}".strip()
    return str(span.value)
