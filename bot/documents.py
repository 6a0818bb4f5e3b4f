"""An assistant's YAML files (vault/strict_yaml.py), held against the JSON Schema of their kind.

A plain scalar becomes a number or a truth value only where the schema of its place says so: `yes`, `01000` and `1:20` stay what
they are where text is meant.
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

from bot.problem import FilesRefused, Problem
from vault.strict_yaml import Fields, FileProblem, Items, Node, read_yaml

FILE_BYTES_MAX = 2_000_000
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
    try:
        root = read_yaml(file, FILE_BYTES_MAX)
    except FileProblem as problem:
        raise FilesRefused([Problem(name, problem.line, problem.what, problem.remedy)]) from None
    lines: dict[tuple[str | int, ...], int] = {}
    value = _typed(root, schema, schema, (), lines)
    document = Document(name, value, lines)
    problems = [
        problem for error in Draft202012Validator(schema).iter_errors(value) for problem in _said(document, error)
    ]
    if problems:
        raise FilesRefused(problems)
    return document


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
    if isinstance(node, Fields):
        named = schema.get("properties", {})
        others = schema.get("additionalProperties")
        rest = others if isinstance(others, dict) else {}
        return {
            key.value: _typed(child, named.get(key.value, rest), whole, (*place, key.value), lines)
            for key, child in node.items
        }
    if isinstance(node, Items):
        return [
            _typed(child, schema.get("items", {}), whole, (*place, number), lines)
            for number, child in enumerate(node.items)
        ]
    return _scalar(node.value, schema.get("type", "string")) if node.plain else node.value


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
