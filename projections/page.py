"""The access report as plain text, for a terminal or a mail: one page that sums up, then everything in order.

Whatever a person wrote may hold characters that move a cursor or change a terminal's colours: only printable ones are shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 100
_NAMES = {
    "interaction.received.1": "message",
    "interaction.understood.1": "understood as",
    "interaction.answered.1": "answer",
    "call.made.1": "sent to a connector",
    "call.returned.1": "a connector returned",
    "reply.delivered.1": "delivery",
    "message.sent.1": "message to the person",
    "interaction.rated.1": "rating",
    "interaction.redacted.1": "redaction",
    "interaction.rectified.1": "correction",
    "interaction.handed_over.1": "handed over to an agent",
    "subject.registered.1": "first seen",
    "subject.identity_linked.1": "identity linked",
    "subject.notice_shown.1": "privacy notice shown",
    "subject.consent_given.1": "consent given",
    "subject.consent_withdrawn.1": "consent withdrawn",
    "subject.rectified.1": "rectified",
    "subject.restricted.1": "processing restricted",
    "subject.restriction_lifted.1": "restriction lifted",
    "case.erased.1": "erased",
    "request.received.1": "request received",
    "request.identity_checked.1": "identity checked",
    "request.extended.1": "term extended",
    "request.answered.1": "request answered",
    "request.refused.1": "request refused",
    "access.opened.1": "data opened",
}
_APART = frozenset({"event", "at", "channel", "place", "unreadable", "request"})

Json = Mapping[str, Any]


def render(report: Json) -> str:
    """The whole report."""
    return "\n".join(line.rstrip() for line in _lines(report)) + "\n"


def _lines(report: Json) -> Iterator[str]:
    yield from _summary(report)
    yield from _section("Conversations")
    for interaction in report["interactions"]:
        yield ""
        yield f"interaction {interaction['interaction']} on {_shown(interaction['channel'])}"
        yield from _events(interaction["events"])
    for title, name in (
        ("Notices and consents", "notices_and_consents"),
        ("Requests", "requests"),
        ("Who opened the data", "accesses"),
    ):
        yield from _section(title)
        yield from _events(report[name])
        if not report[name]:
            yield "  none"
    if report["unreadable"]:
        yield from _section("What cannot be opened, and why")
        for event in report["unreadable"]:
            yield f"  {_when(event['at'])}  {_name(event['event'])}: {event['why']} ({_place(event['place'])})"


def _summary(report: Json) -> Iterator[str]:
    summary = report["summary"]
    yield "Everything held on one person"
    yield "=" * 29
    yield f"as of               {_when(report['as_of'])} (times are UTC)"
    yield f"subject             {report['subject']}"
    yield f"case                {report['case']}"
    for identity in report["identities"]:
        yield f"known as            {_shown(identity['external_id'])} on {_shown(identity['channel'])}"
    if summary["first_at"]:
        yield f"first and last      {_when(summary['first_at'])} to {_when(summary['last_at'])}"
    yield f"events              {summary['opened']} opened, {summary['unreadable']} that cannot be"
    for event_topic, count in summary["events"].items():
        yield f"  {count:>6}  {_name(event_topic)}"
    for part in report["complete_to"]:
        where = "offset" if part["log"] == "conversations" else "event"
        # The position is the first one that was not read.
        reached = f"complete to {where} {part['next_offset'] - 1}" if part["next_offset"] else "nothing was read"
        if part["next_offset"] == (0 if where == "offset" else 1):
            reached = "empty"
        problem = f"; NOT COMPLETE: {part['stopped']}" if not part["complete"] else ""
        yield f"{part['log']:<19} {reached} of partition {part['partition']}{problem}"
    for recipient in report["recipients"]:
        yield (
            f"received by         {_shown(recipient['recipient'])} through {_shown(recipient['connector'])}: "
            f"{recipient['calls']} times, last {_when(recipient['last_at'])}"
        )
    if not report["recipients"]:
        yield "received by         nobody outside, through no connector"


def _section(title: str) -> Iterator[str]:
    yield ""
    yield title
    yield "-" * len(title)


_NOTHING: tuple[Any, ...] = (None, "", [], {})
"""What is not worth a line."""


def _events(events: Sequence[Json]) -> Iterator[str]:
    for event in events:
        said = f"  {_when(event['at'])}  {_name(event['event'])}"
        if "unreadable" in event:
            yield f"{said}: {event['unreadable']}"
            continue
        yield said
        for name, value in event.items():
            if name not in _APART and value not in _NOTHING:
                yield from _field(name, value)


def _field(name: str, value: Any) -> Iterator[str]:
    text = "; ".join(map(_value, value)) if isinstance(value, list) else _value(value)
    lines = textwrap.wrap(text, WIDTH - 28, break_long_words=True) or [""]
    yield f"      {name.replace('_', ' '):<20}{lines[0]}"
    for line in lines[1:]:
        yield f"{'':<26}{line}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        there = {name: each for name, each in value.items() if each not in _NOTHING}
        if set(there) == {"text"}:
            return _shown(there["text"])
        return ", ".join(f"{name} {_value(each)}" for name, each in there.items())
    if isinstance(value, list):
        return " / ".join(map(_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _shown(str(value))


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _name(event_topic: str) -> str:
    return _NAMES.get(event_topic, event_topic)


def _when(at: str) -> str:
    return at[:19].replace("T", " ")


def _place(place: Json) -> str:
    return ", ".join(f"{name} {number}" for name, number in place.items())
