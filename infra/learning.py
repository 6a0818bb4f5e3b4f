"""Learning from people, on an open house: review, training from the log, what a sealed model answers, and who mentioned a value."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from infra import nlu_verbs
from infra.house import House
from infra.verbs import ACTOR, REASON_CHARS_MAX, Json, Progress
from nlu import from_log, review
from nlu.checking import usable
from nlu.from_log import Heard, Reading
from nlu.lesson import Lesson, confirmed, lesson, masked
from nlu.mentions import looked_for
from nlu.model_file import put, read_model
from nlu.personal import PersonalData
from nlu.sealed_model import Learnt, Seals, model_of, seal_model
from nlu.understanding import Understanding
from vault.errors import BadInput, PersonUnknown, StartRefused, Unavailable, VaultError
from vault.ids import KeyId
from vault.keys import IMPROVEMENT, Lost
from vault.registrar import now_us
from vault.seal import Dek

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 3
"""How often a training begins again because somebody it learnt from left meanwhile."""
REVIEW_REASON = "review of what was understood"
TRAINING_REASON = "training of a model"
NO_PROOF = "mentioned, no proof of identity"
LOWEST_PRIORITY = 19

_training = threading.Lock()


def seals(house: House) -> Seals:
    """What opens models that were trained on people of this home."""
    return Seals(house.keys, stale_model_days=house.settings.stale_model_days)


def is_over(house: House, path: Path) -> bool:
    """Whether a file is a model that was trained on people and must not answer any more."""
    model = model_of(path)
    if model is None:
        return False
    try:
        seals(house).check(model)
    except StartRefused:
        return True
    return False


# Training


def train(house: House, arguments: Json, progress: Progress) -> Json:
    """An assistant's examples and what people said, learnt into one model; sealed, if anything that people said is in it."""
    folder, output = Path(arguments["folder"]), Path(arguments.get("output") or house.model_path)
    if not _training.acquire(blocking=False):
        raise Unavailable("a training is under way already", remedy="wait until it is finished")
    try:
        # Beside what answers people, a training takes only what is left of the processors.
        with ThreadPoolExecutor(1, "training", _yield_to_others) as thread:
            return thread.submit(_train, house, folder, output, arguments, progress).result()
    finally:
        _training.release()


def _yield_to_others() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)


def _train(house: House, folder: Path, output: Path, arguments: Json, progress: Progress) -> Json:
    training = usable(folder)
    plugs = nlu_verbs.plugs()
    for _ in range(ATTEMPTS_MAX):
        reading = _read(house, progress)
        try:
            learning, left_out = _lesson(house, reading, {place.example.intent for place in training.places}, arguments)
        except PersonUnknown:  # erased since the log was read
            continue
        understanding, metrics = Understanding.train(training, plugs, progress, said=learning.said)
        made_at = nlu_verbs.time_or_now(arguments.get("made_at"))
        trained_on = learning.digest(training.digest()) if learning.learnt else training.digest()
        body = understanding.as_bytes(trained_on=trained_on, made_at=made_at, metrics=metrics)
        model = uuid4()
        if learning.learnt:
            sealed = _seal(house, body, learning, reading, model)
            if sealed is None:
                log.warning("training begins again: somebody left meanwhile")
                continue
            body = sealed
        before = model_of(output)
        try:
            put(output, body)
        except VaultError:
            house.keys.end_model(model)
            raise
        if before is not None:
            house.keys.end_model(before)
        return {
            "model": str(output),
            "sealed": str(model) if learning.learnt else None,
            "examples": len(training.places),
            "messages": len(learning.learnt),
            "persons": len(set(learning.said.people)),
            "left_out": left_out,
            "bytes": len(body),
            "metrics": metrics,
        }
    raise Unavailable("people whom the model would learn from kept leaving while it was trained", remedy="try again")


def _lesson(house: House, reading: Reading, intents: set[str], arguments: Json) -> tuple[Lesson, Mapping[str, int]]:
    chosen, left_out = confirmed(reading.heard)
    texts = [one.open_text() for one in chosen]
    _record(house, chosen, arguments, TRAINING_REASON)
    made = lesson(
        chosen,
        texts,
        intents=intents,
        personal=PersonalData.default(),
        persons_min=house.settings.training_persons_min,
    )
    return made, {**left_out, **made.left_out}


def _seal(house: House, body: bytes, learning: Lesson, reading: Reading, model: UUID) -> bytes | None:
    """The sealed model; None where somebody whom it learnt from does not agree any more."""
    house.registrar.apply_register()
    dek = house.keys.begin_model(model, [one.source for one in learning.learnt], now_us())
    if isinstance(dek, Lost):
        return None
    # From here on whoever leaves makes it stale. What was redacted before is looked for.
    since = from_log.read(house.conversations, house.keys, messages_max=1, starts=reading.ends)
    if any(since.is_redacted(one.source) for one in learning.learnt):
        house.keys.end_model(model)
        return None
    return seal_model(body, learning.learnt, model, dek)


def _read(house: House, progress: Progress, starts: Mapping[int, int] | None = None) -> Reading:
    """The log, after what others decided about consent was applied to the keys."""
    progress("reading the log", 0, 0)
    house.registrar.apply_register()
    return from_log.read(
        house.conversations, house.keys, messages_max=house.settings.training_messages_max, starts=starts
    )


def _record(house: House, opened: list[Heard], arguments: Json, reason: str) -> None:
    """Records that words were opened, before anything is shown or learnt of them."""
    actor = arguments.get("actor") or ACTOR
    house.registrar.record_accesses(from_log.by_person(opened), actor=actor, reason=reason)


# Review


