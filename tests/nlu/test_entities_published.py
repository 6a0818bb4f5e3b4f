"""The learnt tagger on published data: a quick look that would notice a loss. The figures are printed by tests/bench/nlu_entities.py."""

from __future__ import annotations

from pathlib import Path

from tests.bench.nlu_entities import bench_snips


def test_slots_of_seventy_queries_an_intent_are_as_good_as_the_published_ones(data: Path) -> None:
    # .837 over five draws; one draw lies within .015 of that.
    assert bench_snips(draws=1)["true"] >= 0.82
