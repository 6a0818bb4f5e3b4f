"""Personal data in text: identifiers by form, names and addresses by a learnt tagger, flags for sensitive topics, in one list of spans.

Where two findings meet: identifiers come first and are single tokens to the tagger, so a name or address never cuts one; a postcode or
a weak finding inside an address belongs to the address; of what still overlaps the higher score wins, then the longer; flags mark what
nothing else took. All of this is linear in the length of the text, and any text gets an answer.
"""

from __future__ import annotations

import functools
import io
import json
import math
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
from vault.errors import BadInput, StartRefused

BATCH: Final = 64
"""Messages that are tagged at once."""
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
        known = languages or [""] * len(texts)
        if len(known) != len(texts):
            raise BadInput("there are not as many languages as texts", remedy='give "" where a language is unknown')
        result: list[list[Span]] = []
        for at in range(0, len(texts), BATCH):
            result.extend(self._find(texts[at : at + BATCH], known[at : at + BATCH]))
        return result

    def _find(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Span]]:
        folded = [fold(text) for text in texts]
        cuts = [cut(each, language) for each, language in zip(folded, languages, strict=True)]
        tagged = self._tagger.tag([features(tokens.words) for _, tokens in cuts])
        result = []
        for each, language, (found, tokens), (path, scores) in zip(folded, languages, cuts, tagged, strict=True):
            learnt = self._learnt(tokens, path, scores)
            loose = _loose(found, learnt, len(each.text))
            kept = identifiers.best(len(each.text), [*loose, *learnt], sensitive.find(each.text, language))
            if each.offsets is not None:
                kept = [Span(*each.original(s.start, s.end), s.kind, s.score, s.value, s.found_by) for s in kept]
            result.append(kept)
        return result

    def _learnt(self, tokens: Tokens, path: Sequence[int], scores: Floats) -> list[Span]:
        """Names and addresses that a path of tags marks."""
        spans: list[Span] = []
        place = 0
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
    others = scores.copy()
    others[:, begin : begin + 2] = -np.inf
    margin = float((mine - others.max(axis=1)).mean())
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, margin / _SCALE)))), 3)


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
