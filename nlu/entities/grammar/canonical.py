"""One way of writing for the rules to read: lower case, no accents, numbers as digits, single spaces, ASCII only.

`Canonical.origin` leads back to the text as it was written. What only looks like a date or an amount (telephone numbers, account
numbers, addresses of mail and web) is covered first, so that no rule reads into it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import re2
from text_to_num import find_numbers

EURO, POUND, YEN = "\x11", "\x12", "\x13"
"""How the signs are written in canonical text; a control character in a message becomes OTHER, so they mean nothing else."""
LETTER, OTHER, COVERED = "_", "~", "#"
"""A letter outside the Latin alphabet, any other character outside ASCII, and a covered one."""

_PIECE = re.compile(r"[a-z]+|[0-9]+|\s+|.", re.DOTALL)
_COVER = re2.compile(
    r"\S{1,256}@\S{1,256}|https?://\S+|www\.\S+"  # mail, web
    r"|\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"  # IP
    r"|\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){3,7}(?: ?[a-z0-9]{1,3})?\b"  # IBAN
    r"|(?:\+|\b00)\d{1,3}[ .\-]?\(?\d{1,4}\)?(?:[ .\-]?\d{2,4}){2,5}\b"  # telephone, international
    r"|\b0[1-9](?:[ .\-]?\d{2}){4}\b"  # telephone, France
    r"|\(?\b[2-9]\d{2}\)?[ .\-]\d{3}[ .\-]\d{4}\b|\b\d{3}-\d{4}\b"  # telephone, North America
    r"|\b\d{4}[ \-]\d{4}[ \-]\d{4}[ \-]\d{1,4}\b"  # payment card
    r"|\b[12] \d{2} \d{2} \d{2} \d{3} \d{3}(?: \d{2})?\b"  # NIR
    r"|\b\d{3} \d{3} \d{3} \d{5}\b"  # SIRET
    r"|\b\d{9,}\b"
)
_MANY_DIGITS = 7


def _words(written: str) -> frozenset[str]:
    return frozenset(written.split())


NUMBER_WORDS = {
    "fr": _words(
        "zero un une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt vingts trente "
        "quarante cinquante soixante septante huitante octante nonante cent cents mille million millions milliard milliards "
        "premier premiere premiers premieres deuxieme troisieme quatrieme cinquieme sixieme septieme huitieme neuvieme dixieme "
        "onzieme douzieme treizieme quatorzieme quinzieme seizieme vingtieme trentieme quarantieme cinquantieme soixantieme "
        "centieme millieme unieme"
    ),
    "en": _words(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty thirty forty fourty fifty sixty seventy eighty ninety hundred thousand million millions "
        "billion first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth hundredth"
    ),
}
_SCALES = frozenset(("mille", "million", "millions", "milliard", "milliards", "thousand", "billion"))
_SECONDS = frozenset(("second", "seconds", "seconde", "secondes"))
_BEFORE_SECOND = _words(
    "the my your his her our their every each twenty thirty january february march april may june july august september october "
    "november december"
)
"""After these "second" is the one after the first; elsewhere it is a unit of time ("one second")."""


def _folded_character(character: str) -> str:
    if character in "\u2018\u2019\u02bc\u00b4\u2032":
        return "'"
    if character in "\u2010\u2011\u2012\u2013\u2014\u2212":
        return "-"
    if character == "\u20ac":
        return EURO
    if character == "\u00a3":
        return POUND
    if character == "\u00a5":
        return YEN
    if character == "\u00b0":
        return "o"
    if character.isspace():
        return " "
    if character < " " or character == "\x7f":
        return OTHER
    if character < "\x7f":
        return character.lower()
    base = unicodedata.normalize("NFKD", character)[0].lower()
    if base.isascii() and base.isprintable():
        return base
    return LETTER if character.isalpha() else OTHER


class _Folding(dict[int, str]):
    """`str.translate` of every code point to exactly one ASCII character; those below 0x3000 are remembered."""

    def __missing__(self, point: int) -> str:
        made = _folded_character(chr(point))
        if point < 0x3000:
            self[point] = made
        return made


_FOLDING = _Folding()


def fold(text: str) -> str:
    """The same length as `text`: lower case, no accents, ASCII."""
    return text.translate(_FOLDING)


class _Word:
    """A token as text2num asks for it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self) -> str:
        return self._text

    def nt_separated(self, previous: object) -> bool:
        return False

    def not_a_number_part(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Canonical:
    """`starts[i]` and `ends[i]`: the stretch of the message that canonical character i stands for.

    `lone_ones`: where a number was the word "un", "une" or "one" alone, which is mostly no number.
    """

    text: str
    starts: list[int]
    ends: list[int]
    lone_ones: frozenset[int]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where [start, end) of the canonical text, not empty, is in the message."""
        return self.starts[start], self.ends[end - 1]


def canonical(folded: str, language: str) -> Canonical:
    """What the rules of `language` ("fr" or "en") read in place of the message that `fold` folded. Linear in the text."""
    folded = _cover(folded)
    pieces = [(found.start(), found.end(), found[0]) for found in _PIECE.finditer(folded)]
    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    ones = set()
    for start, end, piece in _with_digits(pieces, language):
        written = piece
        if piece in {"un", "une", "one"}:
            ones.add(len(text))
            written = "1"
        elif piece.isspace() or (piece == "-" and text and text[-1].isalpha() and folded[end : end + 1].isalpha()):
            if text and text[-1] == " ":
                continue
            written = " "
        text += written
        if len(written) == end - start:
            starts += range(start, end)
            ends += range(start + 1, end + 1)
        else:
            starts += [start] * len(written)
            ends += [end] * len(written)
    return Canonical("".join(text), starts, ends, frozenset(ones))


def _cover(folded: str) -> str:
    if "@" not in folded and "www." not in folded and "://" not in folded:
        digits = sum(map(str.isdigit, folded))
        if digits < _MANY_DIGITS:
            return folded
    return str(_COVER.sub(lambda found: COVERED * len(found.group()), folded))


def _accented(word: str) -> str:
    """A French ordinal as text2num knows it."""
    return word.replace("ieme", "i\u00e8me") if word.endswith("ieme") else word.replace("premiere", "premi\u00e8re")


def _stays(word: str, before: str) -> bool:
    """Whether a number word by itself is left as it is: an article, "pour cent", "5 millions"."""
    if word in {"cent", "cents"} and before == "pour":
        return True
    return word in {"un", "une", "one"} or (word in _SCALES and before.isdigit())


def _with_digits(pieces: list[tuple[int, int, str]], language: str) -> Iterator[tuple[int, int, str]]:
    """The pieces, number words replaced by digits; "un", "une" and "one" alone are left to the caller."""
    words = NUMBER_WORDS[language]
    if not any(piece in words for _, _, piece in pieces):
        yield from pieces
        return
    visible = [number for number, (_, _, piece) in enumerate(pieces) if piece != " " and not piece.isspace()]
    tokens = []
    previous = ""
    for number in visible:
        piece = pieces[number][2]
        unit = piece in _SECONDS and (language == "fr" or previous not in _BEFORE_SECOND)
        # text2num reads the "o" of "o'clock" as zero.
        tokens.append(_Word("~" if unit or piece == "o" or piece[0].isdigit() else _accented(piece)))
        if piece != "-":
            previous = piece
    done = 0
    for found in find_numbers(tokens, language, threshold=0.0):
        first, last = visible[found.start], visible[found.end - 1]
        if first == last and _stays(pieces[first][2], pieces[visible[found.start - 1]][2] if found.start else ""):
            continue
        yield from pieces[done:first]
        yield pieces[first][0], pieces[last][1], fold(found.text)
        done = last + 1
    yield from pieces[done:]
