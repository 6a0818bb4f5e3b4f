"""Figures of `reveal` in SQL: `python -m tests.bench.reveal` prints them beside bare AESGCM decryption from the same run.

Everything is made up: payloads of random letters, really sealed under keys with a real `improvement` grant in a key store of its own.
"""

from __future__ import annotations

import gc
import math
import os
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid4

import duckdb
import pyarrow as pa

from projections.reveal import Revealing
from vault import codec
from vault.ids import new_id
from vault.interaction import Received
from vault.keys import Give, KekDirectory, KeyStore
from vault.seal import Dek, read_header, seal

START_US = 1_735_689_600_000_000
CHANNELS = ("web", "messenger", "sms")

PARTS = 20

Figures = dict[str, float]
Part = tuple[pa.Table, list[tuple[Dek, bytes, bytes, bytes]]]
"""Rows as the projection holds them, and the same payloads ready to be decrypted: DEK, nonce, ciphertext, associated data."""


def bench_reveal(payloads: int = 1_000_000, people: int = 1_000, payload_bytes: int = 224, rounds: int = 4) -> Figures:
    """Payloads revealed per second of one core, in queries that read the words of each, against bare AESGCM decryption of the same.

    One DuckDB thread. Counted in this process's CPU time and in parts, of each the best of some rounds, so that what else runs on the
    machine matters little.
    """
    with tempfile.TemporaryDirectory() as folder:
        keks = KekDirectory.create(Path(folder) / "keks", uuid4())
        keys = KeyStore.create(
            Path(folder) / "keys.db", keks, cache_entries=50_000, lease_seconds=60.0, busy_timeout_ms=5_000
        )
        try:
            subjects = [p.subject for p in keys.resolve_many([("bench", str(n)) for n in range(people)], partitions=4)]
            keys.apply(0, 1, [Give(subject) for subject in subjects])
            keys.prepare([(subject, START_US) for subject in subjects])
            parts = [_sealed(keys, subjects, payloads // PARTS, payload_bytes) for _ in range(PARTS)]
            through, alone = _measured(keys, people, parts, rounds)
        finally:
            keys.close()
    return {
        "payloads": payloads,
        "payload_bytes": payload_bytes,
        "revealed_per_s": payloads / through,
        "bare_per_s": payloads / alone,
        "ratio": alone / through,
    }


def _measured(keys: KeyStore, people: int, parts: list[Part], rounds: int) -> tuple[float, float]:
    """Seconds of CPU time to reveal every part, and to decrypt the same."""
    connection = duckdb.connect(config={"threads": 1, "temp_directory": ""})
    for number, (table, _) in enumerate(parts):
        connection.register("made", table)
        connection.execute(f"CREATE TABLE sealed_{number} AS SELECT * FROM made")
        connection.unregister("made")
    gc.collect()
    gc.freeze()  # the million tuples of the bare side are nobody's to sweep, as what a serving process holds is not
    through, alone = [math.inf] * len(parts), [math.inf] * len(parts)
    for _ in range(rounds):
        revealing = Revealing(keys, persons_max=people)
        with revealing.on(connection):
            for number, (_, bare) in enumerate(parts):
                began = time.process_time()
                connection.execute(f"SELECT sum(strlen(reveal(e))) FROM sealed_{number} e").fetchone()
                through[number] = min(through[number], time.process_time() - began)
                began = time.process_time()
                for dek, nonce, ciphertext, bound in bare:
                    dek.aead.decrypt(nonce, ciphertext, bound)
                alone[number] = min(alone[number], time.process_time() - began)
        assert sum(revealing.opened.values()) == sum(len(bare) for _, bare in parts)
    connection.close()
    return sum(through), sum(alone)


def _sealed(keys: KeyStore, subjects: list[UUID], count: int, payload_bytes: int) -> Part:
    """Rows as the projection holds them, and the same payloads ready to be decrypted."""
    rows, bare = [], []
    for number in range(count):
        subject = subjects[number % len(subjects)]
        fields = {"account": "site", "sender": f"visitor-{number % len(subjects)}", "message_id": f"m{number}"}
        filled = len(codec.encode(Received.TOPIC, {**fields, "text": "", "locale": "en"}))
        fields |= {"text": os.urandom(payload_bytes).hex()[: payload_bytes - filled - 1], "locale": "en"}
        dek, originator = keys.sealing(subject, START_US), new_id(0)
        channel = CHANNELS[number % len(CHANNELS)]
        _, version, topic, state = seal(
            originator_id=originator,
            version=1,
            event_topic=Received.TOPIC,
            person=subject,
            at_us=START_US,
            channel=channel,
            dek=dek,
            payload=codec.encode(Received.TOPIC, fields),
        )
        header = read_header(state)
        sealed = state[header.size :]
        rows.append((originator.bytes, version, topic, subject.bytes, channel, header.key_id, sealed))
        bound = originator.bytes + version.to_bytes(4, "big") + topic.encode() + b"\0" + state[: header.size]
        bare.append((dek, sealed[:12], sealed[12:], bound))
    columns = list(zip(*rows, strict=True))

    def uuids(values: tuple[bytes, ...]) -> pa.Array:
        return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))

    table = pa.table(
        {
            "originator": uuids(columns[0]),
            "version": pa.array(columns[1], pa.uint32()),
            "event_topic": columns[2],
            "subject": uuids(columns[3]),
            "happened_at": pa.array([START_US] * count, pa.timestamp("us", tz="UTC")),
            "channel": columns[4],
            "key_id": pa.array(columns[5], pa.binary()),
            "sealed": pa.array(columns[6], pa.binary()),
        }
    )
    return table, bare


def main() -> None:
    print("payloads revealed in SQL, per second of one core: must be 300,000 and 0.4 of bare AESGCM decryption")
    f = bench_reveal()
    print(f"  {f['payloads']:,.0f} of {f['payload_bytes']:.0f} bytes: {f['revealed_per_s']:,.0f},", end=" ")
    print(f"bare {f['bare_per_s']:,.0f}: ratio {f['ratio']:.2f}")


if __name__ == "__main__":
    main()
