"""Other people's data in a person's messages, blanked by span: a copy must not harm others (GDPR Art. 15(4)).

Understanding marks a span of personal data as another person's by a `kind` that begins with `other:`, such as `other:name`. What
is marked is blanked in the message, in what was recognised there, and wherever else in the copy the same words stand. The bot's
working memory is withheld whole then, because nobody can say what of it comes from where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from projections.report.faithful import ABOUT
from vault.interaction import Answered, MessageSent, Received, Understood

Json = dict[str, Any]

MARK = "other:"
BLANK = "█"
"""Stands for each character that is blanked, so that the places of everything else stay what they were."""
WITHHELD = "withheld: it may hold data of others"

Span = tuple[int, int]


def marked(interactions: Sequence[Json]) -> int:
    """How many spans are marked as another person's."""
    return sum(len(_spans(held["events"])) for held in interactions)


def blank(sections: Mapping[str, Sequence[Json]]) -> Json:
    """Blanks the copy in place. Returns how many spans were blanked, repeats of their words, and working memories withheld."""
    spans = 0
    words: set[str] = set()
    for held in sections["interactions"]:
        found = _spans(held["events"])
        spans += len(found)
        for event in held["events"]:
            if event["event"] == Received.TOPIC and "text" in event:
                words.update(event["text"][start:end].strip() for start, end in found)
                event["text"] = _blanked(event["text"], found)
            for entity in event.get("entities", ()):
                if any(start < entity["end"] and entity["start"] < end for start, end in found):
                    words.add(entity["value"].strip())
                    entity["value"] = BLANK * len(entity["value"])
    words.discard("")
    repeats = _blank_repeats(sections, words)
    return {"spans": spans, "repeats": repeats, "states": _withhold_states(sections) if spans else 0}


def _spans(events: Sequence[Json]) -> list[Span]:
    """What is marked in one message. Places outside of it count as far as they are in it."""
    size = next((len(event["text"]) for event in events if event["event"] == Received.TOPIC and "text" in event), 0)
    found = []
    for event in events:
        if event["event"] in Understood.topics():
            for each in event.get("personal_data", ()):
                start, end = max(each["start"], 0), min(each["end"], size)
                if each["kind"].startswith(MARK) and start < end:
                    found.append((start, end))
    return found


def _blanked(text: str, spans: Sequence[Span]) -> str:
    for start, end in spans:
        text = text[:start] + BLANK * (end - start) + text[end:]
    return text


def _blank_repeats(sections: Mapping[str, Sequence[Json]], words: set[str]) -> int:
    if not words:
        return 0
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    repeated = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
    count = 0

    def blanked(text: str) -> str:
        nonlocal count
        changed, found = repeated.subn(lambda match: BLANK * len(match[0]), text)
        count += found
        return changed

    for event in _events(sections):
        for name in event.keys() - (ABOUT - {"corrected", "original"}):
            event[name] = _mapped(event[name], blanked)
    return count


def _withhold_states(sections: Mapping[str, Sequence[Json]]) -> int:
    count = 0
    for event in _events(sections):
        if event["event"] in (Answered.TOPIC, MessageSent.TOPIC) and event.get("dialogue_state"):
            event["dialogue_state"] = WITHHELD
            count += 1
    return count


def _events(sections: Mapping[str, Sequence[Json]]) -> Iterator[Json]:
    for name, section in sections.items():
        for each in section:
            if name == "interactions":
                yield from each["events"]
            else:
                yield each


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A plain JSON value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    return value
