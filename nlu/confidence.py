"""How sure an answer is: the probability that the first intent is right, and the two thresholds below which it is not acted on.

Learnt from answers that networks gave to examples that they had not seen (cross-validation). An example of another intent and one out of
scope are both wrong answers, so no example out of scope is needed, and each that is given helps. What tells a right answer from a wrong one
is a logistic regression on three signals of the intents' probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Json = dict[str, Any]

OUT_OF_SCOPE_SHARE = 1 / 15
"""How much of the messages is taken to be out of scope, where examples of it are given, however few or many."""
LOST_TO_UNCLEAR = 0.005
LOST_TO_UNSURE = 0.0125
"""The share of all in-scope messages that would be answered rightly and fall below a threshold, in cross-validation."""
UNCLEAR_BOUNDS = (0.2, 0.4)
UNSURE_BOUNDS = (0.4, 0.6)
"""However few the examples: an answer that is likelier right than wrong is not thrown away, one likelier wrong is not acted on unasked."""
BINS = 15
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Confidence:
    """Below `unclear` a message is not understood; from there to below `unsure`, "did you mean …?" is asked."""

    weights: tuple[float, ...]
    offset: float
    unclear: float
    unsure: float

    @classmethod
    def learn(cls, probabilities: Floats, classes: NDArray[np.int64], out_of_scope: int | None) -> Confidence:
        """`probabilities` (n, n_classes) as given to unseen examples whose class is `classes` (n,)."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - answering needs no scikit-learn

        given = signals(probabilities, out_of_scope)
        first = first_in_scope(probabilities, out_of_scope)
        outside = classes == -1 if out_of_scope is None else classes == out_of_scope
        right = (first == classes) & ~outside
        if right.all() or not right.any():
            return UNCALIBRATED
        weight = OUT_OF_SCOPE_SHARE * len(classes) / max(outside.sum(), 1)
        fitted = LogisticRegression(C=10.0, max_iter=1_000).fit(given, right, np.where(outside, weight, 1.0))
        weights, offset = tuple(fitted.coef_[0].tolist()), float(fitted.intercept_[0])
        sure = _sigmoid(given @ np.array(weights) + offset)
        share = right[~outside].mean()
        unclear = _quantile(sure[right], LOST_TO_UNCLEAR / share, UNCLEAR_BOUNDS)
        unsure = _quantile(sure[right], LOST_TO_UNSURE / share, UNSURE_BOUNDS)
        return cls(weights, offset, unclear, unsure)

    def of(self, probabilities: Floats, out_of_scope: int | None) -> Floats:
        """Shape (n,), between 0 and 1."""
        return _sigmoid(signals(probabilities, out_of_scope) @ np.array(self.weights) + self.offset)

    def as_json(self) -> Json:
        """For the model file."""
        return {"weights": list(self.weights), "offset": self.offset, "unclear": self.unclear, "unsure": self.unsure}

    @classmethod
    def from_json(cls, meta: Json) -> Confidence:
        """The reverse of `as_json`."""
        return cls(tuple(meta["weights"]), meta["offset"], meta["unclear"], meta["unsure"])


UNCALIBRATED = Confidence((1.0, 0.0, 0.0), 0.0, UNCLEAR_BOUNDS[1], UNSURE_BOUNDS[1])
"""The probability of the first intent as the networks give it."""


def first_in_scope(probabilities: Floats, out_of_scope: int | None) -> NDArray[np.int64]:
    """Shape (n,): the likeliest class that is in scope."""
    return np.asarray(np.argmax(_in_scope(probabilities, out_of_scope), axis=1), np.int64)


def signals(probabilities: Floats, out_of_scope: int | None) -> Floats:
    """Shape (n, 3): log odds of the first in scope, log of "out of scope", entropy."""
    first = _in_scope(probabilities, out_of_scope).max(axis=1)
    outside = np.zeros(len(first)) if out_of_scope is None else np.log(probabilities[:, out_of_scope] + _TINY)
    entropy = -(probabilities * np.log(probabilities + _TINY)).sum(axis=1)
    return np.stack([np.log((first + _TINY) / (1 + _TINY - first)), outside, entropy], axis=1)


def calibration_error(sure: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins of equal width: the mean gap between confidence and being right, by size of the bin."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(sure[bins == one].mean()) - float(right[bins == one].mean())) * float((bins == one).mean())
        for one in range(BINS)
        if (bins == one).any()
    ]
    return sum(gaps)


def _in_scope(probabilities: Floats, out_of_scope: int | None) -> Floats:
    inside = np.array(probabilities, np.float64)
    if out_of_scope is not None:
        inside[:, out_of_scope] = 0
    return inside


def _quantile(values: Floats, share: float, bounds: tuple[float, float]) -> float:
    return min(max(float(np.quantile(values, min(share, 1.0), method="lower")), bounds[0]), bounds[1])


def _sigmoid(scores: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -30, 30))))
