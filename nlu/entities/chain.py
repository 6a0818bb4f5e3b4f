"""Training of a linear chain (a conditional random field): weights of features and transitions that make the marked tags likely.

Likelihood by forward and backward sums, steps by AdaGrad over small batches, the weights averaged over the second half of the
rounds. One process, one seed: the same examples give the same weights.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Floats = NDArray[np.float32]
IMPOSSIBLE = -30.0
"""Added to a transition that no tagging may hold; exp of it is as good as nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a chain is trained. The values were chosen by cross-validation on HWU64 and SNIPS training data (tests/bench/nlu_entities.py)."""

    rounds: int = 6
    step: float = 0.2
    decay: float = 1e-4
    batch: int = 16
    seed: int = 5


class Sentence(NamedTuple):
    """`features`: per token the ids of its features, each id once; `tags`: per token its tag."""

    features: Sequence[Sequence[int]]
    tags: Sequence[int]


class Chain(NamedTuple):
    """`emission` (n_features, n_tags), `transition` (n_tags, n_tags) from row to column, `initial` (n_tags,); IMPOSSIBLE is within."""

    emission: Floats
    transition: Floats
    initial: Floats


class _Batch(NamedTuple):
    """Sentences padded to the longest: row `place * n_sentences + sentence` of `here` is a token; `used` are its columns' features."""

    used: NDArray[np.int64]
    here: scipy.sparse.csr_matrix
    back: scipy.sparse.csr_matrix
    tags: NDArray[np.int64]
    mask: Floats


def _batch(sentences: Sequence[Sentence], worth: Floats) -> _Batch:
    longest = max(len(sentence.tags) for sentence in sentences)
    tags = np.zeros((longest, len(sentences)), np.int64)
    mask = np.zeros((longest, len(sentences)), np.float32)
    ids: list[int] = []
    ends = [0]
    for place in range(longest):
        for number, sentence in enumerate(sentences):
            if place < len(sentence.tags):
                ids += sentence.features[place]
                tags[place, number] = sentence.tags[place]
                mask[place, number] = 1
            ends.append(len(ids))
    used, columns = np.unique(np.array(ids, np.int64), return_inverse=True)
    here = scipy.sparse.csr_matrix((worth[used][columns], columns, np.array(ends)), shape=(len(ends) - 1, len(used)))
    return _Batch(used, here, here.T.tocsr(), tags, mask)


class _Weights:
    """An array with the squares of its steps (AdaGrad)."""

    def __init__(self, shape: tuple[int, ...], recipe: Recipe) -> None:
        self.value = np.zeros(shape, np.float32)
        self._squares = np.full(shape, 1e-6, np.float32)
        self._recipe = recipe

    def step(self, gradient: Floats, rows: NDArray[np.int64] | slice = slice(None)) -> None:
        value = self.value[rows]
        gradient = gradient + np.float32(self._recipe.decay) * value
        squares = self._squares[rows] + gradient * gradient
        self._squares[rows] = squares
        self.value[rows] = value - np.float32(self._recipe.step) * gradient / np.sqrt(squares)


def train_chain(
    sentences: Sequence[Sentence], worth: Floats, forbidden: Floats, forbidden_first: Floats, recipe: Recipe
) -> Chain:
    """`worth` (n_features,): the value of a feature where it is present, so how much one step changes by it.
    `forbidden` (n_tags, n_tags) and `forbidden_first` (n_tags,) are 0 where a transition may be, else IMPOSSIBLE. No sentence is empty."""
    n_tags = len(forbidden_first)
    emission = _Weights((len(worth), n_tags), recipe)
    transition = _Weights((n_tags, n_tags), recipe)
    initial = _Weights((n_tags,), recipe)
    order = random.Random(recipe.seed)  # noqa: S311 - an order of training, no secret
    sentences = list(sentences)
    order.shuffle(sentences)
    sentences.sort(key=lambda sentence: len(sentence.tags))
    batches = [_batch(sentences[at : at + recipe.batch], worth) for at in range(0, len(sentences), recipe.batch)]
    sums = [np.zeros_like(one.value) for one in (emission, transition, initial)]
    averaged = recipe.rounds - recipe.rounds // 2
    for round_ in range(recipe.rounds):
        order.shuffle(batches)
        for batch in batches:
            now = Chain(emission.value, transition.value + forbidden, initial.value + forbidden_first)
            for_emission, for_transition, for_initial = _gradients(batch, now)
            emission.step(for_emission, batch.used)
            transition.step(for_transition)
            initial.step(for_initial)
        if round_ >= recipe.rounds // 2:
            sums = [total + one.value for total, one in zip(sums, (emission, transition, initial), strict=True)]
    first, second, third = (total / np.float32(averaged) for total in sums)
    return Chain(first * worth[:, None], second + forbidden, third + forbidden_first)


def _gradients(batch: _Batch, chain: Chain) -> tuple[Floats, Floats, Floats]:
    """Of minus the mean log-likelihood of the batch's tags; the first for the features in `batch.used` only."""
    longest, many = batch.tags.shape
    n_tags = len(chain.initial)
    scores = (batch.here @ chain.emission[batch.used]).reshape(longest, many, n_tags)
    likely = np.exp(scores - scores.max(axis=2, keepdims=True))
    moves = np.exp(chain.transition)
    forward = np.empty_like(likely)
    forward[0] = _normal(likely[0] * np.exp(chain.initial))
    for place in range(1, longest):
        going = _normal((forward[place - 1] @ moves) * likely[place])
        forward[place] = np.where(batch.mask[place][:, None] > 0, going, forward[place - 1])
    backward = np.ones_like(likely)
    crossings = np.zeros_like(moves)
    for place in range(longest - 2, -1, -1):
        inside = batch.mask[place + 1][:, None]
        ahead = likely[place + 1] * backward[place + 1]
        backward[place] = np.where(inside > 0, _normal(ahead @ moves.T), 1)
        total = ((forward[place] @ moves) * ahead).sum(axis=1, keepdims=True)
        crossings += (forward[place] * (inside / total)).T @ ahead
    crossings *= moves
    wrong = _normal(forward * backward)
    places, numbers = np.indices(batch.tags.shape)
    wrong[places, numbers, batch.tags] -= 1
    wrong *= batch.mask[:, :, None]
    for place in range(1, longest):
        inside_ = batch.mask[place] > 0
        np.add.at(crossings, (batch.tags[place - 1][inside_], batch.tags[place][inside_]), -1)
    scale = np.float32(1 / many)
    of_features = batch.back @ wrong.reshape(longest * many, n_tags)
    return of_features * scale, crossings * scale, wrong[0].sum(axis=0) * scale


def _normal(values: Floats) -> Floats:
    """Rows (last axis) that sum to 1."""
    return values / values.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]
