"""Where tokens begin and end: the units that the tagger labels, and the only places where its spans may begin or end."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")


class Token(NamedTuple):
    """[start, end) in code points; `form` is the text itself."""

    start: int
    end: int
    form: str


def tokenise(text: str) -> list[Token]:
    """Runs of letters and digits, and every other visible character alone. Linear in the text."""
    return [Token(found.start(), found.end(), found[0]) for found in _TOKEN.finditer(text)]
