"""The learnt tagger: which stretches of a message are entities, from marked examples and nothing else.

Tokens get BIO tags from a linear chain (`chain` trains it, `decode` runs it) over the strings of `features`. Inference is one sparse
product and one search for a whole batch of messages.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nlu.entities.chain import IMPOSSIBLE, Chain, Floats, Recipe, Sentence, train_chain
from nlu.entities.decode import certainty, decode
from nlu.entities.features import CONTEXT, EDGES, context_features, pair_features, word_features
from nlu.entities.tokens import Token
from nlu.span import Span
from vault.errors import StartRefused

FOUND_BY = "tagger"
OUTSIDE = "O"
REMEMBERED_WORDS = 50_000
"""Words of the training examples, as written, whose features are kept ready."""
CHUNK_TOKENS = 8_192
"""So many tokens are scored at once: it bounds memory, at (tokens, tags) float32."""
EAGERNESS = 0.5
"""Taken from the score of "no entity" at every token: what F1 gains by missing less. Chosen by cross-validation on HWU64 and SNIPS."""
CONTEXT_WORTH = 0.2
"""What a word of the message counts where it stands anywhere, beside 1 for other features: more helps with many examples (HWU64) and
harms with few (SNIPS), less the other way; chosen by cross-validation on both."""
LEAST_COUNT = 2
"""A feature that fewer training tokens have is dropped."""

Marks = Sequence[Sequence[str]]


def tags_of(tokens: Sequence[Token], entities: Sequence[Span]) -> list[str]:
    """BIO tags: a token that overlaps an entity belongs to it, and to the first if it overlaps two."""
    tags = [OUTSIDE] * len(tokens)
    at = 0
    for entity in entities:
        while at < len(tokens) and tokens[at].end <= entity.start:
            at += 1
        inside = "B-"
        while at < len(tokens) and tokens[at].start < entity.end:
            tags[at] = inside + entity.kind
            inside = "I-"
            at += 1
    return tags


class Tagger:
    """Trained by `train`, or back from `from_parts`. Safe to share between threads that read."""

    def __init__(self, tags: Sequence[str], features: Sequence[str], chain: Chain) -> None:
        self._tags = list(tags)
        self.kinds = [tag[2:] for tag in tags if tag.startswith("B-")]
        self._names = list(features)
        self._chain = chain
        self._eager = np.zeros(len(tags), np.float32)
        self._eager[0] = EAGERNESS
        self._ids = {name: number for number, name in enumerate(self._names)}
        self._words: dict[str, tuple[list[int], ...]] = {}
        self._edges = self._numbers(EDGES)

    @classmethod
    def train(
        cls,
        tokens: Sequence[Sequence[Token]],
        entities: Sequence[Sequence[Span]],
        intents: Sequence[str],
        marks: Sequence[Marks],
        recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    ) -> Tagger:
        """One entry an example in each sequence: `intents` may be "", `marks` hold the names of marks for each token, or nothing."""
        used = [number for number, one in enumerate(tokens) if one]
        named = [tags_of(tokens[number], entities[number]) for number in used]
        kinds = sorted({tag[2:] for tags in named for tag in tags if tag != OUTSIDE})
        tags = [OUTSIDE, *(begin + kind for kind in kinds for begin in ("B-", "I-"))]
        features, rows = _numbered(_strings(tokens[number], intents[number], marks[number]) for number in used)
        numbers = {tag: number for number, tag in enumerate(tags)}
        sentences = [Sentence(row, [numbers[tag] for tag in tagged]) for row, tagged in zip(rows, named, strict=True)]
        worth = np.array([CONTEXT_WORTH if name.startswith(CONTEXT) else 1 for name in features], np.float32)
        forbidden, first = _impossible(tags)
        if not kinds:
            return cls(tags, [], Chain(np.zeros((0, 1), np.float32), forbidden, first))
        chain = train_chain(sentences, worth, forbidden, first, recipe)
        # Rounded as `parts` stores them, so that a model finds the same before and after it is saved.
        return cls(tags, features, chain._replace(emission=chain.emission.astype(np.float16).astype(np.float32)))

    def find(
        self, tokens: Sequence[Sequence[Token]], intents: Sequence[str], marks: Sequence[Marks]
    ) -> list[list[Span]]:
        """Per message its entities, in order, without overlaps; `score` is how sure the least sure token is of its tag."""
        found: list[list[Span]] = [[] for _ in tokens]
        if len(self._tags) == 1:
            return found
        chunk: list[int] = []
        size = 0
        for number, one in enumerate(tokens):
            if chunk and size + len(one) > CHUNK_TOKENS:
                self._find(chunk, tokens, intents, marks, found)
                chunk, size = [], 0
            if one:
                chunk.append(number)
                size += len(one)
        if chunk:
            self._find(chunk, tokens, intents, marks, found)
        return found

    def _find(
        self,
        chunk: Sequence[int],
        tokens: Sequence[Sequence[Token]],
        intents: Sequence[str],
        marks: Sequence[Marks],
        found: list[list[Span]],
    ) -> None:
        ids: list[int] = []
        ends = [0]
        for number in chunk:
            self._add_rows(tokens[number], intents[number], marks[number], ids, ends)
        rows = scipy.sparse.csr_matrix(
            (np.ones(len(ids), np.float32), np.array(ids, np.int32), np.array(ends, np.int32)),
            shape=(len(ends) - 1, len(self._names)),
        )
        scores: Floats = rows @ self._chain.emission - self._eager
        lengths = np.array([len(tokens[number]) for number in chunk], np.int64)
        chosen = decode(scores, lengths, self._chain)
        first = 0
        for number, length in zip(chunk, lengths.tolist(), strict=True):
            last = first + length
            if chosen[first:last].any():
                found[number] = list(self._spans(tokens[number], scores, chosen, first, last))
            first = last

    def _spans(
        self, tokens: Sequence[Token], scores: Floats, chosen: NDArray[np.int64], first: int, last: int
    ) -> Iterator[Span]:
        begun, sure = -1, 1.0
        for at in range(first, last + 1):
            tag = self._tags[chosen[at]] if at < last else OUTSIDE
            if begun >= 0 and not tag.startswith("I-"):
                kind = self._tags[chosen[begun]][2:]
                yield Span(
                    tokens[begun - first].start, tokens[at - 1 - first].end, kind, round(sure, 4), None, FOUND_BY
                )
                begun = -1
            if tag.startswith("B-"):
                begun, sure = at, 1.0
            if tag != OUTSIDE:
                sure = min(sure, certainty(scores, chosen, at, first, last, self._chain))

    def _add_rows(self, tokens: Sequence[Token], intent: str, marks: Marks, ids: list[int], ends: list[int]) -> None:
        """Each token's feature ids, as `_strings` names them."""
        known = self._ids
        words = [self._word(token.form) for token in tokens]
        lows = [token.form.lower() for token in tokens]
        common = [known[name] for name in context_features(lows, intent) if name in known]
        words = [self._edges, self._edges, *words, self._edges, self._edges]
        for here, pairs in enumerate(pair_features(lows, intent, marks)):
            ids += words[here + 2][0]
            ids += words[here + 1][1]
            ids += words[here + 3][2]
            ids += words[here][3]
            ids += words[here + 4][4]
            ids += common
            ids += [known[name] for name in pairs if name in known]
            ends.append(len(ids))

    def _word(self, form: str) -> tuple[list[int], ...]:
        found = self._words.get(form)
        if found is None:
            found = self._numbers(word_features(form))
            # Only words of the training examples are remembered: what people type is not kept.
            if f"0w={form.lower()}" in self._ids and len(self._words) < REMEMBERED_WORDS:
                self._words[form] = found
        return found

    def _numbers(self, names: Sequence[Sequence[str]]) -> tuple[list[int], ...]:
        return tuple([self._ids[name] for name in part if name in self._ids] for part in names)

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Weights as float16; feature names as UTF-8 bytes between line feeds, which no token holds."""
        names = "\n".join(self._names).encode("utf-8", "surrogatepass")
        arrays: dict[str, NDArray[Any]] = {
            "features": np.frombuffer(names, np.uint8),
            "emission": self._chain.emission.astype(np.float16),
            "transition": self._chain.transition,
            "initial": self._chain.initial,
        }
        return {"tags": self._tags}, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Tagger:
        """StartRefused if the parts do not fit together."""
        try:
            tags = [str(tag) for tag in meta["tags"]]
            names = arrays["features"].tobytes().decode("utf-8", "surrogatepass")
            features = names.split("\n") if names else []
            chain = Chain(
                arrays["emission"].astype(np.float32),
                arrays["transition"].astype(np.float32),
                arrays["initial"].astype(np.float32),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise StartRefused("the model's tagger cannot be read", remedy="train the model again") from None
        n = len(tags)
        shapes = (chain.emission.shape, chain.transition.shape, chain.initial.shape)
        if n == 0 or shapes != ((len(features), n), (n, n), (n,)):
            raise StartRefused("the model's tagger does not fit together", remedy="train the model again")
        return cls(tags, features, chain)


def _strings(tokens: Sequence[Token], intent: str, marks: Marks) -> Iterator[list[str]]:
    """Each token's features by name, each name once."""
    words = [EDGES, EDGES, *(word_features(token.form) for token in tokens), EDGES, EDGES]
    lows = [token.form.lower() for token in tokens]
    common = context_features(lows, intent)
    for here, pairs in enumerate(pair_features(lows, intent, marks)):
        yield [
            *words[here + 2].own,
            *words[here + 1].before,
            *words[here + 3].after,
            *words[here].far_before,
            *words[here + 4].far_after,
            *common,
            *dict.fromkeys(pairs),
        ]


