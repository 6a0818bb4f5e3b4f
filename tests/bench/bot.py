"""The bot alone on a log: turns a second out of what was understood already; one long conversation, slower or not at its end; and
what others notice of a connector that hangs.

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
from infra.assistants import SHIPPED
from infra.bot_part import BotPart, CallerPart
from infra.broker import Broker
from infra.house import House
from infra.settings import Settings
from tests import services
from tests.bot.small import replies, write
from tests.bot.workshop import HEAD, REMINDED, Declared, Shop
from vault.conversations import Accepted, Reader
from vault.effects import now_us
from vault.follow import Follower, FollowLimits
from vault.intake import Message
from vault.interaction import Answered, ConversationEvent, Received, Understood
from vault.seal import read_header

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


def bench_hanging(folder: Path, *, others: int = 200) -> dict[str, float]:
    """One partition, more calls hanging than their origin has places: milliseconds from received to answered of everybody else."""
    shop = Shop()
    shop.holding.add("find")
    described = write(folder / "assistant", head=HEAD, flows=REMINDED, replies=replies(reminder="Soon, {name}."))
    home = Settings(
        home=folder / "home", log_partitions=1, assistant=str(described), caller_origins=f"shop={shop.origin}"
    )
    with House(home) as house:
        understanding = Follower(house.conversations, Declared(house.mapper))
        caller, bot = CallerPart(house, house.assistant), BotPart(house, house.assistant)
        caller.start()
        bot.start()
        understanding.start()
        for number in range(20):
            for text in ("book bicycle=road date=2030-03-05", "affirm"):
                house.intake.receive([Message("web", "site", f"stuck-{number}", text, text, now_us())])
        shop.entered.wait(20)
        for number in range(others):
            house.intake.receive([Message("web", "site", f"free-{number}", "m", "greet", now_us())])
            _wait_until_answered(house, 41 + number)
        received: dict[UUID, int] = {}
        spent_ms: list[float] = []
        with Reader(house.conversations.partition(0), 0) as reader:
            while len(spent_ms) < 40 + others:
                for accepted in reader.read(1_000, 1_000):
                    for event in accepted.standing():
                        at_us = read_header(event.state).at_us
                        if event.topic == Received.TOPIC:
                            received[event.originator_id] = at_us  # type: ignore[index]
                        elif event.topic == Answered.TOPIC:
                            spent_ms.append((at_us - received[event.originator_id]) / 1_000)  # type: ignore[index]
        hung = len(shop.keys)
        shop.close()
        understanding.close()
        bot.close()
        caller.close()
    free = sorted(spent_ms[40:])
    return {"hanging": hung, "p50_ms": free[len(free) // 2], "p99_ms": free[int(len(free) * 0.99)]}


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
            print("while a connector hangs", bench_hanging(Path(folder, "hanging")), flush=True)
        finally:
            broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
