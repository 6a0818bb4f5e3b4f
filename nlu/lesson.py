"""What people said, made ready to be learnt: opened, masked, and only what a reviewer confirmed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from nlu.example import Example
from nlu.from_log import ACCEPTED, CORRECTED, Heard
from nlu.personal.masking import mask
from nlu.sealed_model import Learnt
from nlu.span import Span
from nlu.text import CHARACTERS_MAX
from nlu.understanding import PersonalFinder, Said


@dataclass(frozen=True, slots=True)
class Lesson:
    """`said`: what there is to learn; `learnt`: the message of each example; `left_out`: how many messages are not in it, by why."""

    said: Said
    learnt: tuple[Learnt, ...]
    left_out: Mapping[str, int]

    def digest(self, written: str) -> str:
        """SHA-256 of all that training sees, 64 hexadecimal digits; `written` is that of what authors wrote."""
        seen = [written, [[example.intent, example.text] for example in self.said.examples]]
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def masked(heard: Sequence[Heard], texts: Sequence[str], personal: PersonalFinder) -> list[str]:
    """The texts, as far as they are read for understanding, without any personal data: what is found now, and what was found when they
    were understood."""
    read = [text[:CHARACTERS_MAX] for text in texts]
    languages = [one.understood.language if one.understood else "" for one in heard]
    found = personal.find(read, languages)
    return [
        mask(text, _joined([*now, *one.found()], len(text))) for text, now, one in zip(read, found, heard, strict=True)
    ]


def lesson(
    heard: Sequence[Heard],
    texts: Sequence[str],
    *,
    intents: Collection[str],
    personal: PersonalFinder,
    persons_min: int,
) -> Lesson:
    """Of confirmed messages and their words (`texts`), those that mean one of the assistant's `intents`; in an order that says nothing
    of who said them and when, so that a model without somebody is the same as one of a log in which they never were."""
    people: dict[bytes, int] = {}
    left_out: Counter[str] = Counter()
    kept: list[tuple[Example, Heard]] = []
    for one, text in zip(heard, masked(heard, texts, personal), strict=True):
        if one.meant not in intents:
            left_out["of an intent that the assistant does not have"] += 1
        elif not text.strip():
            left_out["without words"] += 1
        else:
            kept.append((Example(text, one.meant), one))
    kept.sort(key=lambda pair: (pair[0].intent, pair[0].text))
    numbers = [people.setdefault(one.subject.bytes, len(people) + 1) for _, one in kept]
    said = Said([example for example, _ in kept], numbers, persons_min)
    return Lesson(said, tuple(one.learnt for _, one in kept), dict(left_out))


def confirmed(heard: Sequence[Heard]) -> tuple[list[Heard], dict[str, int]]:
    """What a reviewer accepted or corrected; and how many of the others there are, by why they are left out."""
    chosen = [one for one in heard if one.verdict in (ACCEPTED, CORRECTED) and one.meant]
    rejected = sum(one.verdict != "" for one in heard) - len(chosen)
    counted = {"rejected": rejected, "not reviewed": len(heard) - len(chosen) - rejected}
    return chosen, {why: count for why, count in counted.items() if count}


def _joined(spans: Sequence[Span], size: int) -> list[Span]:
    """Spans within a text of `size` code points, those that overlap made one: of two findings no part is left readable."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end)):
        start, end = max(span.start, 0), min(span.end, size)
        if start >= end:
            continue
        if joined and start < joined[-1].end:
            joined[-1] = replace(joined[-1], end=max(end, joined[-1].end))
        else:
            joined.append(Span(start, end, span.kind))
    return joined
