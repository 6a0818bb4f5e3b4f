"""A home with the bot and the caller at work, as a process that a test may kill: `python -m tests.bot.serving HOME LOG ASSISTANT ORIGIN`.

Takes messages in, a JSON object a line of standard input, and prints the id of each when it is stored; `?` prints what stands in the log.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from infra.bot_part import BotPart, CallerPart
from infra.house import House
from infra.settings import Settings
from tests.bot.workshop import FOLLOW, Declared
from vault.conversations import Reader
from vault.effects import now_us
from vault.follow import Follower
from vault.intake import Message


def settings_of(home: Path, log: str, assistant: str, origin: str) -> Settings:
    return Settings(home=home, log=log, log_partitions=2, assistant=assistant, caller_origins=f"shop={origin}")


def counts(house: House) -> dict[str, int]:
    """How many events stand of each event topic."""
    found: Counter[str] = Counter()
    for number in range(house.conversations.partitions):
        partition = house.conversations.partition(number)
        end = partition.catch_up()
        with Reader(partition, 0) as reader:
            while reader.next_offset < end:
                for accepted in reader.read(1_000, 5_000):
                    found.update(event.topic for event in accepted.standing())
    return dict(found)


def take_in(house: House, batch: list[dict[str, Any]]) -> None:
    messages = [Message("web", "site", each["sender"], each["id"], each["text"], now_us()) for each in batch]
    house.intake.receive(messages)
    for each in batch:
        print(each["id"], flush=True)


def main(home: str, log: str, assistant: str, origin: str) -> None:
    with House(settings_of(Path(home), log, assistant, origin)) as house:
        understanding = Follower(house.conversations, Declared(house.mapper), limits=FOLLOW)
        caller, bot = CallerPart(house, house.assistant), BotPart(house, house.assistant)
        caller.start()
        bot.start()
        understanding.start()
        print("ready", flush=True)
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=lambda: [*map(lines.put, sys.stdin), lines.put("")], daemon=True).start()
        while line := lines.get():
            if line.strip() == "?":
                print(json.dumps(counts(house)), flush=True)
                continue
            batch = [json.loads(line)]
            while len(batch) < 10 and not lines.empty() and (line := lines.get()).startswith("{"):
                batch.append(json.loads(line))
            take_in(house, batch)
            if line.strip() == "?":
                print(json.dumps(counts(house)), flush=True)
        understanding.close()
        bot.close()
        caller.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
