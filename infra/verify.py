"""Log, keys, local state and projection held against each other: counts, and the first difference of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from infra.house import House
from nlu.sealed_model import model_of
from projections.verification import verify as verify_projection
from vault.conversations import ConversationPartition, Reader
from vault.errors import EventTampered, KeyTampered, PartitionStopped, VaultError
from vault.fold import ERASED_TOPIC, Fold, Judged, Verdict
from vault.keys import Unreadable
from vault.seal import CLEAR, open_payload, read_header

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]


class Findings:
    """What was counted, and the first problem of each kind with how many more there are."""

    def __init__(self) -> None:
        self.counts: Json = {}
        self._first: dict[str, str] = {}
        self._more: Counter[str] = Counter()

    def problem(self, kind: str, said: str) -> None:
        if kind in self._first:
            self._more[kind] += 1
        else:
            self._first[kind] = said

    def problems(self) -> list[str]:
        return [
            f"{said} (and {self._more[kind]} more of this kind)" if self._more[kind] else said
            for kind, said in self._first.items()
        ]


def verify(house: House, progress: Progress) -> Json:
    """`ok`, what was counted, and `problems`: one line each, with the place and how to go on."""
    found = Findings()
    for number in range(house.conversations.partitions):
        _conversations(house, number, progress, found)
        _register(house, number, found)
    for problem in house.keys.verify():
        found.problem(problem, problem)
    _fences(house, found)
    for problem in _models(house):
        found.problem(problem, problem)
    _followers(house, found)
    _model(house, found)
    found.counts["keys"] = house.keys.counts()
    answers = (
        house.workers.ask_all("verify-projection", {}, progress) if house.workers else {"": projection(house, progress)}
    )
    for worker, answer in answers.items():
        found.counts[f"projection {worker}".strip()] = answer["counts"]
        for problem in answer["problems"]:
            found.problem(problem, problem)
    problems = found.problems()
    return {"ok": not problems, "counts": found.counts, "problems": problems}


def projection(house: House, progress: Progress) -> Json:
    """The projection of this process against the log: counts and problems."""
    progress("comparing the projection", 0, 0)
    compared = verify_projection(house.projector)
    return {"counts": compared.counts, "problems": compared.problems}


def _conversations(house: House, number: int, progress: Progress, found: Findings) -> None:
    """Folds one partition anew from the log's start, and opens every event that can be opened."""
    place = f"conversations/{number}"
    seen: Counter[str] = Counter()
    try:
        partition = house.conversations.partition(number)
        try:
            end = partition.catch_up()
        except PartitionStopped as stopped:
            found.problem(f"{place} stopped", _how_to_go_on(place, stopped))
            end = partition.next_offset
        anew = Fold(house.settings.log_horizon_records, next_offset=partition.first_offset)
        with Reader(partition, partition.first_offset) as reader:
            while reader.next_offset < end:
                for offset, commit in reader.raw(2_000, end):
                    judged = anew.pass_over(offset) if offset in partition.passed_over else anew.step(offset, commit)
                    seen["commits"] += 1
                    _compare(partition, offset, judged, f"{place}@{offset}", seen, found)
                    if judged.verdict is Verdict.ACCEPTED:
                        for index, event in enumerate(commit.events):
                            if index in judged.void:
                                seen["void"] += 1
                            else:
                                _open(house, event, f"{place}@{offset}", seen, found)
                progress(f"verifying {place}", reader.next_offset, end)
        same = anew.positions == partition.fold.positions and anew.erased == partition.fold.erased
        if not same and anew.next_offset == partition.next_offset:
            found.problem("local state", f"{place}: {_LOCAL_STATE}")
        seen["end"] = end
    except VaultError as error:
        found.problem(f"{place} read", f"{place}: {error}")
    found.counts[place] = dict(seen)


def _compare(
    partition: ConversationPartition, offset: int, judged: Judged, place: str, seen: Counter[str], found: Findings
) -> None:
    accepted = judged.verdict is Verdict.ACCEPTED
    if not accepted:
        seen[judged.verdict.value] += 1
    if accepted == (offset in partition.refused):
        found.problem("local state", f"{place}: {_LOCAL_STATE}")


