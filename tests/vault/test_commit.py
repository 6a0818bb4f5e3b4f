"""The record: what was appended together comes back as it was, and nothing else is taken for one of this log's."""

from __future__ import annotations

import hashlib
import io
import json
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pytest
from eventsourcing.persistence import StoredEvent, Tracking
from hypothesis import given
from hypothesis import strategies as st

from vault import codec
from vault.commit import MAC_SIZE, Commit, Envelope
from vault.errors import RecordForeign
from vault.ids import LogId

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "commit.1.json").read_text("utf-8"))

LOG_ID, LOG_KEY, TOPIC, PARTITION = LogId(UUID(int=5)), bytes(range(32)), "conversations", 3
ENVELOPE = Envelope(LOG_ID, LOG_KEY, TOPIC, PARTITION)

EVENT = StoredEvent(UUID(int=7), 2, "interaction.understood.1", b"\1" + bytes(90) + b"sealed")
BEGUN = Commit.of((replace(EVENT, originator_version=1), EVENT), based_on=70_000)
FOLLOWED = Commit.of((EVENT,), follower="nlu", after=9, upto=1_000)
REGISTERED = Commit.of((EVENT,), tracking=(Tracking("upstream", 7),))
COMMITS = {"begun": BEGUN, "followed": FOLLOWED, "registered": REGISTERED, "empty": Commit()}

longs = st.integers(-(2**63), 2**63 - 1)
names = st.text(st.characters(codec="utf-8"), max_size=80)
commits = st.builds(
    Commit.of,
    events=st.lists(
        st.builds(StoredEvent, st.uuids(), st.integers(0, 2**31 - 1), names, st.binary(max_size=300)), max_size=70
    ).map(tuple),
    based_on=st.none() | longs,
    follower=st.none() | names,
    after=st.none() | longs,
    upto=st.none() | longs,
    tracking=st.lists(st.builds(Tracking, names, longs), max_size=3).map(tuple),
)


def avro(commit: Commit, log_id: bytes = LOG_ID.bytes) -> bytes:
    """A commit's Avro as a general library writes it from the schema."""
    fields = {
        "log_id": log_id,
        "based_on": commit.based_on,
        "follower": commit.follower,
        "after": commit.after,
        "upto": commit.upto,
        "tracking": [
            {"application": t.application_name, "notification_id": t.notification_id} for t in commit.tracking
        ],
        "events": [
            {
                "originator_id": e.originator_id.bytes,  # type: ignore[union-attr]
                "originator_version": e.originator_version,
                "event_topic": e.topic,
                "state": e.state,
            }
            for e in commit.events
        ],
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, codec.load("commit.1"), fields)
    return out.getvalue()


def mac(body: bytes, key: bytes = LOG_KEY, topic: str = TOPIC, partition: int = PARTITION) -> bytes:
    return hashlib.blake2b(
        topic.encode() + b"\0" + partition.to_bytes(2, "big") + body, key=key, digest_size=32
    ).digest()


def with_mac(body: bytes) -> bytes:
    """A record that the vault's own key vouches for, whatever is in it."""
    return body + mac(body)


@given(commits)
def test_a_commit_comes_back_as_it_was_written(commit: Commit) -> None:
    read = ENVELOPE.read(ENVELOPE.write(commit))
    assert read == commit
    assert [hash(event.originator_id) for event in read.events] == [
        hash(event.originator_id) for event in commit.events
    ]


@given(commits)
def test_a_record_is_the_schemas_avro_and_a_mac(commit: Commit) -> None:
    assert ENVELOPE.write(commit) == with_mac(b"\1" + avro(commit))


