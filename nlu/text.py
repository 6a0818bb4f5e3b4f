"""Text as features see it: folded to what does not depend on keyboard, case or accents, and cut into words.

Offsets are not kept: nothing here is for finding spans.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

CHARACTERS_MAX = 2_000
"""What is understood of one message; the rest is neither read nor lost, the vault keeps the whole."""

_WORD = re.compile(r"\w+|[^\w\s]")
_UNREADABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Controls, unpaired surrogates, zero-width characters and marks of direction."""
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u2018\u02bc\u0060\u00b4", "'"))


def fold(text: str) -> str:
    """Lower case without accents, in compatibility form (NFKD), whitespace as single spaces; never fails."""
    text = text[:CHARACTERS_MAX]
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES).casefold())
        # A compatibility form can be 18 times as long as its character.
        text = "".join(c for c in text[:CHARACTERS_MAX] if not unicodedata.combining(c))
    return " ".join(_UNREADABLE.sub(" ", text).casefold().split())


def words(folded: str) -> list[str]:
    """Words, and punctuation marks one by one, of folded text."""
    return _WORD.findall(folded)


def word_pairs(found: list[str]) -> Iterator[str]:
    """Neighbouring words joined by a space; the beginning and the end of a message count as words."""
    before = "^"
    for word in found:
        yield f"{before} {word}"
        before = word
    yield f"{before} $"


def character_grams(chunk: str, shortest: int, longest: int) -> Iterator[str]:
    """Stretches of `shortest` to `longest` characters of a chunk between spaces, which count as part of it.

    The same as scikit-learn's `char_wb`: a chunk that is shorter than a stretch is given once, whole.
    """
    padded = f" {chunk} "
    size = len(padded)
    for length in range(shortest, longest + 1):
        yield padded[:length]
        for start in range(1, size - length + 1):
            yield padded[start : start + length]
        if size <= length:
            break
