"""Understanding on recorded dialogues: trained on SGD `train`, then `dev` through a real Kafka, with the worker killed in the middle.

    python -m tests.journeys.understanding [--train N] [--dev N] [--rate N] [--model FILE]

Trains on the user turns of N dialogues of `train`, taken evenly (default: all) with their intents, slots and the intent of the turn before;
`--model` keeps the model, and takes it from there when it is there. Then:

1. `parloir serve` understands what `parloir replay --messages-only` streams in of `dev`; it is killed (SIGKILL) when half of that is
   understood, and started again. Every message must be understood once. Intents and slots are scored against what was recorded;
   labels that `train` never had are counted apart.
2. In one process: as many messages as go through are taken in and understood, end to end; then `--rate` a second (default 50),
   one by one, for the time from giving a message in until its `Understood` is accepted and read.
"""

from __future__ import annotations

import argparse
import gzip
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from infra import dialogues
from infra.artifacts import fetch
from infra.broker import Broker
from infra.dialogues import Dialogue, Exchange
from infra.house import DAY_MS, House, kafka_cluster
from infra.nlu_verbs import plugs
from infra.serve import Serving, tune_garbage_collection
from infra.settings import Settings
from infra.verbs import messages_from
from nlu.evaluation import entity_scores
from nlu.example import Example
from nlu.span import Span
from nlu.training_files import Place, Training
from nlu.understanding import Understanding
from tests import services
from vault.conversations import Reader
from vault.interaction import Received, Understood
from vault.logs.kafka import KafkaLog

PARTITIONS = 4
PEOPLE = 10**9
"""So that hardly two dialogues are one person's."""
MESSAGE_BYTES_MAX = 65_536
SETTLE_S = 600
"""Longest wait for what was taken in to be understood."""


