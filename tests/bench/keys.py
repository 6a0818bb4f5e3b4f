"""Figures of the key store: opening with warm keys, erasing, rewrapping. `python -m tests.bench.keys` prints both sides of each.

Each function makes its own key store in a temporary folder, measures in this one process, and returns plain figures.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vault.ids import new_id
from vault.keys import Claim, KekDirectory, KeyStore, Unreadable
from vault.keys.database import row_of
from vault.keys.wrap import DEK_SIZE, grant_place, wrap
from vault.opening import Opener
from vault.seal import commitment, open_payload, read_header, seal, stored

OPTIONS = {"cache_entries": 50_000, "lease_seconds": 60.0, "busy_timeout_ms": 5_000}
TOPIC = "interaction.received.1"
BOUND_BYTES = 20 + len(TOPIC) + 1 + 63
"""What is bound to such an event: its place, its topic and its header."""
MONTH_US = 31 * 86_400 * 1_000_000
START_US = 1_735_689_600_000_000
"""2025-01-01T00:00:00Z"""
SEEDED_AT_ONCE = 20_000
OPENED_AT_ONCE = 10_000

Figures = dict[str, float]


@contextmanager
def _key_store() -> Iterator[tuple[Path, KekDirectory, KeyStore]]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        keks = KekDirectory.create(home / "keks", uuid4())
        store = KeyStore.create(home / "keys.db", keks, **OPTIONS)  # type: ignore[arg-type]
        try:
            yield home, keks, store
        finally:
            store.close()


def bench_open(payload_bytes: int = 1_024, events: int = 20_000, people: int = 1_000, rounds: int = 5) -> Figures:
    """Sealed payloads opened per second of one core against bare AESGCM decryption of the same bytes: in bulk, as whoever reads many
    opens them (`Opener`, a new one every ten thousand), and one by one, with header read and key looked up each time.

    Counted in this process's CPU time, so that what else runs on the machine does not matter; the best of some rounds each.
    """
    with _key_store() as (_, _, store):
        subjects = [p.subject for p in store.resolve_many([("bench", str(n)) for n in range(people)], partitions=4)]
        store.prepare([(subject, START_US) for subject in subjects])
        sealed, bare = [], []
        for number in range(events):
            subject = subjects[number % people]
            dek = store.sealing(subject, START_US)
            event = seal(
                originator_id=uuid4(),
                version=1,
                event_topic=TOPIC,
                person=subject,
                at_us=START_US,
                channel="bench",
                dek=dek,
                payload=os.urandom(payload_bytes),
            )
            sealed.append(event)
            nonce, bound = os.urandom(12), os.urandom(BOUND_BYTES)
            bare.append((dek.aead, nonce, dek.aead.encrypt(nonce, os.urandom(payload_bytes), bound), bound))
        one_by_one = [stored(event) for event in sealed]
        through, single, alone = [], [], []
        for _ in range(rounds):
            began = time.process_time()
            for at in range(0, events, OPENED_AT_ONCE):
                Opener(store, "service").open(sealed[at : at + OPENED_AT_ONCE])
            through.append(time.process_time() - began)
            began = time.process_time()
            for event in one_by_one:
                header = read_header(event.state)
                opened = store.opening(header.key_id, header.person)
                assert not isinstance(opened, Unreadable)
                open_payload(event, header, opened)
            single.append(time.process_time() - began)
            began = time.process_time()
            for aead, nonce, ciphertext, bound in bare:
                aead.decrypt(nonce, ciphertext, bound)
            alone.append(time.process_time() - began)
    return {
        "payload_bytes": payload_bytes,
        "opened_per_s": events / min(through),
        "bare_per_s": events / min(alone),
        "ratio": min(alone) / min(through),
        "one_by_one_per_s": events / min(single),
        "one_by_one_ratio": min(alone) / min(single),
    }


def bench_erase(small: int = 10, large: int = 100_000, months: int = 12, people: int = 30) -> Figures:
    """Milliseconds (median) until the keys of a person are gone: with few and with many events in the same months."""
    took: dict[int, list[float]] = {small: [], large: []}
    with _key_store() as (_, _, store):
        subjects = [p.subject for p in store.resolve_many([("bench", str(n)) for n in range(people)], partitions=4)]
        store.prepare([(subject, START_US + month * MONTH_US) for subject in subjects for month in range(months)])
        events = [(small, large)[number % 2] for number in range(people)]
        for subject, count in zip(subjects, events, strict=True):
            for event in range(count):
                store.sealing(subject, START_US + event % months * MONTH_US)
        for subject, count in zip(subjects, events, strict=True):
            began = time.perf_counter()
            erasure = store.erase(subject, START_US, {})
            took[count].append(1_000 * (time.perf_counter() - began))
            assert len(erasure.key_ids) == months
    small_ms, large_ms = statistics.median(took[small]), statistics.median(took[large])
    return {
        "events_small": small,
        "small_ms": small_ms,
        "events_large": large,
        "large_ms": large_ms,
        "ratio": large_ms / small_ms,
    }


def bench_claims(messages: int = 1_000, rounds: int = 10) -> Figures:
    """Milliseconds (median) to claim a batch of messages durably and to complete them."""
    took = []
    with _key_store() as (_, _, store):
        for _ in range(rounds):
            claims = [Claim(os.urandom(16), uuid4(), 0, 0) for _ in range(messages)]
            began = time.perf_counter()
            store.claim(claims)
            store.complete_claims(claim.claim_id for claim in claims)
            took.append(1_000 * (time.perf_counter() - began))
    return {"messages": messages, "ms": statistics.median(took)}


def bench_rewrap(deks: int = 1_000_000) -> Figures:
    """Seconds to rotate a key store with so many content DEKs, two grants each; and of that, the rewrapping alone."""
    with _key_store() as (home, keks, store):
        _seed(home / "keys.db", keks, deks)
        marks: list[float] = []
        began, began_cpu = time.perf_counter(), time.process_time()
        rotation = store.rotate(home / "backups", lambda done, total: marks.append(time.perf_counter()))
        cpu = time.process_time() - began_cpu
        total = time.perf_counter() - began
        size = rotation.backup.stat().st_size
    rewrap = marks[-1] - marks[0]
    return {
        "deks": deks,
        "rows": rotation.rewrapped,
        "rotate_seconds": total,
        "rotate_cpu_seconds": cpu,
        "rewrap_seconds": rewrap,
        "rows_per_s": rotation.rewrapped / rewrap,
        "file_mb": size / 1e6,
    }


def _seed(path: Path, keks: KekDirectory, deks: int) -> None:
    """Content DEKs written straight into the file, in the order of their rows, as many as asked for."""
    made = []
    for _ in range(deks):
        material = os.urandom(DEK_SIZE)
        key_id = commitment(material)
        made.append((row_of(key_id), key_id, material))
    made.sort()
    c = sqlite3.connect(path, isolation_level=None)
    c.execute("PRAGMA synchronous=OFF")
    for at in range(0, deks, SEEDED_AT_ONCE):
        rows, grants = [], []
        for number, key_id, material in made[at : at + SEEDED_AT_ONCE]:
            owner = new_id(0).bytes
            rows.append((number, key_id, owner, 2025 * 12, 0, 0))
            for purpose in ("rights", "service"):
                wrapped = wrap(keks, purpose, 1, grant_place(key_id, owner, purpose), material)
                grants.append((number, purpose, 1, wrapped))
        c.execute("BEGIN")
        c.executemany("INSERT INTO dek VALUES (?, ?, ?, ?, ?, ?)", rows)
        c.executemany("INSERT INTO key_grant VALUES (?, ?, ?, ?)", grants)
        c.execute("COMMIT")
    c.close()


def main() -> None:
    print("payloads opened with warm keys, per second of one core: must be 50,000 and 0.25 of bare AESGCM decryption")
    for payload_bytes in (224, 1_024):
        opened = bench_open(payload_bytes)
        print(
            f"  {payload_bytes:>5} bytes: {opened['opened_per_s']:>9,.0f}, bare {opened['bare_per_s']:>9,.0f}:", end=" "
        )
        print(
            f"ratio {opened['ratio']:.2f}; one by one {opened['one_by_one_per_s']:,.0f}, ratio {opened['one_by_one_ratio']:.2f}"
        )
    erased = bench_erase()
    print("erase a person, keys gone, ms (median): must be the same within 20 %")
    print(f"  {erased['events_small']:>7,} events {erased['small_ms']:>8.2f}")
    print(f"  {erased['events_large']:>7,} events {erased['large_ms']:>8.2f}    ratio {erased['ratio']:.2f}")
    claimed = bench_claims()
    print("claim and complete a batch of messages, ms (median)")
    print(f"  {claimed['messages']:>7,} messages {claimed['ms']:>6.2f}")
    rewrapped = bench_rewrap()
    print("rewrap DEKs, s: must be under 30 for a million")
    print(
        f"  {rewrapped['deks']:>9,} DEKs, {rewrapped['rows']:,} rows: {rewrapped['rewrap_seconds']:.1f} rewrapping,",
        end=" ",
    )
    print(f"{rewrapped['rotate_seconds']:.1f} with both backups ({rewrapped['file_mb']:.0f} MB) proved,", end=" ")
    print(f"{rewrapped['rotate_cpu_seconds']:.1f} of it CPU time of this process")


if __name__ == "__main__":
    main()
