"""Word lists: which words are first names, surnames, places, parts of a street's name or titles."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Final

from nlu.personal.fold import plain

LISTS: Final = {"F": "first_names", "S": "surnames", "P": "places", "R": "streets", "T": "titles"}
"""By the letter that features use: the file under `data/`. Entries of several words count for each of their longer words."""


def entries(name: str) -> list[str]:
    """What a list holds, as written and in its order, without repetition; "~" in the file stands for a space."""
    text = (resources.files("nlu.personal") / "data" / f"{name}.txt").read_text("utf-8")
    words = " ".join(line for line in text.splitlines() if not line.startswith("#")).split()
    return [word.replace("~", " ") for word in dict.fromkeys(words)]


@functools.cache
def classes() -> dict[str, str]:
    """Letters of the lists that a word is in, by the word in lower case without accents ("martin": "FS")."""
    found: dict[str, str] = {}
    for letter, name in LISTS.items():
        for entry in entries(name):
            parts = plain(entry).replace("-", " ").replace("'", " ").split()
            for part in parts:
                if (len(parts) == 1 or len(part) > 2) and letter not in found.get(part, ""):
                    found[part] = found.get(part, "") + letter
    return found
