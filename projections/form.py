"""A TOML text held against a JSON Schema: what is wrong is said with the line it stands in, and without the value that stands there.

`tomllib` reads values and forgets their lines, so a second, small walk over the same text finds them. Of JSON Schema only what our
forms use is known: type, properties, required, additionalProperties, items, enum, pattern, bounds and local references.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from vault.errors import BadInput

Json = Mapping[str, Any]
Path = tuple[str | int, ...]
"""Where a value stands: keys, and places in arrays from 0."""

_TYPES: Mapping[str, tuple[type, str]] = {
    "object": (dict, "a table"),
    "array": (list, "a list"),
    "string": (str, "text, in quotation marks"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
}


class Form:
    """A TOML text, read and checked. `values` is what it says. Raises `BadInput` at the first thing that is wrong."""

    def __init__(self, text: str, schema: Json, name: str) -> None:
        """`name`: the file, as errors call it."""
        self._name = name
        self._schema = schema
        try:
            self.values: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{name} is not TOML: {error}", remedy="correct that line") from None
        self._lines = lines_of(text)
        self._check(self.values, schema, ())

    def refuse(self, path: Path, what: str, remedy: str) -> NoReturn:
        """Raises `BadInput` for what stands at a path."""
        line = next((self._lines[path[:size]] for size in range(len(path), -1, -1) if path[:size] in self._lines), 1)
        raise BadInput(f"{self._name}, line {line}: {said(path)} {what}", remedy=remedy)

    def _check(self, value: Any, schema: Json, path: Path) -> None:
        if reference := schema.get("$ref"):
            schema = {**self._schema["$defs"][reference.removeprefix("#/$defs/")], **schema}
        kind, called = _TYPES[schema["type"]]
        # bool is an int to Python, not to whoever wrote `true`.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.refuse(path, f"is {called}", _meaning(schema))
        if isinstance(value, dict):
            self._check_table(value, schema, path)
        elif isinstance(value, list):
            if len(value) < schema.get("minItems", 0):
                self.refuse(path, "is empty", _meaning(schema))
            for at, each in enumerate(value):
                self._check(each, schema["items"], (*path, at))
        elif isinstance(value, str):
            self._check_text(value, schema, path)
        elif not isinstance(value, bool):
            low, high = schema["minimum"], schema["maximum"]
            if not low <= value <= high:
                self.refuse(path, f"is from {low:,} to {high:,}" if low < high else f"is {low}", _meaning(schema))

    def _check_table(self, table: Json, schema: Json, path: Path) -> None:
        known = schema["properties"]
        for name, value in table.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1, 0.5)
                remedy = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
                self.refuse((*path, name), "is not known here", remedy)
            self._check(value, known[name], (*path, name))
        for name in schema.get("required", ()):
            if name not in table:
                meant = known[name].get("description") or self._schema["$defs"]["text"]["description"]
                self.refuse((*path, name), "is missing", meant.rstrip("."))

    def _check_text(self, value: str, schema: Json, path: Path) -> None:
        choices: Sequence[str] = schema.get("enum", ())
        if choices and value not in choices:
            near = difflib.get_close_matches(value, choices, 1, 0.5)
            self.refuse(
                path,
                "is none of those it can be",
                f"did you mean {near[0]}?" if near else f"one of {', '.join(choices)}",
            )
        if not value.strip() and schema.get("minLength"):
            self.refuse(path, "is empty", _meaning(schema))
        if "pattern" in schema and not re.search(schema["pattern"], value):
            self.refuse(path, "is not written as it should be", _meaning(schema))


def _meaning(schema: Json) -> str:
    return str(schema["description"]).rstrip(".")


def said(path: Path) -> str:
    """A path as people say it: `purpose 2, legal_basis`."""
    text = ""
    for step in path:
        text += f" {step + 1}" if isinstance(step, int) else f", {step}" if text else step
    return text or "the file"


# Lines

_SKIPPED = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}' + r"|'''(?:[^']|'(?!''))*'{3,5}" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'",
    re.DOTALL,
)


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, where each key and each element of an array of tables begins. The text must be TOML."""
    lines: dict[Path, int] = {(): 1}
    arrays: dict[Path, int] = {}
    prefix: Path = ()
    at = 0
    while True:
        skipped = _SKIPPED.match(text, at)
        at = skipped.end() if skipped else at
        if at >= len(text):
            return lines
        line = text.count("\n", 0, at) + 1
        if text[at] == "[":
            depth = 2 if text.startswith("[[", at) else 1
            keys, at = _keys(text, at + depth)
            prefix = ()
            for place, key in enumerate(keys, 1):
                prefix = (*prefix, key)
                if prefix in arrays and (place < len(keys) or depth == 1):
                    prefix = (*prefix, arrays[prefix])
            if depth == 2:
                arrays[prefix] = arrays.get(prefix, -1) + 1
                lines.setdefault(prefix, line)
                prefix = (*prefix, arrays[prefix])
            lines[prefix] = line
            at += depth
        else:
            keys, at = _keys(text, at)
            for size in range(1, len(keys) + 1):
                lines.setdefault((*prefix, *keys[:size]), line)
            at = _after_value(text, at + 1)


def _keys(text: str, at: int) -> tuple[list[str], int]:
    """A dotted key and where it ends."""
    keys: list[str] = []
    while found := _KEY.match(text, at):
        keys.append(next(part for part in found.groups() if part is not None))
        at = found.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    return keys, at


def _after_value(text: str, at: int) -> int:
    """Where a value ends: at the end of its line, unless it is in brackets or a string of several lines."""
    depth = 0
    while at < len(text):
        if string := _STRING.match(text, at):
            at = string.end()
            continue
        character = text[at]
        if character == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        if character == "\n" and not depth:
            return at
        depth += (character in "[{") - (character in "]}")
        at += 1
    return at
