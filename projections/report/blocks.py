"""What a report's pages are made of: sections of blocks of plain text, the same for paper, browser and terminal.

Blocks are plain JSON, because they travel into the typesetter as data. Whatever text goes into one goes through `shown` here, so
that no renderer meets a character that acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from projections.report.words import shown

Block = dict[str, Any]
Facts = Iterable[tuple[str, str]]


@dataclass
class Section:
    """A part of a report under a heading of level 1 or 2. `id` is what links point to."""

    id: str
    title: str
    level: int = 1
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.title = shown(self.title)

    def paragraph(self, text: str) -> None:
        self.blocks.append({"kind": "paragraph", "text": shown(text)})

    def label(self, text: str) -> None:
        """What comes next, in small: an id that nobody reads and somebody may look for."""
        self.blocks.append({"kind": "label", "text": shown(text)})

    def warning(self, text: str) -> None:
        """A paragraph that must not be overlooked."""
        self.blocks.append({"kind": "warning", "text": shown(text)})

    def items(self, texts: Iterable[str]) -> None:
        self.blocks.append({"kind": "list", "items": [shown(text) for text in texts]})

    def facts(self, rows: Facts, caption: str = "") -> None:
        """Names and what is so of each."""
        self.blocks.append({"kind": "facts", "caption": shown(caption), "rows": _pairs(rows)})

    def table(self, caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        shown_rows = [[shown(cell) for cell in row] for row in rows]
        self.blocks.append({"kind": "table", "caption": shown(caption), "head": list(head), "rows": shown_rows})

    def picture(self, svg: str, alternative: str, caption: str) -> None:
        self.blocks.append({"kind": "picture", "svg": svg, "alternative": alternative, "caption": caption})

    def event(self, name: str, at: str, said: Iterable[str], facts: Facts) -> None:
        """An event: what it is, when, the words that were said, and everything else about it."""
        words = [shown(text) for text in said]
        self.blocks.append({"kind": "event", "name": shown(name), "at": at, "said": words, "facts": _pairs(facts)})


def _pairs(rows: Facts) -> list[list[str]]:
    return [[shown(name), shown(value)] for name, value in rows]
