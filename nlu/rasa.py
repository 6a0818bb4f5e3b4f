"""Rasa 3 training data (`nlu.yml`, or a folder of them) as training files of ours, and what could not be carried over.

Read: intents, `[text](entity)`, `[text](entity:value)` and `[text]{"entity": …, "value": …}`, synonyms, look-up tables, regexes. Rasa gives
one file for all languages or none says which: the caller names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from nlu.marks import NAME, write_marks
from nlu.span import Span
from nlu.training_files import OUT_OF_SCOPE, unfit_pattern
from vault.errors import BadInput
from vault.strict_yaml import Fields, FileProblem, Items, Node, Text, read_yaml

FALLBACKS = frozenset({"out_of_scope", "nlu_fallback"})
_MARK = re.compile(r"\[([^\[\]]+)\](?:\(([^()]*)\)|(\{[^{}]*\}))")
_ITEM = re.compile(r"\s*[-*+] ?(.*)")


@dataclass(slots=True)
class Imported:
    """What came over; `left_out` says file, line and what, one a line."""

    intents: dict[str, list[str]] = field(default_factory=dict)
    entities: set[str] = field(default_factory=set)
    synonyms: dict[str, list[str]] = field(default_factory=dict)
    lookups: dict[str, list[str]] = field(default_factory=dict)
    regexes: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def write(self, folder: Path, language: str) -> Path:
        """Writes `folder/nlu/LANGUAGE.yaml`; one that is there already is not touched (`BadInput`)."""
        path = folder / "nlu" / f"{language}.yaml"
        sections: dict[str, list[str] | dict[str, list[str]]] = {
            "entities": sorted(self.entities - self.lookups.keys() - self.regexes.keys()),
            "synonyms": self.synonyms,
            "lookups": self.lookups,
            "regexes": self.regexes,
            "intents": self.intents,
        }
        yaml = YAML()
        yaml.width = 10_000
        yaml.indent(mapping=2, sequence=4, offset=2)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                yaml.dump({name: _quoted(given) for name, given in sections.items() if given}, file)
        except FileExistsError:
            raise BadInput(f"{path} is there already", remedy="give another -o FOLDER, or move it away") from None
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}", remedy="give another -o FOLDER") from error
        return path


def import_rasa(folder: Path) -> Imported:
    """Reads a file, or every .yml and .yaml under a folder. Raises `BadInput` where no training data are found."""
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*.y*ml") if path.is_file())
    imported = Imported()
    for file in files:
        _Importer(file, imported).read()
    if not imported.intents:
        raise BadInput(f"no Rasa training data under {folder}", remedy="give the folder that holds nlu.yml")
    return imported


class _Importer:
    def __init__(self, file: Path, imported: Imported) -> None:
        self._file = file
        self._to = imported

    def read(self) -> None:
        try:
            document = read_yaml(self._file)
        except FileProblem as problem:
            self._left(problem.line, f"the whole file: {problem.what}")
            return
        if not isinstance(document, Fields):
            return
        for key, value in document.items:
            if key.value == "nlu" and isinstance(value, Items):
                for block in value.items:
                    self._block(block)
            elif key.value not in ("version", "nlu"):
                self._left(key.line, f"{key.value!r} is no training data of understanding")

    def _block(self, block: Node) -> None:
        given = {key.value: value for key, value in block.items} if isinstance(block, Fields) else {}
        kinds = {"intent": self._intent, "synonym": self._synonym, "lookup": self._lookup, "regex": self._regex}
        for kind, reader in kinds.items():
            name = given.get(kind)
            if isinstance(name, Text):
                for other in given.keys() - {kind, "examples"}:
                    self._left(block.line, f"{other!r} of {kind} {name.value!r}")
                reader(name.value, list(self._examples(given.get("examples"))))
                return
        self._left(block.line, "a block that is neither intent, synonym, lookup nor regex")

    def _examples(self, node: Node | None) -> Iterator[tuple[str, int]]:
        """Text and line: of a literal block of `- `, or of a list, plain or with `text:`."""
        if isinstance(node, Text):
            for number, line in enumerate(node.value.splitlines(), node.line + 1):
                if found := _ITEM.fullmatch(line):
                    yield found[1].strip(), number
        elif isinstance(node, Items):
            for item in node.items:
                if isinstance(item, Text):
                    yield item.value.strip(), item.line
                elif isinstance(item, Fields):
                    for key, value in item.items:
                        if key.value == "text" and isinstance(value, Text):
                            yield value.value.strip().removeprefix("- "), value.line
                        else:
                            self._left(key.line, f"{key.value!r} of an example")

    def _intent(self, name: str, examples: list[tuple[str, int]]) -> None:
        intent, _, response = name.partition("/")
        if response:
            intent = name.replace("/", ".")
        if intent in FALLBACKS:
            intent = OUT_OF_SCOPE
        if not NAME.fullmatch(intent):
            intent = "i_" + re.sub(r"[^\w./-]", "_", intent)
            self._left(examples[0][1] if examples else 1, f"the name {name!r}: it is now {intent!r}")
        listed = self._to.intents.setdefault(intent, [])
        listed += [marked for text, line in examples if (marked := self._marked(text, line))]

    def _marked(self, text: str, line: int) -> str:
        pieces: list[str] = []
        spans: list[Span] = []
        length = end = 0
        for found in _MARK.finditer(text):
            said, short, long = found.groups()
            kind, value = self._annotation(short, long, line)
            before = text[end : found.start()]
            end = found.end()
            pieces += [before, said]
            length += len(before) + len(said)
            if kind:
                spans.append(Span(length - len(said), length, kind))
                self._to.entities.add(kind)
                if value and value != said:
                    self._synonym(value, [(said, line)])
        return write_marks("".join([*pieces, text[end:]]), tuple(spans))

    def _annotation(self, short: str | None, long: str | None, line: int) -> tuple[str, str]:
        if long is None:
            kind, _, value = (short or "").partition(":")
        else:
            try:
                given = json.loads(long)
                kind, value = str(given["entity"]), str(given.get("value", ""))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._left(line, "a mark whose braces are not JSON with an entity")
                return "", ""
            for other in sorted(given.keys() - {"entity", "value"}):
                self._left(line, f"{other!r} of an entity")
        if not NAME.fullmatch(kind):
            self._left(line, f"an entity called {kind!r}")
            return "", ""
        return kind, value

    def _synonym(self, value: str, said: list[tuple[str, int]]) -> None:
        listed = self._to.synonyms.setdefault(value, [])
        for one, line in said:
            other = next((v for v, of in self._to.synonyms.items() if one in of and v != value), None)
            if other is not None:
                self._left(line, f"a second value for the synonym {one!r}")
            elif one and one not in listed:
                listed.append(one)

    def _lookup(self, name: str, examples: list[tuple[str, int]]) -> None:
        if NAME.fullmatch(name):
            self._to.lookups.setdefault(name, []).extend(text for text, _ in examples if text)
        else:
            self._left(examples[0][1] if examples else 1, f"the look-up {name!r}: not a name")

    def _regex(self, name: str, examples: list[tuple[str, int]]) -> None:
        for pattern, line in examples:
            problem = unfit_pattern(pattern)
            if problem or not NAME.fullmatch(name):
                self._left(line, f"a pattern of {name!r}: {problem or 'not a name'}")
            else:
                self._to.regexes.setdefault(name, []).append(pattern)

    def _left(self, line: int, what: str) -> None:
        self._to.left_out.append(f"{self._file}:{line}: {what}")


def _quoted(given: list[str] | dict[str, list[str]]) -> list[str] | dict[str, list[str]]:
    """Values in quotes wherever YAML might read something else into them: all of them."""
    if isinstance(given, dict):
        return {name: [DoubleQuotedScalarString(one) for one in listed] for name, listed in given.items() if listed}
    return given
