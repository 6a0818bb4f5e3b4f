"""Identifiers in text: every rule is tried, then the best that do not overlap are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from nlu.personal import checks, emails, phones
from nlu.personal.kinds import KINDS
from nlu.personal.rules import RULES, Rule, Scores
from nlu.span import Span

AFTER: Final = 24
"""How many characters after a number a context word may stand ("… est mon numéro fiscal")."""
_SEPARATORS: Final = re.compile(r"[ .\-]")
_WRITTEN_AS_IS: Final = frozenset({"ip", "url", "date_of_birth", "postcode"})
_HOPES: Final = re.compile(r"\d|@|/|\[at|\(at|arobase|bic\b|swift", re.IGNORECASE)
"""Text without any of these holds no identifier."""
_DIGIT: Final = re.compile("[0-9]")
_WITHOUT_DIGITS: Final = tuple(rule for rule in RULES if rule.kind in ("bic", "url"))
_RANK: Final = {kind: rank for rank, kind in enumerate(KINDS)}


def find(text: str, language: str) -> list[Span]:
    """Identifiers in folded text, in order, none overlapping; time is linear. `language` is "fr", "en" or ""."""
    if not _HOPES.search(text):
        return []
    found = [*emails.find(text)]
    rules = _WITHOUT_DIGITS
    if _DIGIT.search(text):
        found.extend(phones.find(text, language))
        rules = RULES
    for rule in rules:
        found.extend(_apply(rule, text))
    return best(len(text), found)


def best(length: int, *ranks: Iterable[Span]) -> list[Span]:
    """Those that do not overlap, in order. An earlier rank wins over a later one; within a rank the higher score wins, then the longer,
    then the kind that `KINDS` names first. `length` is the text's."""
    taken = bytearray(length)
    kept = []
    for spans in ranks:
        for span in sorted(spans, key=lambda s: (-s.score, s.start - s.end, _RANK[s.kind], s.start)):
            if not any(taken[span.start : span.end]):
                taken[span.start : span.end] = b"\x01" * (span.end - span.start)
                kept.append(span)
    return sorted(kept, key=lambda s: s.start)


def _apply(rule: Rule, text: str) -> Iterator[Span]:
    for match in rule.pattern.finditer(text):
        start, end = match.span(1) if rule.name == "ZIP+4" else match.span()
        if rule.kind == "iban":
            end = _iban_end(text, start, end)
        written = text[start:end]
        value = written if rule.kind in _WRITTEN_AS_IS else _SEPARATORS.sub("", written).upper()
        near = rule.context is not None and (
            rule.context.search(text, max(0, start - rule.reach), start) is not None
            or rule.context.search(text, end, end + AFTER) is not None
        )
        checked = rule.check is not None and rule.check(value)
        if score := _score(rule.scores, checked=checked, near=near):
            yield Span(start, end, rule.kind, score, value, rule.name)


def _score(scores: Scores, *, checked: bool, near: bool) -> float:
    if checked:
        return scores.both if near else scores.checked
    return scores.context if near else scores.bare


def _iban_end(text: str, start: int, end: int) -> int:
    """Where an IBAN ends: at its country's length, if it has it; words after it look like more of it."""
    length = checks.IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
    count = 0
    for place in range(start, end):
        count += text[place].isalnum()
        if count == length and not text[place + 1 : place + 2].isalnum():
            return place + 1
    return end
