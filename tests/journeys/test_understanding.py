"""Messages through a real Kafka, understood by a serving process that is killed in the middle: each once, none missed."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.broker import Broker
from infra.cli import do
from infra.house import House
from infra.nlu_part import train_where_missing
from infra.settings import Settings, load
from tests.bot import small
from tests.contracts.events import everything
from tests.journeys.conftest import Parloir, dialogue, write_dialogues
from vault.interaction import Received, Understood

DIALOGUES = 80
SAID = ("say book one", "say prices two, on the 3rd of May", "say hours one")


@pytest.fixture
def answering(make_parloir: Callable[..., Parloir], broker: Broker, kafka_prefix: str, tmp_path: Path) -> Parloir:
    """The program on Kafka, with a model that is trained already."""
    assistant = str(small.write(tmp_path / "workshop"))
    model = tmp_path / "model.parloir"
    with House(Settings(home=tmp_path / "trains", log_partitions=1, assistant=assistant, model=str(model))) as house:
        train_where_missing(house, lambda what, done, total: None)
    log = f"kafka://{broker.bootstrap}/{kafka_prefix}"
    return make_parloir(log=log, assistant=assistant, model=str(model), append_timeout_ms="20000")


def standing(parloir: Parloir) -> dict[str, Counter[tuple[object, ...]]]:
    """By event topic, every interaction that stands in the log, with what is said of it and how it was understood."""
    found: dict[str, Counter[tuple[object, ...]]] = {Received.TOPIC: Counter(), Understood.TOPIC: Counter()}
    with House(load(parloir.env, None)) as house:
        for number in range(house.conversations.partitions):
            for accepted in everything(house.conversations.partition(number)):
                for stored in accepted.standing():
                    found[stored.topic][(stored.originator_id, stored.originator_version)] += 1
    return found


def counted(parloir: Parloir) -> int:
    """How many messages the running process has projected as understood."""
    query = "SELECT count(understood_at) AS n FROM interaction"
    answer = do(load(parloir.env, None), "sql", {"query": query, "format": "json"}, quiet=True)
    (row,) = json.loads(answer["body"])
    return int(row["n"])


def test_a_worker_that_is_killed_in_the_middle_understands_everything_once(answering: Parloir, tmp_path: Path) -> None:
    first, second = (
        write_dialogues(
            tmp_path / f"{part}.jsonl.gz", [dialogue(part * DIALOGUES + n, *SAID) for n in range(DIALOGUES)]
        )
        for part in range(2)
    )
    total = 2 * DIALOGUES * len(SAID)
    serving = answering.serve("--only", "registrar,nlu")
    assert answering.json("replay", str(first), "--messages-only")["messages"] == total // 2
    serving.send_signal(signal.SIGKILL)  # what was taken in last is not understood yet, or half written
    serving.communicate()
    serving = answering.serve("--only", "registrar,nlu,projections")
    answering.json("replay", str(second), "--messages-only")
    for _ in range(1_000):
        if counted(answering) == total:
            break
    assert answering("verify").returncode == 0
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(60) == 0
    found = standing(answering)
    assert sum(found[Received.TOPIC].values()) == total
    assert set(found[Understood.TOPIC].values()) == {1}
    understood = {interaction for interaction, _ in found[Understood.TOPIC]}
    assert understood == {interaction for interaction, _ in found[Received.TOPIC]}
