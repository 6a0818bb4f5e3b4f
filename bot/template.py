"""Words with places in them: `Your appointment is on {slot.start|datetime}.`

A place is a name with dots, as in an expression, and at most one filter. `{{` and `}}` stand for braces. What holds nothing is
written as nothing. Dates and times are written as the language writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from bot.expression import look_up
from vault.errors import BadInput

RENDERED_MAX = 2_000
ITEMS_MAX = 20
PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
NAMED = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)\s*(?:\|\s*([a-z]+)\s*)?")
DAYS = {
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
MONTHS = {
    "fr": (
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ),
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
}
AND = {"fr": "et", "en": "and"}


def plain(value: Any, language: str) -> str:
    """A value as text: nothing for null, a list with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return {"fr": ("non", "oui")}.get(language, ("no", "yes"))[value]
    if isinstance(value, list):
        return _list(value, language)
    return "" if isinstance(value, Mapping) else str(value)


def _date(value: Any, language: str) -> str:
    try:
        day = date.fromisoformat(str(value)[:10])
    except ValueError:
        return plain(value, language)
    if language not in DAYS:
        return day.isoformat()
    number = "1er" if language == "fr" and day.day == 1 else str(day.day)
    return f"{DAYS[language][day.weekday()]} {number} {MONTHS[language][day.month - 1]} {day.year}"


def _time(value: Any, language: str) -> str:
    text = str(value)
    try:
        moment = datetime.fromisoformat(text).time() if "T" in text else time.fromisoformat(text)
    except ValueError:
        return plain(value, language)
    if language == "fr":
        return f"{moment.hour} h {moment.minute:02}" if moment.minute else f"{moment.hour} h"
    return f"{moment.hour}:{moment.minute:02}"


def _datetime(value: Any, language: str) -> str:
    to = {"fr": "à", "en": "at"}.get(language, "")
    return f"{_date(value, language)} {to} {_time(value, language)}" if "T" in str(value) else _date(value, language)


def _weekday(value: Any, language: str) -> str:
    """The name of a weekday, from its number (Monday is 1); of several with commas."""
    if isinstance(value, list):
        return _list([_weekday(each, language) for each in value], language)
    known = isinstance(value, int) and 1 <= value <= 7
    return DAYS.get(language, DAYS["en"])[value - 1] if known else plain(value, language)


def _list(value: Any, language: str) -> str:
    items = (
        [plain(item, language) for item in value[:ITEMS_MAX]] if isinstance(value, list) else [plain(value, language)]
    )
    return ", ".join(items[:-1]) + f" {AND.get(language, ',')} {items[-1]}" if len(items) > 1 else "".join(items)


def _capital(value: Any, language: str) -> str:
    text = plain(value, language)
    return text[:1].upper() + text[1:]


FILTERS: Mapping[str, Callable[[Any, str], str]] = {
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "weekday": _weekday,
    "list": _list,
    "capital": _capital,
}


@dataclass(frozen=True, slots=True)
class Template:
    """Words that were read. `pieces` are text, or a place's (path, filter); `names` are the first words of the places."""

    text: str
    pieces: tuple[str | tuple[tuple[str, ...], str], ...]
    names: frozenset[str]

    def __call__(self, scope: Mapping[str, Any], language: str) -> str:
        """The words with what the places hold, at most `RENDERED_MAX` characters."""
        written = (
            piece if isinstance(piece, str) else FILTERS.get(piece[1], plain)(look_up(piece[0], scope), language)
            for piece in self.pieces
        )
        return "".join(written)[:RENDERED_MAX]


def parse(text: str) -> Template:
    """Raises `BadInput` that says which place cannot be read."""
    pieces: list[str | tuple[tuple[str, ...], str]] = []
    end = 0
    for found in PLACE.finditer(text):
        pieces.append(text[end : found.start()])
        end = found.end()
        if found[0] in ("{{", "}}"):
            pieces.append(found[0][0])
            continue
        named = NAMED.fullmatch(found[1] or "")
        if named is None or (named[2] and named[2] not in FILTERS):
            raise BadInput(
                f"{found[0]!r} is not a place",
                remedy=f"write {{name}} or {{name|filter}} with one of {', '.join(FILTERS)}; {{{{ for a brace",
            )
        pieces.append((tuple(named[1].split(".")), named[2] or ""))
    pieces.append(text[end:])
    kept = tuple(piece for piece in pieces if piece)
    return Template(text, kept, frozenset(piece[0][0] for piece in kept if not isinstance(piece, str)))
