"""How well personal data is found, against marked sentences.

A line is JSON: {"text", "spans": [{"start", "end", "entity"}], "language"?}. Entities are our kinds or the names of Presidio's data; of
the latter, places beside parts of an address are merged into it, as are parts with nothing but spaces and signs between. Kinds that no
line marks are left out of the figures: a file that marks no plates says nothing of plates.

Three ways to count. Exact: kind, start and end agree. Overlap: the kind agrees and the spans share a character, each counted once.
Presidio's protocol (presidio-research, `Evaluator`): words, each personal or not whatever its kind, and F with beta 2; its published
figures are counted so.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nlu.example import Example
from nlu.personal.detector import PersonalData
from nlu.personal.kinds import KINDS
from nlu.span import Span
from vault.errors import BadInput

PRESIDIO: Final = {
    "PERSON": "person",
    "ADDRESS": "address",
    "STREET_ADDRESS": "address",
    "CREDIT_CARD": "payment_card",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
}
"""Scored names of Presidio's data, by our kinds."""
CONTEXT: Final = {"LOCATION": "location", "GPE": "location", "ORGANIZATION": "organisation"}
"""Names that are not scored but learnt from, so that they are told apart."""
BETA: Final = 2.0
_WORD: Final = re.compile(r"\w+|[^\w\s]")

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sentence:
    """`example.entities` are of our kinds, or "location", "organisation" and "other"."""

    example: Example
    language: str


def read(lines: Iterable[str]) -> list[Sentence]:
    """Raises `BadInput` with the line's number for what is no marked sentence."""
    sentences = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
                spans = [(int(s["start"]), int(s["end"]), _kind(str(s["entity"]))) for s in row["spans"]]
                text, language = str(row["text"]), str(row.get("language", ""))
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(
                    f"line {number} is no marked sentence",
                    remedy='write {"text", "spans": [{"start", "end", "entity"}]}',
                ) from error
            if not all(0 <= start < end <= len(text) for start, end, _ in spans):
                raise BadInput(
                    f"line {number}: a span lies outside its text", remedy="count code points from 0, end excluded"
                )
            sentences.append(Sentence(Example(text, "", _merged(text, sorted(spans))), language))
    return sentences


def _kind(entity: str) -> str:
    return PRESIDIO.get(entity) or CONTEXT.get(entity) or (entity if entity in KINDS else "other")


def _merged(text: str, spans: Sequence[tuple[int, int, str]]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for start, end, kind in spans:
        last = merged[-1] if merged else None
        parts = {kind, last.kind} if last else set()
        if last and parts <= {"address", "location"} and not any(map(str.isalnum, text[last.end : start])):
            merged[-1] = Span(last.start, end, "address" if "address" in parts else "location")
        else:
            merged.append(Span(start, end, kind))
    return tuple(merged)


def evaluate(lines: Iterable[str], found_by: PersonalData | None = None, language: str = "") -> Figures:
    """{"sentences", "exact": {kind: {precision, recall, f1, marked}, "all": …}, "overlap": …, "presidio": {precision, recall, f2}}.
    `language` is that of lines that do not say theirs. Raises `BadInput` for lines that are no marked sentences."""
    sentences = read(lines)
    finder = found_by or PersonalData.default()
    found = finder.find([s.example.text for s in sentences], [s.language or language for s in sentences])
    return score(sentences, found)


def score(sentences: Sequence[Sentence], found: Sequence[Sequence[Span]]) -> Figures:
    """As `evaluate`, for spans already found."""
    scored = {span.kind for sentence in sentences for span in sentence.example.entities} & set(KINDS)
    same = {"postcode": "address"} if "postcode" not in scored else {}
    exact, overlap, words = Counter[str](), Counter[str](), Counter[str]()
    for sentence, spans in zip(sentences, found, strict=True):
        marked = [span for span in sentence.example.entities if span.kind in scored]
        kept = [Span(s.start, s.end, same.get(s.kind, s.kind)) for s in spans if same.get(s.kind, s.kind) in scored]
        places = {(s.start, s.end, s.kind) for s in marked}, {(s.start, s.end, s.kind) for s in kept}
        for kind in scored:
            right = sum(k == kind for _, _, k in places[0] & places[1])
            ours, theirs = sum(s.kind == kind for s in kept), sum(s.kind == kind for s in marked)
            exact.update({f"right {kind}": right, f"found {kind}": ours, f"marked {kind}": theirs})
            met = _matched([s for s in marked if s.kind == kind], [s for s in kept if s.kind == kind])
            overlap.update({f"right {kind}": met, f"found {kind}": ours, f"marked {kind}": theirs})
        for word in _WORD.finditer(sentence.example.text):
            gold, guess = _covers(marked, word.start()), _covers(kept, word.start())
            words.update({"right": gold and guess, "found": guess, "marked": gold})
    precision, recall = _ratio(words["right"], words["found"]), _ratio(words["right"], words["marked"])
    f2 = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall) if precision + recall else 0.0
    return {
        "sentences": len(sentences),
        "exact": _table(exact, sorted(scored)),
        "overlap": _table(overlap, sorted(scored)),
        "presidio": {"precision": round(precision, 4), "recall": round(recall, 4), "f2": round(f2, 4)},
    }


def _matched(marked: Sequence[Span], kept: Sequence[Span]) -> int:
    """Pairs of one of each that share a character, each in one pair at most; both are in order."""
    pairs = ours = 0
    for span in marked:
        while ours < len(kept) and kept[ours].end <= span.start:
            ours += 1
        if ours < len(kept) and kept[ours].start < span.end:
            pairs, ours = pairs + 1, ours + 1
    return pairs


def _covers(spans: Sequence[Span], place: int) -> bool:
    return any(span.start <= place < span.end for span in spans)


def _table(counts: Mapping[str, int], kinds: Sequence[str]) -> dict[str, dict[str, float]]:
    rows = {kind: tuple(counts[f"{what} {kind}"] for what in ("right", "found", "marked")) for kind in kinds}
    rows["all"] = tuple(map(sum, zip(*rows.values(), strict=True))) or (0, 0, 0)
    return {
        kind: {
            "precision": round(_ratio(right, found), 4),
            "recall": round(_ratio(right, marked), 4),
            "f1": round(_ratio(2 * right, found + marked), 4),
            "marked": marked,
        }
        for kind, (right, found, marked) in rows.items()
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
