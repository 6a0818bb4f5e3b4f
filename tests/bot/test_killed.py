"""The process of bot and caller is killed under load, over a real Kafka: every message is answered once, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

from infra.house import House
from infra.settings import Settings
from tests.bot.serving import settings_of
from tests.bot.small import replies, write
from tests.bot.workshop import HEAD, REMINDED, Shop
from vault.conversations import Reader
from vault.interaction import Answered, Called, ConversationEvent, MessageSent, Received, Returned
from vault.mapper import Closed

PEOPLE = 30
SAYS = ("greet", "book bicycle=road date=2030-03-05", "affirm", "hours")
KILLED_AFTER = (25, 80)
"""Messages that were acknowledged when the process is killed."""


class Serving:
    """The process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bot.serving", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process ended"
        return line.strip()

    def give(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


def test_killed_under_load_every_message_is_answered_once_and_every_call_returns_once(
    kafka_home: Settings, tmp_path: Path
) -> None:
    folder = write(tmp_path / "assistant", head=HEAD, flows=REMINDED, replies=replies(reminder="Soon, {name}."))
    shop = Shop()
    arguments = (str(kafka_home.home), kafka_home.log, str(folder), shop.origin)
    messages = [
        {"sender": f"p{person}", "id": f"p{person}-{place}", "text": text}
        for place, text in enumerate(SAYS)
        for person in range(PEOPLE)
    ]
    acknowledged: set[str] = set()
    for kill_at in (*KILLED_AFTER, None):
        serving = Serving(*arguments)
        left = [message for message in messages if message["id"] not in acknowledged]
        for message in left:  # a channel gives again what was not acknowledged
            serving.give(json.dumps(message))
        while len(acknowledged) < (kill_at or len(messages)):
            acknowledged.add(serving.line())
        if kill_at:
            serving.kill()
    wanted = {Answered.TOPIC: len(messages), Called.TOPIC: PEOPLE, Returned.TOPIC: PEOPLE, MessageSent.TOPIC: PEOPLE}
    for _ in range(600):
        serving.give("?")
        stand = json.loads(serving.line())
        if all(stand.get(topic, 0) >= count for topic, count in wanted.items()):
            break
    serving.end()
    shop.close()
    with House(settings_of(kafka_home.home, kafka_home.log, str(folder), shop.origin)) as house:
        events = list(everything(house))
        names = {house.keys.find("web", f"p{person}").subject: f"p{person}" for person in range(PEOPLE)}  # type: ignore[union-attr]
    of: dict[type, list[Any]] = {}
    for event in events:
        of.setdefault(type(event), []).append(event)
    said: dict[UUID, str] = {event.originator_id: event.message_id for event in of[Received]}
    assert Counter(said.values()) == Counter(message["id"] for message in messages)
    assert Counter(event.originator_id for event in of[Answered]) == Counter(list(said))
    for subject, name in names.items():
        order = [said[event.originator_id] for event in of[Answered] if event.subject == subject]
        assert order == [f"{name}-{place}" for place in range(len(SAYS))]
    asked = Counter((event.interaction_id, event.step) for event in of[Called])
    assert asked == Counter((event.interaction_id, event.step) for event in of[Returned])
    assert len(asked) == PEOPLE
    assert Counter(event.interaction_id for event in of[MessageSent]) == Counter(
        interaction for interaction, _ in asked
    )
    assert all(event.outcome == "done" for event in of[Returned])


def everything(house: House) -> list[ConversationEvent]:
    found: list[ConversationEvent] = []
    for number in range(house.conversations.partitions):
        partition = house.conversations.partition(number)
        end = partition.catch_up()
        with Reader(partition, 0) as reader:
            while reader.next_offset < end:
                for accepted in reader.read(1_000, 5_000):
                    opened = [house.mapper.open(event) for event in accepted.standing()]
                    found += [e for e in opened if isinstance(e, ConversationEvent) and not isinstance(e, Closed)]
    return found
