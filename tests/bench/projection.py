"""Figures of the projection's file at 1, 10 and 50 million events: one person's rows while it is written to, and settling.

The state is made directly, not through a log: a million people (a fiftieth of the events, when there are fewer), fifty events each
(sixteen turns of three, and two deliveries) over a year, sorted by person in the settled layer, and a last part in the order of
arrival. Payloads and key ids are random bytes of the size of sealed ones (nonce, 196 bytes, tag: 224); nothing here opens them, so
what is measured is finding, reading and moving rows. Then three processes, one after the other: one makes the file, one reads while
1,000 events a second arrive, one settles while it reads and they arrive.

    python -m tests.bench.projection [--folder FOLDER] [MILLIONS…]      default: 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa

from projections import views
from projections.rows import CONVERSATIONS, NO_EVIDENCE, Batch, Span
from projections.settle import Filling, asked, settle
from projections.store import Store
from vault.interaction import Answered, Received, Understood
from vault.keys import KekDirectory, KeyStore

PARTITIONS = 4
PER_PERSON = 50
TURNS = 16
PAYLOAD_BYTES = 224
RECENT_SHARE = 0.01
RECENT_MAX = 400_000
PEOPLE_A_BATCH = 2_400
ARRIVING_PER_S = 1_000
LOG_ID = UUID(int=2)
START_US = 1_735_689_600_000_000
MONTHS = 12
INTENTS = 40
MB_A_MILLION = 40
"""`duckdb_memory_mb` grows with the events: what DuckDB knows of its row groups lies in memory."""

Figures = dict[str, float]


def memory_mb(events: int) -> int:
    """The setting that a projection of so many events is run with."""
    return max(192, MB_A_MILLION * events // 1_000_000)


class People:
    """Everybody's pseudonym, in order: for each partition, as one run of 16 bytes each."""

    def __init__(self, people: int) -> None:
        dice = random.Random(11)
        self.of: list[list[bytes]] = []
        for partition in range(PARTITIONS):
            head = partition.to_bytes(2, "big")
            self.of.append(sorted(head + dice.randbytes(14) for _ in range(people // PARTITIONS)))

    def some(self, dice: random.Random) -> tuple[int, bytes]:
        partition = dice.randrange(PARTITIONS)
        return partition, dice.choice(self.of[partition])


def _pattern(values: Callable[[int], Any], kind: pa.DataType) -> pa.Array:
    """A column of a batch whose people are all alike in it."""
    return pa.array([values(at) for at in range(PER_PERSON)] * PEOPLE_A_BATCH, kind)


TURN = (Received.TOPIC, Understood.TOPIC, Answered.TOPIC)


def _topic(at: int) -> str:
    return TURN[at % 3] if at < 3 * TURNS else "reply.delivered.1"


class Maker:
    """Batches of rows, sorted by person."""

    def __init__(self) -> None:
        step_us = 365 * 86_400_000_000 // PER_PERSON
        understood = [_topic(at) == Understood.TOPIC for at in range(PER_PERSON)]
        answered = [_topic(at) == Answered.TOPIC for at in range(PER_PERSON)]
        text = pa.string()
        self._constant: Mapping[str, pa.Array] = {
            "index": _pattern(lambda at: at % 3 if at < 3 * TURNS else 0, pa.uint32()),
            "version": _pattern(lambda at: at % 3 + 1 if at < 3 * TURNS else 1, pa.uint32()),
            "event_topic": _pattern(_topic, text).dictionary_encode(),
            "channel": _pattern(lambda at: ("web", "email", "whatsapp")[at // 21], text).dictionary_encode(),
            "language": _pattern(lambda at: ("fr", "en")[at % 2] if understood[at] else None, text),
            "intent": _pattern(lambda at: f"intent {at * 7 % INTENTS}" if understood[at] else None, text),
            "confidence": _pattern(lambda at: at / PER_PERSON if understood[at] else None, pa.float64()),
            "fallback": _pattern(lambda at: at % 10 == 0 if answered[at] else None, pa.bool_()),
        }
        self._months = [32 * (at * MONTHS // PER_PERSON) for at in range(PER_PERSON)]
        self._times = [at * step_us for at in range(PER_PERSON)]

    def rows(self, partition: int, people: Sequence[bytes], first_rank: int, in_partition: int) -> pa.Table:
        """All events of up to `PEOPLE_A_BATCH` people. `first_rank`: which of its partition the first of them is."""
        count = len(people) * PER_PERSON
        ids = os.urandom(16 * (TURNS + 2) * len(people))
        keys = os.urandom(32 * MONTHS * len(people))
        originators, key_ids = [], []
        for person in range(len(people)):
            at = 16 * (TURNS + 2) * person
            originators += [ids[at + 16 * n : at + 16 * n + 16] * 3 for n in range(TURNS)]
            originators.append(ids[at + 16 * TURNS : at + 16 * (TURNS + 2)])
            at = 32 * MONTHS * person
            key_ids += [keys[at + month : at + month + 32] for month in self._months]
        shift_us = random.randrange(86_400_000_000)
        ranks = range(first_rank, first_rank + len(people))
        columns: dict[str, pa.Array] = {
            "partition": pa.repeat(pa.scalar(partition, pa.uint16()), count),
            "offset": _numbers(n // 3 * 3 * in_partition + rank for rank in ranks for n in range(PER_PERSON)),
            "originator": _uuids(b"".join(originators), count),
            "subject": _uuids(b"".join([person * PER_PERSON for person in people]), count),
            "happened_at": _numbers(
                START_US + shift_us + rank % 3_600 * 1_000_000 + at_us for rank in ranks for at_us in self._times
            ).cast(pa.timestamp("us", "UTC")),
            "key_id": pa.array(key_ids, pa.binary()),
            "sealed": _sealed(count),
        }
        columns |= {name: column.slice(0, count) for name, column in self._constant.items()}
        return pa.table(columns)


def _numbers(values: Iterator[int]) -> pa.Array:
    held = array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(held), [None, pa.py_buffer(held)])


def _uuids(sixteens: bytes, rows: int) -> pa.Array:
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(sixteens)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _sealed(rows: int) -> pa.Array:
    size = pa.binary(PAYLOAD_BYTES)
    held = pa.py_buffer(os.urandom(PAYLOAD_BYTES * rows))
    return pa.FixedSizeBinaryArray.from_buffers(size, rows, [None, held]).cast(pa.binary())


# Making the file


def make(folder: Path, events: int) -> None:
    """The file of so many events, of which the last are recent."""
    people = People(people_of(events))
    store = Store.open(folder, log_id=LOG_ID, memory_mb=memory_mb(events))
    beside = store.beside()
    maker = Maker()
    with store.writing(), beside.writing() as connection:
        settled, interactions = Filling(connection, "settled_event"), Filling(connection, "settled_interaction")
        for partition, of_it in enumerate(people.of):
            for first in range(0, len(of_it), PEOPLE_A_BATCH):
                rows = maker.rows(partition, of_it[first : first + PEOPLE_A_BATCH], first, len(of_it))
                settled.add(rows)
                interactions.add(asked(connection, rows, views.settled_interactions("arriving")))
            connection.execute("INSERT INTO position VALUES (?, ?, ?)", [CONVERSATIONS, partition, 1 << 40])
        settled.end()
        interactions.end()
        connection.execute("CHECKPOINT")
        store.replace_by(beside)
    arriving = Arriving(store, people)
    for _ in range(0, int(min(RECENT_MAX, events * RECENT_SHARE)), 10_000):
        arriving.write(10_000)
    store.built()
    store.close()


def people_of(events: int) -> int:
    return events // PER_PERSON


class Arriving:
    """Events of anybody, as they come."""

    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people
        self._dice = random.Random()
        self._next = store.positions()
        self.written = 0
        self.longest_s = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def write(self, count: int) -> None:
        """Turns of three events, of one partition, as one batch."""
        partition = self._dice.randrange(PARTITIONS)
        turns = max(1, count // 3)
        rows = turns * 3
        start = self._next[CONVERSATIONS, partition]
        who = [self._dice.choice(self._people.of[partition]) for _ in range(turns)]
        columns = {
            "partition": pa.repeat(pa.scalar(partition, pa.uint16()), rows),
            "offset": _numbers(start + n // 3 for n in range(rows)),
            "index": pa.array([n % 3 for n in range(rows)], pa.uint32()),
            "originator": _uuids(b"".join([os.urandom(16) * 3 for _ in range(turns)]), rows),
            "version": pa.array([n % 3 + 1 for n in range(rows)], pa.uint32()),
            "event_topic": pa.array(list(TURN) * turns),
            "subject": _uuids(b"".join([person * 3 for person in who]), rows),
            "happened_at": _numbers(iter([time.time_ns() // 1_000] * rows)).cast(pa.timestamp("us", "UTC")),
            "channel": pa.repeat(pa.scalar("web"), rows),
            "key_id": pa.array([os.urandom(32) for _ in range(rows)], pa.binary()),
            "sealed": _sealed(rows),
            "language": pa.array([None, "fr", None] * turns),
            "intent": pa.array([None, "intent 1", None] * turns),
            "confidence": pa.array([None, 0.5, None] * turns, pa.float64()),
            "fallback": pa.array([None, None, False] * turns, pa.bool_()),
        }
        began = time.perf_counter()
        span = Span(CONVERSATIONS, partition, start, start + turns)
        assert self._store.write(Batch((span,), pa.table(columns), NO_EVIDENCE))
        self.longest_s = max(self.longest_s, time.perf_counter() - began)
        self._next[CONVERSATIONS, partition] = start + turns
        self.written += rows

    def start(self) -> Arriving:
        self._thread.start()
        return self

    def _run(self) -> None:
        began = time.perf_counter()
        while not self._done.wait(0.05):
            due = int((time.perf_counter() - began) * ARRIVING_PER_S) - self.written
            if due >= 3:
                self.write(due)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


# Reading


def read_person(store: Store, person: bytes) -> int:
    """All rows of one person in order, as the report asks for them. Returns how many."""
    with store.reading() as cursor:
        cursor.execute(
            'SELECT partition, "offset", "index", originator, version, event_topic, epoch_us(happened_at), channel, key_id, sealed'
            ' FROM sealed_event WHERE subject = ? ORDER BY partition, "offset", "index"',
            [UUID(bytes=person)],
        )
        return len(cursor.fetchall())


def spread(times: Sequence[float]) -> Figures:
    cut = statistics.quantiles(times, n=100)
    return {"p50_ms": cut[49] * 1e3, "p99_ms": cut[98] * 1e3, "longest_ms": max(times) * 1e3, "reads": len(times)}


def reading(folder: Path, events: int, reads: int = 2_000) -> Figures:
    """One person after another, chosen at random, while events arrive."""
    people, dice = People(people_of(events)), random.Random(5)
    store = Store.open(folder, log_id=LOG_ID, memory_mb=memory_mb(events))
    arriving = Arriving(store, people).start()
    times = []
    for _ in range(reads):
        _, person = people.some(dice)
        began = time.perf_counter()
        held = read_person(store, person)
        times.append(time.perf_counter() - began)
        assert held >= PER_PERSON
    arriving.stop()
    with store.reading() as cursor:
        (recent,) = cursor.execute("SELECT count(*) FROM recent_event").fetchone()
    store.close()
    return {**spread(times), "recent_rows": recent, "arrived": arriving.written, "memory_mb": _peak_mb()}


def settling(folder: Path, events: int) -> Figures:
    """Settling once, while persons are read and events arrive."""
    people, dice = People(people_of(events)), random.Random(6)
    store = Store.open(folder, log_id=LOG_ID, memory_mb=memory_mb(events))
    times: list[float] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            _, person = people.some(dice)
            began = time.perf_counter()
            held = read_person(store, person)
            assert held >= PER_PERSON
            times.append(time.perf_counter() - began)
            done.wait(0.02)

    with tempfile.TemporaryDirectory() as keys_folder:
        keks = KekDirectory.create(Path(keys_folder) / "keks", uuid4())
        keys = KeyStore.create(
            Path(keys_folder) / "keys.db", keks, cache_entries=1_000, lease_seconds=60, busy_timeout_ms=5_000
        )
        arriving = Arriving(store, people).start()
        reader = threading.Thread(target=read)
        reader.start()
        found = settle(store, keys)
        done.set()
        reader.join()
        arriving.stop()
        keys.close()
    store.close()
    return {
        "seconds": found.seconds,
        "events": found.events,
        "events_per_s": found.events / found.seconds,
        "writer_waited_ms": found.waited_ms,
        "longest_write_ms": arriving.longest_s * 1e3,
        "arrived": arriving.written,
        **{f"read_{name}": value for name, value in spread(times).items()},
        "memory_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


STEPS: Mapping[str, Callable[[Path, int], Any]] = {"make": make, "reading": reading, "settling": settling}


def bench_projection(events: int, folder: Path | None = None) -> dict[str, Figures]:
    """The figures of each step, in a process of its own each."""
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(dir=folder) as at:
        for step in STEPS:
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.projection", "--step", step, "--folder", at, str(events / 1e6)],
                check=True,
                stdout=subprocess.PIPE,
            )
            figures = json.loads(done.stdout)
            size = sum(file.stat().st_size for file in (Path(at) / "projection").iterdir())
            found[step] = {**(figures or {"seconds": time.perf_counter() - began}), "file_mb": size / 1e6}
    return found


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("millions", nargs="*", type=float, default=[1.0], help="how many million events")
    given.add_argument("--folder", type=Path, help="where to make the files (default: the system's)")
    given.add_argument("--step", choices=tuple(STEPS), help="one step, in this process, on what is there")
    options = given.parse_args()
    for millions in options.millions:
        events = int(millions * 1e6)
        if options.step:
            print(json.dumps(STEPS[options.step](options.folder / "projection", events)))
        else:
            print(json.dumps({f"{millions:g} million": bench_projection(events, options.folder)}, indent=2), flush=True)


if __name__ == "__main__":
    main()
