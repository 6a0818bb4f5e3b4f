"""The verbs about understanding, which need no home: `train`, `parse`, `evaluate`, `import`. Plugs the parts together."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vault.client import DONE
from vault.errors import BadInput

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]

MODEL = "model.parloir"
"""Written beside an assistant's `nlu` folder, and looked for in the folder where a verb runs."""


def add_verbs(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Their part of the command line."""
    one = verb("train", "learn an assistant's examples into one model file")
    one.add_argument(
        "folder", type=Path, metavar="FOLDER", help="the assistant: the folder that holds nlu/fr.yaml, nlu/en.yaml"
    )
    one.add_argument(
        "--from-log",
        action="store_true",
        help="and what people said who agree to improvement, as reviewers confirmed it; the model is sealed in this home",
    )
    one.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"the model file (default: FOLDER/{MODEL}; with --from-log the home's)",
    )
    one.add_argument(
        "--made-at",
        metavar="TIME",
        help="the time to write into it, ISO 8601 (default: now); the same time, the same bytes",
    )

    one = verb("parse", "what is understood of a text: language, intents, entities, personal data")
    one.add_argument("text", metavar="TEXT", help="what somebody says, or - for one message a line from standard input")
    one.add_argument(
        "--model", type=Path, metavar="FILE", default=Path(MODEL), help=f"the model file (default: {MODEL})"
    )
    one.add_argument("--language", choices=("fr", "en"), help="the language of the conversation so far")
    one.add_argument("--zone", metavar="ZONE", help="the time zone of the person, for dates, such as Europe/Paris")

    one = verb("evaluate", "score understanding on labelled messages")
    one.add_argument("--train", type=Path, metavar="FILE", help="JSON lines to learn from, gzip or not")
    one.add_argument("--test", type=Path, metavar="FILE", help="JSON lines to be asked about")
    one.add_argument(
        "--protocol", choices=("hwu64",), help="hwu64: the folds that --train FILE names, each answered by the others"
    )
    one.add_argument("--language", choices=("fr", "en"), default="en", help="the language of the files (default: en)")
    one.add_argument(
        "--pii", type=Path, metavar="FILE", help="JSON lines with marked personal data, to be found: text and spans"
    )

    one = verb("import", "convert training data of another system")
    one.add_argument("system", choices=("rasa",), help="rasa: training data of Rasa 3")
    one.add_argument("folder", type=Path, metavar="FOLDER", help="where they are: nlu.yml, or a folder of such files")
    one.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        default=Path("assistant"),
        help="the assistant to make (default: assistant)",
    )
    one.add_argument(
        "--language", choices=("fr", "en"), default="en", help="the language of the examples (default: en)"
    )


EXAMPLES = {
    "train": "parloir train assistant -o model.parloir",
    "parse": 'parloir parse "je voudrais un rendez-vous demain" --model model.parloir --json',
    "evaluate": "parloir evaluate --train train.jsonl.gz --test val.jsonl.gz --json",
    "import": "parloir import rasa old-bot/data -o assistant --language fr",
}


def run(given: argparse.Namespace, progress: Progress) -> int:
    """Runs one of them and returns its exit code."""
    verbs = {"train": _train, "parse": _parse, "evaluate": _evaluate, "import": _import}
    return verbs[given.verb](given, progress)


def plugs() -> Any:
    """What finds entities and personal data, for training and for answering."""
    from nlu.entities import Entities, Lookup, Pattern
    from nlu.personal import PersonalData
    from nlu.understanding import Plugs

    def train(training: Any) -> Entities:
        lookups = [
            Lookup.of(kind, values, {said: meant for said, meant in training.synonyms.items() if meant in values})
            for kind, values in training.lookups.items()
        ]
        patterns = [Pattern(kind, each) for kind, several in training.regexes.items() for each in several]
        return Entities.train(training.examples, lookups, patterns, [place.language for place in training.places])

    return Plugs(train, Entities.from_parts, PersonalData.default())


def _train(given: argparse.Namespace, progress: Progress) -> int:
    from nlu.checking import usable
    from nlu.understanding import Understanding

    training = usable(given.folder)
    understanding, metrics = Understanding.train(training, plugs(), progress)
    path = given.output or given.folder / MODEL
    digest = understanding.save(path, trained_on=training.digest(), made_at=time_or_now(given.made_at), metrics=metrics)
    told = {
        "model": str(path),
        "digest": digest,
        "trained_on": training.digest(),
        "examples": len(training.places),
        "bytes": path.stat().st_size,
        "metrics": metrics,
    }
    if given.json:
        print(json.dumps(told))
        return DONE
    print(f"{path}: {told['examples']} examples, {told['bytes']} bytes, model {digest[:12]}")
    print(
        f"by cross-validation: {metrics['in_scope_accuracy']:.1%} right, calibration error {metrics['calibration_error']:.3f}"
    )
    for name, what in (("unclear", "not understood"), ("unsure", '"did you mean"')):
        of = metrics[name]
        outside = of["out_of_scope_recall"]
        held = "" if outside is None else f", {outside:.0%} of what is out of scope held back"
        print(f"{what} below {of['threshold']:.2f}: {of['in_scope_accuracy']:.1%} right{held}")
    return DONE


def _parse(given: argparse.Namespace, _progress: Progress) -> int:
    from nlu.understanding import Understanding

    understanding, model = Understanding.load(given.model, plugs())
    texts = texts_of(given)
    now = datetime.datetime.now(datetime.UTC)
    answers = understanding.parse(texts, now, given.zone, [given.language] * len(texts))
    told = [answer.as_json(text) for text, answer in zip(texts, answers, strict=True)]
    print_understood(told, model.digest, as_json=given.json)
    return DONE


def texts_of(given: argparse.Namespace) -> list[str]:
    """The messages that `parse` is asked about."""
    return [line.rstrip("\n") for line in sys.stdin] if given.text == "-" else [given.text]


def print_understood(answers: Sequence[Json], model: str, *, as_json: bool) -> None:
    """Prints what was understood of each text, as `Understood.as_json` tells it."""
    for told in answers:
        if as_json:
            line = json.dumps({**told, "model": model}, ensure_ascii=False)
            print(line.encode("utf-8", "replace").decode())
            continue
        print(f"{told['language']} ({told['language_score']:.2f}), {told['decision']}")
        for one in told["intents"]:
            print(f"  {one['confidence']:.2f} {one['intent']}")
        for kind in ("entities", "personal"):
            for span in told[kind]:
                value = "" if span["value"] is None else f" = {span['value']}"
                shown = f"  {kind} [{span['start']}, {span['end']}) {span['type']} {span['text']!r}{value}"
                print(shown.encode("utf-8", "replace").decode())


def _evaluate(given: argparse.Namespace, progress: Progress) -> int:
    from nlu.evaluation import evaluate, evaluate_folds, read_lines

    if given.pii is not None:
        return _evaluate_personal(given)
    if given.train is None or (given.protocol is None) == (given.test is None):
        raise BadInput("nothing to evaluate", remedy="give --train FILE --test FILE, or --train FILE --protocol hwu64")
    lines = read_lines(given.train)
    if given.protocol:
        figures = evaluate_folds(lines, plugs(), given.language, progress)
    else:
        train = [line.example for line in lines]
        figures = evaluate(train, [line.example for line in read_lines(given.test)], plugs(), given.language)
    if given.json:
        print(json.dumps(figures))
        return DONE
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"{name}: " + ", ".join(f"{inner.replace('_', ' ')} {of}" for inner, of in value.items()))
        elif not isinstance(value, list):
            print(f"{name.replace('_', ' ')}: {value}")
    return DONE


def _evaluate_personal(given: argparse.Namespace) -> int:
    """What is found of marked personal data: by kind exactly and by overlap, and by Presidio's protocol."""
    from nlu.evaluation import read_text_lines
    from nlu.personal.evaluation import evaluate

    if given.train is not None or given.test is not None or given.protocol is not None:
        raise BadInput("--pii is scored alone", remedy="leave out --train, --test and --protocol")
    try:
        figures = evaluate(read_text_lines(given.pii), language=given.language)
    except BadInput as error:
        raise BadInput(f"{given.pii}: {error.args[0]}", remedy=error.remedy) from None
    if given.json:
        print(json.dumps(figures))
        return DONE
    print(f"sentences: {figures['sentences']}")
    for way in ("exact", "overlap"):
        for kind, of in figures[way].items():
            print(f"{way} {kind}: " + ", ".join(f"{name} {value}" for name, value in of.items()))
    print("presidio: " + ", ".join(f"{name} {value}" for name, value in figures["presidio"].items()))
    return DONE


def _import(given: argparse.Namespace, _progress: Progress) -> int:
    from nlu.rasa import import_rasa

    imported = import_rasa(given.folder)
    path = imported.write(given.output, given.language)
    examples = sum(map(len, imported.intents.values()))
    if given.json:
        told = {
            "file": str(path),
            "intents": len(imported.intents),
            "examples": examples,
            "left_out": imported.left_out,
        }
        print(json.dumps(told, ensure_ascii=False))
        return DONE
    for line in imported.left_out:
        print(f"left out: {line}")
    print(f"{path}: {examples} examples of {len(imported.intents)} intents, {len(imported.left_out)} things left out")
    return DONE


def time_or_now(given: str | None) -> str:
    """A time as it is written into a model: the given one, or now, UTC. Raises `BadInput`."""
    if given is None:
        return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        datetime.datetime.fromisoformat(given)
    except ValueError:
        raise BadInput("--made-at is no time", remedy="write it as 2026-01-31T12:00:00Z") from None
    return given
