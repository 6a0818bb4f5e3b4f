"""An assistant's training files: a folder with `nlu/LANGUAGE.yaml`, read, checked and put together.

    entities: [room]                    # types that only the examples mark
    synonyms: {two: [a couple, 2]}      # value: what is said for it
    lookups: {city: [Paris, Lyon]}      # entity type: what it may be
    regexes: {order: ['\\d{4}-\\d{3}']}   # entity type: RE2 patterns
    intents:
      book_table:
        - a table for [two](number) [tomorrow](date)
      oos:                              # optional: what no intent is meant to answer
        - do you like cheese

schemas/nlu.1.schema.json says the same for editors. Reading goes on after a problem, so that `parloir check` lists all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import re2

from nlu.example import Example
from nlu.language import LANGUAGES
from nlu.marks import NAME, MarkError, read_marks
from nlu.strict_yaml import Fields, FileProblem, Items, Node, Text, read_yaml
from nlu.text import CHARACTERS_MAX
from vault.errors import BadInput

OUT_OF_SCOPE = "oos"
GRAMMAR_KINDS = frozenset({"date", "time", "datetime", "interval", "duration", "money", "number", "ordinal", "percent"})
"""Entity types that the built-in grammar finds, and that need no declaration."""
EXAMPLES_MAX = 200_000
PATTERN_BYTES_MAX = 2 * 2**20
"""Of one compiled pattern."""
KEYS = ("entities", "synonyms", "lookups", "regexes", "intents")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in a file. With an "error" nothing is trained; a "warning" says what will not work well."""

    level: str
    file: Path
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Place:
    """An example and where it stands."""

    example: Example
    language: str
    file: Path
    line: int


@dataclass(slots=True)
class Training:
    """What an assistant's files say together. `synonyms`: the value of what is said, as written."""

    places: list[Place] = field(default_factory=list)
    synonyms: dict[str, str] = field(default_factory=dict)
    lookups: dict[str, list[str]] = field(default_factory=dict)
    regexes: dict[str, list[str]] = field(default_factory=dict)
    entities: set[str] = field(default_factory=set)

    @property
    def examples(self) -> list[Example]:
        return [place.example for place in self.places]

    def by_language(self) -> dict[str, list[str]]:
        """Texts of the examples, by language."""
        texts: dict[str, list[str]] = {}
        for place in self.places:
            texts.setdefault(place.language, []).append(place.example.text)
        return texts

    def digest(self) -> str:
        """SHA-256 of all that training sees, 64 hexadecimal digits: the same files in another folder give the same."""
        seen = [
            [
                [p.language, p.example.intent, p.example.text, [[s.start, s.end, s.kind] for s in p.example.entities]]
                + [p.example.before] * bool(p.example.before)
                for p in self.places
            ],
            self.synonyms,
            self.lookups,
            self.regexes,
            sorted(self.entities),
        ]
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def read_folder(folder: Path) -> tuple[Training, list[Finding]]:
    """Everything under `folder/nlu`, in the order of `LANGUAGES`, and what is wrong with the files one by one.

    Raises `BadInput` only where there is nothing to read.
    """
    files = sorted((folder / "nlu").glob("*.y*ml"))
    if not files:
        raise BadInput(
            f"no training files: {folder / 'nlu'} has no fr.yaml or en.yaml",
            remedy="give the folder of an assistant, or make one with `parloir import rasa FOLDER`",
        )
    training = Training()
    findings: list[Finding] = []
    for file in files:
        if file.stem not in LANGUAGES:
            known = " or ".join(LANGUAGES)
            findings.append(Finding("error", file, 1, "a language that is not known", f"name the file {known}, .yaml"))
            continue
        findings += _File(file, training).read()
    return training, findings


