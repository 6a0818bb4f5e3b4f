"""What the tagger sees of a token, as strings: the word, its neighbours, the intent, and what look-ups and the grammar say.

What depends on one word alone is computed once a word (`word_features`), because words repeat and strings are slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

EDGE = "\x02"
"""Stands for the word before the first and after the last: no token can hold it."""
AFFIX_LENGTH = 4
CONTEXT_WORDS = 24
"""How many different words of a message, from its beginning, every token sees."""
CONTEXT = "c"
"""Begins the names of the features that are words of the message wherever they stand."""
FORM_LENGTH = 48
"""Of a longer token only so many characters are looked at."""


class WordFeatures(NamedTuple):
    """What a word gives to itself, to the token after it, before it, and to those at distance two."""

    own: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    far_before: tuple[str, ...]
    far_after: tuple[str, ...]


def shape(form: str) -> str:
    """Case and character classes, runs cut at two: `Paris` is `Xxx`, `14h30` is `ddxdd`."""
    made = ""
    for character in form:
        if character.isdigit():
            kind = "d"
        elif character.isalpha():
            kind = "X" if character.isupper() else "x"
        else:
            kind = character
        if made[-2:] != kind + kind:
            made += kind
    return made


def word_features(form: str) -> WordFeatures:
    form = form[:FORM_LENGTH]
    low = form.lower()
    kind = shape(form)
    own = [f"0w={low}", f"0s={kind}"]
    for length in range(1, min(AFFIX_LENGTH, len(low) - 1) + 1):
        own += (f"0p={low[:length]}", f"0f={low[-length:]}")
    near = [f"w={low}", f"s={kind}"]
    if len(low) > 3:
        near += (f"f={low[-3:]}", f"p={low[:3]}")
    return WordFeatures(
        tuple(own),
        tuple("-" + one for one in near),
        tuple("+" + one for one in near),
        (f"<w={low}",),
        (f">w={low}",),
    )


EDGES = WordFeatures((), ("-" + EDGE,), ("+" + EDGE,), ("<" + EDGE,), (">" + EDGE,))


def context_features(lows: Sequence[str], intent: str) -> list[str]:
    """What every token of a message has alike."""
    made = ["b", *(CONTEXT + word for word in list(dict.fromkeys(lows))[:CONTEXT_WORDS])]
    if intent:
        made.append(f"i{intent}")
    return made


def pair_features(lows: Sequence[str], intent: str, marks: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """What each token has beside: pairs of words, the intent with the word, and the marks of look-ups and grammar here and beside."""
    n = len(lows)
    for here in range(n):
        low = lows[here]
        before = lows[here - 1] if here else EDGE
        after = lows[here + 1] if here + 1 < n else EDGE
        made = [f"1{before}|{low}", f"2{low}|{after}", f"3{before}|{after}"]
        if intent:
            made.append(f"j{intent}|{low}")
        if marks:
            made += [f"m{mark}" for mark in marks[here]]
            if here:
                made += [f"m-{mark}" for mark in marks[here - 1]]
            if here + 1 < n:
                made += [f"m+{mark}" for mark in marks[here + 1]]
        yield made
