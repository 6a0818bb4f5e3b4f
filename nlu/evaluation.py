"""Scores of an assistant's understanding on labelled messages: what `parloir evaluate` prints.

Files are JSON lines (gzip or not) of the data folder's form: `{"text", "intent", "entities"?: [{"start", "end", "entity"}], "fold"?}`;
and `"before"?`, the intent of the message before it in its conversation.
An entity counts when its type is exact and the spans overlap (Liu et al. 2019); exact spans are counted beside.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlu.example import Example
from nlu.span import Span
from nlu.training_files import OUT_OF_SCOPE, Place, Training
from nlu.understanding import BARE, Plugs, Understanding, Understood
from vault.errors import BadInput

BATCH = 64
ALONE_MAX = 500
"""Messages that are timed one by one."""

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file. `group` is its `fold` or `split` as text, or ""."""

    example: Example
    group: str


def read_lines(path: Path) -> list[Line]:
    """The examples of a file. Raises `BadInput` with file, line and remedy."""
    lines = [_line(path, number, text) for number, text in enumerate(read_text_lines(path), 1) if text.strip()]
    if not lines:
        raise BadInput(f"{path} is empty", remedy="give a file of JSON lines, gzip or not")
    return lines


def read_text_lines(path: Path) -> list[str]:
    """The lines of a file, gzip or not. Raises `BadInput` for one that cannot be read or is no UTF-8."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            return list(file)
    except (OSError, EOFError) as error:
        raise BadInput(
            f"cannot read {path}: {type(error).__name__}", remedy="give a file of JSON lines, gzip or not"
        ) from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8", remedy="give a file of JSON lines, gzip or not") from None


def _line(path: Path, number: int, text: str) -> Line:
    try:
        given = json.loads(text)
        spans = tuple(Span(int(one["start"]), int(one["end"]), str(one["entity"])) for one in given.get("entities", ()))
        intent = given.get("intent", "")
        before = given.get("before", "")
        if not all(isinstance(one, str) for one in (given["text"], intent, before)):
            raise TypeError("not text")
        return Line(Example(given["text"], intent, spans, before), str(given.get("fold", given.get("split", ""))))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(
            f"{path}:{number}: not an example", remedy='write {"text": "…", "intent": "…"}, one a line'
        ) from None


def evaluate(
    train: Sequence[Example],
    test: Sequence[Example],
    plugs: Plugs = BARE,
    language: str = "en",
    *,
    calibrate: bool = True,
) -> Json:
    """Trains on one part, answers the other, and says how well and how fast. Thresholds are chosen within `train`; without `calibrate`
    there are none, and no figures of them."""
    begun = time.perf_counter()
    places = [Place(example, language, Path("train"), number) for number, example in enumerate(train, 1)]
    kinds = {span.kind for example in train for span in example.entities}
    understanding, metrics = Understanding.train(Training(places, entities=kinds), plugs, calibrate=calibrate)
    training_s = time.perf_counter() - begun
    texts, contexts = [example.text for example in test], [example.before for example in test]
    answers: list[Understood] = []
    batched = []
    for start in range(0, len(texts), BATCH):
        before = time.perf_counter()
        answers += understanding.parse(texts[start : start + BATCH], before=contexts[start : start + BATCH])
        batched.append((time.perf_counter() - before) * 1_000 / len(texts[start : start + BATCH]))
    alone = []
    for text in texts[:ALONE_MAX]:
        before = time.perf_counter()
        understanding.parse([text])
        alone.append((time.perf_counter() - before) * 1_000)
    measured = score(test, answers)
    if calibrate:
        measured["calibration_error"] = metrics["calibration_error"]
    else:
        measured = {name: of for name, of in measured.items() if name not in ("unclear", "unsure")}
    timed = {
        "training_s": round(training_s, 1),
        "alone_ms": round(_median(alone), 3),
        "batched_ms": round(_median(batched), 3),
    }
    return {"trained_on": len(train), "tested_on": len(test), **measured, **timed}


def evaluate_folds(
    lines: Sequence[Line],
    plugs: Plugs = BARE,
    language: str = "en",
    progress: Progress = lambda what, done, total: None,
) -> Json:
    """The published folds of a file: each is answered by what the others trained; the mean of the folds, and each.

    No thresholds: the published protocol has none.
    """
    groups = sorted({line.group for line in lines}, key=lambda group: (len(group), group))
    if len(groups) < 2:
        raise BadInput("the file has no folds", remedy='give one whose lines have "fold", or --train and --test')
    folds = []
    for number, group in enumerate(groups):
        progress("evaluate", number, len(groups))
        train = [line.example for line in lines if line.group != group]
        test = [line.example for line in lines if line.group == group]
        folds.append(evaluate(train, test, plugs, language, calibrate=False))
    progress("evaluate", len(groups), len(groups))
    return {**_mean(folds), "folds": folds}


def score(test: Sequence[Example], answers: Sequence[Understood]) -> Json:
    """`intent`: micro-F1 (every message has one intent, so this is accuracy) and macro-F1 of the first intents, with "oos" as an intent
    that is answered where the message is not understood; and at both thresholds accuracy in scope and recall out of scope."""
    measured: Json = {}
    labelled = [(example, answer) for example, answer in zip(test, answers, strict=True) if example.intent]
    if labelled:
        # A rejection is an answer only where the test asks for it; elsewhere the first intent counts.
        rejects = any(example.intent == OUT_OF_SCOPE for example, _ in labelled)
        pairs = [
            (example.intent, OUT_OF_SCOPE if rejects and answer.decision == "unclear" else answer.intents[0][0])
            for example, answer in labelled
        ]
        measured["intent"] = {"micro_f1": round(_micro(pairs), 4), "macro_f1": round(_macro(pairs), 4)}
        inside = [(example, answer) for example, answer in labelled if example.intent != OUT_OF_SCOPE]
        outside = [answer for example, answer in labelled if example.intent == OUT_OF_SCOPE]
        for name, refused in (("all", ()), ("unclear", ("unclear",)), ("unsure", ("unclear", "unsure"))):
            right = [e.intent == a.intents[0][0] and a.decision not in refused for e, a in inside]
            measured[name] = {
                "in_scope_accuracy": round(sum(right) / max(len(right), 1), 4),
                "out_of_scope_recall": round(sum(a.decision in refused for a in outside) / len(outside), 4)
                if outside
                else None,
            }
    if any(example.entities for example in test) and any(answer.entities for answer in answers):
        pairs_of_spans = [(example.entities, answer.entities) for example, answer in zip(test, answers, strict=True)]
        measured["entity"] = entity_scores(pairs_of_spans, overlap=True)
        measured["entity_exact"] = entity_scores(pairs_of_spans, overlap=False)
        if labelled:
            measured["combined_f1"] = round(_combined(pairs, measured["entity"]), 4)
    return measured


def entity_scores(pairs: Iterable[tuple[Sequence[Span], Sequence[Span]]], *, overlap: bool) -> Json:
    """Micro precision, recall and F1 of (wanted, found); each span is matched once."""
    right = n_wanted = n_found = 0
    for wanted, found in pairs:
        left = list(found)
        n_wanted, n_found = n_wanted + len(wanted), n_found + len(left)
        for span in wanted:
            for one in left:
                meets = one.start < span.end and span.start < one.end
                if one.kind == span.kind and (meets if overlap else (one.start, one.end) == (span.start, span.end)):
                    left.remove(one)
                    right += 1
                    break
    precision, recall = right / max(n_found, 1), right / max(n_wanted, 1)
    f1 = 2 * right / max(n_found + n_wanted, 1)
    counts = {"right": right, "wanted": n_wanted, "found": n_found}
    return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4), **counts}


def _micro(pairs: list[tuple[str, str]]) -> float:
    return sum(wanted == given for wanted, given in pairs) / len(pairs)


def _macro(pairs: list[tuple[str, str]]) -> float:
    wanted, given = Counter(w for w, _ in pairs), Counter(g for _, g in pairs)
    right = Counter(w for w, g in pairs if w == g)
    return sum(2 * right[name] / (wanted[name] + given[name]) for name in wanted) / len(wanted)


def _combined(pairs: list[tuple[str, str]], entity: Json) -> float:
    """Intents and entities counted together (Liu et al. 2019)."""
    right: int = sum(w == g for w, g in pairs) + entity["right"]
    total: int = 2 * len(pairs) + entity["wanted"] + entity["found"]
    return 2 * right / total


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _mean(folds: list[Json]) -> Json:
    """The mean of each figure over folds that have it, within one another's groups."""
    mean: Json = {}
    for name, first in folds[0].items():
        of = [fold[name] for fold in folds if fold.get(name) is not None]
        if isinstance(first, dict):
            mean[name] = _mean(of)
        elif of:
            mean[name] = sum(of) if name in ("tested_on", "right", "wanted", "found") else round(sum(of) / len(of), 4)
        else:
            mean[name] = None
    return mean
