"""Text without the personal data found in it, and the normal forms under which mentions are looked up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nlu.span import Span
from vault.errors import BadInput

INDEXED: Final = ("email", "phone")
"""Kinds whose normal form may be entered, keyed, in the index of mentions."""


def mask(text: str, spans: Iterable[Span]) -> str:
    """`text` with each span replaced by its kind in brackets: `[EMAIL]`, `[DATE_OF_BIRTH]`. The same spans give the same text, and
    nothing is found in a mask again. Flags are spans too: leave them out to keep the words they mark. Raises `BadInput` where spans
    overlap or are not of this text."""
    parts, at = [], 0
    for span in sorted(spans, key=lambda span: span.start):
        if not at <= span.start <= span.end <= len(text):
            raise BadInput("spans overlap or do not fit the text", remedy="mask with the spans found in this very text")
        parts += [text[at : span.start], f"[{span.kind.upper()}]"]
        at = span.end
    return "".join((*parts, text[at:]))


def normal_form(span: Span) -> str | None:
    """An e-mail address in lower case with its domain in ASCII (IDNA), or a telephone number in E.164. None for other kinds, and for
    numbers that no numbering plan knows."""
    return span.value if span.kind in INDEXED and isinstance(span.value, str) else None
