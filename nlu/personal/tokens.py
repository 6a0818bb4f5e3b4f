"""Text cut into what the tagger labels: words, numbers, signs and line breaks. An identifier already found is one token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nlu.span import Span

_TOKEN: Final = re.compile(r"\[[A-Z_]{2,20}\]|(?:[^\W\d_][\u0300-\u036f]*)+|\d+|\n|[^\w\s]|_")

_QUOTING: Final = frozenset(">?*#|")
_QUOTE: Final = re.compile(r"[>?*#|]{1,5}(?= ?[^\s>?*#|])")
"""Marks before a line that somebody quotes; they are no tokens."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`words[i]` is [starts[i], ends[i]) of the text; an identifier's word is its kind in angle brackets, a mask's is "<mask>"."""

    text: str
    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def tokenise(text: str, found: Sequence[Span] = ()) -> Tokens:
    """Linear in the length of `text`. `found` is in order and does not overlap."""
    words, starts, ends = [], [], []
    place = quoted = 0
    for span in (*found, None):
        stop = len(text) if span is None else span.start
        for match in _TOKEN.finditer(text, place, stop):
            word = match[0]
            if match.start() < quoted:
                continue
            if (
                word in _QUOTING
                and (match.start() == 0 or text[match.start() - 1] == "\n")
                and (mark := _QUOTE.match(text, match.start()))
            ):
                quoted = mark.end()
                continue
            words.append("<mask>" if len(word) > 1 and word[0] == "[" else word)
            starts.append(match.start())
            ends.append(match.end())
        if span is not None:
            words.append(f"<{span.kind}>")
            starts.append(span.start)
            ends.append(span.end)
            place = span.end
    return Tokens(text, tuple(words), tuple(starts), tuple(ends))
