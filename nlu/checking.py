"""What `parloir check` says of an assistant's training files beyond their form: what would be learnt badly, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nlu.text import fold
from nlu.training_files import OUT_OF_SCOPE, Finding, Place, Training, declared_kinds, read_folder
from vault.errors import BadInput

FEW_EXAMPLES = 5


def check_folder(folder: Path) -> tuple[Training, list[Finding]]:
    """The training data of a folder and every finding, by file and line, errors included."""
    training, findings = read_folder(folder)
    findings = [*findings, *check(training)]
    return training, sorted(findings, key=lambda found: (found.file, found.line, found.level))


def usable(folder: Path) -> Training:
    """The training data of a folder. Raises `BadInput` with the first error and how many there are."""
    training, findings = check_folder(folder)
    errors = [found for found in findings if found.level == "error"]
    if errors:
        more = f" ({len(errors)} errors; `parloir check` lists them)" if len(errors) > 1 else ""
        first = errors[0]
        raise BadInput(f"{first.file}:{first.line}: {first.what}{more}", remedy=first.remedy)
    return training


def check(training: Training) -> Iterator[Finding]:
    """Findings about examples, one by one and together."""
    yield from _unknown_kinds(training)
    yield from _repeated(training.places)
    yield from _few(training)
    yield from _unused(training)


def _unknown_kinds(training: Training) -> Iterator[Finding]:
    known = declared_kinds(training)
    for place in training.places:
        for span in place.example.entities:
            if span.kind not in known:
                yield Finding(
                    "error",
                    place.file,
                    place.line,
                    f"an unknown entity {span.kind!r}",
                    "add it under `entities:`, `lookups:` or `regexes:`, or correct its name",
                )


def _repeated(places: list[Place]) -> Iterator[Finding]:
    first: dict[str, Place] = {}
    for place in places:
        before = first.setdefault(fold(place.example.text), place)
        if before is place:
            continue
        if before.example.intent != place.example.intent:
            yield Finding(
                "error",
                place.file,
                place.line,
                f"the same example as in {before.file.name}:{before.line}, of another intent ({before.example.intent})",
                "keep it in one of the two",
            )
        elif before.language == place.language:
            yield Finding(
                "warning", place.file, place.line, f"the same example as in line {before.line}", "remove one of the two"
            )


def _few(training: Training) -> Iterator[Finding]:
    places = training.places
    counts = Counter(place.example.intent for place in places)
    first = {place.example.intent: place for place in reversed(places)}
    for intent, count in counts.items():
        if count < FEW_EXAMPLES and intent != OUT_OF_SCOPE:
            noun = "example" if count == 1 else "examples"
            yield Finding(
                "warning",
                first[intent].file,
                first[intent].line,
                f"the intent {intent!r} has {count} {noun}",
                f"write at least {FEW_EXAMPLES}, in different words",
            )
    intents = counts.keys() - {OUT_OF_SCOPE}
    if places and len(intents) < 2:
        yield Finding("error", places[0].file, 1, "fewer than two intents", "add another under `intents:`")
    if not places:
        yield Finding("error", Path("nlu"), 1, "no examples at all", "add some under `intents:`")


def _unused(training: Training) -> Iterator[Finding]:
    marked = {span.kind for place in training.places for span in place.example.entities}
    for kind in sorted(training.entities - marked - training.lookups.keys() - training.regexes.keys()):
        yield Finding(
            "warning",
            training.places[0].file if training.places else Path("nlu"),
            1,
            f"the entity {kind!r} is declared and marked nowhere",
            "mark it in examples as [text](entity), or remove it",
        )
