"""YAML 1.2 as its author wrote it: text, lists and maps, where every value is the text that stands there and knows its line.

`yes`, `01000`, `1:20` and `null` stay what was typed: what a value means is decided by whoever asks for it. Aliases, anchors, tags, keys
given twice and more than one document are refused, so a small file never becomes a large one and nothing is made by reading.
Every file that people write for understanding and for the bot is read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

FILE_BYTES_MAX = 16 * 2**20
DEPTH_MAX = 24


class FileProblem(Exception):
    """Why a file is not read: the line from 1, what is wrong with it, and what to do."""

    def __init__(self, line: int, what: str, remedy: str) -> None:
        super().__init__(f"line {line}: {what}; {remedy}")
        self.line = line
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Text:
    """A value, and the line it begins in, from 1. `plain`: without quotes, so that it may stand for something else than text."""

    value: str
    line: int
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """A map, in the order of the file; no key is there twice."""

    items: tuple[tuple[Text, Node], ...]
    line: int


Node = Text | Items | Fields


def read_yaml(path: Path, bytes_max: int = FILE_BYTES_MAX) -> Node:
    """The one document of a file. Raises `FileProblem`."""
    try:
        if path.stat().st_size > bytes_max:
            raise FileProblem(1, f"larger than {bytes_max} bytes", "divide it")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise FileProblem(1, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FileProblem(line, f"not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    return parse_yaml(text)


def parse_yaml(text: str) -> Node:
    """The same from text."""
    try:
        return _Reader(YAML(typ="safe", pure=True).parse(text)).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not YAML: {error.problem or error.context}"
        raise FileProblem(mark.line + 1 if mark else 1, what, "see to indentation, quotes and colons") from None
    except YAMLError:
        raise FileProblem(1, "not YAML: a character that YAML does not allow", "remove control characters") from None


class _Reader:
    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events

    def document(self) -> Node:
        first = next(self._events)
        if isinstance(first, StreamStartEvent):
            first = next(self._events)
        if isinstance(first, StreamEndEvent):
            return Fields((), 1)
        node = self._node(next(self._events), 0)
        next(self._events)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            raise _problem(after, "a second document", "keep one document a file: remove the line ---")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise _problem(
                event, "anchors and aliases are not read", "quote the text if it begins with & or *, else write it out"
            )
        if getattr(event, "tag", None):
            raise _problem(event, "tags are not read", "quote the text if it begins with !")
        if depth > DEPTH_MAX:
            raise _problem(event, f"nested more than {DEPTH_MAX} deep", "flatten it")
        line = event.start_mark.line + 1
        if isinstance(event, ScalarEvent):
            return Text(event.value, line, plain=event.style is None)
        if isinstance(event, SequenceStartEvent):
            return Items(tuple(self._within(depth)), line)
        if not isinstance(event, MappingStartEvent):
            raise _problem(event, "something that is neither text, list nor map", "look at the example in the README")
        return Fields(tuple(self._pairs(depth)), line)

    def _within(self, depth: int) -> Iterator[Node]:
        while not type(event := next(self._events)).__name__.endswith("EndEvent"):
            yield self._node(event, depth + 1)

    def _pairs(self, depth: int) -> Iterator[tuple[Text, Node]]:
        seen: dict[str, int] = {}
        while not type(event := next(self._events)).__name__.endswith("EndEvent"):
            key = self._node(event, depth + 1)
            if not isinstance(key, Text):
                raise _problem(event, "a key that is not text", "quote the text if it begins with [ or {")
            if key.value in seen:
                raise _problem(
                    event, f"the key {key.value!r} is already in line {seen[key.value]}", "put both under one key"
                )
            seen[key.value] = key.line
            yield key, self._node(next(self._events), depth + 1)


def _problem(event: Any, what: str, remedy: str) -> FileProblem:
    return FileProblem(event.start_mark.line + 1, what, remedy)
