"""The small language of conditions: `document == 'passport' and length(free.slots) > 0`.

Values are those of JSON. Words: `and or not`, `== != < <= > >= in`, `+ -`, `true false null`, numbers, 'text' or "text", lists
`[a, b]`, names with dots into what a connector returned, parentheses, and the functions of bot/functions.py. Nothing can be defined,
assigned or repeated, so every expression ends; it never raises when it is evaluated either:

- a name that holds nothing is null; null, false, 0, empty text and empty lists count as false;
- values of different types are never equal, and `<` between them is false; dates (2026-03-05) and times (14:30) are text, whose
  order is the order of time;
- `+` joins two texts, adds two numbers, and is null otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from bot.functions import FUNCTIONS, TEXT_MAX, compiled
from vault.errors import BadInput

LENGTH_MAX = 500
DEPTH_MAX = 20
NUMBER_MAX = 10**15
TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)"
    r"|(?P<sign>==|!=|<=|>=|[<>()\[\],+-]))"
)
WORDS = {"and", "or", "not", "in"}
CONSTANTS = {"true": True, "false": False, "null": None}
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read. `names` are the first words of the names in it."""

    text: str
    tree: tuple[Any, ...]
    names: frozenset[str]

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """Its value, given what the names hold."""
        return _value(self.tree, scope)


def parse(text: str) -> Expression:
    """Raises `BadInput` that says where the text stops being an expression."""
    if len(text) > LENGTH_MAX:
        raise BadInput(f"an expression of more than {LENGTH_MAX} characters", remedy="divide it over several steps")
    reader = _Reader(text)
    tree = reader.either(0)
    reader.expect_end()
    return Expression(text, tree, frozenset(reader.names))


