"""Money, percentages, ordinals and plain numbers: every function reads one rule's groups."""

from __future__ import annotations

from decimal import Decimal

from nlu.entities.grammar.reading import Reading, number
from nlu.entities.grammar.values import Money, Number, Value

_CENT = Decimal("0.01")
_JOINED_BEFORE = frozenset("/:.,_#@+~'")
_JOINED_AFTER = frozenset("/:_#@%~")


def _number(r: Reading) -> Decimal:
    found = number(r.get("n"), decimal_comma=r.words.decimal_comma)
    if not r.has("scale"):
        return found
    scaled = found * r.words.scales[r.get("scale")]
    return scaled.to_integral_value() if scaled == scaled.to_integral_value() else scaled


def money(r: Reading) -> Value | None:
    """n and cur, and perhaps scale, cents; cents alone where there is no n."""
    currency = r.words.currencies[r.get("cur")]
    if not r.has("n"):
        return Money((Decimal(r.int("cents")) / 100).quantize(_CENT), currency)
    amount = _number(r)
    if r.has("cents"):
        if amount != amount.to_integral_value():
            return None
        amount = (amount + Decimal(r.get("cents")) / 100).quantize(_CENT)
    return Money(amount, currency)


def percent(r: Reading) -> Value:
    return Number(_number(r), "percent")


def ordinal(r: Reading) -> Value:
    return Number(Decimal(r.int("n")), "ordinal")


def plain_number(r: Reading) -> Value | None:
    """A number that stands by itself: not a part of a code, a version or a date, not "un" and "one", no leading zero."""
    written = r.get("n")
    if r.lone_one or r.before[-1:] in _JOINED_BEFORE or r.after[:1] in _JOINED_AFTER:
        return None
    if r.has("minus") and r.before[-1:] not in {"", " ", "("}:
        return None
    if r.after[:1] in {"-", ",", "."} and r.after[1:2].isalnum():
        return None
    if len(written) > 1 and written[0] == "0" and written[1].isdigit():
        return None
    found = _number(r)
    return Number(-found if r.has("minus") else found)
