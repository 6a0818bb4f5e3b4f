"""Understanding without a model: a message means what the example nearest to it means. For trying an assistant out, and for tests.

Nearness is the overlap of words and of their three-letter pieces (Dice coefficient), so that it is the same on every machine. Dates
and times are understood in their ISO form only.
"""

from __future__ import annotations

import re
from collections import Counter

from bot.choices import normal
from bot.training import Training
from bot.understood import Entity, Ranked, Understood

RANKED_MAX = 5
DATE = re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b")
TIME = re.compile(r"\b[0-2]?[0-9]:[0-5][0-9]\b")


class ByExample:
    """Understands by an assistant's own examples."""

    def __init__(self, training: Training) -> None:
        self._examples = [
            (language, intent, _pieces(text))
            for (language, intent), texts in sorted(training.examples.items())
            for text in texts
        ]
        self._words = training.words

    def understand(self, text: str, *, id: str, at_us: int, channel: str, language: str) -> Understood:
        """Ranks intents by their nearest example. The language is that of the nearest; between equals, the conversation's."""
        said = _pieces(text)
        best: dict[str, float] = {}
        nearest, spoken = 0.0, language
        for spoken_there, intent, example in self._examples:
            score = _dice(said, example)
            best[intent] = max(best.get(intent, 0.0), score)
            if score > nearest or (score == nearest and spoken_there == language):
                nearest, spoken = score, spoken_there
        ranked = sorted(best.items(), key=lambda each: (-each[1], each[0]))[:RANKED_MAX]
        return Understood(
            id=id,
            at_us=at_us,
            text=text,
            language=spoken,
            language_confidence=nearest,
            intents=tuple(Ranked(intent, score) for intent, score in ranked if score > 0),
            entities=tuple(self._entities(text, spoken)),
            channel=channel,
        )

    def _entities(self, text: str, language: str) -> list[Entity]:
        """Words that examples mark or look-ups list, the longest first, each stretch of the text once."""
        known = [
            (words, kind, value)
            for (spoken, kind), forms in self._words.items()
            for words, value in forms.items()
            if spoken == language
        ]
        left = f" {normal(text)} "
        found = []
        for words, kind, value in sorted(known, key=lambda each: (-len(each[0]), each)):
            form = f" {normal(words)} "
            if form.strip() and form in left:
                left = left.replace(form, " | ")
                found.append(Entity(kind, value, words))
        found += [Entity("date", each, each) for each in DATE.findall(text)]
        found += [Entity("time", each.zfill(5), each) for each in TIME.findall(text)]
        return found


def _pieces(text: str) -> Counter[str]:
    words = normal(text).split()
    return Counter(words) + Counter(f" {word} "[at : at + 3] for word in words for at in range(len(word)))


def _dice(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
