"""A small assistant for tests, written into a folder: a bicycle workshop that takes bookings. Parts of it can be given anew."""

from __future__ import annotations

from pathlib import Path

from bot.assistant import SYSTEM_REPLIES, Assistant
from bot.check import checked
from bot.decide import Decision, decide
from bot.problem import FilesRefused
from bot.state import State
from bot.understood import Entity, Heard, Ranked, Returned, Understood

MONDAY_US = 1_772_442_000_000_000
"""2026-03-02 09:00 UTC."""

HEAD = """\
name: workshop
version: "1"
languages: [en]
zone: UTC
controller: {name: A workshop, contact: the counter, data_protection_contact: the counter}
purposes:
  service: {basis: contract, retention_days: 30, description: {en: repair bicycles}}
channels:
  web: {operator: us, country: FR}
connectors:
  shop:
    origin: https://shop.example
    recipient: the workshop
    purpose: service
    operations:
      find: {method: GET, path: /find, fields: {day: {in: query, personal: false}}}
      book: {method: POST, path: "/book/{day}", fields: {day: {in: path, personal: false}, name: {in: body, personal: true}}}
escalation: {queue: counter}
notice: {version: "1", reply: notice, shown_by: [web]}
controls: {affirm: affirm, deny: deny, cancel: cancel, agent: agent, restart: restart, repeat: repeat, help: help, correct: correct}
"""

FLOWS = """\
slots:
  bicycle:
    type: choice
    entity: bicycle
    title: {en: the bicycle}
    ask: ask_bicycle
    options:
      - {value: road, title: {en: road bicycle}, words: [racer]}
      - {value: cargo, title: {en: cargo bicycle}}
  day: {type: date, entity: date, title: {en: the day}, ask: ask_day, valid: value >= today}
  name: {type: text, title: {en: the name}, ask: ask_name, anything: true, remember: true}
  time: {type: text}
flows:
  book:
    title: {en: book a repair}
    intents: [book]
    steps:
      - ask: [bicycle, day]
        confirm: confirm_booking
      - call: shop.find
        arguments: {day: day}
        save: found
      - choose: time
        from: found.times
        value: at
        title: "{item.at|time}"
        question: ask_time
        none: nothing
      - ask: [name]
      - call: shop.book
        arguments: {day: day, name: name}
        save: booked
        failed: nothing
      - say: booked
      - id: done
        end: true
      - id: nothing
        say: nothing
  prices:
    title: {en: know the prices}
    intents: [prices]
    steps:
      - ask: [bicycle]
      - say: prices
answers:
  greet: {reply: greet}
  hours: {reply: hours, title: {en: the opening hours}}
"""

INTENTS = (
    "affirm",
    "deny",
    "cancel",
    "agent",
    "restart",
    "repeat",
    "help",
    "correct",
    "book",
    "prices",
    "greet",
    "hours",
)
REPLIES = {
    "ask_bicycle": "Which bicycle?",
    "ask_day": "Which day?",
    "ask_name": "Your name?",
    "ask_time": "Which time?",
    "confirm_booking": "{title.bicycle}, {day|date}?",
    "booked": "Booked for {name} at {chosen.at}: {booked.number}.",
    "nothing": "Nothing is free.",
    "prices": "Repairing a {title.bicycle} costs 20.",
    "greet": "Hello.",
    "hours": "From 9 to 5.",
    "notice": "I am a program.",
}


def replies(**changed: str) -> str:
    """A replies file with all that is needed, some of it changed."""
    words = {name: f"({name}) {{subject}}" if "did_you" in name else f"({name})" for name in SYSTEM_REPLIES}
    lines = [f"  {name}: [{{text: '{text}'}}]" for name, text in {**words, **REPLIES, **changed}.items() if text]
    return "language: en\nreplies:\n" + "\n".join(lines) + "\n"


def training() -> str:
    lines = [f"  {intent}: [say {intent} one, say {intent} two]" for intent in INTENTS]
    return "entities: [bicycle]\nintents:\n" + "\n".join(lines) + "\n"


def write(folder: Path, **parts: str) -> Path:
    """The assistant in a folder. `head`, `flows`, `replies`, `training` and `tests` may be given."""
    given = {"head": HEAD, "flows": FLOWS, "replies": replies(), "training": training(), **parts}
    places = {
        "head": "assistant.yaml",
        "flows": "flows/all.yaml",
        "replies": "replies/en.yaml",
        "training": "nlu/en.yaml",
        "tests": "tests/all.yaml",
    }
    for part, text in given.items():
        file = folder / places[part]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


def made(folder: Path, **parts: str) -> Assistant:
    return checked(write(folder, **parts))[0]


def problems(folder: Path, **parts: str) -> list[str]:
    """What checking says of an assistant, one line each."""
    try:
        return [str(problem) for problem in checked(write(folder, **parts))[1]]
    except FilesRefused as refused:
        return [str(problem) for problem in refused.problems]


class Chat:
    """One conversation with an assistant; messages say what they mean."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self.state = State()
        self.at_us = MONDAY_US
        self.decided: list[tuple[Heard, Decision]] = []

    def says(
        self, text: str, intent: str = "", confidence: float = 0.95, channel: str = "web", **entities: str
    ) -> list[str]:
        """Hears a message; gives the names of the replies."""
        ranked = (Ranked(intent, confidence),) if intent else ()
        found = tuple(Entity(kind, value, text) for kind, value in entities.items())
        return self.hear(Understood(self._id(), self._later(), text, intents=ranked, entities=found, channel=channel))

    def returns(self, result: dict[str, object], outcome: str = "done", status: int = 200) -> list[str]:
        """Answers the last call that was wanted."""
        key = next(
            (effect.interaction, effect.step)
            for _, decision in reversed(self.decided)
            for effect in decision.effects
            if effect.kind == "call"
        )
        return self.hear(Returned(self._id(), self._later(), *key, outcome, status, result))

    def hear(self, heard: Heard) -> list[str]:
        decision = decide(self.state, heard, self.assistant)
        self.state = decision.state
        self.decided.append((heard, decision))
        return [reply.name for reply in decision.replies]

    @property
    def last(self) -> Decision:
        return self.decided[-1][1]

    @property
    def texts(self) -> list[str]:
        return [reply.text for reply in self.last.replies]

    @property
    def calls(self) -> list[str]:
        return [effect.name for effect in self.last.effects if effect.kind == "call"]

    def passes(self, minutes: int) -> None:
        self.at_us += minutes * 60_000_000

    def _later(self) -> int:
        self.at_us += 1_000_000
        return self.at_us

    def _id(self) -> str:
        return f"m{len(self.decided)}"