class _File:
    def __init__(self, path: Path, training: Training) -> None:
        self._path = path
        self._training = training
        self._findings: list[Finding] = []

    def read(self) -> list[Finding]:
        try:
            node = read_yaml(self._path)
        except FileProblem as problem:
            return [Finding("error", self._path, problem.line, problem.what, problem.remedy)]
        readers = {
            "entities": self._entities,
            "synonyms": self._synonyms,
            "lookups": self._lookups,
            "regexes": self._regexes,
            "intents": self._intents,
        }
        for key, value in self._fields(node, "the file"):
            if key.value in readers:
                readers[key.value](value)
            else:
                self._error(key, f"an unknown key {key.value!r}", f"use one of {', '.join(KEYS)}")
        return self._findings

    def _entities(self, node: Node) -> None:
        self._training.entities.update(one.value for one in self._texts(node, "entities") if self._named(one))

    def _synonyms(self, node: Node) -> None:
        for value, said in self._fields(node, "synonyms"):
            for one in self._texts(said, f"the synonyms of {value.value!r}"):
                before = self._training.synonyms.setdefault(one.value, value.value)
                if before != value.value:
                    self._error(one, f"{one.value!r} already stands for {before!r}", "keep one of the two")

    def _lookups(self, node: Node) -> None:
        for kind, listed in self._fields(node, "lookups"):
            if self._named(kind):
                found = [one.value for one in self._texts(listed, f"the look-up {kind.value!r}")]
                self._training.lookups.setdefault(kind.value, []).extend(found)

    def _regexes(self, node: Node) -> None:
        for kind, listed in self._fields(node, "regexes"):
            if not self._named(kind):
                continue
            for pattern in self._texts(listed, f"the patterns of {kind.value!r}"):
                problem = unfit_pattern(pattern.value)
                if problem:
                    self._error(
                        pattern,
                        f"a pattern that cannot be used: {problem}",
                        "RE2 knows no look-around and no back-references",
                    )
                else:
                    self._training.regexes.setdefault(kind.value, []).append(pattern.value)

    def _intents(self, node: Node) -> None:
        for intent, listed in self._fields(node, "intents"):
            if not self._named(intent):
                continue
            for one in self._texts(listed, f"the examples of {intent.value!r}"):
                self._example(intent.value, one)

    def _example(self, intent: str, one: Text) -> None:
        if len(self._training.places) >= EXAMPLES_MAX:
            self._error(one, f"more than {EXAMPLES_MAX} examples", "split the assistant")
            return
        if len(one.value) > CHARACTERS_MAX:
            self._error(one, f"an example of more than {CHARACTERS_MAX} characters", "shorten it")
            return
        try:
            text, spans = read_marks(one.value)
        except MarkError as error:
            self._error(one, str(error).partition(": ")[0], str(error).partition(": ")[2])
            return
        place = Place(Example(text, intent, spans), self._path.stem, self._path, one.line)
        self._training.places.append(place)

    def _fields(self, node: Node, what: str) -> Iterator[tuple[Text, Node]]:
        if isinstance(node, Fields):
            yield from node.items
        elif not (isinstance(node, Text) and not node.value):
            self._error(node, f"{what} is no map", "write it as `name: value`, one a line")

    def _texts(self, node: Node, what: str) -> Iterator[Text]:
        if not isinstance(node, Items):
            self._error(node, f"{what} is no list", "begin each with `- `")
            return
        for item in node.items:
            if not isinstance(item, Text):
                self._error(
                    item, f"{what} holds something that is not text", "quote it: it has `: `, or begins with [ or {"
                )
            elif not item.value.strip():
                self._error(item, f"{what} holds an empty text", "remove the line")
            else:
                yield item

    def _named(self, name: Text) -> bool:
        if NAME.fullmatch(name.value):
            return True
        self._error(name, f"{name.value!r} is no name", "begin with a letter, then letters, digits and _ . / -")
        return False

    def _error(self, node: Node, what: str, remedy: str) -> None:
        self._findings.append(Finding("error", self._path, node.line, what, remedy))


def unfit_pattern(pattern: str) -> str:
    """Why RE2 does not take a pattern, or "". One that finds the empty text everywhere is unfit too."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES_MAX
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return "it finds the empty text" if compiled.search("") else ""


def declared_kinds(training: Training) -> Mapping[str, str]:
    """Entity types that may be marked, and what finds each of them."""
    return (
        dict.fromkeys(training.entities, "examples")
        | dict.fromkeys(GRAMMAR_KINDS, "grammar")
        | dict.fromkeys(training.regexes, "regexes")
        | dict.fromkeys(training.lookups, "lookups")
    )