def file_of(name: str, count: int | None, folder: Path) -> Path:
    """A file of `count` of the recorded dialogues, taken evenly from all of them."""
    with gzip.open(services.DATA / "sgd" / f"{name}.jsonl.gz", "rb") as source:
        lines = source.readlines()
    path = folder / f"{name}.jsonl"
    wanted = len(lines) if count is None else min(count, len(lines))
    path.write_bytes(b"".join(lines[number * len(lines) // wanted] for number in range(wanted)))
    return path


def read(file: Path) -> list[Dialogue]:
    with dialogues.open_counted(file) as counted:
        return list(dialogues.read(counted, message_bytes_max=MESSAGE_BYTES_MAX))


def examples(recorded: Sequence[Dialogue]) -> Iterator[Example]:
    """Each labelled user turn, with the intent of the one before it."""
    for dialogue in recorded:
        before = ""
        for exchange in dialogue.exchanges:
            if exchange.intent:
                yield Example(exchange.text, exchange.intent, spans(exchange), before)
                before = exchange.intent


def spans(exchange: Exchange) -> tuple[Span, ...]:
    """The recorded slots in order; of those that overlap the first."""
    kept: list[Span] = []
    for one in sorted(exchange.entities, key=lambda each: (each.start, -each.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(Span(one.start, one.end, one.entity))
    return tuple(kept)


def train(recorded: Sequence[Dialogue], path: Path) -> None:
    places = [Place(example, "en", Path("sgd"), number) for number, example in enumerate(examples(recorded), 1)]
    training = Training(places, entities={span.kind for place in places for span in place.example.entities})
    begun = time.monotonic()
    understanding, metrics = Understanding.train(training, plugs())
    understanding.save(path, trained_on=training.digest(), made_at="2026-01-01T00:00:00Z", metrics=metrics)
    print(
        f"trained on {len(places):,} turns of {len(recorded):,} dialogues in {time.monotonic() - begun:.0f} s, "
        f"{path.stat().st_size / 1e6:.0f} MB; by cross-validation: {metrics['in_scope_accuracy']:.1%} of intents, "
        f"calibration error {metrics['calibration_error']:.3f}",
        flush=True,
    )


# Killed in the middle


@dataclass
class Standing:
    """What stands in the log: by message its recorded place, and how often and how it was understood."""

    message_of: dict[UUID, str] = field(default_factory=dict)
    times: Counter[UUID] = field(default_factory=Counter)
    understood: dict[UUID, Understood] = field(default_factory=dict)


def standing(settings: Settings) -> Standing:
    found = Standing()
    with House(settings) as house:
        for number in range(house.conversations.partitions):
            partition = house.conversations.partition(number)
            end = partition.catch_up()
            with Reader(partition, 0) as reader:
                while reader.next_offset < end:
                    for accepted in reader.read(2_000, 1_000):
                        for stored in accepted.standing():
                            event = house.mapper.open(stored)
                            if isinstance(event, Received):
                                found.message_of[event.originator_id] = event.message_id
                            elif isinstance(event, Understood):
                                found.times[event.originator_id] += 1
                                found.understood[event.originator_id] = event
    return found


class Program:
    """`parloir` on one home, in processes of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        names = {"home": settings.home, "log": settings.log, "log_partitions": PARTITIONS, "model": settings.model}
        self._env = {**os.environ, **{f"PARLOIR_{name.upper()}": str(value) for name, value in names.items()}}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "infra.cli", *arguments]
        return subprocess.Popen(command, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def serve(self) -> subprocess.Popen[str]:
        serving = self.start("serve", "--only", "registrar,nlu")
        assert serving.stdout is not None
        if not serving.stdout.readline():
            raise SystemExit(serving.communicate()[1])
        return serving

    def replay(self, file: Path) -> subprocess.Popen[str]:
        return self.start("replay", str(file), "--messages-only", "--people", str(PEOPLE), "--json")


def killed_in_the_middle(settings: Settings, recorded: Sequence[Dialogue], file: Path) -> Standing:
    """Replays with the worker running; kills it while the replay runs; starts it and the replay again; all is understood in the end."""
    program, total = Program(settings), sum(len(dialogue.exchanges) for dialogue in recorded)
    serving = program.serve()
    replaying = program.replay(file)
    wait_until(settings, total // 2)
    serving.send_signal(signal.SIGKILL)
    serving.communicate()
    replaying.communicate()
    print(f"killed with SIGKILL; the replay in it ended with {replaying.returncode}", flush=True)
    serving = program.serve()
    replaying = program.replay(file)
    said, problem = replaying.communicate()
    if replaying.returncode:
        raise SystemExit(problem)
    print(f"replayed again: {said.strip()}", flush=True)
    wait_until(settings, total)
    serving.send_signal(signal.SIGTERM)
    serving.communicate()
    return standing(settings)


def wait_until(settings: Settings, count: int) -> None:
    """Returns when about so many messages are understood: follows the log as any stranger with its key can, and opens nothing."""
    cluster, prefix = kafka_cluster(settings)
    kept_ms = settings.conversations_retention_days * DAY_MS
    log = KafkaLog(cluster, f"{prefix}.conversations", PARTITIONS, retention_ms=kept_ms)
    tails = [log.tail(number, 0) for number in range(PARTITIONS)]
    mark = Understood.TOPIC.encode()
    seen, deadline = 0, time.monotonic() + SETTLE_S
    while seen < count and time.monotonic() < deadline:
        for tail in tails:
            seen += sum(record.count(mark) for _, record in tail.poll(50, 1_000) if record)
    log.close()
    if seen < count:
        raise SystemExit(f"only {seen} of {count} were understood within {SETTLE_S} s")


# Scores


def score(found: Standing, trained: Sequence[Dialogue], recorded: Sequence[Dialogue]) -> None:
    intents = {one.intent for one in examples(trained)}
    slots = {span.kind for one in examples(trained) for span in one.entities}
    gold = {exchange.message_id: exchange for dialogue in recorded for exchange in dialogue.exchanges}
    doubled = sum(times > 1 for times in found.times.values())
    missed = len(found.message_of) - len(found.times)
    print(f"{len(found.message_of):,} messages, {missed} not understood, {doubled} understood twice")
    assert not missed
    assert not doubled
    assert len(found.message_of) == len(gold)
    known: list[tuple[Exchange, Understood]] = []
    unknown = []
    for interaction, event in found.understood.items():
        exchange = gold[found.message_of[interaction]]
        if exchange.intent:
            (known if exchange.intent in intents else unknown).append((exchange, event))
    right = sum(event.intent == exchange.intent for exchange, event in known)
    any_of = sum(event.intent in (exchange.intent, *exchange.alternatives) for exchange, event in known)
    print(
        f"intents that training had: {right / len(known):.1%} of {len(known):,} turns are the recorded first intent, "
        f"{any_of / len(known):.1%} one of the recorded"
    )
    kept = [pair for pair in known if pair[1].outcome == "understood"]
    right_kept = sum(event.intent == exchange.intent for exchange, event in kept)
    print(f"  of the {len(kept) / len(known):.1%} with the outcome understood: {right_kept / len(kept):.1%}")
    names = sorted({exchange.intent for exchange, _ in unknown})
    held = sum(event.outcome != "understood" for _, event in unknown)
    if unknown:
        print(f"intents that training never had: {len(unknown):,} turns ({', '.join(names)}), {held} of them held back")
    pairs, apart = [], Counter[str]()
    for interaction, event in found.understood.items():
        wanted = spans(gold[found.message_of[interaction]])
        apart.update(span.kind for span in wanted if span.kind not in slots)
        given = [Span(e["start"], e["end"], e["type"]) for e in event.entities if e["type"] in slots]
        pairs.append(([span for span in wanted if span.kind in slots], given))
    unnamed = [tuple([Span(one.start, one.end, "") for one in each] for each in pair) for pair in pairs]
    for how, scored, overlap in (
        ("exact spans", pairs, False),
        ("overlapping spans", pairs, True),
        ("exact spans, whatever the slot is called", unnamed, False),
    ):
        of = entity_scores(scored, overlap=overlap)
        print(
            f"slots that training had, {how}: precision {of['precision']:.3f}, recall {of['recall']:.3f}, F1 {of['f1']:.3f}"
        )
    if apart:
        print(f"slots that training never had: {apart.total():,} ({', '.join(sorted(apart))})")


# Speed


def speed(settings: Settings, recorded: Sequence[Dialogue], rate: float) -> None:
    messages = [message for dialogue in recorded for message in messages_from(dialogue, PEOPLE, messages_only=True)]
    with House(settings) as house:
        serving = Serving(house, {"registrar", "nlu"})
        tune_garbage_collection()
        heard = Heard(house)
        begun = time.monotonic()
        for at in range(0, len(messages), 500):
            house.intake.receive(messages[at : at + 500])
        heard.wait(len(messages))
        seconds = time.monotonic() - begun
        print(
            f"end to end, as fast as it goes: {len(messages) / seconds:,.0f} messages/s ({len(messages):,})", flush=True
        )
        given: dict[UUID, float] = {}
        begun = time.monotonic()
        paced = [
            message for dialogue in recorded for message in messages_from(dialogue, PEOPLE, "paced", messages_only=True)
        ][: int(rate * 30)]
        for number, message in enumerate(paced):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            at = time.monotonic()
            (receipt,) = house.intake.receive([message])
            given[receipt.interaction_id] = at
        heard.wait(len(messages) + len(paced))
        took = sorted((heard.at[interaction] - at) * 1_000 for interaction, at in given.items())
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        print(
            f"one by one, {rate:.0f} a second, from given in to understood: p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            flush=True,
        )
        heard.close()
        serving.close()


class Heard:
    """When each interaction was read as understood, by threads that follow the log."""

    def __init__(self, house: House) -> None:
        self.at: dict[UUID, float] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(house, number))
            for number in range(house.conversations.partitions)
        ]
        for thread in self._threads:
            thread.start()

    def _follow(self, house: House, number: int) -> None:
        with Reader(house.conversations.partition(number), 0) as reader:
            while not self._closing.is_set():
                found = reader.read(1_000, 200)
                now = time.monotonic()
                with self._changed:
                    for accepted in found:
                        for stored in accepted.standing():
                            if stored.topic == Understood.TOPIC and isinstance(stored.originator_id, UUID):
                                self.at[stored.originator_id] = now
                    self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.at) >= count, SETTLE_S):
                raise SystemExit(f"only {len(self.at)} of {count} were understood within {SETTLE_S} s")

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description="Understanding on recorded dialogues, through a real Kafka.")
    parser.add_argument("--train", type=int, help="dialogues of train to learn from (default: all)")
    parser.add_argument("--dev", type=int, help="dialogues of dev to replay (default: all)")
    parser.add_argument("--rate", type=float, default=50, help="messages a second for the time that one takes")
    parser.add_argument("--model", type=Path, help="a model to keep, or to take when it is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = file_of("dev", given.dev, Path(folder))
        trained, recorded = read(file_of("train", given.train, Path(folder))), read(file)
        model = (given.model or Path(folder, "model.parloir")).absolute()
        if not model.exists():
            train(trained, model)
        broker = Broker(Path(folder, "broker"), fetch(services.CACHE))
        broker.start()
        try:
            for what in ("killed", "speed"):
                settings = Settings(
                    home=Path(folder, what),
                    log=f"kafka://{broker.bootstrap}/{what}",
                    log_partitions=PARTITIONS,
                    model=str(model),
                )
                if what == "killed":
                    score(killed_in_the_middle(settings, recorded, file), trained, recorded)
                else:
                    speed(settings, recorded[: max(1, len(recorded) // 4)], given.rate)
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
