"""A home with a gateway and a bot that repeats what it hears: what tests of channels talk to. Everything but the wit of the bot is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from bot.assistant import Assistant
from bot.check import checked
from infra.assistants import folder_of
from infra.gateway_part import GatewayPart
from infra.house import House
from infra.settings import Settings
from vault.conversations import Accepted, Reader
from vault.follow import Follower, FollowLimits
from vault.interaction import Answered, ConversationEvent, Delivered, MessageSent, Received, companion_id

NOTICE = "notice-7"
LATER = "later"
"""Of a message that begins with this word, half is answered at once and half when a call has returned."""


class Repeats:
    """Answers every message with its own words, in the place of understanding and deciding."""

    name = "bot"

    def __init__(self, house: House) -> None:
        self._mapper = house.mapper

    def handle(self, partition: int, batch: Sequence[Accepted]) -> Sequence[Sequence[StoredEvent]]:
        del partition
        return [[made for event in accepted.standing() for made in self._answers(event)] for accepted in batch]

    def _answers(self, event: StoredEvent) -> list[StoredEvent]:
        if event.topic != Received.TOPIC:
            return []
        heard = self._mapper.open(event, "service")
        if not isinstance(heard, Received):
            return []
        of: dict[str, Any] = {"subject": heard.subject, "at_us": heard.at_us, "channel": heard.channel}
        later = heard.text.startswith(LATER)
        answered = Answered(
            originator_id=heard.originator_id,
            originator_version=3,
            replies=[] if later else [said(heard)],
            fallback=False,
            assistant="repeats",
            effects=[effect(0, "call", "town")] if later else [effect(0, "deliver", "reply"), *self._notice(heard)],
            **of,
        )
        if not later:
            return [self._mapper.to_stored_event(answered)]
        sent = MessageSent(
            originator_id=companion_id(heard.originator_id, MessageSent.TOPIC, 1),
            interaction_id=heard.originator_id,
            origin="assistant",
            replies=[said(heard)],
            effects=[effect(1, "deliver", "reply")],
            **of,
        )
        return [self._mapper.to_stored_event(answered), self._mapper.to_stored_event(sent)]

    def _notice(self, heard: Received) -> list[dict[str, Any]]:
        """Told where the channel does not show it: here with every answer, recorded once."""
        return [effect(1, "notice", NOTICE, '{"language": "fr"}')] if heard.channel != "web" else []


def said(heard: Received) -> dict[str, Any]:
    buttons = [
        {"title": "Again", "payload": "/again", "url": None},
        {"title": "Read", "payload": None, "url": "https://www.example.org/"},
    ]
    return {"text": f"you said: {heard.payload or heard.text}", "buttons": buttons}


def effect(step: int, kind: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"step": step, "kind": kind, "name": name, "arguments": arguments}


@cache
def townhall() -> Assistant:
    return checked(folder_of("townhall"))[0]


class Answering:
    """A home, open and answering. `close` ends it as a stop does; opened again, it goes on."""

    def __init__(self, settings: Settings, *, bot: bool = True, demo: bool = False) -> None:
        self._closing = ExitStack()
        try:
            self.house = self._closing.enter_context(House(settings))
            if bot:
                follower = Follower(self.house.conversations, Repeats(self.house), limits=FollowLimits(poll_ms=100))
                follower.start()
                self._closing.callback(follower.close)
            self.part = GatewayPart(self.house, townhall(), demo=demo)
            self.part.start()
            self._closing.callback(self.part.close)
        except BaseException:
            self._closing.close()
            raise
        self.origin = self.part.origins[0]

    @property
    def token(self) -> str:
        return (self.house.settings.home / "rest" / "default").read_text().strip()

    def events(self) -> list[ConversationEvent]:
        """Every event that stands and can be opened, by partition and in order."""
        found: list[ConversationEvent] = []
        for number in range(self.house.conversations.partitions):
            partition = self.house.conversations.partition(number)
            end = partition.catch_up()
            with Reader(partition, 0) as reader:
                while reader.next_offset < end:
                    for accepted in reader.read(500, 1_000):
                        opened = [self.house.mapper.open(event, "service") for event in accepted.standing()]
                        found += [event for event in opened if isinstance(event, ConversationEvent)]
        return found

    def about(self, text: str) -> tuple[int, int, int]:
        """How often a message with this text is received, answered (in whatever parts) and delivered (in whatever parts)."""
        events = self.events()
        ids = {e.originator_id for e in events if isinstance(e, Received) and e.text == text}
        received = [e for e in events if isinstance(e, Received) and e.text == text]
        answered = [e for e in events if isinstance(e, Answered) and e.originator_id in ids]
        delivered = [e for e in events if isinstance(e, Delivered) and e.interaction_id in ids]
        return len(received), len(answered), len(delivered)

    def subjects(self, text: str) -> set[UUID]:
        return {e.subject for e in self.events() if isinstance(e, Received) and e.text == text}

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits for the log to grow until something holds; the suite's timeout ends what never does."""
        while not holds():
            for number in range(self.house.conversations.partitions):
                partition = self.house.conversations.partition(number)
                partition.advance(partition.next_offset, 50)

    def close(self) -> None:
        self._closing.close()

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
