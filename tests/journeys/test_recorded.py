"""Real dialogues through a real Kafka: kill -9 of everything in the middle, and then access, erasure, and a search of every file."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from infra.broker import Broker
from infra.settings import Settings, load
from tests.journeys.conftest import Parloir
from tests.journeys.recorded import Exchange, held, readable_in, recorded

DIALOGUES = int(os.environ.get("TEST_DIALOGUES", "400"))
"""How many of the recorded dialogues are replayed; there are 12,174."""
PEOPLE = max(40, DIALOGUES // 12)


@pytest.fixture
def file(data: Path, tmp_path: Path) -> Path:
    """The first of the recorded dialogues."""
    some = tmp_path / "some.jsonl.gz"
    with gzip.open(data / "sgd" / "train.jsonl.gz", "rb") as source, gzip.open(some, "wb", compresslevel=1) as out:
        out.writelines(islice(source, DIALOGUES))
    return some


@pytest.fixture
def topics(broker: Broker, kafka_prefix: str, tmp_path: Path) -> Callable[[], list[Path]]:
    """What the broker has on disk of this test's topics, and what it says itself."""

    def there() -> list[Path]:
        found = [path for path in broker.folder.rglob("*") if path.is_dir() and path.name.startswith(kafka_prefix)]
        assert len(found) == 4
        said = tmp_path / "broker-logs"
        said.mkdir(exist_ok=True)
        for path in broker.folder.rglob("*.log"):
            if not path.name[0].isdigit():
                shutil.copy(path, said)
        assert list(said.iterdir())
        return [*found, said]

    return there


@pytest.fixture
def on_kafka(make_parloir: Callable[..., Parloir], broker: Broker, kafka_prefix: str) -> Parloir:
    return make_parloir(
        log=f"kafka://{broker.bootstrap}/{kafka_prefix}", append_timeout_ms="20000", batch_records="100"
    )


def settings_of(parloir: Parloir) -> Settings:
    return load(parloir.env, None)


def words_of(exchanges: Counter[Exchange], count: int) -> list[str]:
    """Utterances and replies long enough that they stand nowhere by chance."""
    texts = [text for exchange in exchanges for text in (exchange[3], *exchange[5]) if len(text) > 25]
    return sorted(texts)[:: max(1, len(texts) // count)][:count]


def test_replay_killed_and_repeated_access_erasure_and_search(
    on_kafka: Parloir, file: Path, broker: Broker, topics: Callable[[], list[Path]], tmp_path: Path
) -> None:
    arguments = ("replay", str(file), "--people", str(PEOPLE))
    expected = recorded(file, PEOPLE)

    # kill -9 of the replay, and of the broker under it
    interrupted = on_kafka.start(*arguments, "--rate", "2000")
    wait_for_growth(on_kafka.home)
    interrupted.send_signal(signal.SIGKILL)
    interrupted.communicate()
    again = on_kafka.start(*arguments, "--rate", "2000")
    wait_for_growth(on_kafka.home)
    broker.kill()
    broker.start()
    _, stderr = again.communicate(timeout=120)
    assert again.returncode in (0, 1), stderr
    done = on_kafka.json(*arguments)
    assert done["messages"] + done["repeated"] == sum(expected.values())
    assert held(settings_of(on_kafka)) == expected

    # one person
    who = max({exchange[:2] for exchange in expected}, key=lambda of: sum(e[:2] == of for e in expected))
    name = f"{who[0]}:{who[1]}"
    theirs = {exchange[3] for exchange in expected if exchange[:2] == who}
    report = json.loads(on_kafka("access", name, "--format", "json").stdout)
    said = {
        event["text"]
        for of in report["interactions"]
        for event in of["events"]
        if event["event"] == "interaction.received.1"
    }
    assert said == theirs
    assert report["complete"]

    # what somebody copied before the erasure, and every file that is there, before and after it
    copies = tmp_path / "copies"
    shutil.copytree(on_kafka.home, copies / "home", ignore=shutil.ignore_patterns("keks", "keys", "*.sock", "lock"))
    for folder in topics():
        shutil.copytree(folder, copies / folder.name)
    words = words_of(expected, 1_000)
    intents = sorted({exchange[4] for exchange in expected if exchange[4]})
    assert readable_in([on_kafka.home, *topics()], words) == {}
    assert readable_in(topics(), [*intents, '"en"', "recorded"]) == {}
    erased = on_kafka.json("erase", name, "--reason", "request 1", "--yes")
    assert erased["key_ids"]
    assert on_kafka("access", name).returncode == 3
    assert readable_in([on_kafka.home, *topics(), copies], words) == {}
    left = held(settings_of(on_kafka))
    assert left == Counter({exchange: n for exchange, n in expected.items() if exchange[:2] != who})

    # the copy of the log and of the projection opens nothing of them with the keys that are left
    home = on_kafka.home
    shutil.rmtree(home / "projection")
    shutil.copytree(copies / "home" / "projection", home / "projection")
    rows = on_kafka.json("sql", f"SELECT count(*) AS n FROM interaction WHERE subject = '{erased['subject']}'")
    assert rows == [{"n": 0}]
    verified = on_kafka("verify")
    assert verified.returncode == 0, verified.stdout


def wait_for_growth(home: Path) -> None:
    """Returns when a replay has had some batches accepted: the claims' file has grown."""
    import time

    claims = home / "keys" / "claims.db-wal"
    deadline = time.monotonic() + 60
    start = claims.stat().st_size if claims.exists() else 0
    while time.monotonic() < deadline:
        if claims.exists() and claims.stat().st_size > start + 50_000:
            return
        time.sleep(0.02)
    raise AssertionError("the replay did not get going")