def list_reviews(house: House, arguments: Json, progress: Progress) -> Json:
    """What waits for review, the least sure first, or with `all` also what was reviewed. No words are opened."""
    reading = _read(house, progress)
    waiting = [one for one in reading.heard if arguments.get("all") or not one.verdict]
    waiting.sort(key=lambda one: (one.understood.confidence if one.understood else 0.0, one.learnt))
    limit = arguments.get("limit")
    if limit is not None and limit < 1:
        raise BadInput("--limit is a number of messages", remedy="give 1 or more")
    shown = waiting[:limit]
    return {"messages": [_told(one) for one in shown], "waiting": len(waiting)}


def show_reviews(house: House, arguments: Json, progress: Progress) -> Json:
    """The words of some messages, masked as training sees them; the access is recorded with each person."""
    heard, _ = _named(house, arguments, progress)
    texts = [one.open_text() for one in heard]
    _record(house, heard, arguments, REVIEW_REASON)
    hidden = masked(heard, texts, PersonalData.default())
    return {"messages": [{**_told(one), "text": text} for one, text in zip(heard, hidden, strict=True)]}


def decide_reviews(house: House, arguments: Json, progress: Progress) -> Json:
    """Accepts, corrects or rejects some messages."""
    heard, reading = _named(house, arguments, progress)
    reviews = [review.Review(one, arguments["verdict"], arguments.get("intent") or "") for one in heard]
    actor = arguments.get("actor") or ACTOR
    review.append(house.conversations, house.mapper, reading, reviews, decided_by=actor, at_us=now_us())
    return {"reviewed": [{"message": one.heard.reference, "intent": one.meant()} for one in reviews]}


def _named(house: House, arguments: Json, progress: Progress) -> tuple[list[Heard], Reading]:
    """The messages that are named, and the reading they were found in."""
    names = list(dict.fromkeys(arguments["messages"]))
    starts: dict[int, int] = {}
    for name in names:
        partition, offset = from_log.place_of(name)
        starts[partition] = min(offset, starts.get(partition, offset))
    reading = _read(house, progress, starts)
    return [reading.at(name) for name in names], reading


def _told(one: Heard) -> Json:
    understood = one.understood
    return {
        "message": one.reference,
        "subject": str(one.subject),
        "channel": one.channel,
        "at": datetime.fromtimestamp(one.learnt.source.at_us / 1e6, UTC).isoformat(timespec="seconds"),
        "language": understood.language if understood else None,
        "intent": understood.intent if understood else None,
        "confidence": round(understood.confidence, 4) if understood else None,
        "outcome": understood.outcome if understood else None,
        "verdict": one.verdict or None,
        "meant": one.meant or None,
    }


# A sealed model


def parse(house: House, arguments: Json, progress: Progress) -> Json:
    """What a model of this home understands of texts."""
    del progress
    understanding, model = Understanding.load(Path(arguments["model"]), nlu_verbs.plugs(), seals(house))
    texts = arguments["texts"]
    answers = understanding.parse(texts, datetime.now(UTC), arguments["zone"], [arguments["language"]] * len(texts))
    told = [answer.as_json(text) for text, answer in zip(texts, answers, strict=True)]
    return {"answers": told, "model": model.digest}


def model_problems(house: House) -> Iterator[str]:
    """What is wrong with models that were trained on people, one line each with what to do."""
    opening = seals(house)
    for standing in house.keys.models():
        ends_us = opening.out_of_service_us(standing)
        if ends_us is not None:
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends_us / 1e6))
            yield (
                f"model {standing.id} is stale: somebody it learnt from does not agree any more; it is out of service from {until} "
                f"(stale_model_days), its key destroyed; train another with `parloir train FOLDER --from-log`"
            )
    path = house.model_path
    if model_of(path) is None:
        return
    try:
        model = read_model(path, opening)
    except VaultError:
        return  # told as the model in service
    assert model.sealed is not None
    standing_now = house.keys.model(model.sealed)
    if standing_now is not None and standing_now.stale_us is None and (lost := _lost(house, model.lineage)):
        yield (
            f"model {model.sealed} learnt from {lost} messages that may not be used any more, and the key store does not say so; "
            f"train another with `parloir train FOLDER --from-log`, and run `parloir verify` again"
        )


def _lost(house: House, lineage: tuple[Learnt, ...]) -> int:
    """How many of the messages of a lineage may not be learnt from now, by the keys and the log themselves."""
    redacted = from_log.read(house.conversations, house.keys, messages_max=1)
    granted: dict[tuple[UUID, KeyId], bool] = {}
    for one in lineage:
        key = one.source.subject, one.source.key_id
        if key not in granted:
            granted[key] = isinstance(house.keys.granted(key[1], key[0], IMPROVEMENT), Dek)
    return sum(
        not granted[one.source.subject, one.source.key_id] or redacted.is_redacted(one.source) for one in lineage
    )


# Who mentioned a value


def find(house: House, arguments: Json, progress: Progress) -> Json:
    """Who typed an e-mail address or a telephone number in a message. Recorded with each of them; proof of nobody's identity."""
    progress("looking", 0, 0)
    reason = arguments["reason"].strip()
    if not 0 < len(reason) <= REASON_CHARS_MAX:
        raise BadInput(f"a reason is 1 to {REASON_CHARS_MAX} characters", remedy="say why, and name nobody in it")
    forms = looked_for(arguments["value"])
    people = {person.subject for kind, form in forms for person in house.keys.mentioned(kind, form)}
    if not people:
        raise PersonUnknown("nobody mentioned that")
    actor = arguments.get("actor") or ACTOR
    house.registrar.record_accesses(dict.fromkeys(people, 0), actor=actor, reason=f"{reason} ({NO_PROOF})")
    log.info("mention looked for", extra={"persons": len(people)})
    return {"found": [{"subject": str(subject), "how": NO_PROOF} for subject in sorted(people)]}
