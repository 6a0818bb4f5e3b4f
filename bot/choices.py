"""Which of the options that were shown a message means: by what was pressed, by number, or by their words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

TEXT_MAX = 400
ORDINALS = {
    "premier": 1, "premiere": 1, "first": 1, "1er": 1, "1ere": 1, "1st": 1, "un": 1, "une": 1, "one": 1,
    "deuxieme": 2, "second": 2, "seconde": 2, "2e": 2, "2eme": 2, "2nd": 2, "deux": 2, "two": 2,
    "troisieme": 3, "third": 3, "3e": 3, "3eme": 3, "3rd": 3, "trois": 3, "three": 3,
    "quatrieme": 4, "fourth": 4, "4e": 4, "4eme": 4, "4th": 4, "quatre": 4, "four": 4,
    "cinquieme": 5, "fifth": 5, "5e": 5, "5eme": 5, "5th": 5, "cinq": 5, "five": 5,
    "dernier": -1, "derniere": -1, "last": -1,
}  # fmt: skip
FILLERS = {
    "le", "la", "les", "l", "the", "numero", "number", "option", "choix", "choice", "je", "prends", "i", "take",
    "please", "svp", "stp", "merci", "celui", "celle", "one", "de", "d", "du", "my", "mon", "ma", "pour", "for", "a", "an",
}  # fmt: skip


def normal(text: str) -> str:
    """Words for comparison: small letters without accents, one space between them."""
    decomposed = unicodedata.normalize("NFKD", text[:TEXT_MAX].casefold())
    kept = "".join(each for each in decomposed if not unicodedata.combining(each))
    return " ".join(re.findall(r"\w+", kept))


def chosen(text: str, options: Sequence[Mapping[str, object]]) -> tuple[int | None, bool]:
    """The index of the option that the text means, and whether the text says nothing else.

    An option is `{"value", "title"}`, perhaps with `words`. None when no option, or more than one, is meant.
    """
    said = normal(text)
    words = [word for word in said.split() if word not in FILLERS] or said.split()
    if len(words) == 1:
        number = int(words[0]) if words[0].isdecimal() and len(words[0]) < 3 else ORDINALS.get(words[0], 0)
        place = len(options) - 1 if number == -1 else number - 1
        if 0 <= place < len(options):
            return place, True
    whole, within = set(), set()
    for place, option in enumerate(options):
        for form in _forms(option):
            known = [word for word in form.split() if word not in FILLERS] or form.split()
            if known and known == words:
                whole.add(place)
            elif known and f" {form} " in f" {said} ":
                within.add(place)
    found = whole or within
    return (next(iter(found)), bool(whole)) if len(found) == 1 else (None, False)


def _forms(option: Mapping[str, object]) -> list[str]:
    words = option.get("words", ())
    others = [str(word) for word in words] if isinstance(words, list | tuple) else []
    return [form for form in map(normal, (str(option["value"]), str(option["title"]), *others)) if form]
