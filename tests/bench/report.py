"""Figures of the report on a person with 210 events, opened: as JSON, and as PDF. `python -m tests.bench.report` prints them.

On an embedded home of 100,000 events, settled. How long finding the person's rows takes in a file of 50 million events is measured by
tests/bench/projection.py; everything else a report does depends on the person's own events only.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from infra.house import House
from infra.settings import Settings
from projections import report
from projections.settle import settle
from tests.bench.catch_up import REPLY, TEXT, turn
from vault.intake import Message

MESSAGES, OF_ONE = 33_000, 70
BATCH = 2_000
ONE = "somebody"

Figures = dict[str, float]


def bench_report(reports: int = 200, pdfs: int = 30) -> Figures:
    """Milliseconds: median and 99th percentile of a report as JSON, access not recorded; median and most of one as PDF."""
    with tempfile.TemporaryDirectory() as folder, House(Settings(home=Path(folder) / "home")) as house:
        messages = [_said(n) for n in range(MESSAGES)]
        for start in range(0, MESSAGES, BATCH):
            house.intake.receive(messages[start : start + BATCH])
        house.projector.catch_up()
        settle(house.projector.store, house.keys)
        person = house.person(f"web:{ONE}")
        asked = report.Asked(by="officer", reason="request")

        def made() -> report.Report:
            return report.report(
                house.projector, house.keys, house.mapper, person, declaration=None, asked=asked, timeout_ms=10_000
            )

        events = sum(made().content["summary"]["events"].values())
        json_ms = _timed(lambda: report.rendered(made(), "json", "en"), reports)
        pdf_ms = _timed(lambda: report.rendered(made(), "pdf", "en"), pdfs)
    return {
        "events": events,
        "json_p50_ms": statistics.median(json_ms),
        "json_p99_ms": json_ms[round(len(json_ms) * 0.99) - 1],
        "pdf_p50_ms": statistics.median(pdf_ms),
        "pdf_most_ms": pdf_ms[-1],
    }


def _said(number: int) -> Message:
    every = MESSAGES // OF_ONE
    sender = ONE if number % every == 0 and number < every * OF_ONE else f"visitor-{number % 1_000}"
    at_us = 1_750_000_000_000_000 + number * 60_000_000
    return Message("web", "site", sender, f"m{number}", f"{TEXT} {REPLY}", at_us, "en", turn(number))


def _timed(work: Callable[[], object], times: int) -> list[float]:
    """Milliseconds each time took, in order of size."""
    work()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(1_000 * (time.perf_counter() - began))
    return sorted(took)


if __name__ == "__main__":
    for name, value in bench_report().items():
        print(f"{name}: {value:,.1f}")
