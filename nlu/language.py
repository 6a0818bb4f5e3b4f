"""Which language a message is in: French or English, for messages as short as "rdv" or "ok thanks".

Each word speaks for a language by how much more often it, or its character grams where it is unknown, stands in what is known of that
language: the built-in words and the assistant's own examples. The sum is weighed with what is expected beforehand: the conversation so
far. A message without a single word (a number, an emoji) is in the language that is expected.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlu.language_words import ENGLISH, FRENCH
from nlu.text import character_grams, fold, words

LANGUAGES = ("fr", "en")
BUILT_IN = {"fr": FRENCH, "en": ENGLISH}
WORD_SMOOTHING = 0.5
GRAM_SMOOTHING = 1.0
WORD_BOUND = 4.0
"""The most one known word says, in natural logarithms of odds."""
GRAM_BOUND = 2.0
"""The same of a word that is known by its grams only."""
BUILT_IN_COUNT = 5
"""A built-in word counts as if it stood in so many examples."""
PRIOR_KEPT = 0.9
"""The most that a conversation so far may say: a language can be changed at any time."""
FRENCH_LETTERS = frozenset("éèêëàâçùûîïôœ")

Json = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


class Languages:
    """`train` with the assistant's texts; `probability_of_french` and `name` for a message."""

    def __init__(self, known: Mapping[str, float], grams: Mapping[str, float], usual: str) -> None:
        self._words = known
        self._grams = grams
        self.usual = usual

    @classmethod
    def train(cls, texts: Mapping[str, Sequence[str]]) -> Languages:
        """`texts` by language ("fr", "en"), may be empty. The usual language is the one with most of them."""
        spoken = {language: _count(language, texts.get(language, ())) for language in LANGUAGES}
        grams = {language: _gram_counts(counted) for language, counted in spoken.items()}
        usual = max(LANGUAGES, key=lambda language: len(texts.get(language, ())))
        return cls(_odds(spoken, WORD_SMOOTHING, WORD_BOUND), _odds(grams, GRAM_SMOOTHING, GRAM_BOUND), usual)

    def probability_of_french(self, text: str, prior: float | None = None) -> float:
        """Between 0 and 1. `prior`: the probability before reading; None stands for the usual language, weakly."""
        if prior is None:
            prior = 0.6 if self.usual == "fr" else 0.4
        prior = min(max(prior, 1 - PRIOR_KEPT), PRIOR_KEPT)
        odds = math.log(prior / (1 - prior))
        # Accents are folded away for words, and are themselves a sign.
        odds += 2.0 * bool(FRENCH_LETTERS & set(text[:200].lower()))
        odds += sum(map(self._says, words(fold(text))))
        return 1 / (1 + math.exp(-min(max(odds, -30.0), 30.0)))

    def name(self, text: str, prior: float | None = None) -> tuple[str, float]:
        """The language, and how probable it is."""
        french = self.probability_of_french(text, prior)
        return ("fr", french) if french >= 0.5 else ("en", 1 - french)

    def _says(self, word: str) -> float:
        if not word[0].isalpha():
            return 0.0
        if word in self._words:
            return self._words[word]
        found = [self._grams.get(gram, 0.0) for gram in character_grams(word[:30], 2, 4)]
        mean = 3 * sum(found) / len(found)
        return min(max(mean, -GRAM_BOUND), GRAM_BOUND)

    def parts(self) -> tuple[Json, Arrays]:
        """For the model file: two word lists with their odds."""
        lists = {"words": sorted(self._words), "grams": sorted(self._grams)}
        return {"usual": self.usual, **lists}, {
            "words": np.array([self._words[name] for name in lists["words"]], np.float32),
            "grams": np.array([self._grams[name] for name in lists["grams"]], np.float32),
        }

    @classmethod
    def from_parts(cls, meta: Json, arrays: Arrays) -> Languages:
        """The reverse of `parts`."""
        known = dict(zip(meta["words"], arrays["words"].tolist(), strict=True))
        grams = dict(zip(meta["grams"], arrays["grams"].tolist(), strict=True))
        return cls(known, grams, meta["usual"])


def _count(language: str, texts: Sequence[str]) -> Counter[str]:
    counted = Counter(dict.fromkeys(BUILT_IN[language].split(), BUILT_IN_COUNT))
    for text in texts:
        counted.update({word for word in words(fold(text)) if word[0].isalpha()})
    return counted


def _gram_counts(counted: Counter[str]) -> Counter[str]:
    grams: Counter[str] = Counter()
    for word, times in counted.items():
        for gram in character_grams(word, 2, 4):
            grams[gram] += min(times, BUILT_IN_COUNT)
    return grams


def _odds(counts: Mapping[str, Counter[str]], smoothing: float, bound: float) -> dict[str, float]:
    """By name, the logarithm of how much likelier it is in French, rounded as the model file keeps it."""
    french, english = counts["fr"], counts["en"]
    names = sorted(french.keys() | english.keys())
    shares = [
        np.array([counted[name] + smoothing for name in names]) / (counted.total() + smoothing * len(names))
        for counted in (french, english)
    ]
    odds = np.clip(np.log(shares[0] / shares[1]), -bound, bound).astype(np.float32)
    return dict(zip(names, odds.tolist(), strict=True))
