"""Training of the tagger: weights of a linear-chain conditional random field by L-BFGS on the penalised likelihood.

The same examples give the same weights on the same platform with the same versions of numpy and scipy, with one thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from nlu.personal.tagger import Tagger, tags_of

Doubles = npt.NDArray[np.float64]
Example = tuple[Sequence[Sequence[str]], Sequence[int]]
BATCH: Final = 256
"""Sequences of similar length that are worked on at once."""


def train(
    kinds: Sequence[str], examples: Sequence[Example], *, penalty: float, steps: int, least: int, keep: float
) -> Tagger:
    """`examples`: the features of each token and its tag's place. `penalty`: what the squared weights are multiplied by. Features seen
    fewer than `least` times are left out, and after training those whose largest weight is below `keep`."""
    examples = sorted((e for e in examples if e[0]), key=lambda e: len(e[0]))
    seen = Counter(name for features, _ in examples for token in features for name in token)
    names = sorted(name for name, count in seen.items() if count >= least)
    problem = _Problem(names, examples, len(tags_of(kinds)), penalty)
    found = minimize(
        problem.loss, np.zeros(problem.size), jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 6}
    )
    weights, transitions = problem.split(found.x)
    used = np.flatnonzero(np.abs(weights).max(axis=1) > keep)
    padded = np.zeros((len(used) + 1, weights.shape[1]), np.float32)
    padded[1:] = weights[used]
    return Tagger(kinds, [names[place] for place in used], padded, transitions.astype(np.float32))


class _Problem:
    """The penalised negative log-likelihood and its gradient, as scipy wants them."""

    def __init__(self, names: Sequence[str], examples: Sequence[Example], tags: int, penalty: float) -> None:
        ids = {name: place for place, name in enumerate(names)}
        rows = [[ids[name] for name in token if name in ids] for features, _ in examples for token in features]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        columns = np.array([place for row in rows for place in row], np.int32)
        self._features = csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(rows), len(names)))
        self._transposed = self._features.T.tocsr()
        self._tags, self._names, self._penalty = tags, len(names), penalty
        self.size = (len(names) + tags + 1) * tags
        self._allowed = np.ones((tags + 1, tags))
        for inside in range(2, tags, 2):
            self._allowed[:, inside] = 0
            self._allowed[inside - 1 : inside + 1, inside] = 1
        lengths = np.array([len(gold) for _, gold in examples])
        gold = np.array([tag for _, tags_ in examples for tag in tags_])
        firsts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        before = np.concatenate([[tags], gold[:-1]])
        before[firsts] = tags
        self._gold_transitions = np.zeros((tags + 1, tags))
        np.add.at(self._gold_transitions, (before, gold), 1)
        self._gold = np.zeros((len(rows), tags))
        self._gold[np.arange(len(rows)), gold] = 1
        self._batches = [(firsts[at : at + BATCH], lengths[at : at + BATCH]) for at in range(0, len(lengths), BATCH)]

    def split(self, vector: Doubles) -> tuple[Doubles, Doubles]:
        """Weights (n_features, n_tags) and transitions (n_tags + 1, n_tags), last row the start."""
        edge = self._names * self._tags
        return vector[:edge].reshape(-1, self._tags), vector[edge:].reshape(-1, self._tags)

    def loss(self, vector: Doubles) -> tuple[float, Doubles]:
        weights, transitions = self.split(vector)
        scores = self._features @ weights
        peaks = scores.max(axis=1)
        potentials = np.exp(scores - peaks[:, None])
        moves = np.exp(transitions) * self._allowed
        expected, expected_moves = np.zeros_like(scores), np.zeros_like(transitions)
        log_norm = float(peaks.sum())
        for firsts, lengths in self._batches:
            log_norm += _expect(firsts, lengths, potentials, moves, expected, expected_moves)
        value = log_norm - float((scores * self._gold).sum()) - float((transitions * self._gold_transitions).sum())
        gradient = np.concatenate(
            [(self._transposed @ (expected - self._gold)).ravel(), (expected_moves - self._gold_transitions).ravel()]
        )
        return value + self._penalty * float(vector @ vector), gradient + 2 * self._penalty * vector


def _expect(
    firsts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    potentials: Doubles,
    moves: Doubles,
    expected: Doubles,
    expected_moves: Doubles,
) -> float:
    """Forward and backward over sequences sorted by length; adds expected counts to the last two and gives the log of the norms."""
    inner, longest, log_norm = moves[:-1], int(lengths[-1]), 0.0
    forward: list[Doubles] = []
    norms: list[Doubles] = []
    for place in range(longest):
        alive = int(np.searchsorted(lengths, place, side="right"))  # the sequences from here on are longer than `place`
        here = potentials[firsts[alive:] + place]
        step = here * (moves[-1] if place == 0 else forward[-1][-len(here) :] @ inner)
        norm = step.sum(axis=1)
        log_norm += float(np.log(norm).sum())
        forward.append(step / norm[:, None])
        norms.append(norm)
    backward = np.ones_like(forward[-1])
    for place in range(longest - 1, -1, -1):
        alive = len(lengths) - len(forward[place])
        if len(backward) < len(forward[place]):
            backward = np.concatenate([np.ones((len(forward[place]) - len(backward), moves.shape[1])), backward])
        expected[firsts[alive:] + place] = forward[place] * backward
        after = potentials[firsts[alive:] + place] * backward / norms[place][:, None]
        if place:
            expected_moves[:-1] += forward[place - 1][-len(after) :].T @ after * inner
            backward = after @ inner.T
        else:
            expected_moves[-1] += after.sum(axis=0) * moves[-1]
    return log_norm
