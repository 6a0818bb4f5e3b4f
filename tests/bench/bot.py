"""The bot alone on a log: turns a second out of what was understood already, and one long conversation, slower or not at its end.

    python -m tests.bench.bot

What is measured is everything between an accepted `Understood` and an accepted `Answered`: opening, the state, deciding, sealing,
appending. Understanding and the gateway are not in it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from bot.check import checked
from bot.worker import BotWorker
from infra.artifacts import fetch
from infra.bot_verbs import SHIPPED
from infra.broker import Broker
from infra.house import House
from infra.settings import Settings
from tests import services
from vault.conversations import Accepted, Reader
from vault.follow import Follower, FollowLimits
from vault.intake import Message
from vault.interaction import Answered, ConversationEvent, Understood

AT_US = 1_772_442_000_000_000
PEOPLE = 200
TURNS = 6_000
LONG = 20_000
ONE_BATCH = 500


def bench_bot(home: Settings, *, people: int = PEOPLE, turns: int = TURNS) -> dict[str, float]:
    """Turns a second over all partitions, and milliseconds of processor a turn: all through, near the start, at the end."""
    assistant, _ = checked(SHIPPED / "townhall")
    intents = [*sorted(assistant.flow_of), *sorted(assistant.answers), "deny", ""]
    with House(home) as house:

        def turn(number: int) -> Message:
            at_us = AT_US + number

            def understood(interaction: UUID, subject: UUID) -> list[ConversationEvent]:
                intent = intents[number % len(intents)]
                return [
                    Understood(
                        originator_id=interaction,
                        originator_version=2,
                        subject=subject,
                        at_us=at_us,
                        channel="web",
                        language="fr",
                        intent=intent,
                        confidence=0.9 if intent else 0.1,
                        model="bench",
                    )
                ]

            return Message("web", "site", f"v{number % people}", f"m{number}", "rue du Stade", at_us, "fr", understood)

        for first in range(0, turns, ONE_BATCH):
            house.intake.receive([turn(number) for number in range(first, min(first + ONE_BATCH, turns))])
        worker = Measured(assistant, house.mapper, house.keys)
        follower = Follower(
            house.conversations, worker, limits=FollowLimits(batch_records=100, poll_ms=50), on_begin=worker.begin
        )
        begun = time.monotonic()
        follower.start()
        _wait_until_answered(house, turns)
        spent_s = time.monotonic() - begun
        follower.close()
        worker.close()
    first, last = worker.tenths()
    return {
        "turns_per_s": turns / spent_s,
        "cpu_ms": sum(cpu_s for cpu_s, _ in worker.spent) / turns * 1_000,
        "first_cpu_ms": first,
        "last_cpu_ms": last,
        "ratio": last / first,
    }


class Measured(BotWorker):
    """Notes how much of the processor each batch takes, and how many turns it has."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.spent: list[tuple[float, int]] = []

    def handle(self, partition: int, batch: Sequence[Accepted]) -> Sequence[Sequence[StoredEvent]]:
        begun = time.thread_time()
        made = super().handle(partition, batch)
        turns = sum(bool(each) for each in made)
        if turns:
            self.spent.append((time.thread_time() - begun, turns))
        return made

    def tenths(self) -> tuple[float, float]:
        """Milliseconds of processor a turn in the second tenth, when all is warm, and in the last."""
        tenth = max(1, len(self.spent) // 10)
        parts = (self.spent[tenth : 2 * tenth] or self.spent, self.spent[-tenth:])
        first, last = (sum(cpu_s for cpu_s, _ in part) / sum(n for _, n in part) * 1_000 for part in parts)
        return first, last


def _wait_until_answered(house: House, turns: int) -> None:
    count = 0
    readers = [Reader(house.conversations.partition(number), 0) for number in range(house.conversations.partitions)]
    while count < turns:
        for reader in readers:
            for accepted in reader.read(1_000, 20):
                count += sum(event[2] == Answered.TOPIC for event in accepted.commit.packed)
    for reader in readers:
        reader.close()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder, "broker"), fetch(services.CACHE))
        broker.start()
        try:
            for what, people, turns in (
                (f"{PEOPLE} people", PEOPLE, TURNS),
                ("one conversation of 300 turns", 1, 300),
                (f"one conversation of {LONG:,} turns", 1, LONG),
            ):
                name = what.replace(" ", "-").replace(",", "")
                home = Settings(home=Path(folder, name), log=f"kafka://{broker.bootstrap}/{name}", log_partitions=4)
                found = bench_bot(home, people=people, turns=turns)
                print(what, {key: round(value, 3) for key, value in found.items()}, flush=True)
        finally:
            broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
