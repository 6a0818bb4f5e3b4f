"""The picture of a person's activity by day and channel: an SVG of bars, a lane a channel, and the same in words.

Drawn by hand because it goes into a page that loads nothing and onto paper: no script, no style sheet, no font of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import Any

from projections.report.words import Words, shown

Json = Mapping[str, Any]

WIDTH, LANE, LABELS, AXIS = 720, 46, 110, 22
"""Of the picture, of a lane, of the names before the lanes, of the days below them, in user units."""
BARS_MAX = 120
CHANNELS_MAX = 8
"""Lanes; further channels share the last one."""
LABEL_CHARS = 14
_COLOURS = ("#2f6fa8", "#b8562c", "#4f7d32", "#8a5aa5")


@dataclass(frozen=True)
class Picture:
    """The picture and what it shows, in words."""

    svg: str
    alternative: str


def draw(timeline: Sequence[Json], words: Words) -> Picture | None:
    """The picture of what a report's `timeline` counts; None when nothing happened."""
    if not timeline:
        return None
    first, last = (date.fromisoformat(each["day"]) for each in (timeline[0], timeline[-1]))
    step = -(-((last - first).days + 1) // BARS_MAX)
    lanes: dict[str, dict[int, int]] = {}
    for channel in _channels(timeline):
        lanes[channel] = {}
    for each in timeline:
        name = each["channel"] if each["channel"] in lanes else list(lanes)[-1]
        bar = (date.fromisoformat(each["day"]) - first).days // step
        lanes[name][bar] = lanes[name].get(bar, 0) + each["events"]
    return Picture(_svg(lanes, first, last, step), _said(timeline, words, step))


def _channels(timeline: Sequence[Json]) -> list[str]:
    """The busiest channels, in alphabetical order."""
    counted: dict[str, int] = {}
    for each in timeline:
        counted[each["channel"]] = counted.get(each["channel"], 0) + each["events"]
    return sorted(sorted(counted, key=lambda name: (-counted[name], name))[:CHANNELS_MAX])


def _svg(lanes: Mapping[str, Mapping[int, int]], first: date, last: date, step: int) -> str:
    bars = (last - first).days // step + 1
    wide = (WIDTH - LABELS) / max(bars, 12)
    most = max(count for lane in lanes.values() for count in lane.values())
    height = LANE * len(lanes) + AXIS
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    ]
    for place, (channel, lane) in enumerate(lanes.items()):
        floor = LANE * (place + 1)
        colour = _COLOURS[place % len(_COLOURS)]
        parts.append(f'<text x="0" y="{floor - 6}" fill="currentColor">{escape(_label(channel))}</text>')
        parts.append(
            f'<line x1="{LABELS}" y1="{floor}" x2="{WIDTH}" y2="{floor}" stroke="#888888" stroke-width="0.5"/>'
        )
        for bar, count in sorted(lane.items()):
            tall = max(2.0, (LANE - 8) * count / most)
            left = LABELS + bar * wide
            parts.append(
                f'<rect x="{left:.1f}" y="{floor - tall:.1f}" width="{max(wide - 1, 1):.1f}" height="{tall:.1f}" fill="{colour}"/>'
            )
    for x, day, anchor in _ticks(first, bars, step, wide):
        parts.append(
            f'<text x="{x:.1f}" y="{height - 6}" text-anchor="{anchor}" fill="currentColor">{day.isoformat()}</text>'
        )
    return "".join((*parts, "</svg>"))


def _ticks(first: date, bars: int, step: int, wide: float) -> Sequence[tuple[float, date, str]]:
    """Where days are written below the lanes: the first and, where there is room, the last."""
    ticks = [(float(LABELS), first, "start")]
    end = LABELS + bars * wide
    if bars > 1 and end - LABELS > 160:
        ticks.append((end, first + timedelta(days=(bars - 1) * step), "end"))
    return ticks


def _label(channel: str) -> str:
    """A channel's name, plain letters only: a picture's text has no other font to fall back on."""
    text = "".join(c if c.isascii() else "?" for c in shown(channel).replace("\n", " "))
    return text if len(text) <= LABEL_CHARS else text[: LABEL_CHARS - 1] + "~"


def _said(timeline: Sequence[Json], words: Words, step: int) -> str:
    channels: dict[str, list[Json]] = {}
    for each in timeline:
        channels.setdefault(each["channel"], []).append(each)
    told = []
    for channel, days in sorted(channels.items()):
        busiest = max(days, key=lambda each: (each["events"], each["day"]))
        told.append(
            words(
                "timeline",
                "channel",
                channel=shown(channel),
                events=sum(each["events"] for each in days),
                days=len(days),
                busiest=words.day(busiest["day"]),
                most=busiest["events"],
            )
        )
    first, last = words.day(timeline[0]["day"]), words.day(timeline[-1]["day"])
    name = "alternative" if step == 1 else "alternative_weeks"
    return words("timeline", name, first=first, last=last, days=step, channels=" ".join(told))
