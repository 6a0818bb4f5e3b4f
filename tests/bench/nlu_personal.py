"""How well and how fast personal data is found: `python -m tests.bench.nlu_personal` (about five minutes).

Prints each figure beside what must be reached and, where there is one, the published figure. Presidio's data is scored twice: with the
model that comes with the program, and with taggers trained on that model's synthetic sentences and the other folds; folds are grouped by
template, the text with its spans replaced by their types.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from nlu.example import Example
from nlu.personal import IDENTIFIERS, PersonalData
from nlu.personal.evaluation import Figures, evaluate, read, score
from nlu.personal.training import DATA as MODEL
from nlu.personal.training import learn, packed, synthetic
from nlu.span import Span
from tests.services import DATA, data_missing

FRENCH = Path(__file__).parents[1] / "nlu" / "data" / "fr_pii_test.jsonl"
PRESIDIO = DATA / "pii" / "presidio_research_large_en.jsonl.gz"
FOLDS = 5
SYNTHETIC_ROUNDS = 8
"""Of each synthetic template beside a fold's training sentences."""
PUBLISHED = "Presidio F2 .618, tuned .845, on the sister set"
MESSAGE = "Bonjour, je suis Jeanne Morel, rappelez-moi au 06 12 34 56 78"


def lines(file: Path) -> list[str]:
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return text.decode("utf-8").splitlines()


def template(row: dict[str, Any]) -> str:
    """The text with its spans replaced by their types, in lower case."""
    text, at = "", 0
    for span in sorted(row["spans"], key=lambda span: span["start"]):
        text += row["text"][at : span["start"]] + "{" + span["entity"] + "}"
        at = span["end"]
    return (text + row["text"][at:]).lower()


def folds(rows: Sequence[str]) -> tuple[int, list[int]]:
    """How many templates there are, and the fold of each row."""
    templates = [template(json.loads(row)) for row in rows]
    order = sorted(set(templates))
    Random(5).shuffle(order)
    place = {each: number % FOLDS for number, each in enumerate(order)}
    return len(order), [place[each] for each in templates]


def with_folds(rows: Sequence[str], synthetic_rounds: int = SYNTHETIC_ROUNDS) -> tuple[int, Figures]:
    count, numbers = folds(rows)
    sentences = read(rows)
    found: list[list[Span]] = [[] for _ in sentences]
    for fold in range(FOLDS):
        train = [
            (sentence.example, "en") for sentence, number in zip(sentences, numbers, strict=True) if number != fold
        ]
        finder = PersonalData(learn([*synthetic(synthetic_rounds), *train]))
        places = [place for place, number in enumerate(numbers) if number == fold]
        texts = [sentences[place].example.text for place in places]
        for place, spans in zip(places, finder.find(texts, ["en"] * len(texts)), strict=True):
            found[place] = spans
    return count, score(sentences, found)


def french() -> tuple[Figures, float, float]:
    """All figures, then F1 over identifiers and over names and addresses."""
    figures = evaluate(lines(FRENCH), language="fr")
    return figures, _f1(figures, IDENTIFIERS), _f1(figures, ("person", "address"))


def _f1(figures: Figures, kinds: Sequence[str]) -> float:
    """Over several kinds, exact, from their counts."""
    right = found = marked = 0.0
    for kind in set(kinds) & set(figures["exact"]):
        row = figures["exact"][kind]
        right += row["recall"] * row["marked"]
        found += row["recall"] * row["marked"] / row["precision"] if row["precision"] else 0
        marked += row["marked"]
    return 2 * right / (found + marked)


def speed(rounds: int = 400) -> tuple[float, float]:
    """Milliseconds a message of 60 characters: alone and in batches of 64, medians, of this process's CPU time."""
    finder = PersonalData.default()
    texts = [_short(Example(sentence.example.text, "")) for sentence in read(lines(FRENCH))][:640]
    finder.find(texts[:64], ["fr"] * 64)
    alone, batched = [], []
    for text in texts[:rounds]:
        start = time.process_time_ns()
        finder.find([text], ["fr"])
        alone.append((time.process_time_ns() - start) / 1e6)
    for at in range(0, 640, 64):
        start = time.process_time_ns()
        finder.find(texts[at : at + 64], ["fr"] * 64)
        batched.append((time.process_time_ns() - start) / 64e6)
    return statistics.median(alone), statistics.median(batched)


def _short(example: Example) -> str:
    return (example.text + " " + MESSAGE)[: len(MESSAGE)]


def same_bytes() -> bool:
    """Whether training again gives the model that comes with the program."""
    return packed(PersonalData(learn(synthetic()))) == (
        (MODEL / "model.json").read_bytes(),
        (MODEL / "model.npz").read_bytes(),
    )


def report() -> Iterator[str]:
    size = (MODEL / "model.npz").stat().st_size
    yield f"model: {size} bytes (must be < 3,000,000); trained again gives the same bytes: {'yes' if same_bytes() else 'NO'}"
    alone, batched = speed()
    yield f"speed, 60 characters, median: {alone:.2f} ms alone (must be <= 1.5), {batched:.2f} ms in batches of 64 (must be <= 0.5)"
    figures, identifiers, names = french()
    yield f"French, {figures['sentences']} sentences, exact F1: identifiers {identifiers:.3f} (must be >= .90)"
    yield f"  names and addresses {names:.3f} (must be >= .75)"
    yield from _rows(figures)
    if missing := data_missing():
        yield missing
        return
    rows = lines(PRESIDIO)
    yield f"presidio-research large_en, the model that comes with the program ({PUBLISHED})"
    yield from _rows(evaluate(rows, language="en"))
    count, figures = with_folds(rows)
    yield f"presidio-research large_en, {FOLDS} folds by {count} templates: must be >= .85, names >= .75 ({PUBLISHED})"
    yield from _rows(figures)


def _rows(figures: Figures) -> Iterator[str]:
    for kind, row in figures["exact"].items():
        near = figures["overlap"][kind]
        yield (
            f"  {kind:16} n {row['marked']:5}  exact P {row['precision']:.3f} R {row['recall']:.3f} F1 {row['f1']:.3f}"
            f"  overlap P {near['precision']:.3f} R {near['recall']:.3f} F1 {near['f1']:.3f}"
        )
    presidio = figures["presidio"]
    yield f"  Presidio's protocol (words): P {presidio['precision']:.3f} R {presidio['recall']:.3f} F2 {presidio['f2']:.3f}"


if __name__ == "__main__":
    for line in report():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
