"""The functions of the language of conditions. None of them raises, whatever it is given; nonsense in is null or false out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import re2

TEXT_MAX = 1_000


def _date(given: Any) -> date | None:
    try:
        return date.fromisoformat(given[:10]) if isinstance(given, str) else None
    except ValueError:
        return None


def _length(given: Any) -> int:
    return len(given) if isinstance(given, str | list | dict) else 0


def _matches(given: Any, pattern: Any) -> bool:
    if not isinstance(given, str) or not isinstance(pattern, str):
        return False
    return compiled(pattern).fullmatch(given.encode("utf-8", "replace").decode()) is not None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """The RE2 expression. RE2 itself would write one that is none to stderr, and it may hold what a person said."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern.encode("utf-8", "replace").decode(), options)


def _days_after(given: Any, days: Any) -> str | None:
    day = _date(given)
    if day is None or not isinstance(days, int) or abs(days) > 36_500:
        return None
    try:
        return (day + timedelta(days)).isoformat()
    except OverflowError:
        return None


def _weekday(given: Any) -> int | None:
    day = _date(given)
    return None if day is None else day.isoweekday()


def _number(given: Any) -> int | float | None:
    if isinstance(given, str) and re.fullmatch(r"-?[0-9]{1,15}", given, re.ASCII):
        return int(given)
    return given if isinstance(given, int | float) and not isinstance(given, bool) else None


FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "length": (1, _length),
    "empty": (1, lambda given: not given),
    "lower": (1, lambda given: given.casefold()[:TEXT_MAX] if isinstance(given, str) else None),
    "number": (1, _number),
    "matches": (2, _matches),
    "days_after": (2, _days_after),
    "weekday": (1, _weekday),
}
"""By name: how many arguments, and what it gives. `matches` is an RE2 expression over the whole text; Monday is weekday 1."""
