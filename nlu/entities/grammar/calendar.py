"""From what is said of days to days: every function reads one rule's groups (the names are listed at `Rule`s of the languages)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from nlu.entities.grammar.reading import Reading, number
from nlu.entities.grammar.values import Day, Length, Moment, Stretch, Value, When, add_months, seconds_of

FIRST_YEAR, LAST_YEAR = 1000, 2999
"""Of messages, and of years that are said."""
_FARTHEST_YEAR = 9000
"""What lengths of time may lead to: everything after it stays inside the calendar."""
_LONGEST_MONTH = 31
_YEARS_AHEAD = 8
"""Until the next 29 February, at most."""


def iso_date(r: Reading) -> Value:
    return Day(date(_year(r.get("y")), r.int("m"), r.int("d")))


def numeric_date(r: Reading) -> Value | None:
    """03/04 and 03/04/2026: the language's order first; the other, where it is a date too, is ambiguous unless the language knows one."""
    first, second = r.int("a"), r.int("b")
    if (first, second) == (24, 7) and not r.has("y"):
        return None
    year = _year(r.get("y"))
    readings = []
    for day, month in ((first, second), (second, first)) if r.when.day_first else ((second, first), (first, second)):
        try:
            readings.append(date(year, month, day) if year else coming(r.when.today, month, day))
        except ValueError:
            continue
    if not readings:
        return None
    others = tuple(other for other in readings[1:] if other != readings[0])
    return Day(readings[0], others=() if r.when.day_first else others)


def _year(written: str) -> int:
    """0 where there is none; of two digits the years from 1970 to 2069. ValueError where no one means a year."""
    digits = written.replace(" ", "")
    year = int(digits or 0)
    if len(digits) == 2:
        return 2000 + year if year < 70 else 1900 + year
    if digits and not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError
    return year


def coming(today: date, month: int, day: int) -> date:
    """The next such day, today included. ValueError if no year has it."""
    for year in range(today.year, today.year + _YEARS_AHEAD + 1):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found >= today:
            return found
    raise ValueError


def _dated(r: Reading, prefix: str, month: int) -> date:
    day, year = r.int(prefix + "d"), _year(r.get(prefix + "y"))
    if year:
        return date(year, month, day)
    found = coming(r.when.today, month, day)
    weekday = r.words.weekdays.get(r.get(prefix + "wd"))
    if weekday is None or found.weekday() == weekday:
        return found
    near = []
    for other in range(r.when.today.year - 1, r.when.today.year + _YEARS_AHEAD):
        try:
            near.append(date(other, month, day))
        except ValueError:
            continue
    fitting = [one for one in near if one.weekday() == weekday]
    return min(fitting, key=lambda one: abs(one - r.when.today)) if fitting else found


def day_month(r: Reading) -> Value:
    """d, m, and perhaps wd, y: the next one where no year is said; the nearest that the weekday fits."""
    return Day(_dated(r, "", r.words.months[r.get("m")]))


def day_month_range(r: Reading) -> Value | None:
    """The days a_d to d of m (and y), or of two months."""
    end = _dated(r, "", r.words.months[r.get("m")])
    start = end.replace(day=r.int("a_d"))
    return Stretch(Day(start), Day(end)) if start < end else None


def day_range(r: Reading) -> Value | None:
    """The days a_d to b_d of the month in which the first comes next."""
    if not r.words.day_may_end(r.after) or not 1 <= r.int("a_d") < r.int("b_d") <= _LONGEST_MONTH:
        return None
    start = _coming_day(r.when.today, r.int("a_d"))
    end = start.replace(day=r.int("b_d"))
    return Stretch(Day(start), Day(end))


def _coming_day(today: date, day: int) -> date:
    for months in range(3):
        month = add_months(today.replace(day=1), months)
        try:
            found = month.replace(day=day)
        except ValueError:
            continue
        if found >= today:
            return found
    raise ValueError


def day_of_month(r: Reading) -> Value | None:
    """d, and perhaps wd and turn ("le 3 du mois prochain"): the next day of that number."""
    day = r.int("d")
    if r.has("turn"):
        month = add_months(r.when.today.replace(day=1), r.words.turns[r.get("turn")])
        return Day(month.replace(day=day))
    if not r.words.day_may_end(r.after) or not 1 <= day <= _LONGEST_MONTH:
        return None
    found = _coming_day(r.when.today, day)
    weekday = r.words.weekdays.get(r.get("wd"))
    if weekday is not None and found.weekday() != weekday:
        for months in range(-2, 13):
            try:
                other = add_months(r.when.today.replace(day=1), months).replace(day=day)
            except ValueError:
                continue
            if other.weekday() == weekday and (months >= 0 or r.when.today - other < timedelta(days=14)):
                return Day(other)
    return Day(found)


def weekday(r: Reading) -> Value:
    """wd, and perhaps turn, or weeks ("lundi en huit")."""
    today, wanted = r.when.today, r.words.weekdays[r.get("wd")]
    ahead = (wanted - today.weekday() - 1) % 7 + 1
    found = today + timedelta(days=ahead)
    if r.has("weeks"):
        return Day(found + timedelta(days=14 if r.get("weeks") in {"15", "2 weeks"} else 7))
    if not r.has("turn"):
        return Day(found)
    turn = r.words.turns[r.get("turn")]
    if turn < 0:
        return Day(found - timedelta(days=14 if ahead == 7 else 7))
    if turn == 0:
        return Day(today if wanted == today.weekday() else found)
    next_week = today + timedelta(days=7 - today.weekday() + wanted)
    first, other = (found, next_week) if r.words.next_is_coming else (next_week, found)
    return Day(first, others=(other,) if other != first else ())


