"""The worker: follows both logs into the store, each partition in a thread, all of them through one writer.

Decoding holds the interpreter's lock and DuckDB does not, so the writer has a thread of its own and stores one batch while the
next is made. A record that cannot be passed stops its partition, is shown in `stopped`, and leaves the others alone.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from projections.rows import CONVERSATIONS, REGISTER, Batch, merged
from projections.sources import ConversationSource, Keys, RegisterSource, Source
from projections.store import Store
from vault.conversations import Conversations
from vault.errors import LogUnavailable, PartitionStopped, Unavailable, VaultError
from vault.mapper import SealingMapper
from vault.register import Register

log = logging.getLogger(__name__)

COLLECT_AFTER_OBJECTS = 1_000_000

Place = tuple[str, int]
"""A log and a partition."""
Progress = Callable[[int, int], None]


class Share(Protocol):
    """Which partitions of the conversations are this process's to project, where several share them out (vault/logs/group.py)."""

    def agreed(self) -> frozenset[int] | None:
        """What was last agreed on; None before the first time."""

    def wait(self, timeout_ms: int) -> None:
        """Returns when that may have changed, or in time."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class ProjectionLimits:
    """`batch_events`: most events, about, that a transaction of one partition stores. `queue_batches`: most batches made and not
    stored yet. `poll_ms`: how long an idle read waits. `retry_ms`: pause after a failure. `stuck_ms`: how long catching up goes on
    without anything coming."""

    batch_events: int = 30_000
    queue_batches: int = 4
    poll_ms: int = 500
    retry_ms: int = 500
    stuck_ms: int = 30_000


class Projector:
    """Keeps a store at the end of both logs. Thread-safe.

    Either `start` it, and it follows; or call `catch_up` when something is wanted of the store. `stopped` names the partitions
    that cannot go on, and why. With a `share` it has to be started, and holds the agreed partitions of the conversations: one that
    goes to somebody else is deleted here, for nobody would delete the erased from it any more. The register is small: all hold all.
    """

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        register: Register,
        keys: Keys,
        mapper: SealingMapper,
        limits: ProjectionLimits | None = None,
        share: Share | None = None,
        partitions: Collection[int] | None = None,
    ) -> None:
        """`partitions`: of the conversations, the only ones to hold; default: all, or with a `share` what is agreed on."""
        self.store = store
        self.conversations = conversations
        self.register = register
        self.keys = keys
        self.mapper = mapper
        self.limits = limits or ProjectionLimits()
        self.stopped: dict[Place, PartitionStopped] = {}
        self._share = share
        if partitions is None:
            partitions = range(conversations.partitions) if share is None else ()
        self._sources = self.sources(partitions)
        self._closing = threading.Event()
        self._reading = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._shared: dict[int, tuple[Source, threading.Thread, threading.Event]] = {}
        self._writer = _Writer(store, self.limits)

    def sources(self, partitions: Iterable[int]) -> dict[Place, Source]:
        """Some partitions of the conversations and all of the register, to be read anew from where the store stands."""
        found: list[Source] = [
            ConversationSource(number, self.store, self.conversations, self.keys, self.mapper) for number in partitions
        ]
        found += [
            RegisterSource(number, self.store, self.register, self.mapper) for number in range(self.register.partitions)
        ]
        return {(source.log, source.partition): source for source in found}

    @property
    def projected(self) -> int:
        """Events stored by this process."""
        return self._writer.stored

    # Following

    def start(self) -> None:
        """Follows from now on, until `close`."""
        with self._reading:
            if self._threads or self._closing.is_set():
                return
            follow: list[list[Source]] = [
                [source] for (name, _), source in self._sources.items() if name == CONVERSATIONS
            ]
            follow.append([source for (name, _), source in self._sources.items() if name == REGISTER])
            self._threads = [self._thread(self._follow, sources, self._closing) for sources in follow]
            if self._share is not None:
                self._threads.append(self._thread(self._keep_to, self._share))

    def _thread(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, name="projection", daemon=True)
        thread.start()
        return thread

    def _follow(self, sources: Sequence[Source], halt: threading.Event) -> None:
        limits = self.limits
        going = list(sources)
        while going and not halt.is_set():
            idle = True
            for source in list(going):
                try:
                    batch = self._read(source)
                    if batch is not None:
                        idle = False
                        self._writer.put(batch)
                except Unavailable as error:
                    log.warning("projection waits", extra={"topic": source.log, "reason": str(error)})
                    halt.wait(limits.retry_ms / 1_000)
                except Exception as error:
                    self._stop(source, error)
                    going.remove(source)
            if idle and len(sources) > 1:  # the register answers at once, so somebody has to wait
                halt.wait(limits.poll_ms / 1_000)

    # Sharing out

    def follows(self, partition: int) -> bool:
        """Whether a partition of the conversations is followed here."""
        return (CONVERSATIONS, partition) in self._sources

    @property
    def followed(self) -> frozenset[int]:
        """The partitions of the conversations that are followed here."""
        return frozenset(partition for log, partition in self._sources if log == CONVERSATIONS)

    def _keep_to(self, share: Share) -> None:
        while not self._closing.is_set():
            try:
                agreed = share.agreed()
                if agreed is not None:
                    self._agree(agreed)
            except VaultError as error:
                log.warning("projection waits", extra={"topic": CONVERSATIONS, "reason": str(error)})
            share.wait(self.limits.poll_ms)
        for partition in self.followed:
            self._halt(partition)

    def _agree(self, agreed: frozenset[int]) -> None:
        for partition in sorted(self.followed - agreed):
            self._let_go(partition)
        for partition in sorted(self.store.held() - agreed):
            self.store.forget(partition)
        for partition in sorted(agreed - self.followed):
            self._take_on(partition)

    def _take_on(self, partition: int) -> None:
        log.info("partition taken on", extra={"topic": CONVERSATIONS, "partition": partition})
        place = (CONVERSATIONS, partition)
        source = self.sources((partition,))[place]
        self._sources = {**self._sources, place: source}
        halt = threading.Event()
        self._shared[partition] = source, self._thread(self._follow, [source], halt), halt

    def _let_go(self, partition: int) -> None:
        log.info("partition let go", extra={"topic": CONVERSATIONS, "partition": partition})
        place = (CONVERSATIONS, partition)
        self._sources = {other: source for other, source in self._sources.items() if other != place}
        self._halt(partition).reset()
        self._writer.drain(None)
        self.stopped.pop(place, None)

    def _halt(self, partition: int) -> Source:
        source, thread, halt = self._shared.pop(partition)
        halt.set()
        thread.join()
        return source

    def _stop(self, source: Source, error: Exception) -> None:
        if isinstance(error, PartitionStopped):
            stopped = error
        else:  # the text of an unforeseen error may quote what a person wrote: only our own errors are shown
            reason = str(error) if isinstance(error, VaultError) else type(error).__name__
            stopped = PartitionStopped(
                f"the projection of {source.log} partition {source.partition} stopped: {reason}",
                partition=source.partition,
                offset=self.store.position(source.log, source.partition) or 0,
                remedy="run `parloir verify`, which says how to go on",
            )
        place = (source.log, source.partition)
        if place not in self.stopped:
            self.stopped[place] = stopped
            log.error(
                "projection stopped",
                extra={
                    "topic": source.log,
                    "partition": source.partition,
                    "offset": stopped.offset,
                    "reason": str(stopped),
                },
            )
        self._writer.notify()

    # Catching up

    def ends(self) -> dict[Place, int]:
        """The ends of both logs as of now, as positions of the store."""
        return {place: source.end() for place, source in self._sources.items() if place not in self.stopped}

    def catch_up(
        self, timeout_ms: int | None = None, progress: Progress = lambda done, total: None
    ) -> dict[Place, int]:
        """Brings the store to where both logs end when this is called. Returns its positions.

        Partitions in `stopped` stay behind. Raises `LogUnavailable`, which says how far it is, when it takes longer than `timeout_ms`
        (default: as long as it goes on).
        """
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1_000
        ends = self.ends()
        try:
            self._bring_to(ends, deadline, progress)
        except _TooLate:
            positions = self.store.positions()
            read = sum(min(max(positions.get(place, 0), 0), end) for place, end in ends.items())
            raise LogUnavailable(
                f"the projection could not be brought to the ends of the logs in time: {read} of {sum(ends.values())} are read",
                remedy="try again, it goes on from there, or check the log",
            ) from None
        if not self.stopped:
            self.store.built()
        return self.store.positions()

    def _bring_to(self, ends: Mapping[Place, int], deadline: float | None, progress: Progress) -> None:
        with self._reading:
            while not self._threads and not self._closing.is_set():
                self._read_to(ends, deadline, progress)
                self._writer.drain(deadline)
                if self._reached(ends):
                    break
        self._writer.wait_for(lambda: self._closing.is_set() or self._reached(ends), deadline)

    def _read_to(self, ends: Mapping[Place, int], deadline: float | None, progress: Progress) -> None:
        """Reads every partition to its end, one after the other: decoding is bound by the interpreter's lock."""
        starts = {place: self._sources[place].position() for place in ends}
        behind = [place for place, end in ends.items() if starts[place] < end]
        if not behind:
            return
        count = _Count(sum(ends[place] - max(starts[place], 0) for place in behind), progress)
        with ThreadPoolExecutor(len(behind), "projection-begin") as beginning:
            list(beginning.map(lambda place: self._sources[place].begin(self.limits.poll_ms), behind))
        with _collecting_rarely():
            for place in behind:
                self._read_one(self._sources[place], starts[place], ends[place], deadline, count)

    def _read_one(self, source: Source, at: int, end: int, deadline: float | None, count: _Count) -> None:
        since = time.monotonic()
        while at < end and not self._closing.is_set():
            try:
                batch = self._read(source, end)
            except PartitionStopped as stopped:
                self._stop(source, stopped)
                return
            if batch is not None:
                self._writer.put(batch)
                count.add(batch.spans[0].end - max(at, 0))
                since = time.monotonic()
            _check(deadline, since + self.limits.stuck_ms / 1_000)
            at = source.position()

    def _read(self, source: Source, upto: int | None = None) -> Batch | None:
        place = (source.log, source.partition)
        if place in self._writer.outrun:  # somebody else moved the store on, or put another one in its place
            self._writer.drain(None)
            self._writer.outrun.discard(place)
            source.reset()
        return source.read(self.limits.batch_events, self.limits.poll_ms, upto)

    def is_complete(self) -> bool:
        """Whether the store is where both logs end now, in every partition."""
        return not self.stopped and self._reached(self.ends())

    def _reached(self, ends: Mapping[Place, int]) -> bool:
        positions = self.store.positions()
        return all(place in self.stopped or positions.get(place, -1) >= end for place, end in ends.items())

    def close(self) -> None:
        """Stores what was read, and stops."""
        self._closing.set()
        if self._share is not None:
            self._share.close()
        for thread in self._threads:
            thread.join()
        self._writer.close()
        for source in self._sources.values():
            source.reset()


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Millions of small objects come and go here, none of them in a cycle: looking for cycles as often as Python does by itself
    takes a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], COLLECT_AFTER_OBJECTS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Count:
    """How far catching up is, over all partitions."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._done = 0
        self._progress = progress

    def add(self, count: int) -> None:
        self._done = min(self._done + count, self._total)
        self._progress(self._done, self._total)


class _Writer:
    """Stores batches in a thread of its own, everything that is waiting as one transaction."""

    def __init__(self, store: Store, limits: ProjectionLimits) -> None:
        self._store = store
        self._limits = limits
        self._changed = threading.Condition()
        self._waiting: list[Batch] = []
        self._storing = False
        self._closing = False
        self._failed: Exception | None = None
        self._thread: threading.Thread | None = None
        self.outrun: set[Place] = set()
        """Partitions of which a batch was refused, because the store does not stand where it begins."""
        self.stored = 0
        """Events stored."""

    def put(self, batch: Batch) -> None:
        """Hands a batch over; waits while too many are waiting."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="projection-writer", daemon=True)
                self._thread.start()
            self._wait(lambda: len(self._waiting) < self._limits.queue_batches, None)
            self._waiting.append(batch)
            self._changed.notify_all()

    def drain(self, deadline: float | None) -> None:
        """Waits until everything that was handed over is stored."""
        with self._changed:
            self._wait(lambda: not self._waiting and not self._storing, deadline)

    def wait_for(self, condition: Callable[[], bool], deadline: float | None) -> None:
        """Waits for a condition that storing, or `notify`, makes true."""
        with self._changed:
            self._wait(condition, deadline)

    def _wait(self, condition: Callable[[], bool], deadline: float | None) -> None:
        while not condition():
            if self._failed:
                raise self._failed
            if self._closing:
                return
            _check(deadline)
            self._changed.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if self._failed:
            raise self._failed

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                batches, self._waiting = self._waiting, []
                self._storing = True
                self._changed.notify_all()
            try:
                self._store_all(batches)
            except Exception as error:
                log.exception("projection cannot be written")
                with self._changed:
                    self._failed = error
            with self._changed:
                self._storing = False
                self._changed.notify_all()
                if self._failed:
                    return

    def _store_all(self, batches: Sequence[Batch]) -> None:
        batch = merged(batches)
        while True:
            try:
                stored = self._store.write(batch)
                break
            except Unavailable as error:
                if self._closing:  # not stored, and neither is its position: the next start reads it again
                    return
                log.warning("projection waits", extra={"reason": str(error)})
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, self._limits.retry_ms / 1_000)
        if stored:
            self.stored += batch.size
        elif len(batches) > 1:
            for each in batches:
                self._store_all([each])
        else:
            self.outrun.update((span.log, span.partition) for span in batch.spans)

    def close(self) -> None:
        """Stores what was handed over, and ends."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()


def _check(*deadlines: float | None) -> None:
    if any(deadline is not None and time.monotonic() > deadline for deadline in deadlines):
        raise _TooLate("the projection could not be brought to the ends of the logs in time")


class _TooLate(LogUnavailable):
    """A deadline is over."""
