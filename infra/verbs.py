"""What the verbs of `parloir` do, on an open house: the same whether this process opened it or a running `serve` was asked.

A verb takes plain JSON arguments and returns a plain JSON result, so that it can be carried over the home's socket. `progress` hears
(what, done, total) on what takes long.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from infra import dialogues, verify
from infra.house import House
from infra.private_file import write
from infra.replay import Setting, Tally, messages_of, stream
from projections import declaration, report
from projections import sql as analysis
from projections.parquet import export as export_parquet
from projections.rebuild import rebuild as rebuild_projection
from projections.settle import settle as settle_projection
from projections.showing import rendered
from projections.snapshot import snapshot as copy_projection
from projections.worker import Projector
from vault.errors import BadInput, Unavailable
from vault.ids import partition_of
from vault.intake import Message

log = logging.getLogger(__name__)

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
Verb = Callable[[House, Json, Progress], Json]

PEOPLE = 1_000
SNAPSHOT = "query a snapshot of all of them: `parloir snapshot FOLDER --parquet`"
AGAIN = "delete it, and try again"
ACTOR = "command line"
REASON_CHARS_MAX = 500


def access(house: House, arguments: Json, progress: Progress) -> Json:
    """Everything held on a person, opened, and the access recorded.

    Of `report.FORMATS`, or only what they provided. A PDF is in base64, the others are text.
    """
    person = house.person(arguments["person"])
    if house.workers:
        return _of_owner(house, person.subject, "access", arguments, progress)
    projector = _projector(house, person.subject)
    declared = declaration.load(house.settings.home / declaration.FILE)
    asked = report.Asked(
        by=arguments.get("actor") or ACTOR,
        reason=arguments["reason"],
        identity=arguments.get("identity"),
        request=_request(arguments.get("request")),
    )
    progress("reading to the end of the log", 0, 0)
    house.registrar.apply_register()
    found = report.report(
        projector,
        house.keys,
        house.mapper,
        person,
        declaration=declared,
        asked=asked,
        blank_others=arguments.get("blank_others", False),
        timeout_ms=house.settings.append_timeout_ms,
    )
    house.registrar.record_access(
        person, actor=asked.by, reason=asked.reason, events=found.events, request_id=asked.request
    )
    form = arguments["format"]
    made = report.taken(found) if arguments.get("portable") else report.rendered(found, form, arguments["language"])
    body = base64.b64encode(made).decode() if form == "pdf" else made.decode()
    return {"body": body, "declared": declared is not None, "complete": found.content["complete"]}


def _request(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise BadInput("a request is given by its id", remedy="a report without --request lists them") from None


def _of_owner(house: House, subject: UUID, verb: str, arguments: Json, progress: Progress) -> Json:
    """The verb answered by the worker that has the projection of the person's partition."""
    assert house.workers is not None
    timeout_ms = house.settings.append_timeout_ms
    return house.workers.ask_owner(partition_of(subject), verb, arguments, progress, timeout_ms)


def _projector(house: House, subject: UUID) -> Projector:
    """The projection, if it holds the person's partition."""
    partition = partition_of(subject)
    if not house.projector.follows(partition):
        raise Unavailable(f"partition {partition} is followed by another worker", remedy="ask again")
    return house.projector


def preview(house: House, arguments: Json, progress: Progress) -> Json:
    """What an erasure would destroy: counts, never content. Nothing is opened, so nothing is recorded."""
    subject = _subject(house, arguments["person"])
    if house.keys.fenced(subject):
        return {"subject": str(subject), "erased": True}
    if house.workers:
        return _of_owner(house, subject, "erase-preview", arguments, progress)
    projector = _projector(house, subject)
    projector.catch_up()
    return {
        "subject": str(subject),
        "erased": False,
        "events": projector.store.count_events(subject),
        "identities": len(house.keys.identities(subject)),
        "keys": house.keys.count_deks(subject),
    }


def erase(house: House, arguments: Json, progress: Progress) -> Json:
    """Erases a person. A second erasure says when the first was."""
    subject = _subject(house, arguments["person"])
    progress("destroying keys", 0, 0)
    receipt = house.registrar.erase(subject, ground=arguments["reason"], decided_by=arguments.get("actor") or ACTOR)
    progress("removing rows", 0, 0)
    house.projector.catch_up()
    return {
        "subject": str(receipt.subject),
        "case": str(receipt.case) if receipt.case else None,
        "already": receipt.already,
        "erased_at_us": receipt.at_us,
        "key_ids": [key_id.hex() for key_id in receipt.key_ids],
        "pending": list(receipt.pending),
    }


def _subject(house: House, name: str) -> UUID:
    """Like `House.person`, but an erased person is still known by the pseudonym."""
    try:
        subject = UUID(name)
    except ValueError:
        return house.person(name).subject
    if house.keys.fenced(subject):
        return subject
    return house.person(name).subject


