"""A rule of the grammar, the words of a language, and one place where a rule fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from nlu.entities.grammar.values import Value, When

AROUND = 24
"""How many characters before and after a match its meaning may depend on."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the words of a language mean, written as `canonical` writes them."""

    weekdays: Mapping[str, int]
    months: Mapping[str, int]
    units: Mapping[str, tuple[str, int]]
    """The unit of `Length` and how many of it: "fortnight" is ("weeks", 2)."""
    days: Mapping[str, int]
    """Days by name, counted from today."""
    turns: Mapping[str, int]
    """next is 1, this is 0, last is -1."""
    parts: Mapping[str, tuple[int, int]]
    """Parts of the day, from and to an hour; past 24 is the next day."""
    holidays: Mapping[str, tuple[int, int]]
    currencies: Mapping[str, str]
    scales: Mapping[str, int]
    decimal_comma: bool
    dial: bool
    """Hours without a mark are of a dial of twelve."""
    next_is_coming: bool
    """"lundi prochain" is the first Monday to come; "next Monday" is that of next week."""
    around_clock: Callable[[str, str], bool]
    """Whether the text before and after makes a bare hour a time of day."""
    day_may_end: Callable[[str], bool]
    """Whether the text after lets a bare day of the month stand."""
    lasting: Callable[[str], bool]
    """Whether the text before makes a length of "a day" and its like."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One place where a rule fits: its named groups, and the canonical text around."""

    words: Words
    when: When
    groups: Mapping[str, str | None]
    before: str
    after: str
    lone_one: bool
    """The match begins with "un", "une" or "one"."""

    def get(self, name: str) -> str:
        return self.groups.get(name) or ""

    def has(self, name: str) -> bool:
        return bool(self.groups.get(name))

    def int(self, name: str, default: int = 0) -> int:
        return int(self.groups.get(name) or default)


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` on canonical text; the group `span`, where there is one, is what counts as the expression.

    `read` gives None where the words mean something else here; it raises ValueError or OverflowError where they cannot be what they say
    (31 April), and then nothing is read out of them.
    """

    read: Callable[[Reading], Value | None]
    pattern: str


def number(written: str, *, decimal_comma: bool) -> Decimal:
    """A number with its marks of thousands and decimals: "1 000,50", "1,000.50". ValueError if it is none."""
    plain = written.replace(" ", "")
    if "," in plain and "." in plain:
        thousands = "." if plain.rindex(",") > plain.rindex(".") else ","
    elif plain.count(",") + plain.count(".") > 1:
        thousands = "," if "," in plain else "."
    else:
        thousands = "." if decimal_comma else ","
        if len(plain) - plain.rfind(thousands) != 4 or plain.startswith("0"):
            thousands = ""
    if thousands:
        plain = plain.replace(thousands, "")
    return Decimal(plain.replace(",", "."))


def alternatives(words: Mapping[str, object]) -> str:
    """A pattern of any of the words, longest first."""
    return "|".join(map(re.escape, sorted(words, key=lambda word: (-len(word), word))))


def filled(pattern: str, fragments: Mapping[str, str]) -> str:
    """The pattern, with its fragments (`<MONTH>`) put in as groups."""
    for name, fragment in fragments.items():
        pattern = pattern.replace(name, f"(?:{fragment})")
    return pattern
