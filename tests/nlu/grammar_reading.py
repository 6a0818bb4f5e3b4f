"""What the grammar reads in a phrase, as one line of text."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from nlu.entities.grammar import Expression, expressions

AT = datetime(2026, 11, 25, 10, 0, tzinfo=ZoneInfo("Europe/Paris"))
"""A Wednesday."""


def reading(said: str, language: str, at: datetime = AT, zone: str = "Europe/Paris") -> str:
    """`span = kind value or another value; …`"""
    found = expressions(said, language=language, at=at, zone=zone)
    return "; ".join(f"{said[one.start : one.end]} = {one.kind} {_value(one)}" for one in found)


def _value(one: Expression) -> str:
    value = one.value
    if "amount" in value:
        main = f"{value['amount']} {value['currency']}"
    else:
        main = str(next(value[name] for name in ("iso", "number", "ordinal") if name in value))
    return " or ".join([main, *value.get("ambiguous", ())])
