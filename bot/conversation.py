"""Conversation tests: what is said, with what is meant by it, and what the assistant is expected to say and do.

They are declared in `tests/*.yaml` and run without a trained model (`declared`), or with whatever understands (`Understands`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.assistant import Assistant
from bot.choices import normal
from bot.decide import Decision, decide
from bot.documents import Document, json_schema, read
from bot.problem import FilesRefused, Problem
from bot.state import State
from bot.understands import Understands
from bot.understood import Entity, HandedBack, Heard, Ranked, Returned, TimerFired, Understood, pressed

BEGIN = "2026-03-02T09:00"
"""When a conversation begins unless it says so: a Monday."""
WHAT_HAPPENS = ("user", "returned", "timer", "handed_back")


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that happens and what is expected of it. `given` is the turn as its file has it."""

    line: int
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    file: str
    line: int
    name: str
    language: str
    channel: str
    at: str
    turns: tuple[Turn, ...]

    @property
    def says_how_sure(self) -> bool:
        """Whether a turn says how sure understanding is to be of it: such a test is of the dialogue alone."""
        return any("confidence" in turn.given or "also" in turn.given for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a conversation went: `differences` are lines to read, none when it went as expected."""

    conversation: Conversation
    differences: tuple[str, ...] = field(default=())


def read_conversations(folder: Path) -> list[Conversation]:
    """The conversation tests of an assistant's folder, in the order of its files. Raises `FilesRefused`."""
    problems: list[Problem] = []
    found = []
    for file in sorted((folder / "tests").glob("*.yaml")):
        try:
            document = read(folder, file, json_schema("conversations.1"))
        except FilesRefused as refused:
            problems += refused.problems
            continue
        for number, given in enumerate(document.value["tests"]):
            turns = tuple(
                _turn(document, problems, "tests", number, "turns", place) for place in range(len(given["turns"]))
            )
            found.append(
                Conversation(
                    file=document.file,
                    line=document.line("tests", number),
                    name=given["name"],
                    language=given.get("language", document.value["language"]),
                    channel=given.get("channel", "web"),
                    at=given.get("at", BEGIN),
                    turns=turns,
                )
            )
    if problems:
        raise FilesRefused(problems)
    return found


def _turn(document: Document, problems: list[Problem], *path: str | int) -> Turn:
    given: Any = document.value
    for part in path:
        given = given[part]
    line = document.line(*path)
    if len([key for key in WHAT_HAPPENS if key in given]) != 1:
        what = f"a turn has one of {', '.join(WHAT_HAPPENS)}"
        problems.append(Problem(document.file, line, what, "give it one"))
    if "result" in given:
        results = document.value.get("results", {})
        try:
            given = {**given, "result": json.loads(results.get(given["result"], given["result"]))}
        except ValueError:
            remedy = "give JSON, or the name of one under results"
            problems.append(Problem(document.file, document.line(*path, "result"), "the result is not JSON", remedy))
    return Turn(line, given)


def run(conversation: Conversation, assistant: Assistant, understands: Understands | None = None) -> Outcome:
    """Holds a conversation: by what its turns say is meant, or by what `understands` makes of their words."""
    state, differences = State(), []
    at = datetime.fromisoformat(conversation.at).replace(tzinfo=ZoneInfo(assistant.zone)).astimezone(UTC)
    calls: dict[str, tuple[str, int]] = {}
    for number, turn in enumerate(conversation.turns):
        at += timedelta(minutes=turn.given.get("after_minutes", 0), seconds=1)
        id = f"{conversation.name}/{number}"
        heard = _heard(id, round(at.timestamp() * 1_000_000), turn, conversation, calls, state, understands)
        decision = decide(state, heard, assistant)
        state = decision.state
        calls.update(
            {effect.name: (effect.interaction, effect.step) for effect in decision.effects if effect.kind == "call"}
        )
        differences += [
            f"  {conversation.file}:{turn.line}: {difference}" for difference in _differences(turn, decision, assistant)
        ]
    return Outcome(conversation, tuple(differences))


def _heard(
    id: str,
    at_us: int,
    turn: Turn,
    conversation: Conversation,
    calls: Mapping[str, tuple[str, int]],
    state: State,
    understands: Understands | None,
) -> Heard:
    given = turn.given
    if "returned" in given:
        interaction, step = calls.get(given["returned"], ("", 0))
        return Returned(
            id,
            at_us,
            interaction,
            step,
            given.get("outcome", "done"),
            given.get("status", 200),
            given.get("result", {}),
        )
    if "timer" in given:
        return TimerFired(id, at_us, id, 0, given["timer"], given.get("slots", {}))
    if "handed_back" in given:
        return HandedBack(id, at_us)
    language = given.get("language", conversation.language)
    button = pressed(given["user"], id=id, at_us=at_us, language=language, channel=conversation.channel)
    if button is not None:
        return button
    if understands is not None:
        return understands.understand(
            given["user"], id=id, at_us=at_us, channel=conversation.channel, language=state.language or language
        )
    ranked = [Ranked(given["intent"], given.get("confidence", 0.95))] if "intent" in given else []
    ranked += [Ranked(intent, confidence) for intent, confidence in given.get("also", {}).items()]
    return Understood(
        id=id,
        at_us=at_us,
        text=given["user"],
        language=language,
        language_confidence=0.95 if "language" in given else 0.5,
        intents=tuple(ranked),
        entities=tuple(_entity(kind, value, given["user"]) for kind, value in given.get("entities", {}).items()),
        channel=conversation.channel,
    )


def _entity(kind: str, value: str, text: str) -> Entity:
    """An entity of a declared turn. `value = words` says which words stand for it; alone, the value does where it stands there."""
    value, _, words = value.partition(" = ")
    return Entity(kind, value, words or (value if normal(value) in normal(text) else ""))


def _differences(turn: Turn, decision: Decision, assistant: Assistant) -> Iterator[str]:
    """What is not as expected, each as a line or a few."""
    said = [reply for reply in decision.replies if reply.name != assistant.notice.reply]
    expected = turn.given.get("bot")
    if expected is not None and not (
        len(expected) == len(said)
        and all(want == reply.name or want in reply.text for want, reply in zip(expected, said, strict=True))
    ):
        shown = [f"{reply.name}: {_one_line(reply.text)}" for reply in said]
        yield "\n".join(
            [
                f"after {_what(turn)}",
                *(f"    expected  {want}" for want in expected or ["nothing"]),
                *(f"    said      {each}" for each in shown or ["nothing"]),
            ]
        )
    everything = " ".join(_one_line(reply.text) for reply in decision.replies)
    for words in turn.given.get("says", ()):
        if words not in everything:
            yield f"after {_what(turn)}\n    expected the words  {words}\n    said      {everything}"
    made = {effect.name: effect.arguments for effect in decision.effects if effect.kind == "call"}
    wanted = turn.given.get("calls", {})
    for name in sorted({*wanted, *made}):
        if name not in made:
            yield f"after {_what(turn)}\n    expected the call  {name}\n    called    {', '.join(made) or 'nothing'}"
        elif name not in wanted:
            yield f"after {_what(turn)}\n    expected no call\n    called    {name} {dict(made[name])}"
        else:
            different = {
                key: made[name].get(key) for key, value in wanted[name].items() if str(made[name].get(key)) != value
            }
            if different:
                yield f"after {_what(turn)}\n    expected  {name} {wanted[name]}\n    called    {name} {dict(made[name])}"
    others = [f"{effect.kind} {effect.name}" for effect in decision.effects if effect.kind not in ("call", "deliver")]
    others = [each for each in others if not each.startswith("notice ")]
    if sorted(others) != sorted(turn.given.get("effects", ())):
        expected_effects = ", ".join(turn.given.get("effects", ())) or "none"
        yield f"after {_what(turn)}\n    expected effects  {expected_effects}\n    wanted    {', '.join(others) or 'none'}"


def _what(turn: Turn) -> str:
    given = turn.given
    if "user" in given:
        return f"user: {given['user']}"
    return next(f"{key}: {given[key]}" for key in WHAT_HAPPENS if key in given)


def _one_line(text: str) -> str:
    return " ".join(text.split())
