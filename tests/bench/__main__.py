"""Every benchmark, each beside its baseline from the same run: `python -m tests.bench`. Takes a few minutes; wants a quiet machine."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from infra.broker import Broker
from tests import services
from tests.bench.append import bench_append
from tests.bench.catch_up import bench_catch_up
from tests.bench.dialogue import bench_dialogue
from tests.bench.keys import bench_erase, bench_open, bench_rewrap
from tests.bench.memory import bench_memory
from tests.bench.projection import bench_projection
from tests.bench.register import bench_one_writer, bench_writers
from tests.bench.report import bench_report
from tests.bench.reveal import bench_reveal


class Line(NamedTuple):
    """One row: what was measured, ours, the baseline, what compares them, and whether that is as it must be."""

    what: str
    ours: str
    baseline: str
    figure: str
    must: str
    holds: bool


def keys() -> Iterator[Line]:
    for size in (1_024, 224):
        f = bench_open(size)
        yield Line(
            f"payloads of {size} bytes opened with warm keys, one core",
            f"{f['opened_per_s']:,.0f}/s in bulk ({f['one_by_one_per_s']:,.0f}/s, {f['one_by_one_ratio']:.2f}, one by one)",
            f"{f['bare_per_s']:,.0f}/s bare AESGCM",
            f"{f['ratio']:.2f}",
            ">= 50,000/s and 0.25",
            f["opened_per_s"] >= 50_000 and f["ratio"] >= 0.25,
        )
    f = bench_erase()
    yield Line(
        "erase a person: keys gone, 100,000 events against 10",
        f"{f['large_ms']:.2f} ms",
        f"{f['small_ms']:.2f} ms",
        f"{f['ratio']:.2f}",
        "0.80 to 1.20",
        0.8 <= f["ratio"] <= 1.2,
    )
    f = bench_rewrap()
    yield Line("rewrap 1 million DEKs", f"{f['rewrap_seconds']:.1f} s", "-", "-", "< 30 s", f["rewrap_seconds"] < 30)


def kafka(broker: Broker) -> Iterator[Line]:
    f = bench_append(broker)
    yield Line(
        "messages sealed, claimed and accepted",
        f"{f['append_messages_per_s']:,.0f}/s",
        f"{f['raw_records_per_s']:,.0f}/s raw produce",
        f"{f['ratio']:.2f}",
        ">= 0.40",
        f["ratio"] >= 0.4,
    )
    for shape, of in bench_catch_up(broker).items():
        yield Line(
            f"projection catch-up, {shape}, facts opened",
            f"{of['records_per_s']:,.0f} records/s ({of['events_per_s']:,.0f} events/s)",
            f"{of['raw_records_per_s']:,.0f} records/s raw consume",
            f"{of['ratio']:.2f}",
            ">= 0.40",
            of["ratio"] >= 0.4,
        )
    f = bench_one_writer(broker)
    yield Line(
        "one register commit, one thread, p50",
        f"{f['commit_p50_ms']:.2f} ms",
        f"{f['raw_produce_p50_ms']:.2f} ms raw produce",
        f"{f['ratio']:.2f}",
        "<= 1.50",
        f["ratio"] <= 1.5,
    )


def register(broker: Broker, postgres: services.Postgres) -> Iterator[Line]:
    f = bench_writers(broker, postgres)
    yield Line(
        "register commits, 64 writers",
        f"{f['kafka_commits_per_second']:,.0f}/s",
        f"{f['postgres_commits_per_second']:,.0f}/s eventsourcing.postgres",
        f"{f['ratio']:.2f}",
        ">= 3",
        f["ratio"] >= 3,
    )


def analysts() -> Iterator[Line]:
    f = bench_reveal()
    yield Line(
        f"payloads of {f['payload_bytes']:.0f} bytes revealed in SQL, one core",
        f"{f['revealed_per_s']:,.0f}/s",
        f"{f['bare_per_s']:,.0f}/s bare AESGCM",
        f"{f['ratio']:.2f}",
        ">= 300,000/s and 0.40",
        f["revealed_per_s"] >= 300_000 and f["ratio"] >= 0.4,
    )


def projection() -> Iterator[Line]:
    """At 1 million events; `python -m tests.bench.projection 10 50` takes a quarter of an hour."""
    f = bench_projection(1_000_000)
    read, settled = f["reading"], f["settling"]
    yield Line(
        "all rows of one person of 1 million events, while 1,000 events/s arrive",
        f"p50 {read['p50_ms']:.1f} ms, p99 {read['p99_ms']:.1f} ms",
        "-",
        "-",
        "p50 < 5 ms, p99 < 30 ms",
        read["p50_ms"] < 5 and read["p99_ms"] < 30,
    )
    yield Line(
        "settle 1 million events, while they are read and others arrive",
        f"{settled['seconds']:.1f} s, {settled['memory_mb']:.0f} MB, longest read {settled['read_longest_ms']:.0f} ms",
        "-",
        "-",
        "< 12 s (50 million in 10 minutes), < 8 GB, no read over 100 ms",
        settled["seconds"] < 12 and settled["memory_mb"] < 8_192 and settled["read_longest_ms"] < 100,
    )


def reports() -> Iterator[Line]:
    f = bench_report()
    yield Line(
        f"report on a person with {f['events']:.0f} events, JSON",
        f"p50 {f['json_p50_ms']:.0f} ms, p99 {f['json_p99_ms']:.0f} ms",
        "-",
        "-",
        "p99 < 150 ms",
        f["json_p99_ms"] < 150,
    )
    yield Line(
        "the same as PDF",
        f"p50 {f['pdf_p50_ms']:.0f} ms, {f['pdf_most_ms']:.0f} ms at most",
        "-",
        "-",
        "< 500 ms",
        f["pdf_most_ms"] < 500,
    )


def memory() -> Iterator[Line]:
    f = bench_memory()
    yield Line(
        f"memory of serve, embedded, after replaying {f['messages']:,.0f} messages",
        f"{f['resident_mb']:.0f} MB ({f['most_mb']:.0f} at most)",
        "-",
        "-",
        "< 500 MB",
        f["most_mb"] < 500,
    )


def dialogue() -> Iterator[Line]:
    f = bench_dialogue()
    yield Line(
        "one turn decided, at the end of a conversation of 20,000 against its beginning",
        f"{f['last_ms']:.2f} ms (p99 {f['p99_ms']:.2f} ms, state at most {f['most_bytes']:,.0f} bytes)",
        f"{f['first_ms']:.2f} ms (Rasa 3.6.21, whole turns: 33 to 223 ms over 300)",
        f"{f['ratio']:.2f}",
        "<= 1.20",
        f["ratio"] <= 1.2,
    )


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        broker = Broker(Path(folder), services.fetch(services.CACHE))
        closing.callback(broker.stop)
        broker.start()
        postgres = services.Postgres()
        closing.callback(postgres.stop)
        parts: list[Callable[[], Iterator[Line]]] = [
            lambda: kafka(broker),
            lambda: register(broker, postgres),
            keys,
            analysts,
            projection,
            reports,
            memory,
            dialogue,
        ]
        for part in parts:
            for line in part():
                wrong += not line.holds
                print(
                    f"{line.what}\n    ours {line.ours} | baseline {line.baseline} | ratio {line.figure} | must {line.must}:",
                    end=" ",
                )
                print("holds" if line.holds else "MISSED", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
