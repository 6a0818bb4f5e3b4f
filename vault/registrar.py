"""The rights of a data subject, carried out: what the register accepts, the keys follow.

The register decides (an aggregate's event, accepted), the key store follows (grants made and deleted together with the register
position they come from). Erasure goes the other way round, because it must be final at once: one transaction of the key store
destroys the keys and raises the fence, and leaves a note; then `Erased` is appended to both logs. Whatever a crash leaves undone,
`finish_pending` and `apply_register` do at the next start, once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from vault.access import DataAccess
from vault.commit import Commit
from vault.conversations import Conversations
from vault.errors import BadInput, PartitionStopped, PersonUnknown, Unavailable, VaultError
from vault.fold import Verdict
from vault.ids import partition_of
from vault.interaction import Erased
from vault.keys import IMPROVEMENT, Change, EraseApplied, Give, KeyStore, Lift, Pending, Person, Restrict, Withdraw
from vault.mapper import SealingMapper
from vault.register import Register
from vault.seal import read_header
from vault.subject import DataSubject

ATTEMPTS_MAX = 8
STALE_MODEL_DAYS = 30
DAY_US = 86_400_000_000
SAVED_AT_ONCE = 200

T = TypeVar("T")

log = logging.getLogger(__name__)


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


@dataclass(frozen=True)
class ErasureReceipt:
    """What an erasure destroyed, when, and what is pending. `already`: it had been done before, at `at_us`."""

    subject: UUID
    case: UUID | None
    key_ids: tuple[bytes, ...]
    at_us: int
    already: bool
    pending: tuple[str, ...]


class Registrar:
    """Records and carries out notices, consents, restrictions, accesses and erasures. Thread-safe."""

    def __init__(
        self,
        keys: KeyStore,
        register: Register,
        conversations: Conversations,
        mapper: SealingMapper,
        *,
        stale_model_days: int = STALE_MODEL_DAYS,
        clock: Callable[[], int] = now_us,
    ) -> None:
        """`stale_model_days`: how long a model may answer after somebody it learnt from does not agree any more."""
        self._keys = keys
        self._stale_us = stale_model_days * DAY_US
        self._register = register
        self._conversations = conversations
        self._mapper = mapper
        self._clock = clock
        self._lock = threading.RLock()

    # People

    def register_new(self) -> None:
        """Records everybody who was resolved for the first time. What cannot be recorded now stays noted, for `finish_pending`."""
        with self._lock:
            done: list[Pending] = []
            for notes in _at_once(self._keys.pending("register"), lambda note: partition_of(UUID(note.body["case"]))):
                try:
                    self._register_all([(UUID(note.body["case"]), note.body["channel"]) for note in notes])
                except PartitionStopped as error:
                    _left(notes[0], error)
                except Unavailable as error:
                    _left(notes[0], error)
                    break  # the others would each wait as long
                else:
                    done += notes
            self._keys.finish(*(note.id for note in done))

    def _register_all(self, cases: Sequence[tuple[UUID, str]]) -> None:
        """Registers the cases of one partition, with their channels, in one commit."""
        new = [
            DataSubject.register(case=case, channel=channel)
            for case, channel in cases
            if self._register.subject(case) is None
        ]
        if new and not self._save(*new, case=new[0].id):
            for case, channel in cases:  # somebody else registered one of them meanwhile
                self._register_one(case, channel)

    def _register_one(self, case: UUID, channel: str) -> None:
        if self._register.subject(case) is None:
            self._save(DataSubject.register(case=case, channel=channel), case=case)

    def _save(self, *aggregates: Any, case: UUID) -> bool:
        """Saves what lives in the partition of `case`, all in one commit. False when somebody else changed one of them first."""
        try:
            self._register.save(*aggregates, case=case)
        except IntegrityError:
            return False
        return True

    def _change(self, subject: UUID, change: Callable[[DataSubject], None]) -> None:
        """Loads the data subject, changes it, saves it, and lets the keys follow; again when somebody else was first."""
        person = self._person(subject)
        for _ in range(ATTEMPTS_MAX):
            data_subject = self._register.subject(person.case)
            if data_subject is None:
                with self._lock:
                    self._register_one(person.case, "")
                continue
            change(data_subject)
            if self._save(data_subject, case=person.case):
                self.apply_register(partition_of(person.case))
                return
        raise BadInput("the data subject was changed by others at the same time", remedy="try again")

    def _person(self, subject: UUID) -> Person:
        person = self._keys.person(subject)
        if person is None:
            raise PersonUnknown("nobody is known under that pseudonym")
        return person

    def show_notice(self, subject: UUID, *, notice_version: str, language: str) -> None:
        self._change(subject, lambda s: s.show_notice(notice_version=notice_version, language=language))

    def show_notices(self, shown: Mapping[UUID, tuple[str, str]]) -> None:
        """Records for many people at once which version of the notice they were shown, in which language: `shown` is by subject.

        What is on record already is left out, and so is who was erased. Many are one commit.
        """
        loaded = [self._with_notice(subject, *notice) for subject, notice in shown.items()]
        told = [(subject, each) for subject, each in zip(shown, loaded, strict=True) if each is not None]
        for some in _at_once(told, lambda one: partition_of(one[1].id)):
            if not self._save(*(each for _, each in some), case=some[0][1].id):
                for subject, _ in some:  # somebody else changed one of them meanwhile
                    version, language = shown[subject]
                    if self._with_notice(subject, version, language) is not None:
                        self.show_notice(subject, notice_version=version, language=language)

    def _with_notice(self, subject: UUID, version: str, language: str) -> DataSubject | None:
        """The data subject with the notice, to be saved; None where there is nothing to record."""
        person = self._keys.person(subject)
        if person is None:
            return None
        data_subject = self._register.subject(person.case)
        if data_subject is None:
            with self._lock:
                self._register_one(person.case, "")
            data_subject = self._register.subject(person.case)
        if data_subject is None or data_subject.erased or version in data_subject.notices:
            return None
        data_subject.show_notice(notice_version=version, language=language)
        return data_subject

    def give_consent(self, subject: UUID, *, purpose: str, notice_version: str) -> None:
        self._change(subject, lambda s: s.give_consent(purpose=purpose, notice_version=notice_version))

    def withdraw_consent(self, subject: UUID, *, purpose: str) -> None:
        self._change(subject, lambda s: s.withdraw_consent(purpose=purpose))

    def restrict(self, subject: UUID, *, ground: str) -> None:
        self._change(subject, lambda s: s.restrict(ground=ground))

    def lift_restriction(self, subject: UUID, *, ground: str) -> None:
        self._change(subject, lambda s: s.lift_restriction(ground=ground))

    def link(self, subject: UUID, *, channel: str, external_id: str, assurance: str) -> None:
        """Links another identity. The identity itself is only in the key store's index, never in the register."""
        self._keys.link(subject, channel, external_id)
        self._change(subject, lambda s: s.link_identity(channel=channel, assurance=assurance))

    def record_access(
        self, person: Person, *, actor: str, reason: str, events: int, request_id: UUID | None = None
    ) -> None:
        """Records that somebody opened the data of a person (who, why, how many events)."""
        access = DataAccess.record(case=person.case, actor=actor, reason=reason, events=events, request_id=request_id)
        self._register.save(access, case=person.case)

    def record_accesses(self, opened: Mapping[UUID, int], *, actor: str, reason: str) -> None:
        """Records that somebody opened the data of many people at once: `opened` is how many events, by subject.

        Many accesses are one commit. Raises `PersonUnknown` when one of them was erased meanwhile; those before are recorded.
        """
        partitions: dict[int, list[DataAccess]] = {}
        for subject, events in opened.items():
            case = self._person(subject).case
            accesses = partitions.setdefault(partition_of(case), [])
            accesses.append(DataAccess.record(case=case, actor=actor, reason=reason, events=events))
            if len(accesses) == SAVED_AT_ONCE:
                self._register.save(*accesses, case=case)
                accesses.clear()
        for accesses in partitions.values():
            if accesses:
                self._register.save(*accesses, case=accesses[0].case)

    # Keys follow what the register accepted

    def apply_register(self, partition: int | None = None) -> None:
        """Carries every accepted register event after the key store's position over into grants, exactly once.

        This is also what makes a restored backup of the key store safe: every later erasure is applied before it serves.
        """
        with self._lock:
            for number in range(self._register.partitions) if partition is None else (partition,):
                after = self._keys.applied(number)
                while batch := self._register.notifications(number, max(after, 0)):
                    changes = [change for event in batch for change in self._changes(event)]
                    after = batch[-1].id
                    self._keys.apply(number, after, changes)

    def open_up(self) -> dict[int, PartitionStopped]:
        """What has to happen before anything is served. Returns the partitions of the register that cannot be followed."""
        stopped: dict[int, PartitionStopped] = {}
        for number in range(self._register.partitions):
            try:
                self.apply_register(number)
            except PartitionStopped as error:
                stopped[number] = error
        self.finish_pending()
        self.end_models()
        return stopped

    def end_models(self) -> None:
        """Destroys the keys of models whose time is over."""
        for model in self._keys.end_stale_models(self._clock() - self._stale_us):
            log.warning("model ended", extra={"model": str(model)})

    def _changes(self, stored: Any) -> list[Change]:
        """What an accepted register event means for the grants."""
        topic = stored.topic
        if topic not in _FOLLOWED:
            return []
        case = stored.originator_id
        person = self._keys.person_of_case(case)
        if person is None:
            return []  # erased since: nothing left to change
        if topic == DataSubject.Erased.TOPIC:
            return [EraseApplied(person.subject, self._clock())]
        if topic == DataSubject.Restricted.TOPIC:
            return [Restrict(person.subject, read_header(stored.state).at_us)]
        if topic == DataSubject.RestrictionLifted.TOPIC:
            return [Lift(person.subject)]
        purpose = self._mapper.to_domain_event(stored).purpose
        if purpose != IMPROVEMENT:
            return []
        if topic == DataSubject.ConsentGiven.TOPIC:
            return [Give(person.subject, purpose)]
        return [Withdraw(person.subject, purpose, read_header(stored.state).at_us)]

    # Erasure

    def erase(self, subject: UUID, *, ground: str, decided_by: str) -> ErasureReceipt:
        """Erases a person: keys first and at once, then the evidence in both logs. A second erasure says it is done already.

        Where a log cannot be written now, the keys are gone all the same, and the receipt says what is pending.
        """
        erasure = self._keys.erase(subject, self._clock(), {"ground": ground, "decided_by": decided_by})
        self.finish_pending()
        unfinished = any(note.body["subject"] == str(subject) for note in self._keys.pending("erase"))
        return ErasureReceipt(
            subject=subject,
            case=erasure.case,
            key_ids=erasure.key_ids,
            at_us=erasure.at_us,
            already=erasure.already,
            pending=(NOT_RECORDED, *PENDING_AFTER_ERASURE) if unfinished else PENDING_AFTER_ERASURE,
        )

    def finish_pending(self) -> int:
        """Finishes what a crash, or a log that was away, left half done. Returns how many erasures were finished."""
        with self._lock:
            self.register_new()
            finished = 0
            for note in self._keys.pending("erase"):
                try:
                    self._finish_erasure(note)
                    finished += 1
                except PartitionStopped as error:
                    _left(note, error)
                except Unavailable as error:
                    _left(note, error)
                    break
            return finished

    def _finish_erasure(self, note: Pending) -> None:
        subject = UUID(note.body["subject"])
        case = UUID(note.body["case"]) if note.body.get("case") else None
        if case is not None:
            self._record_erasure(case, note)
        offset = self._append_erased(subject, note.body["at_us"])
        self._keys.set_fence_offset(subject, offset)
        self._keys.finish(note.id)

    def _record_erasure(self, case: UUID, note: Pending) -> None:
        for _ in range(ATTEMPTS_MAX):
            data_subject = self._register.subject(case)
            if data_subject is None or data_subject.erased:
                return
            data_subject.erase(
                ground=note.body["ground"],
                decided_by=note.body["decided_by"],
                key_ids=[bytes.fromhex(key_id) for key_id in note.body["key_ids"]],
                destroyed_at_us=note.body["at_us"],
                pending=list(PENDING_AFTER_ERASURE),
            )
            if self._save(data_subject, case=case):
                return

    def _append_erased(self, subject: UUID, at_us: int) -> int:
        """Appends `Erased` to the conversations, unless it stands there. Returns its offset."""
        partition = self._conversations.partition(partition_of(subject))
        stored = self._mapper.to_stored_event(Erased.of(subject, at_us))
        while True:
            based_on = partition.catch_up()
            known = partition.fold.erased.get(subject.bytes)
            if known is not None:
                return known
            ((offset, judged),) = partition.append([Commit.of((stored,), based_on=based_on)])
            if judged.verdict is Verdict.ACCEPTED:
                return offset


