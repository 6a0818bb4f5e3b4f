"""Everything that finds entities in a message, behind one door: tagger, look-ups, regexes and grammar, merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlu.entities.grammar import expressions
from nlu.entities.lookups import Lookup, Lookups
from nlu.entities.merge import GRAMMAR, merge
from nlu.entities.patterns import Pattern, Patterns
from nlu.entities.tagger import Tagger
from nlu.entities.tokens import Token, tokenise
from nlu.example import Example
from nlu.span import Span
from vault.errors import BadInput, StartRefused

VERSION = 1
"""Of the parts; parts of another version are refused."""
TRAINED_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""Kinds of expressions do not depend on the day; training takes a fixed one, so that it is the same on every day."""


class Entities:
    """What finds entities. Safe to share between threads that read."""

    def __init__(self, tagger: Tagger, lookups: Lookups, patterns: Patterns) -> None:
        self._tagger = tagger
        self._lookups = lookups
        self._patterns = patterns
        self.kinds = sorted(
            {*tagger.kinds, *(one.kind for one in lookups.lists), *(one.kind for one in patterns.patterns)}
        )
        """The kinds that the author gave; the grammar's own come beside."""

    @classmethod
    def train(
        cls,
        examples: Sequence[Example],
        lookups: Sequence[Lookup] = (),
        regexes: Sequence[Pattern] = (),
        languages: Sequence[str] = (),
    ) -> Entities:
        """`languages`: one an example, "fr" or "en" (others have no grammar); none at all means English.

        BadInput if an entity lies outside its text, overlaps the one before it, or a list or a regex cannot be used.
        """
        spoken = list(languages) or ["en"] * len(examples)
        if len(spoken) != len(examples):
            raise BadInput(
                f"{len(examples)} examples and {len(spoken)} languages", remedy="give one language an example"
            )
        for number, example in enumerate(examples):
            _check(number, example)
        lists, patterns = Lookups(lookups), Patterns(regexes)
        tokens, marks = [], []
        for example, language in zip(examples, spoken, strict=True):
            words = tokenise(example.text)
            tokens.append(words)
            said = _said(example.text, language, TRAINED_AT, "UTC")
            marks.append(_marks(words, said, lists.find(words), patterns.find(example.text)))
        intents = [example.intent for example in examples]
        return cls(Tagger.train(tokens, [example.entities for example in examples], intents, marks), lists, patterns)

    def find(
        self,
        texts: Sequence[str],
        at: datetime | Sequence[datetime],
        zone: str,
        languages: Sequence[str],
        intents: Sequence[str] | None = None,
    ) -> list[list[Span]]:
        """Per message its entities, in order, without overlaps, offsets in code points: `merge` says which stand, `grammar.values` how
        values are written.

        `at` is when a message was sent, one for all or one each, with its zone; `zone` is the person's (IANA). `intents`: the likeliest
        intent of each, as in the training examples. BadInput if there is no such zone.
        """
        when = [at] * len(texts) if isinstance(at, datetime) else at
        tokens = [tokenise(text) for text in texts]
        said = [_said(text, language, one, zone) for text, language, one in zip(texts, languages, when, strict=True)]
        looked_up = [self._lookups.find(words) for words in tokens]
        matched = [self._patterns.find(text) for text in texts]
        marks = [
            _marks(words, expressed, listed, found)
            for words, expressed, listed, found in zip(tokens, said, looked_up, matched, strict=True)
        ]
        learnt = self._tagger.find(tokens, intents if intents is not None else [""] * len(texts), marks)
        return [merge(*findings, self._tagger.kinds) for findings in zip(learnt, looked_up, matched, said, strict=True)]

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON and arrays; no code. The same training gives the same bytes."""
        tagger, arrays = self._tagger.parts()
        meta = {
            "version": VERSION,
            "tagger": tagger,
            "lookups": self._lookups.parts(),
            "regexes": self._patterns.parts(),
        }
        return meta, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> Entities:
        """StartRefused if the parts are of another version or damaged."""
        if meta.get("version") != VERSION:
            remedy = "train the model again with this program"
            raise StartRefused(
                f"the model's entities are of version {meta.get('version')!r}, not {VERSION}", remedy=remedy
            )
        for name in ("tagger", "lookups", "regexes"):
            if name not in meta:
                raise StartRefused(f"the model's entities lack {name!r}", remedy="train the model again")
        return cls(
            Tagger.from_parts(meta["tagger"], arrays),
            Lookups.from_parts(meta["lookups"]),
            Patterns.from_parts(meta["regexes"]),
        )


def _check(number: int, example: Example) -> None:
    end = 0
    for entity in example.entities:
        if not (end <= entity.start < entity.end <= len(example.text)) or not entity.kind:
            remedy = "mark entities in order, inside the text, without overlaps, each with a kind"
            raise BadInput(f"example {number + 1} has an entity out of place at {entity.start}", remedy=remedy)
        end = entity.end


def _said(text: str, language: str, at: datetime, zone: str) -> list[Span]:
    return [
        Span(one.start, one.end, one.kind, 1.0, one.value, GRAMMAR)
        for one in expressions(text, language=language, at=at, zone=zone)
    ]


def _marks(tokens: Sequence[Token], *findings: Sequence[Span]) -> Sequence[Sequence[str]]:
    """What look-ups, regexes and grammar say of each token, for the tagger: who, which kind, and whether it begins there."""
    if not any(findings):
        return ()
    marks: list[list[str]] = [[] for _ in tokens]
    for found in findings:
        at = 0
        for span in sorted(found, key=lambda one: one.start):
            while at and tokens[at - 1].end > span.start:
                at -= 1
            while at < len(tokens) and tokens[at].end <= span.start:
                at += 1
            begins = "B"
            here = at
            while here < len(tokens) and tokens[here].start < span.end:
                marks[here].append(f"{begins}:{span.found_by}:{span.kind}")
                begins = "I"
                here += 1
    return marks
