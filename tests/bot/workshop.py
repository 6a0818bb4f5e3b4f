"""The workshop at work: a real log and keys, the bot and the caller on it, and the shop's system, called over real HTTP.

What people write says what it means (`book bicycle=road`), in the place of understanding.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent

from bot.assistant import Assistant
from bot.caller import Caller
from bot.connectors import client_of
from bot.memory import MemoryLimits
from bot.worker import BotWorker
from tests.bot import small
from vault.conversations import Accepted, Conversations, Reader
from vault.effects import EffectLimits, now_us
from vault.follow import Follower, FollowLimits
from vault.ids import LogId, partition_of
from vault.intake import Intake, Message
from vault.interaction import (
    Answered,
    Called,
    ConversationEvent,
    MessageSent,
    Received,
    Returned,
    TimerDue,
    TimerSet,
    Understood,
)
from vault.keys import KeyStore
from vault.mapper import Closed, SealingMapper
from vault.outstanding import Outstanding
from vault.registrar import Registrar

FOLLOW = FollowLimits(batch_records=50, poll_ms=50, retry_ms=20)
EFFECTS = EffectLimits(retry_ms=20, poll_ms=50)
HEAD = small.HEAD.replace(
    "    origin: https://shop.example\n",
    "    origin: http://127.0.0.1:1\n    networks: [127.0.0.0/8]\n    idempotency_header: Idempotency-Key\n    timeout_ms: 30000\n",
)
REMINDED = small.FLOWS.replace(
    "      - say: booked\n", "      - timer: remind\n        minutes: 60\n        keep: [name]\n      - say: booked\n"
).replace("answers:\n", "  remind:\n    steps:\n      - say: greet\n      - say: reminder\nanswers:\n")
TIMES = {"times": [{"at": "10:00"}, {"at": "15:30"}]}


def assistant(folder: Path, **parts: str) -> Assistant:
    given = {"head": HEAD, "flows": REMINDED, "replies": small.replies(reminder="Soon, {name}."), **parts}
    return small.made(folder, **given)


class Shop:
    """The shop's system. `holding` a path keeps its answers back; `broken` answers 503; repeats under a key are known."""

    def __init__(self) -> None:
        self.holding: set[str] = set()
        self.let_go = threading.Event()
        self.entered = threading.Event()
        self.broken = False
        self.keys: list[tuple[str, str]] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(TIMES)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.reply({"number": "7"})

            def reply(self, result: dict[str, Any]) -> None:
                what = self.path.split("/")[1].split("?")[0]
                shop.keys.append((what, self.headers.get("Idempotency-Key", "")))
                if what in shop.holding:
                    shop.entered.set()
                    shop.let_go.wait(60)
                body = json.dumps(result).encode()
                self.send_response(503 if shop.broken else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(ConnectionError):  # whoever asked had waited long enough
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()


class Declared:
    """Understands what says itself what it means: an intent, and entities as `kind=value`."""

    name = "nlu"

    def __init__(self, mapper: SealingMapper) -> None:
        self._mapper = mapper

    def handle(self, partition: int, batch: Sequence[Accepted]) -> Sequence[Sequence[StoredEvent]]:
        del partition
        return [
            [self._understood(event) for event in accepted.standing() if event.topic == Received.TOPIC]
            if len(accepted.commit.packed) == 1
            else []
            for accepted in batch
        ]

    def _understood(self, event: StoredEvent) -> StoredEvent:
        said = self._mapper.open(event)
        assert isinstance(said, Received)
        return self._mapper.to_stored_event(understood(said))


def understood(said: Received) -> Understood:
    words = said.text.split()
    intent = words[0] if words else ""
    entities = []
    for each in words:
        kind, equals, value = each.partition("=")
        if equals:
            start = said.text.index(each)
            entities.append({"type": kind, "value": value, "start": start, "end": start + len(each)})
    return Understood(
        originator_id=said.originator_id,
        originator_version=2,
        subject=said.subject,
        at_us=said.at_us + 1,
        channel=said.channel,
        language="en",
        intent=intent if intent in small.INTENTS else "",
        confidence=0.95,
        outcome="understood" if intent in small.INTENTS else "not_understood",
        entities=entities,
        model="declared",
    )


class Workshop:
    """What runs on one vault: understanding, the bot and the caller, each started and stopped by itself."""

    def __init__(
        self,
        conversations: Conversations,
        keys: KeyStore,
        mapper: SealingMapper,
        intake: Intake,
        registrar: Registrar,
        assistant: Assistant,
        shop: Shop,
        state: Path,
        log_id: LogId,
    ) -> None:
        self.conversations = conversations
        self.keys = keys
        self.mapper = mapper
        self.intake = intake
        self.registrar = registrar
        self.assistant = assistant
        self.shop = shop
        self._state = state
        self._log_id = log_id
        self.running = ExitStack()

    def understanding(self) -> Follower:
        follower = Follower(self.conversations, Declared(self.mapper), limits=FOLLOW)
        follower.start()
        self.running.callback(follower.close)
        return follower

    def bot(self, *, limits: MemoryLimits | None = None, clock: Callable[[], int] = now_us) -> Follower:
        worker = BotWorker(self.assistant, self.mapper, self.keys, limits=limits, clock=clock)
        follower = Follower(self.conversations, worker, limits=FOLLOW, on_begin=worker.begin)
        follower.start()
        self.running.callback(worker.close)
        self.running.callback(follower.close)
        return follower

    def caller(self, *, clock: Callable[[], int] = now_us) -> Caller:
        client = client_of(self.assistant, {"shop": self.shop.origin})
        outstanding = Outstanding(self._state, self._log_id)
        caller = Caller(
            self.conversations,
            self.mapper,
            client,
            idle_us=self.assistant.idle_us,
            outstanding=outstanding,
            limits=EFFECTS,
            clock=clock,
        )
        caller.start()
        self.running.callback(outstanding.close)
        self.running.callback(client.close)
        self.running.callback(caller.close)
        return caller

    def all(self) -> None:
        self.understanding()
        self.bot()
        self.caller()

    def stop(self) -> None:
        self.running.close()

    # People

    def write(self, sender: str, *texts: str, at_us: int | None = None, payload: str | None = None) -> list[UUID]:
        """Messages of one person, taken in; the interactions."""
        messages = [
            Message("web", "site", sender, uuid4().hex, text, at_us or now_us(), "en", payload=payload)
            for text in texts
        ]
        return [receipt.interaction_id for receipt in self.intake.receive(messages)]

    def says(self, sender: str, *texts: str, at_us: int | None = None) -> list[str]:
        """What the bot says to messages, once the last of them is answered."""
        interactions = self.write(sender, *texts, at_us=at_us)
        found = self.until(lambda events: [e for e in answers(events) if e.originator_id in interactions], len(texts))
        return [text for event in found for text in texts_of(event)]

    def person(self, sender: str) -> UUID:
        found = self.keys.find("web", sender)
        assert found is not None
        return found.subject

    def somebody_in(self, partition: int) -> str:
        """A new sender who lives in a partition, greeted already."""
        while True:
            sender = uuid4().hex
            self.says(sender, "greet")
            if partition_of(self.person(sender)) == partition:
                return sender

    # The log

    def events(self) -> Iterator[ConversationEvent]:
        """Everything that stands and opens, partition by partition in order."""
        for number in range(self.conversations.partitions):
            partition = self.conversations.partition(number)
            end = partition.catch_up()
            with Reader(partition, 0) as reader:
                while reader.next_offset < end:
                    for accepted in reader.read(500, 5_000):
                        for stored in accepted.standing():
                            event = self.mapper.open(stored)
                            if not isinstance(event, Closed) and isinstance(event, ConversationEvent):
                                yield event

    def until(
        self, wanted: Callable[[list[ConversationEvent]], Sequence[Any]], count: int = 1, tries: int = 300
    ) -> list[Any]:
        """What is wanted of the log's events, once there are so many."""
        found: Sequence[Any] = []
        for _ in range(tries):
            found = wanted(list(self.events()))
            if len(found) >= count:
                return list(found)
            ends = [self.conversations.partition(n).next_offset for n in range(self.conversations.partitions)]
            for number, end in enumerate(ends):
                if self.conversations.partition(number).advance(end, 50):
                    break
        raise AssertionError(f"{len(found)} of {count} came")


def answers(events: Sequence[ConversationEvent]) -> list[Answered]:
    return [event for event in events if isinstance(event, Answered)]


def sent(events: Sequence[ConversationEvent]) -> list[MessageSent]:
    return [event for event in events if isinstance(event, MessageSent)]


def calls(events: Sequence[ConversationEvent]) -> list[Called]:
    return [event for event in events if isinstance(event, Called)]


def returns(events: Sequence[ConversationEvent]) -> list[Returned]:
    return [event for event in events if isinstance(event, Returned)]


def timers(events: Sequence[ConversationEvent]) -> list[TimerSet]:
    return [event for event in events if isinstance(event, TimerSet)]


def due(events: Sequence[ConversationEvent]) -> list[TimerDue]:
    return [event for event in events if isinstance(event, TimerDue)]


def texts_of(event: Answered | MessageSent) -> list[str]:
    return [reply["text"] for reply in event.replies]
