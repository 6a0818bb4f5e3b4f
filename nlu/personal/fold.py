"""Text as identifiers are looked for in it: what reads the same is the same, and places lead back to the original.

People (and those who want to slip past a filter) write full-width digits, no-break spaces, typographic dashes, Cyrillic letters that
look Latin, and characters of no width between others. Folding removes the last and replaces the others one for one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
"""Characters that show nothing: zero width, direction marks, soft hyphen, variation selectors."""

_CYRILLIC: Final = (
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u042c"
    "\u0430\u0435\u0455\u0456\u0458\u043e\u0440\u0441\u0443\u0445\u0501\u04bb\u051b\u051d",
    "ABESIJKMHOPCTYXbaesijopcyxdhqw",
)
_GREEK: Final = (
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf",
    "ABEZHIKMNOPTYXo",
)
"""Letters by the Latin ones that they cannot be told from."""
_BLOCKS: Final = (
    (0x80, 0x3100),
    (0xA620, 0xAC00),
    (0xFE50, 0xFF00),
    (0x104A0, 0x11E00),
    (0x16A00, 0x16C00),
    (0x1D7C0, 0x1D800),
    (0x1E100, 0x1E400),
    (0x1E900, 0x1EA00),
    (0x1FBF0, 0x1FC00),
)
"""Where Unicode has digits, spaces and dashes, without the large blocks that have none."""


def _same() -> dict[int, str]:
    same: dict[int, str] = {}
    for letters, latin in (_CYRILLIC, _GREEK):
        same |= dict(zip(map(ord, letters), latin, strict=True))
    same |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms
    same |= dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u00b4\u2032"), "'")
    same |= dict.fromkeys(map(ord, "\u3002\uff61\u2024"), ".")
    same[0x2212] = "-"
    for code in (code for first, last in _BLOCKS for code in range(first, last)):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Nd":
            same[code] = str(unicodedata.decimal(character))
        elif category == "Zs":
            same[code] = " "
        elif category == "Pd":
            same[code] = "-"
    return same


_SAME: Final = _same()


@dataclass(frozen=True, slots=True)
class Folded:
    """`offsets[i]` is the place in the original of character i of `text`, its last entry the end; None where both are the same."""

    text: str
    offsets: tuple[int, ...] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where [start, end) of the folded text is in the original."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1 if end > start else self.offsets[start]


def fold(text: str) -> Folded:
    """Takes any text: unpaired surrogates and control characters stay as they are. Time is linear."""
    if text.isascii():
        return Folded(text)
    if not UNSEEN.search(text):
        return Folded(text.translate(_SAME))
    kept = tuple(place for place, character in enumerate(text) if not UNSEEN.match(character))
    return Folded(UNSEEN.sub("", text).translate(_SAME), (*kept, len(text)))


def plain(word: str) -> str:
    """Lower case without accents: how lists and features know a word. Always ASCII where the letters are Latin."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.lower())
    return "".join(part for part in parts if not unicodedata.combining(part)).replace("œ", "oe").replace("ł", "l")