@pytest.mark.parametrize("version", [-1, 2**31])
def test_what_the_schema_cannot_hold_is_not_written(version: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        ENVELOPE.write(Commit.of((replace(EVENT, originator_version=version),)))
    with pytest.raises(ValueError, match="64 bits"):
        ENVELOPE.write(Commit(based_on=2**63))


# Strangers


@pytest.mark.parametrize(
    "other",
    [
        Envelope(LogId(UUID(int=6)), LOG_KEY, TOPIC, PARTITION),
        Envelope(LOG_ID, bytes(32), TOPIC, PARTITION),
        Envelope(LOG_ID, LOG_KEY, "conversation", PARTITION),
        Envelope(LOG_ID, LOG_KEY, "register", PARTITION),
        Envelope(LOG_ID, LOG_KEY, TOPIC, PARTITION + 1),
        Envelope(LOG_ID, LOG_KEY, TOPIC, PARTITION << 8),
    ],
    ids=["log", "key", "topic cut short", "topic", "partition", "partition's other byte"],
)
@pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
def test_a_record_of_another_place_or_key_is_foreign(other: Envelope, commit: Commit) -> None:
    with pytest.raises(RecordForeign):
        ENVELOPE.read(other.write(commit))
    assert other.read(other.write(commit)) == commit


def test_a_record_of_another_log_is_named_as_such() -> None:
    with pytest.raises(RecordForeign, match="belongs to another log"):
        ENVELOPE.read(Envelope(LogId(UUID(int=6)), LOG_KEY, TOPIC, PARTITION).write(BEGUN))
    with pytest.raises(RecordForeign, match="belongs to another log"):
        ENVELOPE.read(with_mac(b"\1" + LOG_ID.bytes[:8]))


@pytest.mark.parametrize(
    "record",
    [
        None,
        b"",
        b"\1",
        b"\1" * MAC_SIZE,
        b"\1" * 33,
        b"hello",
        bytes(1_000),
        b"\1" + avro(BEGUN),
        b'{"type": "message"}',
    ],
    ids=["none", "empty", "one byte", "as long as a MAC", "longer by one", "text", "zeros", "without a MAC", "json"],
)
def test_a_strangers_record_is_foreign(record: bytes | None) -> None:
    with pytest.raises(RecordForeign):
        ENVELOPE.read(record)


def test_another_layout_is_foreign_even_with_the_mac() -> None:
    with pytest.raises(RecordForeign, match="not a commit of this vault"):
        ENVELOPE.read(with_mac(b"\2" + avro(BEGUN)))


# The damage


@pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
def test_a_record_with_any_bit_flipped_is_foreign(commit: Commit) -> None:
    record = ENVELOPE.write(commit)
    for at in range(len(record)):
        for bit in range(8):
            damaged = bytearray(record)
            damaged[at] ^= 1 << bit
            with pytest.raises(RecordForeign):
                ENVELOPE.read(bytes(damaged))


@pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
def test_a_record_cut_or_extended_anywhere_is_foreign(commit: Commit) -> None:
    record = ENVELOPE.write(commit)
    for length in range(len(record)):
        with pytest.raises(RecordForeign):
            ENVELOPE.read(record[:length])
    for extra in (b"\0", bytes(16), bytes(32), record):
        with pytest.raises(RecordForeign):
            ENVELOPE.read(record + extra)
        with pytest.raises(RecordForeign):
            ENVELOPE.read(record[:-MAC_SIZE] + extra + record[-MAC_SIZE:])


@pytest.mark.parametrize(
    "changed",
    [
        BEGUN._replace(based_on=70_001),
        BEGUN._replace(based_on=None),
        FOLLOWED._replace(upto=1_001),
        FOLLOWED._replace(after=10),
        FOLLOWED._replace(follower="bot"),
        BEGUN._replace(packed=BEGUN.packed[:1]),
        BEGUN._replace(packed=BEGUN.packed[::-1]),
        REGISTERED._replace(tracking=(Tracking("upstream", 8),)),
        REGISTERED._replace(tracking=()),
    ],
    ids=[
        "based_on",
        "no based_on",
        "upto",
        "after",
        "follower",
        "an event less",
        "events swapped",
        "tracking",
        "no tracking",
    ],
)
def test_a_record_rewritten_without_the_key_is_foreign(changed: Commit) -> None:
    for commit in COMMITS.values():
        if commit != changed:
            with pytest.raises(RecordForeign, match="does not carry this log's MAC"):
                ENVELOPE.read(b"\1" + avro(changed) + ENVELOPE.write(commit)[-MAC_SIZE:])


# Hostile sizes


def long(value: int) -> bytes:
    zigzag, out = value << 1 if value >= 0 else ~(value << 1), bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes(out) + bytes([zigzag])


HEAD = b"\1" + LOG_ID.bytes
PLAIN = b"\0" * 5
ONE_EVENT = HEAD + PLAIN + long(1)
HOSTILE = {
    "a state of an exabyte": ONE_EVENT + bytes(16) + long(1) + long(1) + b"t" + long(1 << 60),
    "a topic of an exabyte": ONE_EVENT + bytes(16) + long(1) + long(1 << 60),
    "a state that runs into the MAC": ONE_EVENT + bytes(16) + long(1) + long(1) + b"t" + long(8),
    "a topic that runs into the MAC": ONE_EVENT + bytes(16) + long(1) + long(8),
    "a state of less than nothing": ONE_EVENT + bytes(16) + long(1) + long(1) + b"t" + long(-1) + b"\0",
    "a topic of less than nothing": ONE_EVENT + bytes(16) + long(1) + long(-5) + b"t" + long(1) + b"s\0",
    "a topic of less than nothing, far back": ONE_EVENT + bytes(16) + long(1) + long(-40) + b"t" * 40 + b"\0",
    "an event that is not there": ONE_EVENT,
    "half an originator": ONE_EVENT + bytes(8),
    "events without number": HEAD + PLAIN + long(1 << 62),
    "less than no events": HEAD + PLAIN + long(-1) + long(20) + bytes(20) + b"\0",
    "events without an end": ONE_EVENT + bytes(16) + long(1) + long(1) + b"t" + long(1) + b"s",
    "a second block of events": ONE_EVENT + bytes(16) + long(1) + long(1) + b"t" + long(1) + b"s" + long(1) + b"\0",
    "a topic that is no text": ONE_EVENT + bytes(16) + long(1) + long(1) + b"\xff" + long(1) + b"s\0",
    "a follower of an exabyte": HEAD + b"\0\2" + long(1 << 60) + b"nlu",
    "a follower of less than nothing": HEAD + b"\0\2" + long(-1) + bytes(8),
    "a follower that is no text": HEAD + b"\0\2" + long(1) + b"\xff" + bytes(5),
    "another kind of follower": HEAD + b"\0\4" + bytes(8),
    "tracking without number": HEAD + b"\0" * 4 + long(1 << 62),
    "less than no tracking": HEAD + b"\0" * 4 + long(-1) + bytes(8),
    "tracking without an end": HEAD + b"\0" * 4 + long(1) + long(1) + b"a" + long(1),
    "another kind of position": HEAD + b"\4" + bytes(8),
    "a number without an end": HEAD + b"\2" + b"\xff" * 5_000,
    "a number of more than 64 bits": HEAD + b"\2" + b"\xff" * 9 + b"\x80\1" + bytes(5),
    "nothing after the log": HEAD,
    "more after the end": b"\1" + avro(BEGUN) + b"\0",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_sizes_are_refused_by_the_mac_and_cost_nothing_even_past_it(body: bytes) -> None:
    for record, why in ((body + bytes(MAC_SIZE), "does not carry"), (with_mac(body), "but is not a commit")):
        begun = time.thread_time()
        tracemalloc.start()
        try:
            with pytest.raises(RecordForeign, match=why):
                ENVELOPE.read(record)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()
        assert time.thread_time() - begun < 0.5


def test_no_field_is_looked_at_before_the_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*_: Any) -> Any:
        raise AssertionError("a stranger's bytes were read")

    monkeypatch.setattr("vault.commit._read", looked)
    for body in HOSTILE.values():
        with pytest.raises(RecordForeign):
            ENVELOPE.read(body + bytes(MAC_SIZE))
    with pytest.raises(AssertionError, match="were read"):
        ENVELOPE.read(ENVELOPE.write(BEGUN))


@given(st.binary(max_size=120), st.integers(0, 120), st.binary(max_size=12))
def test_whatever_the_key_vouches_for_is_a_commit_or_foreign(noise: bytes, at: int, patch: bytes) -> None:
    written = avro(FOLLOWED)
    for body in (HEAD + noise, b"\1" + written[:at] + patch + written[at + len(patch) :]):
        try:
            read = ENVELOPE.read(with_mac(body))
        except RecordForeign:
            continue
        assert isinstance(read, Commit)


# Frozen


def commit_of(vector: dict[str, Any]) -> Commit:
    return Commit(
        packed=tuple(
            (UUID(e["originator_id"]).bytes, e["originator_version"], e["event_topic"], bytes.fromhex(e["state"]))
            for e in vector["events"]
        ),
        based_on=vector["based_on"],
        follower=vector["follower"],
        after=vector["after"],
        upto=vector["upto"],
        tracking=tuple(Tracking(*row) for row in vector["tracking"]),
    )


@pytest.mark.parametrize("vector", VECTORS["commits"], ids=lambda vector: vector["why"])
def test_the_record_is_frozen(vector: dict[str, Any]) -> None:
    log_id, key = LogId(UUID(vector["log_id"])), bytes.fromhex(vector["log_key"])
    envelope, commit = Envelope(log_id, key, vector["topic"], vector["partition"]), commit_of(vector)
    record = bytes.fromhex(vector["record"])
    body = b"\1" + avro(commit, log_id.bytes)
    assert record == body + mac(body, key, vector["topic"], vector["partition"])
    assert envelope.write(commit) == record
    assert envelope.read(record) == commit
