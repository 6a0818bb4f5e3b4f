"""YAML files as their author wrote them: text stays text, and every value knows its line.

YAML 1.2 is read by its events, so that nothing is guessed: a plain scalar becomes a number or a truth value only where the schema
of its place says so (`yes`, `01000` and `1:20` stay what they are where text is meant). Aliases, anchors, tags, a second document
and a key given twice are refused. Files end at `FILE_BYTES_MAX` and nest at most `DEPTH_MAX` deep.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml import events as yaml_events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.problem import FilesRefused, Problem

FILE_BYTES_MAX = 2_000_000
DEPTH_MAX = 24
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})")
NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
KINDS = {
    "object": "a mapping (key: value)",
    "array": "a list (- item)",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


@dataclass(slots=True)
class Node:
    """One value of a file. `content` is text, a list of nodes, or a dict of nodes by key."""

    line: int
    content: str | list[Node] | dict[str, Node]
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A file's value, typed by its schema. `lines` gives the line of every place in it."""

    file: str
    value: Any
    lines: Mapping[tuple[str | int, ...], int]

    def line(self, *place: str | int) -> int:
        """The line of a place, or of the nearest place around it."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]


@cache
def json_schema(name: str) -> Mapping[str, Any]:
    """The JSON Schema `schemas/{name}.schema.json`."""
    found: Mapping[str, Any] = json.loads(files("schemas").joinpath(f"{name}.schema.json").read_text("utf-8"))
    return found


def read(folder: Path, file: Path, schema: Mapping[str, Any]) -> Document:
    """The document in a file of an assistant's folder. Raises `FilesRefused` with every way in which it is not of the schema."""
    name = file.relative_to(folder).as_posix()
    root = _compose(_text(file, name), name)
    lines: dict[tuple[str | int, ...], int] = {}
    value = _typed(root, schema, schema, (), lines)
    document = Document(name, value, lines)
    problems = [
        problem for error in Draft202012Validator(schema).iter_errors(value) for problem in _said(document, error)
    ]
    if problems:
        raise FilesRefused(problems)
    return document


def _text(file: Path, name: str) -> str:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise FilesRefused([Problem(name, 1, f"the file has more than {FILE_BYTES_MAX} bytes", "divide it")])
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FilesRefused([Problem(name, line, "this is not UTF-8", "save the file as UTF-8")]) from None
    except OSError as error:
        raise FilesRefused([Problem(name, 1, f"cannot be read: {error.strerror}", "see to the file")]) from error


def _compose(text: str, name: str) -> Node:
    """The nodes of a file's one document."""
    root = Node(1, {})
    open_nodes: list[Node] = []
    key: list[str | None] = []
    documents = 0

    def refuse(line: int, what: str, remedy: str) -> FilesRefused:
        return FilesRefused([Problem(name, line, what, remedy)])

    def put(node: Node) -> None:
        nonlocal root
        if not open_nodes:
            root = node
            return
        into = open_nodes[-1].content
        if isinstance(into, list):
            into.append(node)
        elif isinstance(into, dict):
            if key[-1] is None:
                if not isinstance(node.content, str):
                    raise refuse(node.line, "a key is not plain text", "write the key as one word")
                if node.content in into:
                    raise refuse(node.line, f"the key {node.content!r} is given twice", "keep one of the two")
                key[-1] = node.content
            else:
                into[key[-1]] = node
                key[-1] = None

    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            if isinstance(event, yaml_events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise refuse(line, "a second document begins", "keep one document a file; remove the ---")
            elif isinstance(event, yaml_events.AliasEvent) or getattr(event, "anchor", None):
                raise refuse(line, "anchors and aliases (& and *) are not read", "write the value out")
            elif getattr(event, "tag", None):
                raise refuse(line, "tags (!) are not read", "remove the tag")
            elif isinstance(event, yaml_events.ScalarEvent):
                put(Node(line, event.value, plain=event.style is None))
            elif isinstance(event, yaml_events.MappingStartEvent | yaml_events.SequenceStartEvent):
                node = Node(line, {} if isinstance(event, yaml_events.MappingStartEvent) else [])
                put(node)
                open_nodes.append(node)
                key.append(None)
                if len(open_nodes) > DEPTH_MAX:
                    raise refuse(line, f"more than {DEPTH_MAX} levels deep", "write it flatter")
            elif isinstance(event, yaml_events.MappingEndEvent | yaml_events.SequenceEndEvent):
                open_nodes.pop()
                key.pop()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = (error.problem or error.context or "this is not YAML").splitlines()[0]
        raise refuse(mark.line + 1 if mark else 1, what, "see to indentation, quotes and colons") from None
    except YAMLError as error:
        raise refuse(1, str(error).splitlines()[0], "remove what is not text") from None
    return root


def _typed(
    node: Node,
    schema: Mapping[str, Any],
    whole: Mapping[str, Any],
    place: tuple[str | int, ...],
    lines: dict[tuple[str | int, ...], int],
) -> Any:
    """A node's value under the schema of its place. Notes the line of every place."""
    lines[place] = node.line
    schema = _resolved(schema, whole)
    if isinstance(node.content, dict):
        named = schema.get("properties", {})
        others = schema.get("additionalProperties")
        return {
            key: _typed(child, named.get(key, others if isinstance(others, dict) else {}), whole, (*place, key), lines)
            for key, child in node.content.items()
        }
    if isinstance(node.content, list):
        return [
            _typed(child, schema.get("items", {}), whole, (*place, number), lines)
            for number, child in enumerate(node.content)
        ]
    return _scalar(node.content, schema.get("type", "string")) if node.plain else node.content


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def _scalar(text: str, wanted: str) -> Any:
    if wanted == "integer" and INTEGER.fullmatch(text):
        return int(text)
    if wanted == "number" and NUMBER.fullmatch(text):
        return float(text)
    if wanted == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _said(document: Document, error: ValidationError) -> Iterator[Problem]:
    """A breach of the schema in an author's words. A schema may say it itself, under `errorMessage`."""
    place = tuple(error.absolute_path)
    known = isinstance(error.schema, Mapping)
    here = ".".join(str(part) for part in place) or "the file"

    def problem(what: str, remedy: str, *inside: str | int) -> Problem:
        return Problem(document.file, document.line(*place, *inside), what, remedy)

    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        allowed = list(error.schema.get("properties", {})) if known else []
        for name in [name for name in error.instance if name not in allowed]:
            near = difflib.get_close_matches(name, allowed, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(allowed)}"
            yield problem(f"{here}: there is no key {name!r}", remedy, name)
    elif error.validator == "required" and isinstance(error.validator_value, Sequence):
        for name in [name for name in error.validator_value if name not in error.instance]:
            yield problem(f"{here}: {name!r} is missing", f"add {name}:")
    elif error.validator == "type":
        yield problem(f"{here} is not {KINDS.get(str(error.validator_value), error.validator_value)}", "change it")
    elif error.validator == "enum":
        yield problem(f"{here}: {error.instance!r} is not known", f"use one of: {', '.join(error.validator_value)}")
    elif known and "errorMessage" in error.schema:
        yield problem(f"{here}: {error.schema['errorMessage']}", f"change {str(error.instance)[:60]!r}")
    else:
        yield problem(f"{here}: {error.message[:200]}", f"the schema says {error.validator}: {error.validator_value}")
