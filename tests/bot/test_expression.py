"""The language of conditions: what it says, what it refuses, and that it always answers."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.expression import LENGTH_MAX, parse
from vault.errors import BadInput

SCOPE: dict[str, Any] = {
    "a": 1, "b": 2.5, "word": "Passport", "empty_text": "", "none": None, "yes": True, "list": ["x", "y"],
    "found": {"slots": [{"start": "2026-03-05"}], "count": 0}, "today": "2026-03-02",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a == 1", True),
        ("a + b - 0.5", 3.0),
        ("a < b and not b < a", True),
        ("word == 'Passport' or false", True),
        ("lower(word) == 'passport'", True),
        ("'x' in list", True),
        ("'z' in list", False),
        ("'port' in word", True),
        ("length(found.slots)", 1),
        ("found.slots.0.start", "2026-03-05"),
        ("found.slots.7.start", None),
        ("found.nothing.deeper", None),
        ("empty(none) and empty(empty_text) and empty(unknown)", True),
        ("today < '2026-03-05'", True),
        ("days_after(today, 3) == '2026-03-05'", True),
        ("days_after('nonsense', 3)", None),
        ("weekday(today)", 1),
        ("matches('A-00012', '[A-Z]-[0-9]{5}')", True),
        ("matches(word, '[a-z]+')", False),
        ("number('12') + 1", 13),
        ("a in [1, 2]", True),
        ("(a == 2 or a == 1) and yes", True),
        ("-a + 2", 1),
        ("null == none", True),
        ('"it\'s" == "it\'s"', True),
    ],
)
def test_an_expression_has_the_value_that_its_words_say(text: str, value: Any) -> None:
    assert parse(text)(SCOPE) == value


@pytest.mark.parametrize("text", ["a == '1'", "yes == 1", "a < 'z'", "none < 1", "list < list", "word > 1"])
def test_values_of_different_types_are_never_equal_or_in_order(text: str) -> None:
    assert parse(text)(SCOPE) is False


def test_text_and_number_do_not_add_up() -> None:
    assert parse("word + a")(SCOPE) is None
    assert parse("'a' + 'b'")(SCOPE) == "ab"


@pytest.mark.parametrize(
    "text",
    [
        "", "a ==", "(a", "a b", "a = 1", "__import__('os')", "a.b()", "a; b", "eval(a)", "length()", "length(a, b)", "'open", "[a",
        "a..b", "1.2.3", "a and", "not", "matches(a, '(')", "lambda", "a if b", "{a}", "(" * 60 + "a" + ")" * 60, "-" * 60 + "a",
        "a" * (LENGTH_MAX + 1), "9" * 40, "\x00", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text: str) -> None:
    if text == "lambda":
        assert parse(text)({}) is None  # a name like any other
        return
    with pytest.raises(BadInput):
        parse(text)


def test_the_names_in_an_expression_are_known() -> None:
    assert parse("a == found.slots and lower(word) == 'x'").names == {"a", "found", "word"}


def test_no_pattern_of_an_author_can_hang() -> None:
    assert parse("matches(word, '(a+)+b')")({"word": "a" * 50_000}) is False


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        parse(text)(SCOPE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["(", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
TEXTS = [
    "a + b",
    "a - b",
    "a < b",
    "a in b",
    "a == b",
    "lower(a)",
    "length(a)",
    "matches(a, b)",
    "days_after(a, b)",
    "weekday(a)",
]


@given(st.sampled_from(TEXTS), JSON, JSON)
@settings(max_examples=300, deadline=None)
def test_an_expression_never_raises_whatever_the_names_hold(text: str, a: Any, b: Any) -> None:
    parse(text)({"a": a, "b": b})
