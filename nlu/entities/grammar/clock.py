"""From what is said of hours to times of day, and to durations: every function reads one rule's groups."""

from __future__ import annotations

import re
from datetime import time, timedelta
from decimal import Decimal

from nlu.entities.grammar.calendar import shifted
from nlu.entities.grammar.reading import Reading, number
from nlu.entities.grammar.values import Clock, Day, Length, Moment, Part, Stretch, Value, When

_NAMED = {"midi": 12, "minuit": 0, "noon": 12, "midday": 12, "midnight": 0}
_RANGE_BEGINS = re.compile(r"\b(?:from|between) $")
_EVENING_BEGINS = 7
"""On a dial of twelve, an hour before this one without a mark is meant after noon."""


def _mark(written: str) -> str:
    """ "am", "pm" or ""."""
    plain = written.replace(".", "").replace(" ", "")
    if plain.startswith(("am", "dumatin", "inthemorning")):
        return "am"
    return "pm" if plain.startswith(("pm", "del'ap", "dusoir", "inthe", "atnight", "tonight")) else ""


def _clock(r: Reading, hour: int, minute: int, second: int = 0, *, mark: str = "", named: bool = False) -> Clock:
    """ValueError if no clock shows it."""
    if mark and hour <= 12:
        return Clock(time(hour % 12 + 12 * (mark == "pm"), minute, second))
    if named or not r.words.dial or not 1 <= hour <= 12 or r.get("h").startswith("0"):
        return Clock(time(0 if hour == 24 else hour, minute, second))
    likely = hour % 12 + 12 if hour < _EVENING_BEGINS or hour == 12 else hour
    other = (likely + 12) % 24
    return Clock(time(likely, minute, second), (time(other, minute, second),))


def _hour(r: Reading) -> tuple[int, bool]:
    return (_NAMED[r.get("name")], True) if r.has("name") else (r.int("h"), False)


def clock(r: Reading) -> Value:
    """h or name, and perhaps mi, s, mark."""
    hour, named = _hour(r)
    return _clock(r, hour, r.int("mi") or r.int("mi2"), r.int("s"), mark=_mark(r.get("mark")), named=named)


def bare_clock(r: Reading) -> Value | None:
    """An hour that only the words around make a time ("at 3")."""
    return clock(r) if r.words.around_clock(r.before, r.after) else None


def _minutes_off(r: Reading) -> int:
    if r.has("half"):
        return 30
    if r.has("quarter"):
        return 15
    if r.has("less_quarter"):
        return -15
    return r.int("more") - r.int("less")


