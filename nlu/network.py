"""Small neural networks over sparse features, trained together by numpy and asked as one.

Each is a bag of embeddings: the features' vectors summed by weight, a rectifier, and a linear layer to the intents. Their
probabilities are averaged. Alone one is about as good as a linear support vector machine on short messages, and three are better. They
differ by their random start and the order of the examples, both from one seed.

Training: cross entropy with smoothed labels; features and hidden units dropped at random; Adagrad with one rate a feature for the
embeddings (only those of the batch are touched) and Adam for the rest, both falling to zero. The number of threads changes the order of
sums, and so the last bits: training takes one, and gives the same bytes on every machine of one kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float32]
Json = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How networks are trained. The defaults were chosen by cross-validation (tests/bench/nlu.py)."""

    networks: int = 3
    hidden: int = 192
    epochs: int = 6
    batch: int = 64
    features_dropped: float = 0.4
    hidden_dropped: float = 0.5
    smoothing: float = 0.05
    embedding_rate: float = 0.05
    layer_rate: float = 0.01
    start: float = 0.02
    seed: int = 1


class Networks:
    """`embedding` (n_features, networks * hidden), `bias` (networks * hidden,), `layer` (networks, hidden, n_classes), `offset`
    (networks, n_classes)."""

    def __init__(self, embedding: NDArray[Any], bias: Floats, layer: Floats, offset: Floats) -> None:
        self._embedding = embedding
        self._bias = bias
        self._layer = layer
        self._offset = offset

    @classmethod
    def train(cls, rows: sparse.csr_matrix, classes: NDArray[np.int64], n_classes: int, recipe: Recipe) -> Networks:
        """`rows` (n, n_features), `classes` (n,) from 0. Every one of `n_classes` has an example, or is never answered."""
        with threadpool_limits(1):
            trained = [
                _train_one(rows, classes, n_classes, recipe, np.random.default_rng([recipe.seed, which]))
                for which in range(recipe.networks)
            ]
        embedding, bias, layer, offset = zip(*trained, strict=True)
        # The file holds half precision: what is answered before saving is what is answered after loading.
        return cls(
            np.concatenate(embedding, axis=1).astype(np.float16).astype(np.float32),
            np.concatenate(bias),
            np.stack(layer),
            np.stack(offset),
        )

    def probabilities(self, rows: sparse.csr_matrix) -> Floats:
        """Shape (n, n_classes); each row sums to 1."""
        return self._answer(np.asarray(rows @ self._embedding))

    def probabilities_of_one(self, columns: list[int], values: Floats) -> Floats:
        """The same for one row, shape (1, n_classes), without a sparse matrix."""
        return self._answer((values @ self._embedding[columns])[np.newaxis])

    def _answer(self, summed: Floats) -> Floats:
        networks, hidden, _ = self._layer.shape
        active = np.maximum(summed + self._bias, 0).reshape(-1, networks, hidden).transpose(1, 0, 2)
        shared = softmax(active @ self._layer + self._offset[:, np.newaxis]).mean(axis=0)
        return np.asarray(shared, np.float32)

    def parts(self) -> tuple[Json, Arrays]:
        """For the model file; embeddings in half precision."""
        return {}, {
            "embedding": self._embedding.astype(np.float16),
            "bias": self._bias,
            "layer": self._layer,
            "offset": self._offset,
        }

    @classmethod
    def from_parts(cls, _meta: Json, arrays: Arrays) -> Networks:
        """The reverse of `parts`, exactly."""
        return cls(
            arrays["embedding"].astype(np.float32),
            np.array(arrays["bias"]),
            np.array(arrays["layer"]),
            np.array(arrays["offset"]),
        )


def softmax(scores: Floats) -> Floats:
    """Over the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)


class _Adam:
    """Adam of one array, in place."""

    def __init__(self, array: Floats) -> None:
        self._array = array
        self._mean = np.zeros_like(array)
        self._square = np.zeros_like(array)

    def step(self, gradient: Floats, rate: float, time: int) -> None:
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient * gradient - self._square)
        scale = np.sqrt(self._square / np.float32(1 - 0.999**time)) + np.float32(1e-8)
        self._array -= np.float32(rate / (1 - 0.9**time)) * self._mean / scale


def _train_one(
    rows: sparse.csr_matrix,
    classes: NDArray[np.int64],
    n_classes: int,
    recipe: Recipe,
    random: np.random.Generator,
) -> tuple[Floats, Floats, Floats, Floats]:
    n, n_features = rows.shape
    embedding = random.standard_normal((n_features, recipe.hidden), np.float32) * np.float32(recipe.start)
    bias = np.zeros(recipe.hidden, np.float32)
    layer = random.standard_normal((recipe.hidden, n_classes), np.float32) / np.float32(np.sqrt(recipe.hidden))
    offset = np.zeros(n_classes, np.float32)
    squares = np.full(n_features, 1e-8, np.float32)
    adam_bias, adam_layer, adam_offset = _Adam(bias), _Adam(layer), _Adam(offset)
    steps = recipe.epochs * -(-n // recipe.batch)
    time = 0
    for _ in range(recipe.epochs):
        order = random.permutation(n)
        for start in range(0, n, recipe.batch):
            time += 1
            fall = 1 - (time - 1) / steps
            chosen = order[start : start + recipe.batch]
            drawn = rows[chosen]
            kept = random.random(len(drawn.data), np.float32) >= recipe.features_dropped
            values = drawn.data * kept / np.float32(1 - recipe.features_dropped)
            columns, places = np.unique(drawn.indices, return_inverse=True)
            small = sparse.csr_matrix((values, places, drawn.indptr), shape=(len(chosen), len(columns)))
            hidden = small @ embedding[columns] + bias
            gate = (hidden > 0) & (random.random(hidden.shape, np.float32) >= recipe.hidden_dropped)
            gate = gate / np.float32(1 - recipe.hidden_dropped)
            hidden = hidden * gate
            error = softmax(hidden @ layer + offset) - np.float32(recipe.smoothing / n_classes)
            error[np.arange(len(chosen)), classes[chosen]] -= np.float32(1 - recipe.smoothing)
            back = (error @ layer.T) * gate
            change = small.T @ back
            squares[columns] += (change * change).mean(axis=1)
            rate = np.float32(recipe.embedding_rate * fall) / np.sqrt(squares[columns])
            embedding[columns] -= rate[:, np.newaxis] * change
            adam_layer.step(hidden.T @ error / np.float32(len(chosen)), recipe.layer_rate * fall, time)
            adam_offset.step(error.mean(axis=0), recipe.layer_rate * fall, time)
            adam_bias.step(back.mean(axis=0), recipe.layer_rate * fall, time)
    return embedding, bias, layer, offset