def sql(house: House, arguments: Json, progress: Progress) -> Json:
    """One SELECT over the projection, read-only and bounded; with a reason it may reveal. In base64 where it is no text."""
    if house.workers:
        raise BadInput("the projection is shared out among workers", remedy=SNAPSHOT)
    progress("reading to the end of the log", 0, 0)
    form, output, settings = arguments["format"], arguments.get("output"), house.settings
    if form == "parquet" and output is None:
        raise BadInput("parquet is not for a terminal", remedy="give a file to write to (-o FILE)")
    house.projector.catch_up()
    result = analysis.query(
        house.projector.store,
        arguments["query"],
        rows_max=settings.sql_rows_max,
        timeout_ms=settings.sql_timeout_ms,
        reveal=_reveal(house, arguments),
    )
    body = result.to_ipc() if form == "arrow" else rendered(result, form)
    told = {"columns": list(result.columns), "rows": len(result), "truncated": result.cut}
    if output is not None:
        write(Path(output), body)
        return {**told, "output": output}
    return {**told, "body": base64.b64encode(body).decode() if form == "arrow" else body.decode()}


def _reveal(house: House, arguments: Json) -> analysis.Reveal | None:
    """What `reveal` needs, where a reason is given. Withdrawals that others recorded are applied first."""
    reason = (arguments.get("reason") or "").strip()
    if not reason:
        return None
    if len(reason) > REASON_CHARS_MAX:
        raise BadInput(f"a reason is at most {REASON_CHARS_MAX} characters", remedy="shorten it")
    house.registrar.apply_register()
    digest = hashlib.sha256(arguments["query"].encode()).hexdigest()[:16]

    def record(opened: Mapping[UUID, int]) -> None:
        actor = arguments.get("actor") or ACTOR
        house.registrar.record_accesses(opened, actor=actor, reason=f"{reason} (SQL query {digest})")
        log.info("revealed", extra={"query": digest, "persons": len(opened), "events": sum(opened.values())})

    return analysis.Reveal(house.keys, record, house.settings.reveal_persons_max)


def snapshot(house: House, arguments: Json, progress: Progress) -> Json:
    """What can be queried, copied for tools of the analyst's own: to a DuckDB file, or to a folder of Parquet files."""
    if arguments.get("parquet"):
        return _parquet(house, arguments, progress)
    if house.workers:
        raise BadInput("the projection is shared out among workers", remedy=SNAPSHOT)
    progress("reading to the end of the log", 0, 0)
    house.projector.catch_up()
    made = copy_projection(
        house.projector.store,
        Path(arguments["file"]),
        with_sealed=arguments.get("with_sealed", False),
        overwrite=arguments.get("force", False),
        memory_mb=house.settings.duckdb_memory_mb,
        progress=lambda done, total: progress("writing the snapshot", done, total),
    )
    return {
        "output": str(made.path),
        "bytes": made.size_bytes,
        "rows": dict(made.rows),
        "as_of": {f"{log}/{partition}": next_offset for (log, partition), next_offset in made.positions.items()},
    }


def _parquet(house: House, arguments: Json, progress: Progress) -> Json:
    """The folder, made once, and filled by every worker, or where there is none by this process."""
    folder = Path(arguments["file"])
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise BadInput(f"{folder} exists already", remedy="give another name") from None
    except OSError as error:
        raise BadInput(f"{folder} cannot be made: {error.strerror}", remedy="choose another place") from error
    answers = (
        house.workers.ask_all("snapshot-part", arguments, progress)
        if house.workers
        else {"": snapshot_part(house, arguments, progress)}
    )
    rows: Counter[str] = Counter()
    as_of: dict[str, int] = {}
    for answer in answers.values():
        rows.update(answer["rows"])
        as_of |= answer["as_of"]
    missing = [number for number in range(house.conversations.partitions) if f"conversations/{number}" not in as_of]
    if missing:
        raise Unavailable(f"{folder} lacks partition {missing[0]}, which no worker follows now", remedy=AGAIN)
    note = {"log_id": str(house.identity.log_id), "rows": rows, "as_of": as_of}
    write(folder / "snapshot.json", json.dumps(note, indent=2).encode())
    return {"output": str(folder), "rows": dict(rows), "as_of": as_of}


def snapshot_part(house: House, arguments: Json, progress: Progress) -> Json:
    """The Parquet files of the partitions that this process has."""
    projector = house.projector
    progress("reading to the end of the log", 0, 0)
    positions = projector.catch_up(timeout_ms=house.settings.append_timeout_ms)
    partitions = projector.followed
    rows = export_parquet(
        projector.store,
        Path(arguments["file"]),
        partitions,
        with_sealed=arguments.get("with_sealed", False),
        progress=lambda done, total: progress("writing the snapshot", done, total),
    )
    as_of = {f"{log}/{number}": end for (log, number), end in positions.items() if number in partitions}
    return {"rows": rows, "as_of": as_of}


