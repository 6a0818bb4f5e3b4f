"""Personal data in text: identifiers by form, names and addresses by a learnt tagger, flags for sensitive topics, in one list of spans.

Where two findings meet: identifiers come first and are single tokens to the tagger, so a name or address never cuts one; a postcode or
a weak finding inside an address belongs to the address; of what still overlaps the higher score wins, then the longer; flags mark what
nothing else took. All of this is linear in the length of the text, and any text gets an answer.
"""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nlu.personal import identifiers, sensitive
from nlu.personal.features import features
from nlu.personal.fold import fold, plain
from nlu.personal.kinds import LEARNT
from nlu.personal.labelling import CERTAIN, cut
from nlu.personal.lexicon import classes
from nlu.personal.tagger import Floats, Tagger
from nlu.personal.tokens import Tokens
from nlu.span import Span
from vault.errors import StartRefused

FOUND_BY: Final = "tagger"
_SCALE: Final = 2.0
"""What a margin between tags is divided by to become a score: at this margin a span scores .73."""


LONGEST_GAP: Final = 40
_WORD: Final = re.compile(r"[^\W\d_]+")
_REST_OF_WORD: Final = re.compile(r"(?:-[^\W\d_]{1,30}){1,5}")
_TOWN_NAME: Final = r"(?:(?:le|la|les|saint|sainte|st|ste) |l')?[^\W\d_]{2,30}(?:[-'][^\W\d_]{1,30}){0,5}(?!\w)"
_TOWN: Final = re.compile(rf",? ?\b\d{{5}} {_TOWN_NAME}", re.IGNORECASE)
_ENDS_IN_POSTCODE: Final = re.compile(r"(?<!\d)\d{5}\Z")
_NAME: Final = re.compile(
    rf" (?!et |and |for |pour |is |est |last |in |avec |with |please |svp |merci |depuis ){_TOWN_NAME}", re.IGNORECASE
)


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
            meta = json.loads((data / "model.json").read_text("utf-8"))
            with np.load(io.BytesIO((data / "model.npz").read_bytes()), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError) as error:
            raise StartRefused(
                "the model of personal data cannot be read", remedy="install the program again"
            ) from error
        return cls.from_parts(meta, arrays)

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
        weak = [span for span in found if not _inside(span, learnt)]
        kept = identifiers.best([*weak, *learnt, *sensitive.find(folded.text, language)], len(folded.text))
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
        return [
            span
            for span in _joined(tokens.text, spans)
            if span.kind in LEARNT and _plausible(tokens.text[span.start : span.end], span)
        ]


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
            pieces.append(Span(tokens.starts[begin], tokens.ends[end - 1], kind, score, None, FOUND_BY))
        start = place + 1
    return pieces


def _plausible(written: str, span: Span) -> bool:
    """An address holds a digit or a word that streets have; a name holds a letter."""
    if span.kind == "address":
        return any(map(str.isdigit, written)) or any(
            "R" in classes().get(plain(word), "") for word in _WORD.findall(written)
        )
    return any(map(str.isalpha, written))


def _joined(text: str, spans: Sequence[Span]) -> list[Span]:
    """Parts of an address with nothing but spaces, signs and line breaks between are one; so are those around one line (its town);
    a place beside an address, or after it and "à", belongs to it; so do a postcode and the town after it."""
    joined: list[Span] = []
    for span in (_completed(text, part) for part in spans):
        last = joined[-1] if joined else None
        if (
            last is not None
            and "address" in {last.kind, span.kind} <= {"address", "location"}
            and _touch(text[last.end : span.start], both=last.kind == span.kind)
        ):
            joined[-1] = Span(last.start, span.end, "address", max(last.score, span.score), None, FOUND_BY)
        elif last is None or span.start >= last.end:
            joined.append(span)
    return joined


def _touch(between: str, *, both: bool) -> bool:
    """Whether what stands between two parts of an address joins them. `both`: neither is a mere place."""
    if len(between) > LONGEST_GAP:
        return False
    if not any(map(str.isalnum, between)):
        return True
    return between.strip() in ("à", "in") or (both and between.count("\n") == 2 and not any(map(str.isdigit, between)))


def _completed(text: str, span: Span) -> Span:
    """Up to the end of a word with hyphens; an address also takes the postcode and town that follow."""
    end = span.end
    if rest := _REST_OF_WORD.match(text, end):
        end = rest.end()
    if span.kind == "address" and (
        town := _TOWN.match(text, end)
        or (_ENDS_IN_POSTCODE.search(text[max(0, end - 6) : end]) and _NAME.match(text, end))
    ):
        end = town.end()
    return span if end == span.end else Span(span.start, end, span.kind, span.score, None, FOUND_BY)


def _certainty(scores: Floats, begin: int) -> float:
    """From the margin of a kind's better tag over every other kind's, the mean over its tokens: in (0, 1), not a probability."""
    mine = scores[:, begin : begin + 2].max(axis=1)
    others = np.delete(scores, (begin, begin + 1), axis=1).max(axis=1)
    margin = float((mine - others).mean())
    return round(float(1 / (1 + np.exp(-np.clip(margin / _SCALE, -30, 30)))), 3)


def _inside(span: Span, learnt: Sequence[Span]) -> bool:
    if span.score >= CERTAIN and span.kind != "postcode":
        return False
    return any(other.kind == "address" and other.start < span.end and span.start < other.end for other in learnt)
