"""A sequence tagger with BIO tags: a linear-chain conditional random field (Lafferty et al. 2001), decoded by Viterbi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vault.errors import StartRefused

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

FORMAT: Final = 1
_NEVER: Final = np.float32(-1e6)


def tags_of(kinds: Sequence[str]) -> list[str]:
    return ["O", *(f"{place}-{kind}" for kind in kinds for place in "BI")]


class Tagger:
    """`weights` is (n_features + 1, n_tags), row 0 zero for features never seen; `transitions` (n_tags + 1, n_tags), last row the start."""

    def __init__(self, kinds: Sequence[str], names: Sequence[str], weights: Floats, transitions: Floats) -> None:
        self.kinds = tuple(kinds)
        self.tags = tags_of(kinds)
        self._ids = {name: place for place, name in enumerate(names, 1)}
        self._weights = weights
        self._transitions = transitions + _forbidden(len(self.tags))

    def tag(self, texts: Sequence[Sequence[Sequence[str]]]) -> list[tuple[list[int], Floats]]:
        """For each text, given as the features of its tokens: the best tag of each token, as its place in `tags`, and the score of every
        tag (n_tokens, n_tags)."""
        scores = [self._scores(features) for features in texts]
        return list(zip(viterbi(scores, self._transitions), scores, strict=True))

    def _scores(self, features: Sequence[Sequence[str]]) -> Floats:
        if not features:
            return np.zeros((0, len(self.tags)), np.float32)
        rows = np.array([[*map(self._ids.get, token, repeat(0))] for token in features], np.int32)
        total: Floats = self._weights[rows].sum(axis=1, dtype=np.float32)
        return total

    def parts(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Feature names are one UTF-8 text with NUL between; weights are 16-bit floats without row 0."""
        names = "\x00".join(self._ids).encode("utf-8", "surrogatepass")
        return {"format": FORMAT, "kinds": list(self.kinds)}, {
            "names": np.frombuffer(names, np.uint8).copy(),
            "weights": self._weights[1:].astype("<f2"),
            "transitions": np.maximum(self._transitions - _forbidden(len(self.tags)), _NEVER).astype("<f4"),
        }

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Tagger:
        """Raises `StartRefused` where the parts are of another version or do not fit together."""
        try:
            kinds = [str(kind) for kind in meta["kinds"]]
            blob = arrays["names"].astype(np.uint8).tobytes().decode("utf-8", "surrogatepass")
            names = blob.split("\x00") if blob else []
            weights, transitions = arrays["weights"], arrays["transitions"]
        except (KeyError, TypeError, UnicodeDecodeError) as error:
            raise StartRefused(
                "the tagger of personal data lacks a part or is damaged", remedy="train it again"
            ) from error
        count = len(kinds) * 2 + 1
        if (
            meta.get("format") != FORMAT
            or weights.shape != (len(names), count)
            or transitions.shape != (count + 1, count)
        ):
            raise StartRefused("the tagger of personal data is of another version or damaged", remedy="train it again")
        padded = np.zeros((len(names) + 1, count), np.float32)
        padded[1:] = weights
        return cls(kinds, names, padded, transitions.astype(np.float32))


def _forbidden(count: int) -> Floats:
    """What is added to transitions (count + 1, count): I follows only B and I of its own kind."""
    add = np.zeros((count + 1, count), np.float32)
    for inside in range(2, count, 2):
        add[:, inside] = _NEVER
        add[inside - 1, inside] = add[inside, inside] = 0
    return add


def viterbi(texts: Sequence[Floats], transitions: Floats) -> list[list[int]]:
    """The best path through each (n_tokens, n_tags); `transitions` (n_tags + 1, n_tags), last row the start. All texts go one token
    forward at once, the longest first, so that a step is one operation on those that still have tokens."""
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    lengths = np.array([len(texts[place]) for place in order])
    firsts = np.concatenate([[0], np.cumsum(lengths)])
    scores = (
        np.concatenate([texts[place] for place in order]) if order else np.zeros((0, transitions.shape[1]), np.float32)
    )
    inner = transitions[:-1].T.copy()  # [to, from]: each maximum is then over numbers that lie together in memory
    counts = np.searchsorted(-lengths, -np.arange(1, 1 + (lengths[0] if order else 0)), side="right").tolist()
    backs: list[npt.NDArray[np.int64]] = []
    ends: list[Floats] = []
    best = np.zeros((0, transitions.shape[1]), np.float32)
    for place, count in enumerate(counts):
        here = scores[firsts[:count] + place]
        if place == 0:
            best = here + transitions[-1]
            continue
        ends.extend(best[count:][::-1])
        through = best[:count, None, :] + inner
        backs.append(through.argmax(axis=2))
        best = through.max(axis=2) + here
    ends.extend(best[::-1])
    paths: list[list[int]] = [[] for _ in texts]
    for number, text in enumerate(order[: len(ends)]):
        path = [int(ends[len(ends) - 1 - number].argmax())]
        for back in reversed(backs[: len(texts[text]) - 1]):
            path.append(int(back[number, path[-1]]))
        paths[text] = path[::-1]
    return paths