def _numbered(sentences: Iterable[Iterable[list[str]]]) -> tuple[list[str], list[list[array[int]]]]:
    """The features that enough tokens have, sorted, and the tokens with theirs by number; in arrays, because there are millions."""
    seen: dict[str, int] = {}
    rows = [
        [array("i", [seen.setdefault(name, len(seen)) for name in token]) for token in sentence]
        for sentence in sentences
    ]
    counts = Counter(number for row in rows for token in row for number in token)
    features = sorted(name for name, number in seen.items() if counts[number] >= LEAST_COUNT)
    places = {seen[name]: place for place, name in enumerate(features)}
    return features, [[array("i", [places[one] for one in token if one in places]) for token in row] for row in rows]


def _impossible(tags: Sequence[str]) -> tuple[Floats, Floats]:
    """An entity goes on only where one of its kind was: the pairs of tags that may not be, and the first tags."""
    between = np.zeros((len(tags), len(tags)), np.float32)
    for column, tag in enumerate(tags):
        if tag.startswith("I-"):
            between[:, column] = IMPOSSIBLE
            for row, before in enumerate(tags):
                if before[2:] == tag[2:] and before != OUTSIDE:
                    between[row, column] = 0
    first = np.array([IMPOSSIBLE if tag.startswith("I-") else 0 for tag in tags], np.float32)
    return between, first
