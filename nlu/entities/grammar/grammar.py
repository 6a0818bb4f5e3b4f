"""Finding every expression of a message: all rules at once, the longest first, then what stands together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import DecimalException
from typing import Any
from zoneinfo import ZoneInfo

import re2

from nlu.entities.grammar import english, french
from nlu.entities.grammar.calendar import FIRST_YEAR, LAST_YEAR
from nlu.entities.grammar.canonical import Canonical, canonical, fold
from nlu.entities.grammar.compose import Found, compose
from nlu.entities.grammar.reading import AROUND, Reading, Rule, Words
from nlu.entities.grammar.values import Value, When, given
from vault.errors import BadInput

LANGUAGES = {"fr": (french.WORDS, french.RULES), "en": (english.WORDS, english.RULES)}
MONTH_FIRST = frozenset(("en", "en-us", "en-ph"))
"""Languages that write 04/03 for 3 April; "en" without a region is among them."""

AUTOMATON_BYTES = 64 << 20
"""For the automaton of a language's rules and the states it has met: too little would make it miss matches without a word."""


@dataclass(frozen=True, slots=True)
class Expression:
    """[start, end) of the message in code points, its kind (date, time, datetime, interval, duration, money, number, percent, ordinal) and
    its value (see `values`)."""

    start: int
    end: int
    kind: str
    value: dict[str, Any]


class _Compiled:
    """The rules of a language: one automaton that tells which of them fit anywhere, and each by itself."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        options = re2.Options()
        options.max_mem = AUTOMATON_BYTES
        self.any = re2.Set.SearchSet(options)
        self.rules: list[tuple[Callable[[Reading], Value | None], Any]] = []
        for rule in rules:
            self.any.Add(rule.pattern)
            self.rules.append((rule.read, re2.compile(rule.pattern)))
        self.any.Compile()


@functools.cache
def _compiled(language: str) -> _Compiled:
    return _Compiled(LANGUAGES[language][1])


@functools.lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """BadInput if there is no such zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadInput("unknown time zone", remedy="give an IANA name such as Europe/Paris") from None


def expressions(text: str, *, language: str, at: datetime, zone: str) -> list[Expression]:
    """In order, without overlaps. `language` is "fr" or "en", perhaps with a region ("en-GB"), which decides the order of day and month;
    of another language nothing is read. `at` is when the message was sent, and knows its zone; `zone` is the person's.

    BadInput if `at` knows no zone or is of no year from 1000 to 2999, or there is no such zone.
    """
    base = language[:2].lower()
    if at.tzinfo is None:
        raise BadInput("a message's time has no zone", remedy="give a datetime with tzinfo")
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise BadInput(
            f"a message's time is of the year {at.year}", remedy=f"give one from {FIRST_YEAR} to {LAST_YEAR}"
        )
    here = zone_of(zone)
    if base not in LANGUAGES:
        return []
    text = fold(text)
    # Most messages hold no number, and none of the words that begin an expression: the automaton tells.
    read = canonical(text, base)
    compiled = _compiled(base)
    fitting = compiled.any.Match(read.text)
    if not fitting:
        return []
    when = When(at.astimezone(here), day_first=language.lower() not in MONTH_FIRST)
    found = _chosen(_matches(read, compiled, fitting, LANGUAGES[base][0], when))
    made = []
    for one in compose(read.text, found, base, when):
        kind, value = given(one.value, when)
        made.append(Expression(*read.origin(one.start, one.end), kind, value))
    return made


def _matches(
    read: Canonical, compiled: _Compiled, fitting: list[int], words: Words, when: When
) -> list[tuple[int, int, int, Value | None]]:
    """(start, minus length, rule, value) of every match that means something, or cannot (None: 30 February)."""
    text = read.text
    out: list[tuple[int, int, int, Value | None]] = []
    for number in fitting:
        read_rule, pattern = compiled.rules[number]
        inner = pattern.groupindex.get("span", 0)
        for match in pattern.finditer(text):
            start, end = match.span(inner)
            reading = Reading(
                words,
                when,
                match.groupdict(),
                text[max(0, start - AROUND) : start],
                text[end : end + AROUND],
                start in read.lone_ones,
            )
            try:
                value = read_rule(reading)
            except (ValueError, OverflowError, DecimalException):
                out.append((start, start - end, number, None))
                continue
            if value is not None:
                out.append((start, start - end, number, value))
    return out


def _chosen(matches: list[tuple[int, int, int, Value | None]]) -> list[Found]:
    """The first, then the longest, then the first rule; without overlaps, and nothing out of what cannot be."""
    chosen: list[Found] = []
    end = 0
    for start, length, _, value in sorted(matches, key=lambda match: match[:3]):
        if start >= end:
            end = start - length
            if value is not None:
                chosen.append(Found(start, end, value))
    return chosen
