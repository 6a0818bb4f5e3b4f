"""A report as plain text, for a terminal or a mail."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from projections.report.blocks import Block, Section
from projections.report.document import Document

WIDTH = 100
_NAMES = 28
"""Width of what stands before a value."""


def render(document: Document) -> str:
    """The whole report; lines end in a line feed."""
    return "\n".join(line.rstrip() for line in _lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield document.title
    yield "=" * len(document.title)
    yield document.as_of
    for section in document.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield ""
    yield section.title
    yield ("-" if section.level == 1 else ".") * len(section.title)
    for block in section.blocks:
        yield from _BLOCKS[block["kind"]](block)


def _wrapped(text: str, indent: str, first: str | None = None) -> Iterator[str]:
    start = indent if first is None else first
    for number, line in enumerate(text.split("\n")):
        lines = textwrap.wrap(line, WIDTH - len(indent), break_long_words=True) or [""]
        for place, each in enumerate(lines):
            yield (start if number == place == 0 else indent) + each


def _paragraph(block: Block) -> Iterator[str]:
    yield from _wrapped(block["text"], "")


def _label(block: Block) -> Iterator[str]:
    yield ""
    yield block["text"]


def _warning(block: Block) -> Iterator[str]:
    yield from _wrapped(block["text"], "!! ")


def _list(block: Block) -> Iterator[str]:
    for item in block["items"]:
        yield from _wrapped(item, "  ", "- ")


def _pairs(rows: Sequence[Sequence[str]], indent: int) -> Iterator[str]:
    for name, value in rows:
        said = " " * indent + name
        if len(said) >= _NAMES:
            yield said
            said = ""
        yield from _wrapped(value, " " * _NAMES, said.ljust(_NAMES))


def _facts(block: Block) -> Iterator[str]:
    if block["caption"]:
        yield ""
        yield block["caption"]
    yield from _pairs(block["rows"], 2)


def _table(block: Block) -> Iterator[str]:
    yield ""
    yield block["caption"]
    rows = [[cell.replace("\n", " ") for cell in row] for row in [block["head"], *block["rows"]]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(block["head"]))]
    while sum(widths) + 2 * len(widths) > WIDTH:  # from the widest column
        widths[widths.index(max(widths))] -= 1
    for row in rows:
        cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in zip_longest(*cells, fillvalue=""):
            yield "  " + "  ".join(each.ljust(width) for each, width in zip(line, widths, strict=True))


def _picture(block: Block) -> Iterator[str]:
    yield from _wrapped(block["alternative"], "")


def _event(block: Block) -> Iterator[str]:
    yield f"  {block['at']}  {block['name']}"
    for words in block["said"]:
        yield from _wrapped(words, "    > ")
    yield from _pairs(block["facts"], 4)


_BLOCKS = {
    "paragraph": _paragraph,
    "label": _label,
    "warning": _warning,
    "list": _list,
    "facts": _facts,
    "table": _table,
    "picture": _picture,
    "event": _event,
}
