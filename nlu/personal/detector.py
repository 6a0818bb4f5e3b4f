"""Personal data in text: identifiers by form, names and addresses by a learnt tagger, flags for sensitive topics, in one list of spans.

Where two findings meet: identifiers come first and are single tokens to the tagger, so a name or address never cuts one; a postcode or
a weak finding inside an address belongs to the address; of what still overlaps the higher score wins, then the longer; flags mark what
nothing else took. All of this is linear in the length of the text, and any text gets an answer.
"""

from __future__ import annotations

import functools
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nlu.personal import identifiers, joining, sensitive
from nlu.personal.features import features
from nlu.personal.fold import fold
from nlu.personal.labelling import CERTAIN, cut
from nlu.personal.tagger import Floats, Tagger
from nlu.personal.tokens import Tokens
from nlu.span import Span
from vault.errors import StartRefused

_SCALE: Final = 2.0
"""What a margin between tags is divided by to become a score: at this margin a span scores .73."""


class PersonalData:
    """Finds personal data. Keeps no text."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    @classmethod
    @functools.cache
    def default(cls) -> PersonalData:
        """With the model that comes with the program. Raises `StartRefused` where it is missing or damaged."""
        data = resources.files("nlu.personal") / "data"
        try:
            return cls.from_files((data / "model.json").read_bytes(), (data / "model.npz").read_bytes())
        except OSError as error:
            raise StartRefused("the model of personal data is missing", remedy="install the program again") from error

    @classmethod
    def from_files(cls, meta: bytes, arrays: bytes) -> PersonalData:
        """From JSON and an .npz archive, without running code from either. Raises `StartRefused` for what is damaged."""
        try:
            with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
                return cls.from_parts(json.loads(meta), {name: stored[name] for name in stored.files})
        except (ValueError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise StartRefused("the model of personal data is damaged", remedy="install the program again") from error

    def parts(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        return self._tagger.parts()

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> PersonalData:
        """Raises `StartRefused` for parts of another version or damaged ones."""
        return cls(Tagger.from_parts(meta, arrays))

    def find(self, texts: Sequence[str], languages: Sequence[str] | None = None) -> list[list[Span]]:
        """For each text its spans, in order, not overlapping, in code points of the text as given. `languages` holds "fr", "en" or ""
        for each; without it every text is of unknown language."""
        return [
            self._find(text, language) for text, language in zip(texts, languages or [""] * len(texts), strict=True)
        ]

    def _find(self, text: str, language: str) -> list[Span]:
        folded = fold(text)
        found, tokens = cut(folded, language)
        learnt = self._learnt(tokens)
        loose = _loose(found, learnt, len(folded.text))
        kept = identifiers.best(len(folded.text), [*loose, *learnt], sensitive.find(folded.text, language))
        if folded.offsets is None:
            return kept
        return [Span(*folded.original(s.start, s.end), s.kind, s.score, s.value, s.found_by) for s in kept]

    def _learnt(self, tokens: Tokens) -> list[Span]:
        path, scores = self._tagger.tag(features(tokens.words))
        spans, place = [], 0
        while place < len(path):
            if (tag := path[place]) == 0:
                place += 1
                continue
            inside, first = tag + 1, place
            place += 1
            while place < len(path) and path[place] == inside:
                place += 1
            spans.extend(
                _spans(tokens, first, place, self._tagger.kinds[(tag - 1) // 2], _certainty(scores[first:place], tag))
            )
        return joining.finished(tokens.text, spans)


def _spans(tokens: Tokens, first: int, stop: int, kind: str, score: float) -> list[Span]:
    """The stretch of tokens as a span; identifiers inside cut it, and signs or line breaks at its ends are no part of it."""
    pieces, start = [], first
    for place in (*(p for p in range(first, stop) if tokens.words[p][0] == "<" and len(tokens.words[p]) > 1), stop):
        begin, end = start, place
        while begin < end and not tokens.words[begin][0].isalnum():
            begin += 1
        while end > begin and not tokens.words[end - 1][0].isalnum() and tokens.words[end - 1] != ".":
            end -= 1
        while end > begin and tokens.words[end - 1] == "." and (kind != "person" or len(tokens.words[end - 2]) > 2):
            end -= 1
        if end > begin:
            pieces.append(Span(tokens.starts[begin], tokens.ends[end - 1], kind, score, None, joining.FOUND_BY))
        start = place + 1
    return pieces


def _certainty(scores: Floats, begin: int) -> float:
    """From the margin of a kind's better tag over every other kind's, the mean over its tokens: in (0, 1), not a probability."""
    mine = scores[:, begin : begin + 2].max(axis=1)
    others = np.delete(scores, (begin, begin + 1), axis=1).max(axis=1)
    margin = float((mine - others).mean())
    return round(float(1 / (1 + np.exp(-np.clip(margin / _SCALE, -30, 30)))), 3)


def _loose(found: Sequence[Span], learnt: Sequence[Span], length: int) -> list[Span]:
    """Identifiers without the postcodes and weak findings that are a part of an address."""
    inside = bytearray(length)
    for span in learnt:
        if span.kind == "address":
            inside[span.start : span.end] = b"\x01" * (span.end - span.start)
    return [
        span
        for span in found
        if (span.score >= CERTAIN and span.kind != "postcode") or not any(inside[span.start : span.end])
    ]
