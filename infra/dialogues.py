"""Recorded dialogues, read from files of JSON lines (gzip or not) for a replay.

One dialogue a line: {"dialogue_id", "language"?, "turns": [{"speaker": "user" | "system", "utterance", "intent"?: [name, ...],
"slots"?: [[name, start, end], ...]}]}, spans counted in characters of the utterance.

Everything a replay makes up (message ids, people, channels, times) follows from the line alone, so that a replay that was
interrupted anywhere makes the same messages again. It follows from the whole line and not from `dialogue_id`, because files repeat
each other's ids: two different dialogues of one id must not be taken for one.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from vault.errors import BadInput

LINE_MESSAGES_MAX = 64
"""A line may be as long as this many of the longest messages."""
NAME_CHARACTERS_MAX = 200
LANGUAGE = "en"
"""Of a dialogue that does not say."""

CHANNELS = ("web", "sms", "web", "app")
"""Where made-up people write from: the person's number says which, so that one person is one person."""
DAY_US = 86_400_000_000
ENDS_AT_US = int(datetime(2026, 6, 30, tzinfo=UTC).timestamp()) * 1_000_000
"""Made-up time ends here: fixed, so that a replay next year makes the same messages."""
DAYS = 90
GAP_US = 5_000_000
"""Least time between two messages of a dialogue; the most is 8.5 times that."""

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a message that was recorded as an entity: `value` is `text[start:end]`."""

    start: int
    end: int
    entity: str
    value: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a person said, how it was understood, and what was replied. `intent` is "" where none was recorded."""

    message_id: str
    text: str
    intent: str
    alternatives: tuple[str, ...]
    entities: tuple[Entity, ...]
    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One recorded dialogue. `digest` stands for the whole line."""

    dialogue_id: str
    language: str
    exchanges: tuple[Exchange, ...]
    digest: bytes


@dataclass(frozen=True, slots=True)
class Role:
    """Who has a dialogue, where and when: made up."""

    person: str
    channel: str
    language: str
    started_at_us: int


class Counted:
    """An open file of dialogues. `consumed`: bytes of the file read so far, compressed where it is."""

    def __init__(self, file: Path, raw: BinaryIO) -> None:
        self.file = file
        self._raw = raw
        packed = raw.peek(2)[:2] == _GZIP  # type: ignore[attr-defined]
        self._lines: Any = gzip.GzipFile(fileobj=raw) if packed else raw

    @property
    def consumed(self) -> int:
        return self._raw.tell()

    def line(self, bytes_max: int) -> bytes:
        """The next line, b"" at the end; longer than `bytes_max` when there is more of it."""
        line: bytes = self._lines.readline(bytes_max + 1)
        return line

    def __enter__(self) -> Counted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()


def size(file: Path) -> int:
    """Bytes of a file, for progress. Raises `BadInput` when it cannot be read."""
    try:
        return file.stat().st_size
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error


def open_counted(file: Path) -> Counted:
    """Opens a file of dialogues; whether it is gzip is seen from its first bytes. Raises `BadInput` when it cannot be read."""
    try:
        return Counted(file, file.open("rb"))
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error


def read(counted: Counted, *, message_bytes_max: int) -> Iterator[Dialogue]:
    """The file's dialogues in order. At the first bad line raises `BadInput` with file, line and what is wrong.

    What stands before a bad line was yielded by then.
    """
    number = 0
    while True:
        number += 1
        place = f"{counted.file}, line {number}"
        line = _line(counted, message_bytes_max * LINE_MESSAGES_MAX, place)
        if not line:
            return
        if line.isspace():
            continue
        yield _dialogue(line, place, message_bytes_max)


def _line(counted: Counted, bytes_max: int, place: str) -> bytes:
    try:
        line = counted.line(bytes_max)
    except EOFError:
        raise BadInput(f"{place}: the gzip file ends in the middle", remedy="get the whole file again") from None
    except (gzip.BadGzipFile, zlib.error):
        raise BadInput(f"{place}: the gzip file is damaged", remedy="get the file again") from None
    except OSError as error:
        raise BadInput(f"{place}: cannot be read: {error.strerror}") from error
    if len(line) > bytes_max:
        raise BadInput(f"{place}: longer than {bytes_max:,} bytes", remedy="is it one dialogue a line?")
    return line


def _dialogue(line: bytes, place: str, message_bytes_max: int) -> Dialogue:
    stripped = line.strip()
    try:
        held = json.loads(stripped.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadInput(f"{place}: not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{place}: not JSON at character {error.pos + 1} ({error.msg})") from None
    except (RecursionError, ValueError):
        raise BadInput(f"{place}: not JSON that a dialogue could be (nested too deep, or a number too long)") from None
    if not isinstance(held, dict):
        raise BadInput(f"{place}: a dialogue is a JSON object")
    dialogue_id = _name(held, "dialogue_id", place)
    language = _name(held, "language", place) if "language" in held else LANGUAGE
    digest = blake2b(stripped, digest_size=16).digest()
    turns = held.get("turns")
    if not isinstance(turns, list):
        raise BadInput(f"{place}: turns is a list")
    exchanges = tuple(_exchanges(turns, f"{dialogue_id}~{digest[:6].hex()}", place, message_bytes_max))
    if not exchanges:
        raise BadInput(f"{place}: no turn of a user", remedy="a dialogue begins with what a person said")
    return Dialogue(dialogue_id, language, exchanges, digest)


def _exchanges(turns: Sequence[Any], prefix: str, place: str, message_bytes_max: int) -> Iterator[Exchange]:
    """User turns, each with the system turns after it. System turns before the first user turn go with the first exchange."""
    said: Mapping[str, Any] | None = None
    said_at = ""
    said_index = 0
    replies: list[str] = []
    for index, turn in enumerate(turns):
        at = f"{place}, turn {index + 1}"
        if not isinstance(turn, dict):
            raise BadInput(f"{at}: a turn is a JSON object")
        text = _text(turn, "utterance", at)
        if len(text.encode()) > message_bytes_max:
            raise BadInput(
                f"{at}: longer than message_bytes_max ({message_bytes_max})", remedy="shorten it or raise the limit"
            )
        speaker = turn.get("speaker")
        if speaker == "system":
            _entities(turn, text, at)
            replies.append(text)
        elif speaker == "user":
            if said is not None:
                yield _exchange(said, replies, f"{prefix}/{said_index}", said_at)
                replies = []
            said, said_at, said_index = turn, at, index
        else:
            raise BadInput(f"{at}: speaker is user or system")
    if said is not None:
        yield _exchange(said, replies, f"{prefix}/{said_index}", said_at)


def _exchange(turn: Mapping[str, Any], replies: Sequence[str], message_id: str, place: str) -> Exchange:
    text: str = turn["utterance"]
    intents = turn.get("intent", [])
    if not isinstance(intents, list):
        raise BadInput(f"{place}: intent is a list of names")
    names = [_checked_name(intent, "intent", place) for intent in intents]
    return Exchange(
        message_id=message_id,
        text=text,
        intent=names[0] if names else "",
        alternatives=tuple(names[1:]),
        entities=_entities(turn, text, place),
        replies=tuple(replies),
    )


def _entities(turn: Mapping[str, Any], text: str, place: str) -> tuple[Entity, ...]:
    slots = turn.get("slots", [])
    if not isinstance(slots, list):
        raise BadInput(f"{place}: slots is a list")
    return tuple(_entity(slot, text, f"{place}, slot {number}") for number, slot in enumerate(slots, 1))


def _entity(slot: Any, text: str, place: str) -> Entity:
    if not (isinstance(slot, list) and len(slot) == 3 and type(slot[1]) is int and type(slot[2]) is int):
        raise BadInput(f"{place}: a slot is [name, start, end]")
    name, start, end = _checked_name(slot[0], "the name", place), slot[1], slot[2]
    if not 0 <= start < end <= len(text):
        raise BadInput(f"{place}: the span {start} to {end} is not within the {len(text)} characters of the utterance")
    return Entity(start, end, name, text[start:end])


def _name(held: Mapping[str, Any], field: str, place: str) -> str:
    return _checked_name(held.get(field), field, place)


def _checked_name(value: Any, field: str, place: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARACTERS_MAX:
        raise BadInput(f"{place}: {field} is text of 1 to {NAME_CHARACTERS_MAX} characters")
    return _storable(value, field, place)


def _text(held: Mapping[str, Any], field: str, place: str) -> str:
    value = held.get(field)
    if not isinstance(value, str):
        raise BadInput(f"{place}: {field} is text")
    return _storable(value, field, place)


def _storable(value: str, field: str, place: str) -> str:
    """JSON can spell half a character (a lone surrogate), which nothing can store."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{place}: {field} holds half of a surrogate pair") from None
    return value


def cast(dialogue: Dialogue, *, people: int) -> Role:
    """Who has this dialogue, out of `people` made-up ones, and when, within 90 days of made-up time."""
    if people < 1:
        raise BadInput("there must be at least one made-up person", remedy="give --people 1 or more")
    drawn = int.from_bytes(dialogue.digest, "big")
    number = drawn % people + 1
    # The last hours stay free, so that a long dialogue ends in time.
    within_us = (drawn // people) % ((DAYS * 24 - 12) * (DAY_US // 24))
    return Role(
        person=f"visitor-{number:04d}",
        channel=CHANNELS[number % len(CHANNELS)],
        language=dialogue.language,
        started_at_us=ENDS_AT_US - DAYS * DAY_US + within_us,
    )


def timed(dialogue: Dialogue, role: Role) -> Iterator[tuple[Exchange, int]]:
    """The exchanges with made-up times, strictly later one after the other; microseconds UTC."""
    at_us = role.started_at_us
    for index, exchange in enumerate(dialogue.exchanges):
        yield exchange, at_us
        at_us += GAP_US + GAP_US * dialogue.digest[index % len(dialogue.digest)] // 34
