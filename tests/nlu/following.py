"""What tests of the worker are made of: a model in service, messages of somebody, and what stands in the log as understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlu.in_service import InService
from nlu.understanding import Plugs, Understanding
from nlu.worker import UnderstandingWorker
from tests.contracts.events import everything
from tests.vault.conftest import Vault
from vault.follow import Follower, FollowLimits
from vault.intake import Intake, Message, Receipt
from vault.interaction import Understood

SENT_US = 1_760_000_000_000_000
"""9 October 2025, 08:53:20 UTC."""
QUICK = FollowLimits(batch_records=50, poll_ms=50, retry_ms=20)


def message(text: str, number: int = 1, sender: str = "visitor-1", **more: Any) -> Message:
    return Message("web", "site", sender, f"m{number}", text, SENT_US + number * 1_000_000, **more)


def say(vault: Vault, *messages: Message) -> list[Receipt]:
    """Takes messages in, of any size."""
    intake = Intake(
        vault.conversations,
        vault.keys,
        vault.mapper,
        register_new=vault.registrar.register_new,
        message_bytes_max=500_000,
    )
    return intake.receive(messages)


def in_service(path: Path, plugs: Plugs) -> InService:
    def load(file: Path) -> Understanding:
        return Understanding.load(file, plugs)[0]

    return InService(path, load)


def worker(vault: Vault, model: InService, **more: Any) -> UnderstandingWorker:
    return UnderstandingWorker(model, vault.keys, vault.mapper, vault.conversations, **more)


def follow(vault: Vault, working: UnderstandingWorker) -> Follower:
    follower = Follower(vault.conversations, working, limits=QUICK)
    follower.start()
    return follower


def understood(vault: Vault) -> list[Understood]:
    """Everything that was understood and can be opened, partition by partition, in order."""
    found = []
    for number in range(vault.conversations.partitions):
        for accepted in everything(vault.conversations.partition(number)):
            for stored in accepted.standing():
                event = vault.mapper.open(stored) if stored.topic in Understood.topics() else None
                if isinstance(event, Understood):
                    found.append(event)
    return found


def handled(vault: Vault, working: UnderstandingWorker) -> list[Understood]:
    """What the worker makes of all that the log holds now, nothing of it appended."""
    found = []
    for number in range(vault.conversations.partitions):
        batch = everything(vault.conversations.partition(number))
        for made in working.handle(number, batch) if batch else ():
            found += [vault.mapper.open(stored) for stored in made]
    return [event for event in found if isinstance(event, Understood)]


def wait_for(vault: Vault, count: int) -> list[Understood]:
    """What is understood, once it is so much."""
    for _ in range(400):
        ends = [vault.conversations.partition(number).next_offset for number in range(vault.conversations.partitions)]
        found = understood(vault)
        if len(found) >= count:
            return found
        for number, end in enumerate(ends):
            vault.conversations.partition(number).advance(end, 25)
    raise AssertionError(f"{len(found)} of {count} understood")
