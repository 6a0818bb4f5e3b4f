r"""Entities marked in the text of an example: `a table for [two](number) [tomorrow](date)`.

The mark is the text in square brackets and, right after it, the entity type in round ones. A bracket that is none is written `\[`.
"""

from __future__ import annotations

import re

from nlu.span import Span

NAME = re.compile(r"[^\W\d_][\w./-]{0,99}")
"""What intents and entity types are called: a letter, then letters, digits and `_ . / -`."""

_PIECE = re.compile(r"\\([\[\]\\])|\[([^\[\]\\]*)\]\(([^()\s]*)\)|([\[\]])")


class MarkError(ValueError):
    """A mark that cannot be read. The text says why and what to do, and quotes nothing."""


def read_marks(marked: str) -> tuple[str, tuple[Span, ...]]:
    """The plain text and its entities, in order. Raises `MarkError`; takes linear time."""
    pieces: list[str] = []
    spans: list[Span] = []
    length = end = 0
    for found in _PIECE.finditer(marked):
        before = marked[end : found.start()]
        end = found.end()
        pieces.append(before)
        length += len(before)
        escaped, text, kind, lonely = found.groups()
        if lonely:
            raise MarkError(
                f"unbalanced mark at character {found.start() + 1}: write [text](entity), or \\{lonely} for the bracket itself"
            )
        if escaped:
            pieces.append(escaped)
            length += 1
            continue
        if not text.strip():
            raise MarkError(f"an empty mark at character {found.start() + 1}: put the words between [ and ]")
        if not NAME.fullmatch(kind):
            raise MarkError(
                f"no entity type in the mark at character {found.start() + 1}: a letter, then letters, digits and _ . / -"
            )
        pieces.append(text)
        spans.append(Span(length, length + len(text), kind))
        length += len(text)
    pieces.append(marked[end:])
    return "".join(pieces), tuple(spans)


def write_marks(text: str, spans: tuple[Span, ...]) -> str:
    """The reverse of `read_marks`, for spans in order that do not overlap."""
    pieces: list[str] = []
    end = 0
    for span in spans:
        pieces.append(_escaped(text[end : span.start]))
        pieces.append(f"[{text[span.start : span.end]}]({span.kind})")
        end = span.end
    return "".join([*pieces, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return re.sub(r"[\[\]\\]", r"\\\g<0>", text)