_LOCAL_STATE = (
    "what this home remembers of the log differs from it; stop, delete the home's state folder, and start again"
)


def _register(house: House, number: int, found: Findings) -> None:
    place = f"register/{number}"
    seen: Counter[str] = Counter()
    try:
        house.registrar.apply_register(number)
        for notification in house.register.all_notifications(number):
            _open(house, notification, f"{place} event {notification.id}", seen, found)
        seen["end"] = house.register.end(number)
        applied = max(house.keys.applied(number), 0)
        if applied < seen["end"]:
            found.problem(
                "applied", f"{place}: the keys follow {applied} of {seen['end']} events; start `parloir serve`"
            )
    except PartitionStopped as stopped:
        found.problem(f"{place} stopped", _how_to_go_on(place, stopped))
    except VaultError as error:
        found.problem(f"{place} read", f"{place}: {error}")
    found.counts[place] = dict(seen)


def _open(house: House, event: StoredEvent, place: str, seen: Counter[str], found: Findings) -> None:
    seen["events"] += 1
    try:
        header = read_header(event.state)
        if header.key_id == CLEAR:
            seen["clear"] += 1
            if event.topic != ERASED_TOPIC:
                found.problem("clear", f"{place}: an event of {event.topic} is in the clear")
            return
        dek = house.keys.opening(header.key_id, header.person)
        if isinstance(dek, Unreadable):
            seen[dek.name.lower()] += 1
            if dek is Unreadable.MISSING:
                found.problem(
                    "missing",
                    f"{place}: the key {header.key_id.hex()[:16]} is missing from the key store, and its person was not "
                    f"erased; restore a later backup of the key store",
                )
            return
        open_payload(event, header, dek)
        seen["opened"] += 1
    except (EventTampered, KeyTampered) as error:
        seen["tampered"] += 1
        found.problem("tampered", f"{place}: {error}")


def _models(house: House) -> list[str]:
    """Models that were trained on people: those that somebody left, and what does not open."""
    if not house.keys.models() and model_of(house.model_path) is None:
        return []
    from infra.learning import model_problems

    return list(model_problems(house))


def _fences(house: House, found: Findings) -> None:
    """Every person erased in the log must be fenced, and no erasure half done."""
    fenced = {fence.subject for fence in house.keys.fences()}
    for number in range(house.conversations.partitions):
        try:
            erased = house.conversations.partition(number).fold.erased
        except VaultError:
            continue  # said already
        for subject in erased:
            if UUID(bytes=subject) not in fenced:
                found.problem(
                    "fence",
                    f"conversations/{number}: {UUID(bytes=subject)} is erased in the log and has no fence; "
                    f"start `parloir serve`",
                )
    for note in house.keys.pending("erase"):
        found.problem("pending", f"an erasure of {note.body['subject']} is not finished; start `parloir serve`")


def _followers(house: House, found: Findings) -> None:
    """What a follower of this process could not handle."""
    for name, follower in house.followers.items():
        for number, stopped in sorted(follower.stopped.items()):
            found.problem(f"{name} {number}", _how_to_go_on(f"conversations/{number}", stopped))


def _model(house: House, found: Findings) -> None:
    """The model of understanding, where the home has one: whether the file that is there is the one in service."""
    if "model" not in vars(house) and not house.model_path.exists():
        return
    try:
        model = house.model.current()
        found.counts["model"] = {"in service": model.digest[:12]}
        if house.model.problem:
            found.problem("model", f"an earlier model goes on understanding: {house.model.problem}")
    except VaultError as error:
        found.problem("model", f"nothing can be understood: {error}")


def _how_to_go_on(place: str, stopped: PartitionStopped) -> str:
    reason = str(stopped).split(";")[0]
    return (
        f"{place}@{stopped.offset}: {reason}. The other partitions go on. If the record is damaged beyond repair, restore the topic "
        f"from a replica, or decide to go on without it: `parloir verify --pass-over {place}@{stopped.offset}`, then restart"
    )