class _Reader:
    """Recursive descent, one method a level of binding, loosest first."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split(text))
        self._at = 0
        self.names: set[str] = set()

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                raise self._refused(f"not understood from {text[at : at + 12].strip()!r} on")
            kind = str(found.lastgroup)
            word = found[kind]
            yield ("word", word) if kind == "name" and word in WORDS else (kind, word)
            at = found.end()

    def _refused(self, what: str) -> BadInput:
        return BadInput(f"in the expression {self._text[:80]!r}: {what}", remedy="bot/expression.py shows the language")

    def _next(self, *wanted: str) -> str | None:
        """Takes the next word or sign if it is one of those."""
        if self._at < len(self._tokens):
            kind, word = self._tokens[self._at]
            if kind in ("word", "sign") and word in wanted:
                self._at += 1
                return word
        return None

    def _must(self, sign: str) -> None:
        if self._next(sign) is None:
            raise self._refused(f"{sign} is missing")

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._refused(f"{self._tokens[self._at][1]!r} is too much")

    def either(self, depth: int) -> tuple[Any, ...]:
        if depth > DEPTH_MAX:
            raise self._refused("too many parentheses within each other")
        left = self._both(depth)
        while self._next("or"):
            left = ("or", left, self._both(depth))
        return left

    def _both(self, depth: int) -> tuple[Any, ...]:
        left = self._negated(depth)
        while self._next("and"):
            left = ("and", left, self._negated(depth))
        return left

    def _negated(self, depth: int) -> tuple[Any, ...]:
        negations = 0
        while self._next("not"):
            negations += 1
        compared = self._compared(depth)
        return compared if negations == 0 else ("not", compared) if negations % 2 else ("not", ("not", compared))

    def _compared(self, depth: int) -> tuple[Any, ...]:
        left = self._sum(depth)
        sign = self._next(*COMPARISONS)
        return left if sign is None else (sign, left, self._sum(depth))

    def _sum(self, depth: int) -> tuple[Any, ...]:
        left = self._one(depth)
        while sign := self._next("+", "-"):
            left = (sign, left, self._one(depth))
        return left

    def _one(self, depth: int) -> tuple[Any, ...]:
        if self._next("("):
            inside = self.either(depth + 1)
            self._must(")")
            return inside
        if self._next("["):
            return ("list", *self._until("]", depth))
        if self._next("-"):
            return ("-", ("is", 0), self._one(depth + 1)) if depth < DEPTH_MAX else self.either(depth + 1)
        if self._at == len(self._tokens) or self._tokens[self._at][0] in ("word", "sign"):
            raise self._refused("a value is missing")
        kind, word = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            if len(word) > 15:
                raise self._refused("a number is too long")
            return ("is", float(word) if "." in word else int(word))
        if kind == "text":
            return ("is", word[1:-1])
        if word in CONSTANTS:
            return ("is", CONSTANTS[word])
        return self._call(word, depth) if self._next("(") else self._named(word)

    def _named(self, word: str) -> tuple[Any, ...]:
        parts = word.split(".")
        self.names.add(parts[0])
        return ("name", *parts)

    def _call(self, word: str, depth: int) -> tuple[Any, ...]:
        if word not in FUNCTIONS:
            raise self._refused(f"there is no function {word}; known: {', '.join(FUNCTIONS)}")
        arguments = self._until(")", depth)
        if len(arguments) != FUNCTIONS[word][0]:
            raise self._refused(f"{word} takes {FUNCTIONS[word][0]}, not {len(arguments)}")
        if word == "matches" and arguments[1][0] == "is":
            self._check_pattern(arguments[1][1])
        return ("call", word, *arguments)

    def _check_pattern(self, pattern: Any) -> None:
        try:
            compiled(pattern)
        except (re2.error, AttributeError):
            raise self._refused("the pattern of matches is not an RE2 expression") from None

    def _until(self, sign: str, depth: int) -> list[tuple[Any, ...]]:
        given: list[tuple[Any, ...]] = []
        while self._next(sign) is None:
            if given:
                self._must(",")
            given.append(self.either(depth + 1))
        return given


def _value(tree: tuple[Any, ...], scope: Mapping[str, Any]) -> Any:
    operator, *parts = tree
    if operator == "is":
        return parts[0]
    if operator == "name":
        return look_up(parts, scope)
    if operator == "and":
        return bool(_value(parts[0], scope)) and bool(_value(parts[1], scope))
    if operator == "or":
        return bool(_value(parts[0], scope)) or bool(_value(parts[1], scope))
    values = [_value(part, scope) for part in (parts[1:] if operator == "call" else parts)]
    if operator == "not":
        return not values[0]
    if operator == "list":
        return values
    if operator == "call":
        return _called(parts[0], values)
    return _joined(operator, *values) if operator in "+-" else _compare(operator, *values)


def look_up(path: list[str] | tuple[str, ...], scope: Mapping[str, Any]) -> Any:
    """What a name with dots holds: keys into mappings, numbers (from 0) into lists; None where there is nothing."""
    found: Any = scope
    for part in path:
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and len(part) < 5:
            found = found[int(part)] if int(part) < len(found) else None
        else:
            return None
    return found


def _called(name: str, values: list[Any]) -> Any:
    try:
        return FUNCTIONS[name][1](*values)
    except re2.error:  # a pattern that was not written in the expression itself
        return False


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _compare(operator: str, left: Any, right: Any) -> bool:
    if operator == "in":
        if isinstance(right, str):
            return isinstance(left, str) and left in right
        return isinstance(right, list | dict) and any(_kind(each) == _kind(left) and each == left for each in right)
    alike = _kind(left) == _kind(right)
    if operator in ("==", "!="):
        return (alike and bool(left == right)) == (operator == "==")
    if not alike or _kind(left) not in ("number", "str"):
        return False
    return bool(
        left < right
        if operator == "<"
        else left <= right
        if operator == "<="
        else left > right
        if operator == ">"
        else left >= right
    )


def _joined(operator: str, left: Any, right: Any) -> Any:
    if _kind(left) == _kind(right) == "number":
        total = left + right if operator == "+" else left - right
        return total if abs(total) <= NUMBER_MAX else None
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        return (left + right)[:TEXT_MAX]
    return None
