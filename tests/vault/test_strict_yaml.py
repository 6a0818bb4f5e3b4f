"""YAML as its author wrote it: text stays text, lines are known, and what could do harm is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.strict_yaml import DEPTH_MAX, Fields, FileProblem, Items, Text, parse_yaml, read_yaml


def values(text: str) -> list[str]:
    node = parse_yaml(text)
    assert isinstance(node, Items)
    return [item.value for item in node.items if isinstance(item, Text)]


def test_what_is_typed_stays_text() -> None:
    typed = ["yes", "no", "01000", "1:20", "null", "~", "1e3", "0x1F", "2026-01-31", "true", "12.50"]
    assert values("\n".join(f"- {one}" for one in typed)) == typed


def test_keys_keep_their_order_and_lines() -> None:
    node = parse_yaml("b: 1\na:\n  - x\n")
    assert isinstance(node, Fields)
    assert [(key.value, key.line) for key, _ in node.items] == [("b", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: &x 1\nb: *x", 1, "anchors and aliases"),
        ("- *x", 1, "anchors and aliases"),
        ("a: 1\nb: 2\na: 3", 3, "already in line 1"),
        ("a: !!python/object:os.system x", 1, "tags"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("a: [1\nb: 2", 2, "not YAML"),
        ("a: 1\n  b: 2", 2, "not YAML"),
        ("\ta: 1", 1, "not YAML"),
        ("a: '", 1, "not YAML"),
        ("? [a]\n: b", 1, "a key that is not text"),
        ("[" * 50 + "]" * 50, 1, "nested more than"),
        ("a: \x07", 1, "not YAML"),
    ],
)
def test_what_is_not_read_is_refused_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(FileProblem, match=what) as refused:
        parse_yaml(text)
    assert refused.value.line == line
    assert refused.value.remedy


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(FileProblem):
        parse_yaml(text)


def test_an_alias_bomb_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    with pytest.raises(FileProblem, match="anchors and aliases"):
        parse_yaml("\n".join(lines))


def test_bytes_that_are_no_utf8_are_said_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(b"name: x\n# \xff\xfe")
    with pytest.raises(FileProblem, match=r"line 2: not UTF-8 \(byte 10\)"):
        read_yaml(file)


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(b"#" * 101)
    with pytest.raises(FileProblem, match="larger than 100 bytes; divide it"):
        read_yaml(file, bytes_max=100)


def test_a_quoted_word_is_known_from_a_plain_one() -> None:
    node = parse_yaml("- yes\n- 'yes'\n- \"yes\"\n")
    assert isinstance(node, Items)
    assert [item.plain for item in node.items if isinstance(item, Text)] == [True, False, False]


def test_nesting_ends_at_a_depth() -> None:
    parse_yaml("[" * DEPTH_MAX + "]" * DEPTH_MAX)
    with pytest.raises(FileProblem, match=f"more than {DEPTH_MAX} deep"):
        parse_yaml("[" * 200)
