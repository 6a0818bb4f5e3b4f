"""What expressions mean, and how a value is given out: JSON of ISO 8601 texts, decimal strings and currency codes.

| kind | value |
|---|---|
| date | `{"iso": "2026-05-03", "grain": "day"}`, a week "2026-W18", a month "2026-05", a year "2026" |
| time | `{"iso": "14:30", "next": "2026-05-03T14:30:00+02:00"}`: the next time the clock shows it |
| datetime | `{"iso": "2026-05-03T14:30:00+02:00"}` |
| interval | `{"iso": "2026-05-03/2026-05-05"}`: days are both included, a time is when it ends; ".." where it is open |
| duration | `{"iso": "PT1H30M", "seconds": 5400}`; no seconds where months or years have none |
| money | `{"amount": "12.50", "currency": "EUR"}` |
| number, percent | `{"number": "12.5"}` |
| ordinal | `{"ordinal": 3}` |

Where an expression has other readings, the likely one is given and `"ambiguous"` lists the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day, or the week, month or year that begins with it."""

    day: date
    grain: str = "day"
    others: tuple[date, ...] = ()

    def iso(self) -> str:
        return iso_day(self.day, self.grain)

    def last(self) -> date:
        """The last day of the stretch."""
        if self.grain == "week":
            return self.day + timedelta(days=6)
        if self.grain == "month":
            return add_months(self.day, 1) - timedelta(days=1)
        if self.grain == "year":
            return date(self.day.year, 12, 31)
        return self.day


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day; `others`: what a dial of twelve hours may also mean."""

    time: time_of_day
    others: tuple[time_of_day, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` knows its zone."""

    at: datetime
    others: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of any day, from `start` to `end` o'clock; `end` may be past midnight (24 and more)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """An interval; None is open. `others` are other readings as they are given out."""

    start: Day | Clock | Moment | None
    end: Day | Clock | Moment | None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Length:
    """A duration in units as they were said: `years`, `months`, `weeks`, `days`, `hours`, `minutes`, `seconds`."""

    units: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Number:
    """`kind`: number, percent or ordinal."""

    number: Decimal
    kind: str = "number"


Value = Day | Clock | Moment | Part | Stretch | Length | Money | Number


@dataclass(frozen=True, slots=True)
class When:
    """The message's own time in its own zone, and the order in which its language writes day and month."""

    at: datetime
    day_first: bool

    @property
    def today(self) -> date:
        return self.at.date()

    @property
    def zone(self) -> tzinfo:
        assert self.at.tzinfo is not None
        return self.at.tzinfo

    def moment(self, day: date, at: time_of_day) -> Moment:
        """That day at that local time. A time that the clocks skip is moved on by what they skip (RFC 5545); of a time that they show
        twice, the first, and the second is ambiguous."""
        first = datetime.combine(day, at, tzinfo=self.zone)
        if first.utcoffset() == first.replace(fold=1).utcoffset():
            return Moment(first)
        real = first.astimezone(UTC).astimezone(self.zone)
        if real.replace(tzinfo=None) != first.replace(tzinfo=None):
            return Moment(real)
        return Moment(first, (first.replace(fold=1),))

    def next(self, at: time_of_day) -> Moment:
        """The next time the clock shows `at`."""
        today = self.moment(self.today, at)
        if today.at >= self.at:
            return today
        return self.moment(self.today + timedelta(days=1), at)

    def later(self, seconds: Decimal) -> Moment:
        """So many seconds of real time after the message, or before it if negative; OverflowError outside the calendar."""
        return Moment((self.at.astimezone(UTC) + timedelta(seconds=float(seconds))).astimezone(self.zone))


def iso_day(day: date, grain: str) -> str:
    if grain == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04}-W{week:02}"
    return day.isoformat()[: {"month": 7, "year": 4}.get(grain, 10)]


def add_months(day: date, months: int) -> date:
    """The same day of another month, or its last; OverflowError outside the calendar."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9998:
        raise OverflowError
    month += 1
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month, min(day.day, last))


_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_LETTERS = (("years", "Y"), ("months", "M"), ("weeks", "W"), ("days", "D"))
_TIME_LETTERS = (("hours", "H"), ("minutes", "M"), ("seconds", "S"))


def seconds_of(length: Length) -> Decimal | None:
    """None where months or years make it depend on the calendar."""
    if any(unit not in _SECONDS for unit in length.units):
        return None
    return sum((number * _SECONDS[unit] for unit, number in length.units.items()), Decimal())


def decimal_text(number: Decimal) -> str:
    """Without exponent; the zeros that were written stay ("12.50")."""
    return f"{number:f}"


def _iso_length(length: Length) -> str:
    """ISO 8601 has weeks alone: with other units they are written as days."""
    units = dict(length.units)
    if "weeks" in units and len(units) > 1:
        units["days"] = units.get("days", Decimal()) + 7 * units.pop("weeks")

    def written(letters: tuple[tuple[str, str], ...]) -> str:
        return "".join(f"{decimal_text(units[unit])}{letter}" for unit, letter in letters if unit in units)

    of_day = written(_TIME_LETTERS)
    return "P" + written(_LETTERS) + ("T" + of_day if of_day else "")


def iso_clock(at: time_of_day) -> str:
    return at.isoformat() if at.second else at.isoformat(timespec="minutes")


def iso_moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def iso_end(value: Day | Clock | Moment | None) -> str:
    """One side of an interval."""
    match value:
        case Day():
            return value.iso()
        case Clock():
            return iso_clock(value.time)
        case Moment():
            return iso_moment(value.at)
        case None:
            return ".."


def given(value: Value, when: When) -> tuple[str, dict[str, Any]]:
    """The kind of an expression, and its value as JSON."""
    others: list[str] = []
    made: dict[str, Any]
    match value:
        case Day():
            kind, made = "date", {"iso": value.iso(), "grain": value.grain}
            others = [iso_day(other, value.grain) for other in value.others]
        case Clock():
            kind, made = "time", {"iso": iso_clock(value.time), "next": iso_moment(when.next(value.time).at)}
            others = [iso_clock(other) for other in value.others]
        case Moment():
            kind, made = "datetime", {"iso": iso_moment(value.at)}
            others = [iso_moment(other) for other in value.others]
        case Part():
            kind, made = "interval", {"iso": f"{value.start % 24:02}:00/{value.end % 24:02}:00"}
        case Stretch():
            kind, made = "interval", {"iso": f"{iso_end(value.start)}/{iso_end(value.end)}"}
            others = list(value.others)
        case Length():
            kind, made = "duration", {"iso": _iso_length(value)}
            seconds = seconds_of(value)
            if seconds is not None:
                made["seconds"] = int(seconds) if seconds == seconds.to_integral_value() else float(seconds)
        case Money():
            kind, made = "money", {"amount": decimal_text(value.amount), "currency": value.currency}
        case Number(kind="ordinal"):
            kind, made = "ordinal", {"ordinal": int(value.number)}
        case Number():
            kind, made = value.kind, {"number": decimal_text(value.number)}
    if others:
        made["ambiguous"] = others
    return kind, made
