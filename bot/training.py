"""What an assistant's understanding can say: the intents and entities that its training files give examples of.

The training files belong to understanding, which checks them in full; the dialogue reads only what it has to agree with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.documents import Document, read
from bot.problem import Place

MARK = re.compile(r"\[([^\[\]]+)\]\(([a-z][a-z0-9_]*)\)")
TEXTS = {"type": "array", "items": {"type": "string"}}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "intents": {
            "type": "object",
            "additionalProperties": TEXTS,
        },
        "synonyms": {"type": "object", "additionalProperties": TEXTS},
        "lookups": {"type": "object", "additionalProperties": TEXTS},
        "regexes": {"type": "object", "additionalProperties": TEXTS},
        "entities": TEXTS,
    },
}
"""As much of a training file as the dialogue reads."""


@dataclass(frozen=True, slots=True)
class Training:
    """`examples` and `places` by (language, intent), marks taken out; `entities` by the kinds that examples, look-ups or regular
    expressions give; `words` by (language, kind): what stands for which value."""

    examples: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[tuple[str, str], Place] = field(default_factory=dict)
    entities: frozenset[str] = frozenset()
    words: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    @property
    def intents(self) -> frozenset[str]:
        return frozenset(intent for _, intent in self.examples)


def read_training(folder: Path) -> Training:
    """The training files `nlu/*.yaml`, one a language, named after it. Raises `FilesRefused`."""
    examples: dict[tuple[str, str], tuple[str, ...]] = {}
    places: dict[tuple[str, str], Place] = {}
    entities: set[str] = set()
    words: dict[tuple[str, str], dict[str, str]] = {}
    for file in sorted((folder / "nlu").glob("*.yaml")):
        document = read(folder, file, SCHEMA)
        language = file.stem
        given = document.value
        values = {form: value for value, forms in given.get("synonyms", {}).items() for form in (value, *forms)}
        for intent, texts in given.get("intents", {}).items():
            examples[language, intent] = tuple(MARK.sub(r"\1", each) for each in texts)
            places[language, intent] = _place(document, "intents", intent)
            for words_there, kind in (mark for each in texts for mark in MARK.findall(each)):
                entities.add(kind)
                words.setdefault((language, kind), {})[words_there] = values.get(words_there, words_there)
        for kind, forms in given.get("lookups", {}).items():
            entities.add(kind)
            words.setdefault((language, kind), {}).update({form: values.get(form, form) for form in forms})
        entities.update(given.get("regexes", {}), given.get("entities", ()))
    return Training(examples, places, frozenset(entities), words)


def _place(document: Document, *path: str) -> Place:
    return Place(document.file, document.line(*path))
