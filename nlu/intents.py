"""Which of its intents an assistant understands in a message, how sure that is, and when it is none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nlu.confidence import UNCALIBRATED, Confidence, calibration_error, first_in_scope
from nlu.example import Example
from nlu.features import Features, Speakers
from nlu.network import Networks, Recipe
from nlu.training_files import OUT_OF_SCOPE
from vault.errors import BadInput

FOLDS = 3
SMALL = 2_000
"""Below so many examples grams are shorter, what stands in one example only is kept, and training is longer."""
SMALL_RECIPE = Recipe(networks=4, hidden=96, hidden_dropped=0.3, epochs=20, batch=32)
RANKED_MAX = 5
CONTEXT_WEIGHT = 2.0
"""What the message before weighs as a feature, beside the text's, which are 1 long together. By held-out dialogues of SGD `train`."""

Decision = Literal["understood", "unsure", "unclear"]
Json = dict[str, Any]
Arrays = dict[str, NDArray[Any]]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranking:
    """`intents`: (name, confidence), the surest first. "unsure" asks for "did you mean …?", "unclear" is not understood."""

    intents: tuple[tuple[str, float], ...]
    decision: Decision


class Intents:
    """Trained by `Intents.train`; `rank` answers."""

    def __init__(
        self,
        names: Sequence[str],
        features: Features,
        networks: Networks,
        confidence: Confidence,
        contexts: Sequence[str] = (),
    ) -> None:
        """`contexts`: the intents before that training saw, each a feature after those of the text; none where it saw no dialogues."""
        self.names = list(names)
        self.contexts = list(contexts)
        self._context = {name: features.count + place for place, name in enumerate(self.contexts)}
        self.confidence = confidence
        self._features = features
        self._networks = networks
        self._outside = self.names.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in self.names else None

    @classmethod
    def train(
        cls,
        examples: Sequence[Example],
        *,
        calibrate: bool = True,
        progress: Callable[[str, int, int], None] = lambda what, done, total: None,
        speakers: Speakers | None = None,
    ) -> tuple[Intents, Json]:
        """The classifier, and what cross-validation measured: accuracy in scope, calibration error, what each threshold lets through.

        Without `calibrate` nothing is measured, training takes a third of the time, and confidences and thresholds mean little.
        `speakers`: who said each example, where not all of them are authors'. Raises `BadInput` for fewer than two intents.
        """
        used = [number for number, example in enumerate(examples) if example.intent]
        labelled = [examples[number] for number in used]
        if speakers is not None:
            speakers = Speakers([speakers.of[number] for number in used], speakers.least)
        names = sorted({example.intent for example in labelled})
        if len(set(names) - {OUT_OF_SCOPE}) < 2:
            raise BadInput("fewer than two intents have examples", remedy="add examples of another intent")
        texts = [example.text for example in labelled]
        before = [example.before for example in labelled]
        contexts = sorted(set(before)) if any(before) else []
        beside = _beside(before, contexts)
        place = {name: number for number, name in enumerate(names)}
        classes = np.array([place[example.intent] for example in labelled], np.int64)
        outside = place.get(OUT_OF_SCOPE)
        confidence, measured = UNCALIBRATED, {}
        if calibrate:
            folds = fold_numbers(classes)
            unseen = _unseen(texts, beside, classes, len(names), folds, progress, speakers)
            confidence = Confidence.learn(unseen, classes, outside)
            measured = _measured(unseen, classes, outside, confidence, folds)
        features, networks = _fit(texts, beside, classes, len(names), speakers)
        progress("train", FOLDS + 1, FOLDS + 1)
        return cls(names, features, networks, confidence, contexts), measured

    def probabilities(
        self, texts: Sequence[str], before: Sequence[str] | None = None
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Shape (n_texts, n_names), rows sum to 1, in the order of `names`: what the networks say, before confidence. And of which texts
        anything is known. `before`: the intent of the message before each, "" at the beginning of a conversation."""
        contexts = before or [""] * len(texts)
        if len(texts) == 1:
            columns, values = self._features.row(texts[0])
            known = np.array([bool(columns)])
            if contexts[0] in self._context:
                columns = [*columns, self._context[contexts[0]]]
                values = np.append(values, np.float32(CONTEXT_WEIGHT))
            return self._networks.probabilities_of_one(columns, values), known
        rows = self._features.rows(texts)
        joined = sparse.hstack([rows, _beside(contexts, self.contexts)], format="csr") if self.contexts else rows
        return self._networks.probabilities(joined), np.diff(rows.indptr) > 0

    def rank(self, texts: Sequence[str], before: Sequence[str] | None = None) -> list[Ranking]:
        """For each text the five surest intents in scope. A text without anything that training saw has confidence 0.

        `before`: as for `probabilities`.
        """
        if not texts:
            return []
        answered, known = self.probabilities(texts, before)
        given = answered.astype(np.float64)
        sure = np.where(known, self.confidence.of(given, self._outside), 0.0)
        inside = given.copy()
        if self._outside is not None:
            inside[:, self._outside] = 0
        order = np.argsort(-inside, axis=1, kind="stable")[:, :RANKED_MAX]
        return [self._ranking(inside[row], order[row], float(sure[row])) for row in range(len(texts))]

    def _ranking(self, given: NDArray[np.float64], order: NDArray[np.int64], sure: float) -> Ranking:
        first = given[order[0]]
        others = given.sum() - first
        # The confidence of the first is calibrated; the others share what is left of it as the networks say, and never come before it.
        scale = min(sure / max(first, 1e-9), (1 - sure) / max(others, 1e-9))
        ranked = [(self.names[order[0]], sure)]
        ranked += [(self.names[one], float(given[one] * scale)) for one in order[1:] if one != self._outside]
        if sure >= self.confidence.unsure:
            return Ranking(tuple(ranked), "understood")
        return Ranking(tuple(ranked), "unsure" if sure >= self.confidence.unclear else "unclear")

    def parts(self) -> tuple[Json, Arrays]:
        """For the model file."""
        feature_meta, feature_arrays = self._features.parts()
        _, network_arrays = self._networks.parts()
        arrays = {f"features.{name}": array for name, array in feature_arrays.items()}
        arrays |= {f"networks.{name}": array for name, array in network_arrays.items()}
        meta = {"names": self.names, "contexts": self.contexts, "features": feature_meta}
        return {**meta, "confidence": self.confidence.as_json()}, arrays

    @classmethod
    def from_parts(cls, meta: Json, arrays: Arrays) -> Intents:
        """The reverse of `parts`."""
        of = {
            part: {name.split(".")[1]: array for name, array in arrays.items() if name.startswith(f"{part}.")}
            for part in ("features", "networks")
        }
        return cls(
            meta["names"],
            Features.from_parts(meta["features"], of["features"]),
            Networks.from_parts({}, of["networks"]),
            Confidence.from_json(meta["confidence"]),
            meta["contexts"],
        )


def fold_numbers(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shape (n,): a fold for each example, so that each has its share of every class; the same every time."""
    random = np.random.default_rng(0)
    folds = np.zeros(len(classes), np.int64)
    begun = 0
    for one in np.unique(classes):
        members = random.permutation(np.flatnonzero(classes == one))
        folds[members] = (begun + np.arange(len(members))) % FOLDS
        begun += len(members)
    return folds


def _beside(before: Sequence[str], contexts: Sequence[str]) -> sparse.csr_matrix:
    """Shape (n, n_contexts): the columns beside those of a text; a row has one, or none where its context was never seen."""
    place = {name: number for number, name in enumerate(contexts)}
    known = [(row, place[name]) for row, name in enumerate(before) if name in place]
    rows, columns = np.array(known, np.int32).reshape(-1, 2).T
    weights = np.full(len(known), CONTEXT_WEIGHT, np.float32)
    return sparse.csr_matrix((weights, (rows, columns)), shape=(len(before), len(contexts)))


def _unseen(
    texts: list[str],
    beside: sparse.csr_matrix,
    classes: NDArray[np.int64],
    n_classes: int,
    folds: NDArray[np.int64],
    progress: Callable[[str, int, int], None],
    speakers: Speakers | None,
) -> NDArray[np.float64]:
    """Shape (n, n_classes): what networks that never saw an example say of it."""
    unseen = np.zeros((len(texts), n_classes), np.float64)
    for fold in range(FOLDS):
        progress("train", fold, FOLDS + 1)
        learnt, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        said = None if speakers is None else Speakers([speakers.of[i] for i in learnt.tolist()], speakers.least)
        features, networks = _fit([texts[i] for i in learnt], beside[learnt], classes[learnt], n_classes, said)
        rows = sparse.hstack([features.rows([texts[i] for i in held]), beside[held]], format="csr")
        unseen[held] = networks.probabilities(rows)
    progress("train", FOLDS, FOLDS + 1)
    return unseen


def _fit(
    texts: list[str],
    beside: sparse.csr_matrix,
    classes: NDArray[np.int64],
    n_classes: int,
    speakers: Speakers | None,
) -> tuple[Features, Networks]:
    small = len(texts) < SMALL
    features = Features.fit(texts, longest_gram=4 if small else 5, least_messages=1 if small else 2, speakers=speakers)
    recipe = SMALL_RECIPE if small else Recipe()
    rows = sparse.hstack([features.rows(texts), beside], format="csr")
    return features, Networks.train(rows, classes, n_classes, recipe)


def _measured(
    probabilities: NDArray[np.float64],
    classes: NDArray[np.int64],
    outside: int | None,
    confidence: Confidence,
    folds: NDArray[np.int64],
) -> Json:
    within = np.ones(len(classes), bool) if outside is None else classes != outside
    right = (first_in_scope(probabilities, outside) == classes) & within
    # For the error, confidence is learnt without the fold it is asked about.
    sure = np.zeros(len(classes))
    for fold in range(FOLDS):
        held = folds == fold
        without = Confidence.learn(probabilities[~held], classes[~held], outside)
        sure[held] = without.of(probabilities[held], outside)
    used = confidence.of(probabilities, outside)
    measured: Json = {
        "in_scope_accuracy": round(float(right[within].mean()), 4),
        "calibration_error": round(calibration_error(sure[within], right[within]), 4),
    }
    for name in ("unclear", "unsure"):
        threshold = getattr(confidence, name)
        passed = used >= threshold
        measured[name] = {
            "threshold": round(threshold, 4),
            "in_scope_accuracy": round(float((right & passed)[within].mean()), 4),
            "out_of_scope_recall": None if within.all() else round(float((~passed)[~within].mean()), 4),
        }
    return measured
