"""Training sentences for names and addresses, made from templates and word lists: plainly synthetic, the same for the same seed.

A third of the names are made of syllables and stand in no list, so that the tagger learns to go by context too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from random import Random
from typing import Final

from nlu.example import Example
from nlu.personal.fold import plain
from nlu.personal.values import Filler
from nlu.span import Span

LANGUAGES: Final = ("fr", "en")
KINDS: Final = ("person", "address", "location", "organisation")
"""What the tagger tells apart. Only the first two are personal; the others are learnt so that they are not taken for them."""

ANOTHER: Final = 0.35
"""How likely another sentence follows one."""
_SLOT: Final = re.compile(r"\{([a-z0-9]+)\}")
_CHOICE: Final = re.compile(r"\(([^()]*\|[^()]*)\)")
_LABELS: Final = {
    **dict.fromkeys(("person", "first", "last"), "person"),
    **dict.fromkeys(("address", "address2", "street", "road"), "address"),
    **dict.fromkeys(("city", "country"), "location"),
    "org": "organisation",
}


def examples(language: str, *, rounds: int, seed: int) -> Iterator[Example]:
    """Each template `rounds` times, filled anew; marked by `KINDS`. Templates without a choice or slot are given once. Often another
    sentence follows, since most messages are longer than one."""
    source = (resources.files("nlu.personal") / "data" / f"templates_{language}.txt").read_text("utf-8")
    # Seeded: the same sentences each time; nothing here is a secret.
    random, filler = Random(seed), Filler(language, Random(seed + 1))  # noqa: S311
    templates = [line.replace("\\n", "\n") for line in source.splitlines() if line and not line.startswith("#")]
    for template in templates:
        for _ in range(rounds if _SLOT.search(template) or "|" in template else 1):
            example = _fill(_chosen(template, random), filler)
            while random.random() < ANOTHER:
                example = _followed(example, _fill(_chosen(random.choice(templates), random), filler), random)
            yield _vary(example, random)


def _followed(first: Example, second: Example, random: Random) -> Example:
    """Both in one message, the second with a capital."""
    text = first.text.rstrip()
    text += (
        random.choice((" ", "\n"))
        if text[-1:] in (".", "!", "?")
        else random.choice((". ", ". ", "! ", ", ", " ", "\n"))
    )
    moved = (Span(span.start + len(text), span.end + len(text), span.kind) for span in second.entities)
    start = second.text[:1].upper() if random.random() < 0.8 else second.text[:1]
    return Example(
        text + (start if len(start) == 1 else second.text[:1]) + second.text[1:], "", (*first.entities, *moved)
    )


def _chosen(template: str, random: Random) -> str:
    return _CHOICE.sub(lambda choice: random.choice(choice[1].split("|")), template)


def _fill(template: str, filler: Filler) -> Example:
    text, spans, at = "", [], 0
    for slot in _SLOT.finditer(template):
        text += template[at : slot.start()]
        value = filler.value(slot[1])
        if label := _LABELS.get(slot[1]):
            spans.append(Span(len(text), len(text) + len(value), label))
        text, at = text + value, slot.end()
    return Example(text + template[at:], "", tuple(spans))


def _vary(example: Example, random: Random) -> Example:
    """Some as people type: without capitals, without accents, all in capitals. Lengths stay, so spans do."""
    chance = random.random()
    text = example.text
    if chance < 0.22:
        text = text.lower()
    elif chance < 0.25:
        text = text.upper()
    if random.random() < 0.12:
        text = "".join(_bare(letter) for letter in text)
    return Example(text if len(text) == len(example.text) else example.text, "", example.entities)


def _bare(letter: str) -> str:
    """The letter without its accent, its case kept."""
    key = plain(letter)
    if letter.isascii() or len(key) != 1:
        return letter
    return key.upper() if letter.isupper() else key
