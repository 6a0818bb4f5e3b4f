"""Look-up lists: the names of things an assistant knows, with their synonyms, found as whole words wherever they stand.

Where two begin at one place the longest wins; the value is the canonical name. One walk over a tree of tokens: linear in the text for
entries of bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nlu.entities.grammar.canonical import fold
from nlu.entities.tokens import Token, tokenise
from nlu.span import Span
from vault.errors import BadInput, StartRefused

FOUND_BY = "lookup"
ENTRY_TOKENS = 32
"""A longer entry is refused."""
SCORE = 1.0


@dataclass(frozen=True, slots=True)
class Lookup:
    """The entries of one kind: what may be said (`forms`) and the canonical value of each.

    `fold_case` and `fold_accents`: whether a form is found written in other case, and without its accents or with others.
    """

    kind: str
    forms: Mapping[str, str]
    fold_case: bool = True
    fold_accents: bool = True

    @classmethod
    def of(cls, kind: str, values: Sequence[str], synonyms: Mapping[str, str] | None = None, **options: bool) -> Lookup:
        """Values that stand for themselves, and synonyms that stand for one of them or for another value."""
        return cls(kind, {value: value for value in values} | dict(synonyms or {}), **options)


@dataclass(slots=True)
class _Node:
    after: dict[str, _Node] = field(default_factory=dict)
    ends: list[tuple[str, str]] = field(default_factory=list)


class Lookups:
    """Every list of an assistant. BadInput if an entry holds no word, or too many."""

    def __init__(self, lists: Sequence[Lookup]) -> None:
        self.lists = tuple(lists)
        self._trees: dict[tuple[bool, bool], _Node] = {}
        for one in lists:
            tree = self._trees.setdefault((one.fold_case, one.fold_accents), _Node())
            for form, value in one.forms.items():
                self._enter(tree, one, form, value)

    @staticmethod
    def _enter(tree: _Node, of: Lookup, form: str, value: str) -> None:
        keys = [_key(token.form, of.fold_case, of.fold_accents) for token in tokenise(form)]
        if not keys or len(keys) > ENTRY_TOKENS:
            remedy = f"an entry has 1 to {ENTRY_TOKENS} words; correct it or take it out"
            raise BadInput(f"look-up list {of.kind!r}: an entry of {len(keys)} words", remedy=remedy)
        node = tree
        for key in keys:
            node = node.after.setdefault(key, _Node())
        if all(kind != of.kind for kind, _ in node.ends):
            node.ends.append((of.kind, value))

    def find(self, tokens: Sequence[Token]) -> list[Span]:
        """Of each list the longest entry at each place, left to right; spans of different lists may overlap."""
        found: list[Span] = []
        for (fold_case, fold_accents), tree in self._trees.items():
            keys = [_key(token.form, fold_case, fold_accents) for token in tokens]
            free: dict[str, int] = {}
            for first, key in enumerate(keys):
                if key not in tree.after:
                    continue
                node: _Node | None = tree
                best: dict[str, tuple[int, str]] = {}
                for last in range(first, min(len(keys), first + ENTRY_TOKENS)):
                    node = node.after.get(keys[last]) if node else None
                    if node is None:
                        break
                    for kind, value in node.ends:
                        best[kind] = (last, value)
                for kind, (last, value) in best.items():
                    if free.get(kind, 0) <= first:
                        free[kind] = last + 1
                        found.append(Span(tokens[first].start, tokens[last].end, kind, SCORE, value, FOUND_BY))
        return found

    def parts(self) -> list[dict[str, Any]]:
        return [
            {"kind": one.kind, "forms": dict(one.forms), "fold_case": one.fold_case, "fold_accents": one.fold_accents}
            for one in self.lists
        ]

    @classmethod
    def from_parts(cls, parts: Sequence[Mapping[str, Any]]) -> Lookups:
        """StartRefused if the parts are not look-up lists."""
        try:
            return cls([Lookup(p["kind"], dict(p["forms"]), p["fold_case"], p["fold_accents"]) for p in parts])
        except (KeyError, TypeError, ValueError, AttributeError, BadInput):
            raise StartRefused("the model's look-up lists cannot be read", remedy="train the model again") from None


def _key(form: str, fold_case: bool, fold_accents: bool) -> str:
    """What two words have in common that an option takes for the same."""
    if fold_case and fold_accents and form.isascii():
        return form.lower()
    if fold_accents:
        folded = "".join(_plain(character) for character in form)
        return folded.lower() if fold_case else folded
    return form.lower() if fold_case else form


_LATIN = re.compile(r"[\u00c0-\u024f\u1e00-\u1eff]")


def _plain(character: str) -> str:
    """A Latin letter without its accent, in its case."""
    if not _LATIN.match(character):
        return character
    plain = fold(character)
    return plain.upper() if character.isupper() else plain