NOT_RECORDED = "the erasure is not recorded in both logs yet; that is tried again by itself, and at every start"
PENDING_AFTER_ERASURE = (
    "the projection's file still holds sealed rows, unreadable since the keys are gone, until it is written anew (`parloir settle`)",
    "backups of the key store made before now can open the keys until the epoch ends (`parloir rotate`)",
)

_FOLLOWED = frozenset(
    {
        DataSubject.ConsentGiven.TOPIC,
        DataSubject.ConsentWithdrawn.TOPIC,
        DataSubject.Restricted.TOPIC,
        DataSubject.RestrictionLifted.TOPIC,
        DataSubject.Erased.TOPIC,
    }
)


def _at_once(items: Sequence[T], partition: Callable[[T], int]) -> Iterator[list[T]]:
    """The items, together by partition, no more than go into one commit."""
    for _, of in groupby(sorted(items, key=partition), partition):
        some = list(of)
        for at in range(0, len(some), SAVED_AT_ONCE):
            yield some[at : at + SAVED_AT_ONCE]


def _left(note: Pending, error: VaultError) -> None:
    log.warning("note stays pending", extra={"kind": note.kind, "reason": str(error)})


class RegistrarWorker:
    """Keeps a registrar at work beside what calls it: what others decided is applied, and what could not be done is tried again."""

    def __init__(self, registrar: Registrar, *, every_ms: int) -> None:
        self._registrar = registrar
        self._every_s = every_ms / 1_000
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registrar", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(self._every_s):
            try:
                self._registrar.open_up()
            except VaultError as error:
                log.warning("registrar waits", extra={"reason": str(error)})

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
