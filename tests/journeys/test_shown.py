"""What is shown of recorded dialogues at the end, on a few made-up ones: reports in three formats, and every table around an erasure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from infra.broker import Broker
from tests.journeys import shown
from tests.journeys.conftest import Parloir, dialogue, write_dialogues


def test_who_is_erased_is_in_no_table_but_the_evidence_and_stays_counted(
    make_parloir: Callable[..., Parloir], broker: Broker, kafka_prefix: str, tmp_path: Path
) -> None:
    parloir = make_parloir(log=f"kafka://{broker.bootstrap}/{kafka_prefix}")
    some = [dialogue(number, f"marked {number}", f"again {number}") for number in range(40)]
    messages = shown.replayed(parloir, [write_dialogues(tmp_path / "some.jsonl.gz", some)])
    assert messages == 80
    events, seconds = shown.rebuilt(parloir)
    assert events >= 3 * messages
    assert seconds > 0
    person, *_ = shown.most_talkative(parloir)
    erasing = shown.Erasing(parloir, person)
    before = erasing.rows()
    erasing.erase()
    after = erasing.rows()
    assert before["sealed_event"][1] == before["recent_event"][1] == 3 * before["interaction"][1] > 0
    assert before["subject"] == (after["subject"][0] + 1, 1)
    assert erasing.settle() == 0
    anew = erasing.rows()
    for rows in (after, anew):
        named = {table for table, (_, of_person) in rows.items() if of_person}
        assert named <= {"register_event", "access_log"}
        assert rows["intent_daily"] == before["intent_daily"]
        assert rows["gone_daily"][0] > 0
    assert anew["settled_event"] == after["sealed_event"]
