"""YAML 1.2 as people write training files in it: text, lists and maps, where every value is the text that stands there.

`yes`, `01000`, `1:20` and `null` stay what was typed: what a value means is decided by whoever asks for it. Aliases, anchors, tags, keys
given twice and more than one document are refused, so a small file never becomes a large one and nothing is made by reading.
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

from vault.errors import BadInput

FILE_BYTES_MAX = 16 * 2**20
DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class Text:
    """A value, and the line it begins in, from 1."""

    value: str
    line: int


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


def read_yaml(path: Path) -> Node:
    """The one document of a file. Raises `BadInput` with file, line and remedy."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadInput(f"{path} is larger than {FILE_BYTES_MAX} bytes", remedy="split the assistant")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", remedy="check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 (byte {error.start})", remedy="save it as UTF-8") from None
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> Node:
    """The same from text; `path` is for the messages."""
    try:
        return _Reader(path, YAML(typ="safe", pure=True).parse(text)).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise refused(
            path, line, f"not YAML: {error.problem or error.context}", "quote the text or fix its indentation"
        ) from None
    except YAMLError:
        raise refused(path, 1, "not YAML: a character that YAML does not allow", "remove control characters") from None


def refused(path: Path, line: int, what: str, remedy: str) -> BadInput:
    """The form of every error about a line of a file."""
    return BadInput(f"{path}:{line}: {what}", remedy=remedy)


class _Reader:
    def __init__(self, path: Path, events: Iterator[Any]) -> None:
        self._path = path
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
            raise self._refused(after, "a second document", "keep one document a file: remove the line ---")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise self._refused(
                event, "anchors and aliases are not read", "quote the text if it begins with & or *, else write it out"
            )
        if getattr(event, "tag", None):
            raise self._refused(event, "tags are not read", "quote the text if it begins with !")
        if depth > DEPTH_MAX:
            raise self._refused(event, f"nested more than {DEPTH_MAX} deep", "flatten it")
        line = event.start_mark.line + 1
        if isinstance(event, ScalarEvent):
            return Text(event.value, line)
        if isinstance(event, SequenceStartEvent):
            return Items(tuple(self._within(depth)), line)
        if not isinstance(event, MappingStartEvent):
            raise self._refused(
                event, "something that is neither text, list nor map", "look at the example in the README"
            )
        return Fields(tuple(self._pairs(depth)), line)

    def _within(self, depth: int) -> Iterator[Node]:
        while not type(event := next(self._events)).__name__.endswith("EndEvent"):
            yield self._node(event, depth + 1)

    def _pairs(self, depth: int) -> Iterator[tuple[Text, Node]]:
        seen: dict[str, int] = {}
        while not type(event := next(self._events)).__name__.endswith("EndEvent"):
            key = self._node(event, depth + 1)
            if not isinstance(key, Text):
                raise self._refused(event, "a key that is not text", "quote the text if it begins with [ or {")
            if key.value in seen:
                raise self._refused(
                    event, f"the key {key.value!r} is already in line {seen[key.value]}", "put both under one key"
                )
            seen[key.value] = key.line
            yield key, self._node(next(self._events), depth + 1)

    def _refused(self, event: Any, what: str, remedy: str) -> BadInput:
        return refused(self._path, event.start_mark.line + 1, what, remedy)