def clock_and_part(r: Reading) -> Value | None:
    """h or name, and half, quarter, less_quarter, more or less: "midi et demi", "quarter to nine"."""
    hour, named = _hour(r)
    off = _minutes_off(r)
    # "5 to 10 people" is no time, "5 to 10 please" is.
    bare = r.words.dial and (r.has("less") or r.has("more")) and not (r.has("minutes") or r.has("mark"))
    if bare and (off % 5 or _RANGE_BEGINS.search(r.before) or not r.words.around_clock(r.before, r.after)):
        return None
    found = _clock(r, hour, 0, mark=_mark(r.get("mark")), named=named)

    def moved(at: time) -> time:
        minutes = (at.hour * 60 + off) % 1440
        return time(minutes // 60, minutes % 60)

    if r.words.dial and off < 0 and hour == _EVENING_BEGINS and found.others:
        return Clock(moved(found.others[0]), (moved(found.time),))
    return Clock(moved(found.time), tuple(moved(other) for other in found.others))


def hours(r: Reading) -> Value | None:
    """French "14h30", "deux heures et demie": a time of day or a length of time, by the words around.

    Without any: a time if no length is said so ("14h", "9h30", "quatorze heures"), else a length ("deux heures").
    """
    hour, minute = r.int("h"), r.int("mi") + _minutes_off(r)
    sure = r.words.around_clock(r.before, r.after) or r.has("mark")
    lasting = r.words.lasting(r.before) or r.has("minutes") or r.after.startswith((" de ", " d'", " par "))
    likely = hour >= 13 or r.has("less_quarter") or (hour >= 5 and (r.has("half") or r.has("quarter")))
    likely = likely or (r.has("short") and (hour >= 7 or r.has("mi")))
    if hour <= 24 and not (lasting and not r.has("mark")) and (sure or (likely and hour < 24)):
        return clock_and_part(r) if not r.has("mi") else clock(r)
    return Length(_units({"hours": Decimal(hour), "minutes": Decimal(minute)})) if minute >= 0 else None


def time_range(r: Reading) -> Value | None:
    """a_h (a_mi) to h (mi, mark): "between 2 and 4pm"."""
    end = _clock(r, r.int("h"), r.int("mi"), mark=_mark(r.get("mark")))
    start = r.int("a_h")
    minute = r.int("a_mi")
    if r.words.dial and start <= 12:
        both = [time(start % 12, minute), time(start % 12 + 12, minute)]
        before = [one for one in both if one < end.time]
        return Stretch(Clock(max(before) if before else both[0]), Clock(end.time))
    return Stretch(Clock(time(start, minute)), Clock(end.time))


def bare_time_range(r: Reading) -> Value | None:
    """ "from 9 to 5": hours only where the words after let them stand."""
    return time_range(r) if r.words.around_clock(" at", r.after) else None


_FILLER = re.compile(r"(?:[.!?,;] ?|\b(?:for|not|by|up to|pour|pas) )$")


def now(r: Reading) -> Value | None:
    """Not where it tells no time: "for now", "not right now", "Now, …"."""
    if _FILLER.search(r.before) or (not r.before.strip() and r.after.strip()):
        return None
    return Moment(r.when.at)


def part_of_day(r: Reading) -> Value:
    """part, and perhaps today ("ce soir", "tonight")."""
    part = Part(*r.words.parts[r.get("part")])
    return part_of(r.when, Day(r.when.today), part) if r.has("today") else part


def last_part_of_day(r: Reading) -> Value:
    """ "last night": part, of yesterday."""
    return part_of(r.when, Day(r.when.today - timedelta(days=1)), Part(*r.words.parts[r.get("part")]))


def part_of(when: When, day: Day, part: Part) -> Stretch:
    """A part of one day, as two moments."""

    def moment(hour: int) -> Moment:
        return when.moment(day.day + timedelta(days=hour // 24), time(hour % 24))

    return Stretch(moment(part.start), moment(part.end))


def _units(units: dict[str, Decimal]) -> dict[str, Decimal]:
    kept = {unit: count for unit, count in units.items() if count}
    return kept or dict(list(units.items())[:1])


_HALF = {
    "years": ("months", Decimal(6)),
    "months": ("days", Decimal(15)),
    "weeks": ("days", Decimal("3.5")),
    "days": ("hours", Decimal(12)),
    "hours": ("minutes", Decimal(30)),
    "minutes": ("seconds", Decimal(30)),
    "seconds": ("seconds", Decimal("0.5")),
}
_SMALLER = {"hours": "minutes", "minutes": "seconds"}


def length_of(r: Reading) -> Length | None:
    """n (or half, quarters) and unit, and perhaps and_half, and_quarter, n2 and unit2, n3 and unit3."""
    name, many = r.words.units[r.get("unit")]
    if "quarters" in r.groups:
        return Length({"minutes": Decimal(15 * r.int("quarters", 1))})
    if r.has("half_unit"):
        count = Decimal()
    elif r.get("n")[:1].isdigit():
        count = number(r.get("n"), decimal_comma=r.words.decimal_comma)
    else:
        count = Decimal(2 if "couple" in r.get("n") else 1)
    units = {name: count * many}
    if name in _SMALLER and count % 1 and not count * 60 % 1:
        units = {name: count // 1, _SMALLER[name]: count % 1 * 60 // 1}
    if r.has("and_half") or r.has("half_unit"):
        small, size = _HALF[name]
        units[small] = units.get(small, Decimal()) + size
    elif r.has("and_quarter") and name in _SMALLER:
        units[_SMALLER[name]] = Decimal(15)
    elif r.has("n2"):
        small = r.words.units[r.get("unit2")][0] if r.has("unit2") else _SMALLER.get(name, "")
        if not small or small in units:
            return None
        units[small] = Decimal(r.int("n2"))
    return Length(_units(units))


def length(r: Reading) -> Value | None:
    """A duration; "a day", "un jour" only where the words before say that something lasts."""
    unsure = r.get("n") in {"a", "an"} or (r.lone_one and r.words.units[r.get("unit")] == ("days", 1))
    if unsure and not (r.has("and_half") or r.words.lasting(r.before)):
        return None
    return length_of(r)


def after_length(r: Reading) -> Value | None:
    """ "dans 3 jours", "in two weeks"."""
    found = length_of(r)
    return shifted(r.when, found, 1) if found else None


def before_length(r: Reading) -> Value | None:
    """ "il y a 3 jours", "two weeks ago"."""
    found = length_of(r)
    return shifted(r.when, found, -1) if found else None


def within_length(r: Reading) -> Value | None:
    """ "sous 48 h", "within two days"."""
    return _stretch(r, 1)


def since_length(r: Reading) -> Value | None:
    """ "depuis 3 jours": until now."""
    return _stretch(r, -1)


def _stretch(r: Reading, sign: int) -> Value | None:
    found = length_of(r)
    if not found:
        return None
    end = shifted(r.when, found, sign)
    now_: Day | Moment = Day(r.when.today) if isinstance(end, Day) else Moment(r.when.at)
    return Stretch(now_, end) if sign > 0 else Stretch(end, now_)
