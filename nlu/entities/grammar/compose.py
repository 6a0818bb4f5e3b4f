"""Expressions that stand together and mean one thing: a day and an hour, two ends of an interval, "before" and "since"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import time, timedelta

from nlu.entities.grammar.calendar import shifted
from nlu.entities.grammar.clock import part_of
from nlu.entities.grammar.reading import AROUND
from nlu.entities.grammar.values import Clock, Day, Length, Moment, Part, Stretch, Value, When, add_months


@dataclass(frozen=True, slots=True)
class Found:
    """[start, end) of the canonical text, and what it means."""

    start: int
    end: int
    value: Value


@dataclass(frozen=True, slots=True)
class Links:
    """The words between and before expressions, in one language: a pattern fits all that is between, or the end of what is before."""

    join: re.Pattern[str]
    """Between a day and an hour of it, or an hour and its day."""
    to: re.Pattern[str]
    """Between the ends of an interval."""
    opening: re.Pattern[str]
    """Before the first end of an interval; its presence lets `both` stand between."""
    both: re.Pattern[str]
    before: re.Pattern[str]
    after: re.Pattern[str]
    by: re.Pattern[str]
    """From now until."""
    since: re.Pattern[str]


_ARTICLE = r"(?: le| la| les| l'| the| au| a| de| du| ce)?\s*$"

LINKS = {
    "fr": Links(
        join=re.compile(
            r",? ?(?:a partir de|aux alentours de|autour de|a|vers|pour|des|dans (?:la |l')|en|au|le|du|de|, )?(?: le| la)? ?"
        ),
        to=re.compile(r" ?(?:-|jusqu'(?:a|au|en)?|au|a|jusqu'a (?:la|le)) ?(?:le )?"),
        opening=re.compile(r"\b(?:du|de|des|entre|d')(?: le| la)? ?$"),
        both=re.compile(r" (?:et|au|a|jusqu'a|jusqu'au)(?: le| la)? "),
        before=re.compile(r"\b(?:avant|jusqu'(?:a|au|en)|au plus tard)" + _ARTICLE),
        after=re.compile(r"\b(?:apres|a partir d(?:e|u)|a compter d(?:e|u)|des)" + _ARTICLE),
        by=re.compile(r"\bd'ici(?: a| au| la)?" + _ARTICLE),
        since=re.compile(r"\bdepuis" + _ARTICLE),
    ),
    "en": Links(
        join=re.compile(r",? ?(?:at|around|about|from|by|on|in|of|for|during|@)?(?: the)? ?"),
        to=re.compile(r" ?(?:-|to|until|till|through) ?(?:the )?"),
        opening=re.compile(r"\b(?:from|between)(?: the)? ?$"),
        both=re.compile(r" (?:and|to|until|till|through)(?: the)? "),
        before=re.compile(r"\b(?:before|until|till|up to|by|no later than)" + _ARTICLE),
        after=re.compile(r"\b(?:after|starting(?: from| on| at)?|as of|from)" + _ARTICLE),
        by=re.compile(r"\bbetween now and" + _ARTICLE),
        since=re.compile(r"\bsince" + _ARTICLE),
    ),
}


def compose(text: str, found: Sequence[Found], language: str, when: When) -> list[Found]:
    """`found` is in order, without overlaps. Intervals of days first ("from Monday to Friday from 9 to 5"), then days with hours, other
    intervals, days with intervals of hours, and what opens them."""
    links = LINKS[language]

    def of_days(a: Found, b: Found, between: str) -> Found | None:
        if not isinstance(a.value, Day) or not isinstance(b.value, Day):
            return None
        # "lundi 30/11": a weekday and the date that it is.
        if (
            between in {" ", ", "}
            and a.value.grain == b.value.grain == "day"
            and a.value.day.weekday() == b.value.day.weekday()
        ):
            return Found(a.start, b.end, b.value)
        return _interval(text, a, b, between, links, when)

    joined = _pairs(text, _pairs(text, found, of_days), lambda a, b, between: _day_and_hour(a, b, between, links, when))
    ranged = _pairs(text, joined, lambda a, b, between: _interval(text, a, b, between, links, when))
    dated = _pairs(text, ranged, lambda a, b, between: _day_and_hour(a, b, between, links, when))
    return [_opened(text, one, links, when) for one in dated]


_MOST_BETWEEN = 24


def _pairs(text: str, found: Sequence[Found], together: Callable[[Found, Found, str], Found | None]) -> list[Found]:
    made: list[Found] = []
    for one in found:
        if made and one.start - made[-1].end <= _MOST_BETWEEN:
            pair = together(made[-1], one, text[made[-1].end : one.start])
            if pair is not None:
                made[-1] = pair
                continue
        made.append(one)
    return made


def _day_and_hour(a: Found, b: Found, between: str, links: Links, when: When) -> Found | None:
    if not links.join.fullmatch(between):
        return None
    match a.value, b.value:
        case (Day(grain="day") as day, (Clock() | Part() | Stretch()) as hour):
            pass
        case ((Clock() | Part() | Stretch()) as hour, Day(grain="day") as day):
            pass
        case (Clock() as clock, Part() as part) | (Part() as part, Clock() as clock):
            return Found(a.start, b.end, _within_part(clock, part))
        case (Clock() as clock, Stretch(start=Moment() as start, end=Moment())) if start.at.hour >= 6:
            within = _within_part(clock, Part(start.at.hour, 24))
            return Found(a.start, b.end, when.moment(start.at.date(), within.time))
        case (Stretch(start=Moment() as start, end=Moment()), Clock() as clock):
            within = _within_part(clock, Part(start.at.hour, 24))
            return Found(a.start, b.end, when.moment(start.at.date(), within.time))
        case _:
            return None
    value: Value
    match hour:
        case Clock():
            value = _moment(when, day, hour)
        case Part():
            value = part_of(when, day, hour)
        case Stretch(start=Clock() as early, end=Clock() as late):
            first, last = when.moment(day.day, early.time), when.moment(day.day, late.time)
            if last.at <= first.at:
                last = when.moment(day.day + timedelta(days=1), late.time)
            value = Stretch(first, last)
        case _:
            return None
    return Found(a.start, b.end, value)


def _within_part(clock: Clock, part: Part) -> Clock:
    """The reading of an hour that lies in a part of the day: "3 in the afternoon"."""
    readings = [clock.time, *clock.others]
    if not clock.others and 1 <= clock.time.hour < 12:
        readings.append(clock.time.replace(hour=clock.time.hour + 12))
    fitting = [one for one in readings if part.start <= one.hour < part.end or part.start <= one.hour + 24 < part.end]
    return Clock(fitting[0] if fitting else clock.time)


def _moment(when: When, day: Day, clock: Clock) -> Moment:
    first = when.moment(day.day, clock.time)
    others = [when.moment(other, clock.time).at for other in day.others]
    others += [when.moment(day.day, other).at for other in clock.others]
    return Moment(first.at, (*first.others, *others))


def _interval(text: str, a: Found, b: Found, between: str, links: Links, when: When) -> Found | None:
    opening = links.opening.search(text[max(0, a.start - AROUND) : a.start])
    link = links.both if opening else links.to
    if not link.fullmatch(between):
        return None
    start = a.start - (opening.end() - opening.start()) if opening else a.start
    value: Stretch
    match a.value, b.value:
        case (Day() as first, Day() as last) if first.grain == last.grain:
            value = Stretch(Day(first.day, first.grain), _not_before(first, last))
        case (Clock() as early, Clock() as late):
            value = Stretch(Clock(early.time), Clock(_after(early, late)))
        case (Moment() as first_moment, Moment() as last_moment):
            value = Stretch(first_moment, last_moment)
        case (Moment() as first_moment, Clock() as late):
            end = when.moment(first_moment.at.date(), _after(Clock(first_moment.at.time()), late))
            value = Stretch(Moment(first_moment.at), Moment(end.at))
        case (Clock() as early, Moment() as last_moment):
            value = Stretch(Moment(when.moment(last_moment.at.date(), early.time).at), Moment(last_moment.at))
        case _:
            return None
    return Found(start, b.end, value)


def _after(early: Clock, late: Clock) -> time:
    return next((one for one in (late.time, *late.others) if one > early.time), late.time)


def _not_before(first: Day, last: Day) -> Day:
    """The last day moved to the week, or the year, after the first: "from Friday to Monday", "du 20 décembre au 3 janvier"."""
    day = last.day
    if day < first.day:
        day = day + timedelta(days=7) if first.day - day < timedelta(days=7) else add_months(day, 12)
    return Day(day, last.grain)


def _opened(text: str, one: Found, links: Links, when: When) -> Found:
    before = text[max(0, one.start - AROUND) : one.start]
    value = one.value
    if isinstance(value, Length):
        since = links.since.search(before)
        if since is None:
            return one
        value = shifted(when, value, -1)
    if isinstance(value, Stretch) and isinstance(value.start, Day) and value.end is not None:
        # "before the end of the month": until its last day.
        limited = links.before.search(before) or links.by.search(before)
        if limited is None or not text.startswith(("fin", "end"), one.start):
            return one
        value = value.end
    if not isinstance(value, Day | Clock | Moment):
        return one
    if (found := links.by.search(before)) is not None:
        now: Day | Moment = Day(when.today) if isinstance(value, Day) else Moment(when.at)
        made = Stretch(now, when.next(value.time) if isinstance(value, Clock) else value)
    elif (found := links.before.search(before)) is not None:
        made = Stretch(None, value)
    elif (found := links.since.search(before)) is not None:
        made = Stretch(_already(value, when), None)
    elif (found := links.after.search(before)) is not None:
        made = Stretch(value, None)
    else:
        return one
    return Found(one.start - (len(before) - found.start()), one.end, made)


def _already(value: Day | Clock | Moment, when: When) -> Day | Clock | Moment:
    """What "since Monday" begins with: a day that has been."""
    if not isinstance(value, Day) or value.day <= when.today:
        return value
    near = value.day - when.today <= timedelta(days=7)
    return Day(value.day - timedelta(days=7) if near else add_months(value.day, -12), value.grain)
