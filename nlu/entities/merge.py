"""Which of several findings stands: one answer without overlaps from regexes, look-ups, the tagger and the grammar.

The policy:
1. **What an author wrote exactly wins**: a regex beats a look-up, a look-up beats the tagger, the tagger beats the grammar; among
   equals the longer, then the earlier. But a look-up word inside a longer span that the tagger is sure of (`SURE`) yields to it: "Paris" in
   "Paris Saint-Germain".
2. **The grammar gives values.** A learnt span that an expression covers by half or more takes its value and keeps its own kind: "tomorrow"
   marked `departure` has tomorrow's date. A learnt span that is exactly a look-up or regex of its kind has that one's value.
3. **A cut has to be sure.** A learnt span that covers only a part of an expression ("12" of "12,50 €") stands if the tagger is sure of it,
   by `SURE_CUT`; else the expression stands whole.
4. **The grammar stands by itself** where nothing else is, under its own kinds (date, time, money, …), except kinds that the examples
   mark: where the author marks `date`, what is a `date` is the tagger's to say. Plain numbers and ordinals rank last.

`found_by` names who found the span, and after "+" who gave its value.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from nlu.entities import lookups, patterns, tagger
from nlu.span import Span

GRAMMAR = "grammar"
SURE = 0.5
SURE_CUT = 0.7
"""Measured on two folds of HWU64, where examples do mark parts ("tomorrow" of "tomorrow at nine"): it costs less than 0.001 of F1, at 0.9
it costs 0.003."""
_RANKS = {patterns.FOUND_BY: 0, lookups.FOUND_BY: 1, tagger.FOUND_BY: 2, GRAMMAR: 3}
_LAST = 4
_WEAK_KINDS = frozenset(("number", "ordinal"))


def merge(
    learnt: Sequence[Span],
    looked_up: Sequence[Span],
    matched: Sequence[Span],
    said: Sequence[Span],
    marked: Collection[str],
) -> list[Span]:
    """In order, without overlaps. `said` is the grammar's; `marked` are the kinds that the examples mark."""
    if not learnt and not looked_up and not matched:
        return [one for one in said if one.kind not in marked]
    sure = [one for one in learnt if one.score >= SURE]

    def rank(one: Span) -> tuple[int, int, int]:
        place = _RANKS[one.found_by]
        weak = one.found_by == GRAMMAR and one.kind in _WEAK_KINDS
        if weak or (one.found_by == lookups.FOUND_BY and any(_within(one, longer) for longer in sure)):
            place = _LAST
        return place, one.start - one.end, one.start

    strong = [one for one in said if one.kind not in _WEAK_KINDS]
    learnt = [one for one in learnt if one.score >= SURE_CUT or not any(_cuts(one, whole) for whole in strong)]
    standing = [one for one in said if one.kind not in marked]
    chosen: list[Span] = []
    for one in sorted([*matched, *looked_up, *learnt, *standing], key=rank):
        if not any(one.start < other.end and other.start < one.end for other in chosen):
            chosen.append(_valued(one, said) if one.found_by == tagger.FOUND_BY else one)
    return sorted(chosen, key=lambda one: one.start)


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end and outer.end - outer.start > inner.end - inner.start


def _cuts(part: Span, whole: Span) -> bool:
    """Whether they overlap and something of the whole is left over."""
    overlap = part.start < whole.end and whole.start < part.end
    return overlap and (whole.start < part.start or part.end < whole.end)


def _valued(one: Span, said: Sequence[Span]) -> Span:
    best, most = None, (one.end - one.start) / 2
    for expression in said:
        covered = min(one.end, expression.end) - max(one.start, expression.start)
        if covered >= most and covered > 0:
            best, most = expression, covered
    return replace(one, value=best.value, found_by=f"{one.found_by}+{GRAMMAR}") if best is not None else one
