"""The part `nlu` of a serving process: when it runs, what it is trained with, and what `verify` says of its model."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra import logs
from infra.house import House
from infra.nlu_part import train_where_missing
from infra.parts import parts
from infra.serve import Serving
from infra.settings import Settings
from infra.verbs import VERBS
from infra.verify import verify
from tests.bot import small
from tests.contracts.events import everything
from tests.journeys.conftest import dialogue, write_dialogues
from tests.journeys.recorded import readable_in
from vault.errors import BadInput, StartRefused
from vault.interaction import Understood

DIALOGUES = [dialogue(number, "say book one", "say prices two") for number in range(6)]


def silent(what: str, done: int, total: int) -> None:
    del what, done, total


@pytest.fixture
def answering(home: Settings, tmp_path: Path) -> Settings:
    """A home with a small assistant, still to be made."""
    return dataclasses.replace(home, assistant=str(small.write(tmp_path / "workshop")))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of that assistant."""
    folder = tmp_path_factory.mktemp("trained")
    settings = Settings(home=folder / "home", log_partitions=1, assistant=str(small.write(folder / "workshop")))
    with House(settings) as house:
        assert train_where_missing(house, silent)
        return house.model_path


@pytest.fixture
def ready(answering: Settings, trained: Path, tmp_path: Path) -> Settings:
    """The same home with a model that is trained already."""
    copy = shutil.copy(trained, tmp_path / "ready.parloir")
    return dataclasses.replace(answering, model=str(copy))


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def serve(opened: ExitStack, settings: Settings) -> Serving:
    house = opened.enter_context(House(settings))
    serving = Serving(house, {"registrar", "projections", "nlu"})
    opened.callback(serving.close)
    return serving


def understood(house: House, count: int) -> list[Understood]:
    """What stands as understood, once it is so much."""
    partitions = [house.conversations.partition(number) for number in range(house.conversations.partitions)]
    for _ in range(400):
        ends = [partition.next_offset for partition in partitions]
        stored = [event for partition in partitions for each in everything(partition) for event in each.standing()]
        found = [house.mapper.open(event) for event in stored if event.topic == Understood.TOPIC]
        if len(found) >= count:
            return [event for event in found if isinstance(event, Understood)]
        for partition, end in zip(partitions, ends, strict=True):
            partition.advance(end, 25)
    raise AssertionError(f"{len(found)} of {count} understood")


def test_the_part_runs_where_there_is_an_assistant_or_a_model() -> None:
    assert "nlu" not in parts(None)
    assert "nlu" in parts(None, assistant="townhall")
    assert parts(None, model="m.parloir") - parts(None) == {"nlu"}
    assert parts("nlu") == {"nlu"}
    assert parts(None, worker="a", assistant="townhall") == {"projections"}


def test_the_first_start_trains_and_what_people_said_before_and_after_is_understood(
    opened: ExitStack, answering: Settings, tmp_path: Path
) -> None:
    file = write_dialogues(tmp_path / "some.jsonl.gz", DIALOGUES)
    with House(answering) as house:
        VERBS["replay"](house, {"files": [str(file)], "messages_only": True}, silent)
        assert not house.model_path.exists()
    house = serve(opened, answering).house
    events = understood(house, 12)
    assert house.model_path == answering.home / "model.parloir"
    assert house.model_path.stat().st_mode & 0o777 == 0o600
    more = write_dialogues(tmp_path / "more.jsonl.gz", [dialogue(9, "say hours one")])
    VERBS["replay"](house, {"files": [str(more)], "messages_only": True}, silent)
    events = understood(house, 13)
    assert {event.intent for event in events} == {"book", "prices", "hours"}
    assert {event.model for event in events} == {house.model.current().digest}
    found = verify(house, silent)
    assert (found["problems"], found["ok"]) == ([], True)
    assert found["counts"]["model"] == {"in service": house.model.current().digest[:12]}


def test_a_recorded_dialogue_keeps_how_it_was_understood(opened: ExitStack, ready: Settings, tmp_path: Path) -> None:
    file = write_dialogues(tmp_path / "some.jsonl.gz", DIALOGUES)
    house = serve(opened, ready).house
    VERBS["replay"](house, {"files": [str(file)]}, silent)
    more = write_dialogues(tmp_path / "more.jsonl.gz", [dialogue(number, "say hours one") for number in range(20, 40)])
    VERBS["replay"](house, {"files": [str(more)], "messages_only": True}, silent)
    events = understood(house, 12 + 20)
    assert len(events) == 32
    assert sum(event.model == "recorded" for event in events) == 12


