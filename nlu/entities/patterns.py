"""Regular expressions that authors write, run by RE2: linear in the text whatever they are, and no look-around or back-references."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from nlu.span import Span
from vault.errors import BadInput, StartRefused

FOUND_BY = "regex"
SCORE = 1.0
PATTERN_LENGTH = 2_000
MATCHES = 1_000
"""Of one pattern in one message; further ones are not looked for."""
MEMORY_BYTES = 2 << 20
"""Of one compiled pattern."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """What matches `regex` is a `kind`. Its group `value`, where it has one, is the span and the value; else the whole match is."""

    kind: str
    regex: str


class Patterns:
    """Every pattern of an assistant. BadInput if one cannot be compiled, or matches nothing at all ("")."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = MEMORY_BYTES
        self._compiled: list[tuple[str, Any, int]] = []
        for one in patterns:
            if len(one.regex) > PATTERN_LENGTH:
                raise BadInput(f"the regex of {one.kind!r} is too long", remedy=f"at most {PATTERN_LENGTH} characters")
            try:
                compiled = re2.compile(one.regex, options)
            except (re2.error, UnicodeEncodeError):
                remedy = "RE2 has neither look-around nor back-references, and large repetitions grow"
                raise BadInput(f"the regex of {one.kind!r} cannot be compiled", remedy=remedy) from None
            if compiled.search("") is not None:
                raise BadInput(f"the regex of {one.kind!r} matches the empty text", remedy="use + where it has *")
            self._compiled.append((one.kind, compiled, compiled.groupindex.get("value", 0)))

    def find(self, text: str) -> list[Span]:
        """In order of the patterns; spans of different patterns may overlap. An unpaired surrogate counts as U+FFFD."""
        text = _SURROGATE.sub("\ufffd", text)
        found = []
        for kind, compiled, group in self._compiled:
            for count, match in enumerate(compiled.finditer(text)):
                if count == MATCHES:
                    break
                start, end = match.span(group)
                if start < end:
                    found.append(Span(start, end, kind, SCORE, match.group(group), FOUND_BY))
        return found

    def parts(self) -> list[dict[str, str]]:
        return [{"kind": one.kind, "regex": one.regex} for one in self.patterns]

    @classmethod
    def from_parts(cls, parts: Sequence[Mapping[str, Any]]) -> Patterns:
        """StartRefused if the parts are not patterns."""
        try:
            return cls([Pattern(p["kind"], p["regex"]) for p in parts])
        except (KeyError, TypeError, BadInput):
            raise StartRefused(
                "the model's regular expressions cannot be read", remedy="train the model again"
            ) from None
