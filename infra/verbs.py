"""What the verbs of `parloir` do, on an open house: the same whether this process opened it or a running `serve` was asked.

A verb takes plain JSON arguments and returns a plain JSON result, so that it can be carried over the home's socket. `progress` hears
(what, done, total) on what takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from infra import dialogues, verify
from infra.house import House
from infra.replay import Setting, Tally, messages_of, stream
from projections import access as report
from projections import sql as analysis
from projections.rebuild import rebuild as rebuild_projection
from vault.errors import BadInput
from vault.intake import Message

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
Verb = Callable[[House, Json, Progress], Json]

PEOPLE = 1_000
ACTOR = "command line"


def access(house: House, arguments: Json, progress: Progress) -> Json:
    """Everything held on a person, opened, and the access recorded."""
    person = house.person(arguments["person"])
    projector = house.projector
    progress("reading to the end of the log", 0, 0)
    house.registrar.apply_register()
    found = report.report(projector, house.keys, house.mapper, person, timeout_ms=house.settings.append_timeout_ms)
    house.registrar.record_access(
        person, actor=arguments.get("actor") or ACTOR, reason=arguments["reason"], events=found.events
    )
    return {"report": found.to_json(), "text": found.to_text()}


def preview(house: House, arguments: Json, progress: Progress) -> Json:
    """What an erasure would destroy: counts, never content. Nothing is opened, so nothing is recorded."""
    del progress
    subject = _subject(house, arguments["person"])
    if house.keys.fenced(subject):
        return {"subject": str(subject), "erased": True}
    projector = house.projector
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
    """One SELECT over the projection, read-only and bounded."""
    del progress
    projector = house.projector
    projector.catch_up()
    settings = house.settings
    result = analysis.query(
        projector.store, arguments["query"], rows_max=settings.sql_rows_max, timeout_ms=settings.sql_timeout_ms
    )
    return analysis.render(result, arguments["format"], arguments.get("output"))


def verify_all(house: House, arguments: Json, progress: Progress) -> Json:
    """Log, keys, local state and projection against each other."""
    if passed := arguments.get("pass_over"):
        log, partition, offset = _place(passed)
        house.pass_over(log, partition, offset)
        return {"ok": True, "passed_over": passed, "note": "holds from the next start of this home"}
    return verify.verify(house, progress)


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


def rebuild(house: House, arguments: Json, progress: Progress) -> Json:
    """The projection made anew from the logs, then put in place of the old one."""
    del arguments
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
            yield from messages_from(dialogue, people, arguments.get("channel"))
            tally.dialogues += 1
            progress(f"replaying {file.name}", counted.consumed, total)


def messages_from(dialogue: dialogues.Dialogue, people: int = PEOPLE, channel: str | None = None) -> Iterator[Message]:
    """A dialogue's messages, with the people, channels and times that a replay makes up."""
    role = dialogues.cast(dialogue, people=people)
    setting = Setting(channel or role.channel, role.person, role.language, role.started_at_us)
    return messages_of(dialogue, setting, dialogues.timed(dialogue, role))


VERBS: dict[str, Verb] = {
    "access": access,
    "erase": erase,
    "erase-preview": preview,
    "sql": sql,
    "verify": verify_all,
    "rotate": rotate,
    "rebuild": rebuild,
    "replay": replay,
}
