"""What the tagger marked, made whole: parts of an address put together, postcodes and towns and letters after a name taken in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from nlu.personal.fold import plain
from nlu.personal.kinds import LEARNT
from nlu.personal.lexicon import classes
from nlu.span import Span

FOUND_BY: Final = "tagger"
LONGEST_GAP: Final = 40
"""Characters between two parts of one address."""
SURE: Final = 0.6
"""The score from which a name may consist of words of places."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_REST_OF_WORD: Final = re.compile(r"(?:-[^\W\d_]{1,30}){1,5}")
_TOWN_NAME: Final = r"(?:(?:le|la|les|saint|sainte|st|ste) |l')?[^\W\d_]{2,30}(?:[-'][^\W\d_]{1,30}){0,5}(?!\w)"
_TOWN: Final = re.compile(rf",? ?\b\d{{5}} {_TOWN_NAME}", re.IGNORECASE)
_NAME: Final = re.compile(
    rf" (?!(?:et|and|for|pour|is|est|last|in|avec|with|please|svp|merci|depuis) ){_TOWN_NAME}", re.IGNORECASE
)
_ENDS_IN_POSTCODE: Final = re.compile(r"(?<!\d)\d{5}\Z")
_AFTER_NAME: Final = re.compile(r",? (?:PhD|MD|DDS|DVM|MBA|Esq|Jr|Sr|II|III|IV)\b", re.IGNORECASE)


def finished(text: str, spans: Sequence[Span]) -> list[Span]:
    """Names and addresses from the tagger's spans, which are in order and also mark places and organisations."""
    return [
        span for span in _join(text, spans) if span.kind in LEARNT and _plausible(text[span.start : span.end], span)
    ]


def _plausible(written: str, span: Span) -> bool:
    """An address holds a digit or a word that streets have. A name holds a letter, and is not made of words of places alone, unless it
    is sure or one of them is a first name too."""
    lists = [classes().get(plain(word), "") for word in _WORD.findall(written)]
    if span.kind == "address":
        return any(map(str.isdigit, written)) or any("R" in each for each in lists)
    places = all("P" in each and "F" not in each for each in lists)
    return bool(lists) and not (places and span.score < SURE)


def _join(text: str, spans: Sequence[Span]) -> list[Span]:
    """Parts of an address with nothing but spaces, signs and line breaks between are one; so are those around one line (its town);
    a place beside an address, or after "à", belongs to it; so do a postcode and the town after it."""
    joined: list[Span] = []
    for span in (_completed(text, part) for part in spans):
        last = joined[-1] if joined else None
        if (
            last is not None
            and "address" in {last.kind, span.kind} <= {"address", "location"}
            and _touch(text[last.end : span.start], both=last.kind == span.kind)
        ):
            joined[-1] = Span(last.start, span.end, "address", max(last.score, span.score), None, FOUND_BY)
        elif last is None or span.start >= last.end:
            joined.append(span)
    return joined


def _touch(between: str, *, both: bool) -> bool:
    """Whether what stands between two parts of an address joins them. `both`: neither is a mere place."""
    if len(between) > LONGEST_GAP:
        return False
    if not any(map(str.isalnum, between)):
        return True
    return between == " à " or (both and between.count("\n") == 2 and not any(map(str.isdigit, between)))


def _completed(text: str, span: Span) -> Span:
    """Up to the end of a word with hyphens; a name also takes the letters after it ("Jr", "PhD"), an address the postcode and town."""
    end = span.end
    if rest := _REST_OF_WORD.match(text, end):
        end = rest.end()
    if span.kind == "address" and (
        town := _TOWN.match(text, end)
        or (_ENDS_IN_POSTCODE.search(text[max(0, end - 6) : end]) and _NAME.match(text, end))
    ):
        end = town.end()
    if span.kind == "person" and (letters := _AFTER_NAME.match(text, end)):
        end = letters.end()
    return span if end == span.end else Span(span.start, end, span.kind, span.score, None, FOUND_BY)
