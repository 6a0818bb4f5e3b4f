"""Texts as the tagger sees them: cut into tokens around the identifiers already found, and with the tags that marks give."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from nlu.personal import identifiers
from nlu.personal.fold import Folded
from nlu.personal.synthesis import KINDS
from nlu.personal.tagger import tags_of
from nlu.personal.tokens import Tokens, tokenise
from nlu.span import Span

CERTAIN = 0.5
"""An identifier of this score or more is one token for the tagger; one below may turn out to be a part of an address."""


def cut(folded: Folded, language: str) -> tuple[list[Span], Tokens]:
    """The identifiers of a text and its tokens. Postcodes stay plain tokens: they may belong to an address."""
    found = identifiers.find(folded.text, language)
    solid = [span for span in found if span.kind != "postcode" and span.score >= CERTAIN]
    return found, tokenise(folded.text, solid)


def label(tokens: Tokens, folded: Folded, spans: Sequence[Span]) -> list[int]:
    """The tag of each token, as its place in `tags_of(KINDS)`. Spans are of the original text, in order; other kinds are left out."""
    places = {tag: place for place, tag in enumerate(tags_of(KINDS))}
    tags = [0] * len(tokens.words)
    for span in spans:
        if span.kind in KINDS:
            start, end = (
                (span.start, span.end)
                if folded.offsets is None
                else (bisect_left(folded.offsets, span.start), bisect_left(folded.offsets, span.end))
            )
            begin = "B"
            for place in range(bisect_left(tokens.ends, start + 1), bisect_left(tokens.starts, end)):
                if tokens.words[place] != "\n" or begin == "I":
                    tags[place] = places[f"{begin}-{span.kind}"]
                    begin = "I"
    return tags
