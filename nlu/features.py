"""TF-IDF features of messages: words, word pairs and character grams, in one sparse matrix.

Gives exactly what scikit-learn's `TfidfVectorizer` (`sublinear_tf`, `smooth_idf`, L2) gives for each of the three, side by side and
divided by the root of their number, at a fraction of its time for one message. The vocabulary is bounded: what stands in most
training messages is kept. Of what people said, as against what authors wrote, only what several of them said: a word of one person
would be in the model's file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nlu.text import character_grams, fold, word_pairs, words

FEATURES_MAX = 60_000
"""Most features of one kind."""
KINDS = ("word", "pair", "gram")

Json = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who said each training text: 0 for an author, else a number a person. What no author wrote is kept if `least` people said it."""

    of: Sequence[int]
    least: int


class Features:
    """Fitted on training texts by `Features.fit`; `rows` turns texts into a matrix."""

    def __init__(self, longest_gram: int, vocabularies: Sequence[Sequence[str]], idf: NDArray[np.float32]) -> None:
        self.longest_gram = longest_gram
        self.idf = idf
        self._names = [list(vocabulary) for vocabulary in vocabularies]
        starts = np.cumsum([0, *(len(vocabulary) for vocabulary in vocabularies)])
        self.starts: list[int] = [int(start) for start in starts]
        self._ids = [
            {name: start + place for place, name in enumerate(vocabulary)}
            for vocabulary, start in zip(self._names, self.starts[:-1], strict=True)
        ]
        # Only chunks whose word was in the training texts are remembered: what people type later is not.
        self._grams_of: dict[str, tuple[int, ...]] = {}

    @classmethod
    def fit(
        cls, texts: Iterable[str], *, longest_gram: int, least_messages: int = 1, speakers: Speakers | None = None
    ) -> Features:
        """Learns what stands in `least_messages` of the texts or more, and in how many. `texts` is read once."""
        counts = [Counter[str]() for _ in KINDS]
        said = _Said(speakers)
        total = 0
        for text in texts:
            for kind, (counted, found) in enumerate(zip(counts, _found(fold(text), longest_gram), strict=True)):
                names = set(found)
                counted.update(names)
                said.add(kind, total, names)
            total += 1
        vocabularies, idf = [], []
        for kind, counted in enumerate(counts):
            unshared = said.by_few(kind)
            frequent = [name for name, times in counted.items() if times >= least_messages and name not in unshared]
            kept = sorted(sorted(frequent, key=lambda name: (-counted[name], name))[:FEATURES_MAX])
            vocabularies.append(kept)
            frequency = np.array([counted[name] for name in kept], np.float64)
            idf.append(np.log((1 + total) / (1 + frequency)) + 1)
        return cls(longest_gram, vocabularies, np.concatenate(idf).astype(np.float32))

    @property
    def count(self) -> int:
        """Number of features, which is the number of columns of `rows`."""
        return self.starts[-1]

    def rows(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Shape (n_texts, count), float32; a row of what is known nowhere is empty, the others are at most 1 long."""
        ids: list[int] = []
        pointers = [0]
        pieces: list[NDArray[np.float32]] = []
        for text in texts:
            found, weights = self.row(text)
            ids.extend(found)
            pieces.append(weights)
            pointers.append(len(ids))
        data = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        shape = (len(texts), self.count)
        return sparse.csr_matrix((data, np.array(ids, np.int32), np.array(pointers, np.int32)), shape=shape)

    def row(self, text: str) -> tuple[list[int], NDArray[np.float32]]:
        """The columns of one text, each once, and their values."""
        folded = fold(text)
        found = words(folded)
        columns: list[int] = []
        values: list[NDArray[np.float32]] = []
        for ids in (self._known(0, found), self._known(1, word_pairs(found)), self._grams(folded)):
            counted = Counter(ids)
            if not counted:
                continue
            places = list(counted)
            times = np.fromiter(counted.values(), np.float32, len(places))
            weights = (np.log(times) + 1) * self.idf[places]
            weights *= 1 / np.sqrt(weights @ weights * len(KINDS))
            columns.extend(places)
            values.append(weights)
        return columns, np.concatenate(values) if values else np.zeros(0, np.float32)

    def _known(self, kind: int, found: Iterable[str]) -> Iterator[int]:
        get = self._ids[kind].get
        return (place for place in map(get, found) if place is not None)

    def _grams(self, folded: str) -> Iterator[int]:
        for chunk in folded.split():
            ids = self._grams_of.get(chunk)
            if ids is None:
                ids = tuple(self._known(2, character_grams(chunk, 2, self.longest_gram)))
                if chunk in self._ids[0]:
                    self._grams_of[chunk] = ids
            yield from ids

    def parts(self) -> tuple[Json, Arrays]:
        """For the model file: names as UTF-8 text, one a line, kind after kind."""
        lines = "\n".join(name for names in self._names for name in names)
        return (
            {"longest_gram": self.longest_gram, "sizes": [len(names) for names in self._names]},
            {"names": np.frombuffer(lines.encode(), np.uint8), "idf": self.idf},
        )

    @classmethod
    def from_parts(cls, meta: Json, arrays: Arrays) -> Features:
        """The reverse of `parts`."""
        text = arrays["names"].tobytes().decode()
        names = iter(text.split("\n") if text else ())
        vocabularies = [[next(names) for _ in range(size)] for size in meta["sizes"]]
        return cls(meta["longest_gram"], vocabularies, np.array(arrays["idf"]))


class _Said:
    """Who said what no author wrote, by kind of feature; of each no more people than are asked for."""

    def __init__(self, speakers: Speakers | None) -> None:
        self._speakers = speakers
        self._by: list[dict[str, set[int]]] = [{} for _ in KINDS]
        self._written: list[set[str]] = [set() for _ in KINDS]

    def add(self, kind: int, number: int, names: set[str]) -> None:
        if self._speakers is None:
            return
        person, by = self._speakers.of[number], self._by[kind]
        if not person:
            self._written[kind] |= names
            return
        for name in names:
            people = by.setdefault(name, set())
            if len(people) < self._speakers.least:
                people.add(person)

    def by_few(self, kind: int) -> set[str]:
        """What fewer people than are asked for said, and nobody wrote."""
        if self._speakers is None:
            return set()
        few = {name for name, people in self._by[kind].items() if len(people) < self._speakers.least}
        return few - self._written[kind]


def _found(folded: str, longest_gram: int) -> tuple[list[str], list[str], list[str]]:
    found = words(folded)
    grams = [gram for chunk in folded.split() for gram in character_grams(chunk, 2, longest_gram)]
    return found, list(word_pairs(found)), grams
