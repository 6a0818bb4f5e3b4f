"""The first page of a report: what is held, by whom, what for, until when, and what to do about it, for somebody in a hurry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from projections.report import timeline
from projections.report.answers import decided, recipient_name
from projections.report.blocks import Section
from projections.report.words import Words
from vault.interaction import Received

Json = Mapping[str, Any]


def summary(content: Json, words: Words) -> Section:
    """The page."""
    section = Section("summary", words("summary", "title"))
    when = words.moment(content["as_of"])
    if not content["complete"]:
        section.warning(words("summary", "incomplete"))
    if content["declaration"] is None:
        section.warning(words("summary", "undeclared"))
    if content["summary"]["restricted"]:
        section.warning(words("summary", "restricted"))
    if content["held"]:
        section.paragraph(words("summary", "held", when=when, events=sum(content["summary"]["events"].values())))
        section.facts(_summed_up(content, words))
    else:
        section.paragraph(words("summary", "not_held", when=when))
    if drawn := timeline.draw(content["timeline"], words):
        section.picture(drawn.svg, drawn.alternative, words("timeline", "caption"))
    return section


def _summed_up(content: Json, words: Words) -> Iterator[tuple[str, str]]:
    def row(name: str, value: str) -> tuple[str, str]:
        return words("summary", name), value

    summary, parties = content["summary"], content["declaration"]
    none = words("document", "none")
    for identity in content["identities"]:
        yield row("known_as", words("summary", "known_on", name=identity["external_id"], channel=identity["channel"]))
    if parties:
        yield row("controller", parties["controller"]["name"])
    if summary["first_at"]:
        first, last = (words.moment(summary[name]) for name in ("first_at", "last_at"))
        yield row("first_last", words("summary", "from_to", first=first, last=last))
    yield row("messages", str(summary["events"].get(Received.TOPIC, 0)))
    used = [each for each in content["purposes"] if each["events"]]
    yield row("purposes", words.joined([words.named(each["name"], each["id"]) for each in used]) or none)
    ends = [each for each in used if each["newest_ends_at"]]
    if ends:
        oldest, newest = min(each["oldest_ends_at"] for each in ends), max(each["newest_ends_at"] for each in ends)
        yield row("kept_until", words("summary", "kept_between", oldest=words.day(oldest), newest=words.day(newest)))
    received = [each for each in content["recipients"] if each["calls"] or any(c["messages"] for c in each["channels"])]
    yield row(
        "received_by", words.joined([recipient_name(each, words) for each in received]) or words("summary", "nobody")
    )
    if parties:
        yield row(
            "transfers",
            words.joined([each["name"] for each in content["transfers"]]) or words("summary", "transfers_none"),
        )
        special = [each["name"][words.language] for each in content["categories"] if each["special"]]
        yield row("special", words.joined(special) or none)
        decisive = decided(content, words)
        said = words("summary", "decisions_some", purposes=decisive) if decisive else words("summary", "decisions_none")
        yield row("decisions", said)
    yield row("not_shown", str(summary["unreadable"]))
    yield row("asked_by", content["asked"]["by"] or words("asked", "by_unstated"))
    where = words("summary", "rights_undeclared")
    if parties:
        where = words("summary", "rights_where", authority=parties["authority"]["name"])
    yield row("rights", where)
