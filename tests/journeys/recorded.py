"""What a home holds, against the recorded dialogues it was filled from: event by event, and byte by byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra import dialogues
from infra.house import House
from infra.settings import Settings
from vault.conversations import Reader
from vault.interaction import Answered, Received, Understood
from vault.mapper import Event

Exchange = tuple[str, str, str, str, str, tuple[str, ...]]
"""channel, sender, message id, text, intent, replies"""


def recorded(file: Path, people: int) -> Counter[Exchange]:
    """Every exchange of the file, with who has it and where."""
    found: Counter[Exchange] = Counter()
    with dialogues.open_counted(file) as counted:
        for dialogue in dialogues.read(counted, message_bytes_max=65_536):
            role = dialogues.cast(dialogue, people=people)
            for exchange, _ in dialogues.timed(dialogue, role):
                found[
                    role.channel,
                    role.person,
                    exchange.message_id,
                    exchange.text,
                    exchange.intent,
                    tuple(exchange.replies),
                ] += 1
    return found


def held(settings: Settings) -> Counter[Exchange]:
    """Every exchange that stands in the log of a home and can be opened."""
    found: Counter[Exchange] = Counter()
    with House(settings) as house:
        for number in range(house.conversations.partitions):
            for events in _interactions(house, number):
                received, understood = events[0], events[1]
                assert isinstance(received, Received)
                assert isinstance(understood, Understood)
                replies: tuple[str, ...] = ()
                if len(events) > 2:
                    assert isinstance(events[2], Answered)
                    replies = tuple(reply["text"] for reply in events[2].replies)
                found[
                    received.channel,
                    received.sender,
                    received.message_id,
                    received.text,
                    understood.intent,
                    replies,
                ] += 1
    return found


def _interactions(house: House, number: int) -> Iterator[list[Event]]:
    partition = house.conversations.partition(number)
    end = partition.catch_up()
    with Reader(partition, 0) as reader:
        while reader.next_offset < end:
            for accepted in reader.read(2_000, 1_000):
                events = [house.mapper.open(stored) for stored in accepted.standing()]
                opened = [event for event in events if isinstance(event, Received | Understood | Answered)]
                if opened:
                    yield list(opened)


def readable_in(folders: Iterable[Path], words: Iterable[str]) -> dict[str, Path]:
    """Which of the words stand readable in any file below the folders, and where first."""
    wanted = [word.encode() for word in words]
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.stat().st_blocks:
                content = path.read_bytes().strip(b"\0")  # Kafka makes its indexes of their full size, most of it empty
                for word in wanted:
                    if word in content:
                        found.setdefault(word.decode(), path)
    return found