def test_a_model_that_is_there_is_not_trained_again_and_a_damaged_one_is_refused(ready: Settings) -> None:
    with House(ready) as house:
        before = house.model_path.read_bytes()
        Serving(house, {"nlu"}).close()
        assert house.model_path.read_bytes() == before
        house.model_path.write_bytes(before[:-1])
    with House(ready) as house, pytest.raises(StartRefused, match="is damaged"):
        Serving(house, {"nlu"})


def test_without_an_assistant_and_a_model_there_is_nothing_to_understand_by(home: Settings) -> None:
    with House(home) as house, pytest.raises(BadInput, match="parloir train"):
        Serving(house, {"nlu"})


def said_in(settings: Settings) -> list[dict[str, str]]:
    """The lines of the home's journal."""
    return [json.loads(line) for line in (settings.home / "logs" / "parloir.log").read_text().splitlines()]


def test_verify_says_that_a_damaged_model_is_not_in_service(opened: ExitStack, ready: Settings) -> None:
    opened.callback(logging.getLogger().removeHandler, logs.to_file(ready))
    house = serve(opened, ready).house
    whole = house.model_path.read_bytes()
    house.model_path.write_bytes(whole[: len(whole) // 2])
    (problem,) = verify(house, silent)["problems"]
    assert "an earlier model goes on understanding" in problem
    assert str(house.model_path) in problem
    (said,) = (line for line in said_in(ready) if line["text"] == "model refused")
    assert said["model"] == house.model.current().digest[:12]
    assert "is damaged" in said["reason"]
    opened.close()
    with House(ready) as house:
        (problem,) = verify(house, silent)["problems"]
        assert "nothing can be understood" in problem
        house.model_path.unlink()
        assert verify(house, silent)["ok"]


def test_verify_says_where_a_message_could_not_be_understood_and_quotes_nothing(
    opened: ExitStack, ready: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("say book one")

    house = serve(opened, ready).house
    monkeypatch.setattr(house.model.current(), "parse", fails)
    file = write_dialogues(tmp_path / "some.jsonl.gz", DIALOGUES[:1])
    VERBS["replay"](house, {"files": [str(file)], "messages_only": True}, silent)
    follower = house.followers["nlu"]
    for _ in range(200):
        if follower.stopped:
            break
        house.conversations.partition(0).advance(house.conversations.partition(0).next_offset, 50)
    ((number, stopped),) = follower.stopped.items()
    (problem,) = verify(house, silent)["problems"]
    assert problem.startswith(f"conversations/{number}@{stopped.offset}: nlu stopped")
    assert "ValueError" in problem
    assert "book" not in problem


def test_what_was_said_and_understood_is_readable_in_no_file_of_the_home(
    opened: ExitStack, ready: Settings, tmp_path: Path
) -> None:
    marked = "say book one, zyxwvut qwertyuiop, zyxwvut@example.org, +33 1 99 00 12 34"
    opened.callback(logging.getLogger().removeHandler, logs.to_file(ready))
    house = serve(opened, ready).house
    file = write_dialogues(tmp_path / "some.jsonl.gz", [dialogue(number, marked) for number in range(8)])
    VERBS["replay"](house, {"files": [str(file)], "messages_only": True}, silent)
    (event, *_) = understood(house, 8)
    assert {each["kind"] for each in event.personal_data} >= {"email", "phone"}
    house.projector.catch_up()
    words = ["zyxwvut", "qwertyuiop", "99 00 12 34", "199001234"]
    assert readable_in([ready.home], words) == {}
    opened.close()
    assert readable_in([ready.home], words) == {}


def test_a_setting_names_the_model_and_where_it_is_trained_to(answering: Settings, tmp_path: Path) -> None:
    elsewhere = dataclasses.replace(answering, model=str(tmp_path / "elsewhere.parloir"))
    with House(elsewhere) as house:
        Serving(house, {"nlu"}).close()
    assert (tmp_path / "elsewhere.parloir").exists()
    alone = dataclasses.replace(elsewhere, assistant="")
    with House(alone) as house:
        Serving(house, parts("nlu", model=alone.model)).close()
