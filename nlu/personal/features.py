"""What the tagger sees of a token: the word, its form, the lists it is in, and the same of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nlu.personal.fold import plain
from nlu.personal.lexicon import classes

_EDGE: Final = "^"
LONGEST_WORD: Final = 24
"""Letters of a word that count; names are shorter, and hostile text is not worth the memory."""


def shape(word: str) -> str:
    """x lower case, X one capital, Xx capitalised, XX capitals, xX mixed; numbers and signs by their class."""
    if word.islower():
        return "x"
    if word.isupper():
        return "X" if len(word) == 1 else "XX"
    return "Xx" if word[0].isupper() and word[1:].islower() else "xX"


def _describe(word: str, lists: dict[str, str]) -> tuple[str, str, str]:
    """Key, shape and class of one token."""
    if word.isalpha() or (word[0].isalpha() and len(word) > 1):
        key = plain(word[:LONGEST_WORD])
        return key, shape(word), lists.get(key, "-")
    if word.isdigit():
        length = str(min(len(word), 6))
        return ("1" if word == "1" else "0" * min(len(word), 6)), "d" + length, "d" + length
    if word[0] == "<" and len(word) > 1:
        return word, "#", word
    return ("~" if ord(word[0]) > 0x2FFF else word), ".", "." if word != "\n" else "\n"


def features(words: Sequence[str]) -> list[list[str]]:
    """For each token the same number of feature names."""
    lists = classes()
    described = [_describe(word, lists) for word in words]
    letters = [s for _, s, _ in described if s[0] in "xX"]
    capitals = sum(s != "x" for s in letters)
    mode = (
        "l"
        if not capitals
        else "u"
        if sum(s in ("X", "XX") for s in letters) * 5 > len(letters) * 4 and len(letters) > 2
        else "m"
    )
    edge = (_EDGE, _EDGE, _EDGE)
    padded = [edge, edge, edge, *described, edge, edge, edge]
    result = []
    for place in range(3, len(words) + 3):
        w3, _, c3 = padded[place - 3]
        w2, s2, c2 = padded[place - 2]
        w1, s1, c1 = padded[place - 1]
        w, s, c = padded[place]
        n1, t1, e1 = padded[place + 1]
        n2, t2, e2 = padded[place + 2]
        n3 = padded[place + 3][0]
        result.append(
            [
                "a" + w,
                "b" + w1,
                "c" + n1,
                "d" + w2,
                "e" + n2,
                f"f{w2}|{w1}|{s}",
                f"g{n1}|{n2}|{s}",
                f"h{w1}|{s}|{mode}",
                f"i{n1}|{s}|{mode}",
                f"j{w1}|{c}",
                f"k{n1}|{c}",
                f"l{s}|{c}|{mode}",
                f"m{s1}|{s}|{t1}",
                f"n{c1}|{c}|{e1}",
                f"o{c2}|{c1}|{c}",
                f"p{c}|{e1}|{e2}",
                f"q{w[-3:]}|{s}",
                f"r{w[-2:]}|{s}",
                f"s{w[:3]}|{s}",
                f"t{w3}|{w2}|{w1}",
                f"u{n1}|{n2}|{n3}",
                f"v{w1}|{w}",
                f"w{w}|{n1}",
                f"x{w1}|{s}|{t1}|{n1 if t1 == '.' else ''}",
                f"y{s2}|{s1}|{s}|{t1}|{t2}|{mode}",
                f"A{s1}|{c}|{t1}|{mode}",
                f"z{c3}|{c2}|{s1}|{s}",
            ]
        )
    return result