def verify_all(house: House, arguments: Json, progress: Progress) -> Json:
    """Log, keys, local state and projection against each other."""
    if passed := arguments.get("pass_over"):
        log, partition, offset = _place(passed)
        house.pass_over(log, partition, offset)
        return {"ok": True, "passed_over": passed, "note": "holds from the next start of this home"}
    return verify.verify(house, progress)


def verify_projection(house: House, arguments: Json, progress: Progress) -> Json:
    """The projection of this process against the log."""
    del arguments
    return verify.projection(house, progress)


def _place(text: str) -> tuple[str, int, int]:
    """`conversations/2@1234` as (log, partition, offset)."""
    log, _, rest = text.partition("/")
    partition, _, offset = rest.partition("@")
    if log not in ("conversations", "register") or not partition.isdigit() or not offset.isdigit():
        raise BadInput("a place is written LOG/PARTITION@OFFSET", remedy="for example conversations/2@1234")
    return log, int(partition), int(offset)


def rotate(house: House, arguments: Json, progress: Progress) -> Json:
    """A new epoch: every living key under new KEKs, the old ones destroyed."""
    del arguments
    rotation = house.keys.rotate(
        house.settings.home / "backups", progress=lambda done, total: progress("rewrapping keys", done, total)
    )
    return {"epoch": rotation.epoch, "rewrapped": rotation.rewrapped, "backup": str(rotation.backup)}


def settle(house: House, arguments: Json, progress: Progress) -> Json:
    """The projection's file made anew from the one in service: recent rows sorted in, and what is gone left out."""
    del arguments
    projector = house.projector
    progress("reading to the end of the log", 0, 0)
    projector.catch_up(timeout_ms=house.settings.append_timeout_ms)
    done = settle_projection(
        projector.store, projector.keys, progress=lambda done, total: progress("settling", done, total)
    )
    return {
        "events": done.events,
        "expired": done.dropped,
        "removed_meanwhile": done.left,
        "seconds": round(done.seconds, 2),
    }


def rebuild(house: House, arguments: Json, progress: Progress) -> Json:
    """The projection made anew from the logs, then put in place of the old one."""
    if house.workers:
        answers = house.workers.ask_all("rebuild", arguments, progress)
        return {"events": sum(answer["events"] for answer in answers.values()), "workers": len(answers)}
    events = rebuild_projection(house.projector, progress=lambda done, total: progress("rebuilding", done, total))
    return {"events": events}


def replay(house: House, arguments: Json, progress: Progress) -> Json:
    """Streams recorded dialogues in. Running it again adds what is missing and doubles nothing."""
    tally = Tally()
    files = [Path(name) for name in arguments["files"]]
    for file in files:
        messages = _recorded(file, arguments, tally, house.settings.message_bytes_max, progress)
        done = stream(
            messages, house.intake, batch_records=house.settings.batch_records, rate_per_s=arguments.get("rate")
        )
        tally.messages += done.messages
        tally.repeated += done.repeated
    return {"dialogues": tally.dialogues, "messages": tally.messages, "repeated": tally.repeated}


def _recorded(
    file: Path, arguments: Json, tally: Tally, message_bytes_max: int, progress: Progress
) -> Iterator[Message]:
    people, total = int(arguments.get("people") or PEOPLE), dialogues.size(file)
    with dialogues.open_counted(file) as counted:
        for dialogue in dialogues.read(counted, message_bytes_max=message_bytes_max):
            yield from messages_from(
                dialogue, people, arguments.get("channel"), messages_only=arguments.get("messages_only", False)
            )
            tally.dialogues += 1
            progress(f"replaying {file.name}", counted.consumed, total)


def messages_from(
    dialogue: dialogues.Dialogue, people: int = PEOPLE, channel: str | None = None, *, messages_only: bool = False
) -> Iterator[Message]:
    """A dialogue's messages, with the people, channels and times that a replay makes up."""
    role = dialogues.cast(dialogue, people=people)
    setting = Setting(channel or role.channel, role.person, role.language, role.started_at_us)
    return messages_of(dialogue, setting, dialogues.timed(dialogue, role), messages_only=messages_only)


def _of_learning(name: str) -> Verb:
    """A verb of infra/learning.py, which is imported only when it is needed: it brings numpy and scipy."""

    def verb(house: House, arguments: Json, progress: Progress) -> Json:
        from infra import learning

        done: Json = getattr(learning, name)(house, arguments, progress)
        return done

    return verb


VERBS: dict[str, Verb] = {
    "access": access,
    "erase": erase,
    "erase-preview": preview,
    "sql": sql,
    "snapshot": snapshot,
    "verify": verify_all,
    "verify-projection": verify_projection,
    "snapshot-part": snapshot_part,
    "rotate": rotate,
    "settle": settle,
    "rebuild": rebuild,
    "replay": replay,
    "train": _of_learning("train"),
    "parse": _of_learning("parse"),
    "review-list": _of_learning("list_reviews"),
    "review-show": _of_learning("show_reviews"),
    "review-decide": _of_learning("decide_reviews"),
    "find": _of_learning("find"),
}
