"""A report as pages in one language: the answers, the faithful copy, what is withheld, and how to check it.

HTML, PDF and text are made of these pages alone, so they say the same. Nothing is decided here: what stands in the JSON is put into
words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from projections.report import answers
from projections.report.blocks import Section
from projections.report.faithful import ABOUT, time_of
from projections.report.others import WITHHELD
from projections.report.summary import summary
from projections.report.words import Words, words
from vault.interaction import Answered, Corrected, MessageSent, MessageSent1, Received

Json = Mapping[str, Any]

_NOTHING: tuple[Any, ...] = (None, "", [], {})
"""What is not worth a line."""
_EVENT_OF_REGISTER = ABOUT - {"channel"}
_SPOKEN = {
    Received.TOPIC: "text",
    Answered.TOPIC: "replies",
    MessageSent.TOPIC: "replies",
    MessageSent1.TOPIC: "text",
}
"""The field that holds the words that were spoken, by event topic."""


@dataclass(frozen=True)
class Document:
    """A report's pages. `as_of` is said in words; `words` are the language's."""

    language: str
    title: str
    as_of: str
    sections: Sequence[Section]
    words: Words


def document(content: Json, language: str) -> Document:
    """The pages of a report in `fr` or `en`."""
    said = words(language)
    sections = [
        summary(content, said),
        *answers.sections(content, said),
        *_conversations(content, said),
        *_evidence(content, said),
        _withheld(content, said),
        _complete(content, said),
    ]
    as_of = said("document", "as_of", when=said.moment(content["as_of"]))
    return Document(language, said("document", "title"), as_of, sections, said)


# The copy


def _conversations(content: Json, said: Words) -> Iterator[Section]:
    """The conversations: a heading, and one below it a day and channel."""
    section = Section("conversations", said("copy", "conversations"))
    if not content["interactions"]:
        section.paragraph(said("copy", "none_said"))
    yield section
    place: tuple[str, str] | None = None
    days = 0
    # The log holds them as they arrived; people look for them by the clock.
    for held in sorted(content["interactions"], key=lambda held: str(held["events"][0]["at"])):
        day = (held["events"][0]["at"][:10], held["channel"])
        if day != place:
            if place is not None:
                yield section
            place, days = day, days + 1
            title = said("copy", "day", day=said.day(day[0]), channel=day[1])
            section = Section(f"day-{days}", title, level=2)
        section.label(said("copy", "interaction", id=held["interaction"]))
        for event in held["events"]:
            _event(section, event, said, ABOUT)
    if place is not None:
        yield section


def _evidence(content: Json, said: Words) -> Iterator[Section]:
    for name in ("notices_and_consents", "requests", "accesses"):
        section = Section(name.replace("_", "-"), said("copy", name))
        for event in content[name]:
            _event(section, event, said, _EVENT_OF_REGISTER)
        if not content[name]:
            section.paragraph(said("copy", "none"))
        yield section


def _event(section: Section, event: Json, said: Words, about: frozenset[str]) -> None:
    name, at = said.known("event", event["event"]), said.moment(event["at"])
    if "unreadable" in event:
        section.event(name, at, (), [(said("withheld", "why"), said("withheld_reason", event["withheld"]))])
        return
    section.event(name, at, _said(event), _facts(event, said, about))


def _said(event: Json) -> Iterator[str]:
    """The words that were spoken."""
    spoken = _SPOKEN.get(event["event"])
    if spoken == "text":
        yield event["text"]
    elif spoken == "replies":
        yield from (reply["text"] for reply in event["replies"])


def _facts(event: Json, said: Words, about: frozenset[str]) -> Iterator[tuple[str, str]]:
    spoken = _SPOKEN.get(event["event"])
    if "request" in event:
        yield said("copy", "request"), event["request"]
    for name, value in event.items():
        if name in about or value in _NOTHING:
            continue
        if name == spoken:
            if name == "replies":
                yield from (
                    (said("field", "buttons"), _value(each["buttons"], said)) for each in value if each["buttons"]
                )
            continue
        yield said.known("field", name), _field(name, value, said)
    if event["event"] == Corrected.TOPIC:
        original = [_value(value, said) for value in event["original"]]
        yield said("copy", "original"), " / ".join(original) or said("copy", "original_none")
    for each in event.get("corrected", ()):
        told = {"field": said.known("field", each["field"]), "value": each["value"], "when": said.moment(each["at"])}
        yield said("copy", "corrected"), said("copy", "corrected_to", **told)


def _field(name: str, value: Any, said: Words) -> str:
    if name == "dialogue_state":
        return said("copy", "withheld_state") if value == WITHHELD else said("copy", "state", bytes=len(value) // 2)
    if name.endswith("_at_us"):
        return said.moment(time_of(value))
    return _value(value, said)


def _value(value: Any, said: Words) -> str:
    if isinstance(value, Mapping):
        colon = said("document", "colon")
        there = ((name, each) for name, each in value.items() if each not in _NOTHING)
        return ", ".join(f"{said.known('field', name)}{colon}{_value(each, said)}" for name, each in there)
    if isinstance(value, list):
        return "; ".join(_value(each, said) for each in value)
    if isinstance(value, bool):
        return said.yes_no(value)
    return str(value)


# What is withheld, and how to check


def _withheld(content: Json, said: Words) -> Section:
    section = Section("withheld", said("withheld", "title"))
    if content["unreadable"]:
        section.table(
            said("withheld", "caption"),
            [said("withheld", name) for name in ("at", "what", "why", "place")],
            [
                [
                    said.moment(each["at"]),
                    said.known("event", each["event"]),
                    said("withheld_reason", each["withheld"]),
                    _place(each["place"], said),
                ]
                for each in content["unreadable"]
            ],
        )
    else:
        section.paragraph(said("withheld", "none"))
    others = content["others"]
    if others["asked"]:
        counts = {name: others[name] for name in ("spans", "repeats", "states")}
        section.paragraph(said("withheld", "others_asked", **counts))
    elif others["marked"]:
        section.paragraph(said("withheld", "others_not_asked", marked=others["marked"]))
    else:
        section.paragraph(said("withheld", "others_none"))
    return section


def _place(place: Json, said: Words) -> str:
    return ", ".join(f"{said('field', name)} {number}" for name, number in place.items())


def _complete(content: Json, said: Words) -> Section:
    section = Section("complete", said("complete", "title"))
    section.facts(
        [(said("complete", part["log"]), _reached(part, said)) for part in content["complete_to"]]
        + [(said("complete", name), content[name]) for name in ("subject", "case")]
        + [(said("complete", "digest"), content["copy"]["digest"])]
    )
    section.paragraph(said("complete", "digest_explained", over=", ".join(content["copy"]["over"])))
    section.table(
        said("complete", "counts"),
        [said("complete", "kind"), said("complete", "count")],
        [[said.known("event", topic), str(count)] for topic, count in content["summary"]["events"].items()],
    )
    section.paragraph(said("complete", "times"))
    section.paragraph(said("complete", "signs"))
    return section


def _reached(part: Json, said: Words) -> str:
    """How far a partition was read; `next_offset` is the first place that was not."""
    kind, first = ("offset", 0) if part["log"] == "conversations" else ("event", 1)
    if part["next_offset"] is None:
        reached = said("complete", "nothing", partition=part["partition"])
    elif part["next_offset"] == first:
        reached = said("complete", "empty", partition=part["partition"])
    else:
        reached = said("complete", kind, reached=part["next_offset"] - 1, partition=part["partition"])
    return said("complete", "stopped", reached=reached, stopped=part["stopped"]) if "stopped" in part else reached