def named_day(r: Reading) -> Value:
    return Day(r.when.today + timedelta(days=r.words.days[r.get("name")]))


def holiday(r: Reading) -> Value:
    month, day = r.words.holidays[r.get("name")]
    year = _year(r.get("y"))
    return Day(date(year, month, day) if year else coming(r.when.today, month, day))


def shifted(when: When, length: Length, sign: int) -> Day | Moment:
    """The message's time and a length more or less: a day, unless the length is of hours or less."""
    if any(unit in {"hours", "minutes", "seconds"} for unit in length.units):
        seconds = seconds_of(length)
        if seconds is None:
            raise ValueError
        moment = when.later(sign * seconds)
        if not 1 < moment.at.year < _FARTHEST_YEAR:
            raise OverflowError
        return moment
    day = when.today
    months = length.units.get("years", Decimal()) * 12 + length.units.get("months", Decimal())
    if months:
        day = add_months(day, sign * int(months))
    days = length.units.get("weeks", Decimal()) * 7 + length.units.get("days", Decimal())
    day += timedelta(days=sign * int(days))
    if not 1 < day.year < _FARTHEST_YEAR:
        raise OverflowError
    return Day(day)


def week_month_year(r: Reading) -> Value:
    """unit (week, month or year) and turn."""
    unit, _ = r.words.units[r.get("unit")]
    return _period(r.when.today, unit, r.words.turns[r.get("turn")])


def _period(today: date, unit: str, turn: int) -> Day:
    if unit == "weeks":
        return Day(today + timedelta(days=7 * turn - today.weekday()), "week")
    if unit == "months":
        return Day(add_months(today.replace(day=1), turn), "month")
    return Day(date(today.year + turn, 1, 1), "year")


def third_of_period(r: Reading) -> Value:
    """third (begin, middle or end) of unit, perhaps of turn; or of the month m."""
    if r.has("m"):
        of = _month(r, r.words.months[r.get("m")])
    else:
        unit, _ = r.words.units[r.get("unit")]
        of = _period(r.when.today, unit, r.words.turns[r.get("turn")] if r.has("turn") else 0)
    third = next(number for number in range(3) if r.has(f"third{number}"))
    if of.grain == "week":
        first, last = ((0, 1), (2, 3), (4, 6))[third]
    elif of.grain == "month":
        first, last = ((0, 9), (10, 19), (20, (of.last() - of.day).days))[third]
    else:
        start = date(of.day.year, (1, 5, 10)[third], 1)
        return Stretch(Day(start), Day(add_months(start, (4, 5, 3)[third]) - timedelta(days=1)))
    return Stretch(Day(of.day + timedelta(days=first)), Day(of.day + timedelta(days=last)))


def _month(r: Reading, month: int) -> Day:
    today, year = r.when.today, _year(r.get("y"))
    if not year:
        year = today.year
        if r.has("turn"):
            turn = r.words.turns[r.get("turn")]
            year += (turn > 0 and month <= today.month) - (turn < 0 and month >= today.month)
        elif month < today.month:
            year += 1
    return Day(date(year, month, 1), "month")


def month(r: Reading) -> Value:
    """m, and perhaps y or turn: this year's unless it is over."""
    return _month(r, r.words.months[r.get("m")])


def year(r: Reading) -> Value:
    return Day(date(_year(r.get("y")), 1, 1), "year")


def year_range(r: Reading) -> Value:
    return Stretch(Day(date(_year(r.get("a_y")), 1, 1), "year"), Day(date(_year(r.get("y")), 1, 1), "year"))


def weekend(r: Reading) -> Value:
    """Saturday and Sunday: the coming ones, those that are today, or by turn those of next or last week."""
    saturday = r.when.today + timedelta(days=5 - r.when.today.weekday())
    turn = r.words.turns[r.get("turn")] if r.has("turn") else 0
    if turn < 0:
        saturday -= timedelta(days=7)
    others: tuple[str, ...] = ()
    if turn > 0:
        later = saturday + timedelta(days=7)
        if r.when.today.weekday() >= 5:
            saturday = later
        else:
            first, other = (saturday, later) if r.words.next_is_coming else (later, saturday)
            saturday, others = first, (f"{other.isoformat()}/{(other + timedelta(days=1)).isoformat()}",)
    return Stretch(Day(saturday), Day(saturday + timedelta(days=1)), others)


def coming_units(r: Reading) -> Value:
    """n and unit, and ahead or back: the stretch from or to now."""
    name, many = r.words.units[r.get("unit")]
    count = number(r.get("n"), decimal_comma=r.words.decimal_comma) * many if r.has("n") else Decimal(many)
    ahead = r.has("ahead")
    end = shifted(r.when, Length({name: count}), 1 if ahead else -1)
    now: Day | Moment = Day(r.when.today) if isinstance(end, Day) else Moment(r.when.at)
    return Stretch(now, end) if ahead else Stretch(end, now)
