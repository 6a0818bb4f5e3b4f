"""Learning from people, as a home does it: reviewed, trained, sealed, stale, left out, ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from infra import learning
from infra.cli import main
from infra.house import House
from infra.learning import seals
from infra.nlu_part import NluPart, train_where_missing
from infra.settings import Settings
from infra.verbs import VERBS, Json
from nlu.model_file import read_model
from nlu.sealed_model import DAY_US, model_of
from nlu.understanding import Understanding
from tests.nlu.conftest import write_assistant
from tests.nlu.people import redact
from tests.projections.conftest import START_US, turn
from vault.access import DataAccess
from vault.errors import BadInput, PersonUnknown, StartRefused, Unavailable
from vault.ids import partition_of
from vault.intake import Message
from vault.keys import IMPROVEMENT, Mention

MARK = "xylophone"
"""Said by everybody, so that a model may keep it."""
SECRET = "quetzalcoatlus"
"""Said by one person only."""
PEOPLE = [f"visitor-{number}" for number in range(6)]
CHECKOUT = Path(__file__).parents[2]
TRAIN = Understanding.train
MADE_AT = "2026-01-31T12:00:00Z"


def do(house: House, verb: str, **arguments: Any) -> Json:
    return VERBS[verb](house, arguments, lambda what, done, total: None)


def subject(house: House, name: str) -> UUID:
    found = house.keys.find("web", name)
    assert found is not None
    return found.subject


def agree(house: House, name: str) -> None:
    house.keys.resolve("web", name, partitions=house.conversations.partitions)
    house.registrar.register_new()
    house.registrar.show_notice(subject(house, name), notice_version="v1", language="en")
    house.registrar.give_consent(subject(house, name), purpose=IMPROVEMENT, notice_version="v1")


def say(house: House, name: str, number: int, text: str, intent: str = "book") -> None:
    house.intake.receive([turn(name, number, text, intent=intent)])


def fill(house: House) -> None:
    """Six people agree and each says two things, one of them something that nobody else says; all of it is accepted by a reviewer."""
    for number, name in enumerate(PEOPLE):
        agree(house, name)
        say(house, name, number, f"{MARK} table")
        say(house, name, 100 + number, SECRET if number == 0 else f"{MARK} soup", "menu")
    listed = do(house, "review-list", limit=100)["messages"]
    assert len(listed) == 12
    do(house, "review-decide", messages=[one["message"] for one in listed], verdict="accepted")


def quickly(*arguments: Any, **options: Any) -> Any:
    """A training that does not measure itself, which takes a third of the time."""
    return TRAIN(*arguments, **{**options, "calibrate": False})


@pytest.fixture(autouse=True)
def _quickly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "capsys" not in request.fixturenames:
        monkeypatch.setattr(Understanding, "train", quickly)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with people who agree and a model that learnt from them, closed; to be copied."""
    folder = tmp_path_factory.mktemp("learning")
    write_assistant(folder / "assistant")
    with House(Settings(home=folder / "home", log_partitions=2)) as house:
        fill(house)
        train(house, folder)
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """A copy of it: `home` and `assistant` within."""
    shutil.copytree(filled, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    with House(Settings(home=folder / "home", log_partitions=2)) as opened:
        yield opened


def train(house: House, folder: Path, **arguments: Any) -> Json:
    return do(house, "train", folder=str(folder / "assistant"), made_at=MADE_AT, **arguments)


def features(house: House, path: Path | None = None) -> set[str]:
    """Every feature that a model keeps."""
    _, arrays = read_model(path or house.model_path, seals(house)).parts["intents"]
    return set(arrays["features.names"].tobytes().decode().split("\n"))


def inner(house: House, path: Path | None = None) -> str:
    """The digest of a model, sealed or not."""
    return read_model(path or house.model_path, seals(house)).digest


def accesses(house: House, name: str) -> list[DataAccess.Opened]:
    person = house.keys.find("web", name)
    assert person is not None
    found = []
    for notification in house.register.all_notifications(partition_of(person.case)):
        if notification.topic == DataAccess.Opened.TOPIC:
            event = house.mapper.to_domain_event(notification)
            if event.case == person.case:
                found.append(event)
    return found


# Training


def test_a_model_learns_from_people_keeps_no_word_of_few_and_is_sealed(house: House) -> None:
    kept = features(house)
    assert MARK in kept
    assert not [name for name in kept if SECRET[:5] in name]
    model = read_model(house.model_path, seals(house))
    assert len(model.lineage) == 12
    assert {one.source.subject for one in model.lineage} == {subject(house, name) for name in PEOPLE}
    written = house.model_path.read_bytes()
    assert MARK.encode() not in written
    answers = do(house, "parse", texts=[f"{MARK} soup"], model=str(house.model_path), zone=None, language=None)
    assert answers["answers"][0]["intents"][0]["intent"] == "menu"
    assert do(house, "verify")["problems"] == []


def test_opening_words_for_review_and_for_training_is_recorded_with_each_person_before_it_is_used(house: House) -> None:
    listed = do(house, "review-list", all=True, limit=100)["messages"]
    mine = [one["message"] for one in listed if one["subject"] == str(subject(house, PEOPLE[1]))]
    before = len(accesses(house, PEOPLE[1]))
    do(house, "review-list")
    assert len(accesses(house, PEOPLE[1])) == before, "listing opens no words"
    shown = do(house, "review-show", messages=mine, actor="reviewer")
    assert {one["text"] for one in shown["messages"]} == {f"{MARK} table", f"{MARK} soup"}
    (*_, last) = accesses(house, PEOPLE[1])
    assert (last.actor, last.reason, last.events) == ("reviewer", "review of what was understood", 2)
    assert [one.reason for one in accesses(house, PEOPLE[0])] == ["training of a model"]


def test_the_next_training_leaves_out_who_left_to_the_last_byte(house: House, folder: Path) -> None:
    """The same bytes as a model of the people who stayed, in a home where the one who left never was."""
    withdraws, erased = (subject(house, name) for name in PEOPLE[:2])
    house.registrar.withdraw_consent(withdraws, purpose=IMPROVEMENT)
    (problem,) = do(house, "verify")["problems"]
    assert "is stale: somebody it learnt from does not agree any more; it is out of service from" in problem
    house.registrar.erase(erased, ground="asked", decided_by="test")
    told = train(house, folder)
    lineage = read_model(house.model_path, seals(house)).lineage
    assert not {withdraws, erased} & {one.source.subject for one in lineage}
    assert do(house, "verify")["problems"] == []
    unsealed = seals(house).open(house.model_path.read_bytes(), house.model_path).file
    assert b"annuler" in unsealed
    assert MARK.encode() not in unsealed
    assert (told["messages"], told["persons"]) == (8, 4)
    assert MARK not in features(house), "four people are too few for a word"
    with House(Settings(home=folder / "other", log_partitions=2)) as other:
        for number, name in list(enumerate(PEOPLE))[2:]:
            agree(other, name)
            say(other, name, number, f"{MARK} table")
            say(other, name, 100 + number, f"{MARK} soup", "menu")
        listed = do(other, "review-list", limit=100)["messages"]
        do(other, "review-decide", messages=[one["message"] for one in listed], verdict="accepted")
        train(other, folder)
        assert inner(other) == inner(house)


def test_who_leaves_while_a_model_is_trained_is_not_in_it(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving = subject(house, PEOPLE[1])
    listed = do(house, "review-list", all=True, limit=100)["messages"]
    redacted = next(one for one in listed if one["subject"] not in (str(leaving), str(subject(house, PEOPLE[2]))))
    quickly, trainings = Understanding.train, []

    def train_while_they_leave(*arguments: Any, **options: Any) -> Any:
        trained = quickly(*arguments, **options)
        trainings.append(len(options["said"].examples))
        if len(trainings) == 1:
            house.registrar.erase(leaving, ground="asked", decided_by="test")
        elif len(trainings) == 2:
            heard = learning._read(house, lambda *_: None).at(redacted["message"])
            redact(house, heard.subject, heard.interaction)
        return trained

    monkeypatch.setattr(Understanding, "train", train_while_they_leave)
    train(house, folder)
    lineage = read_model(house.model_path, seals(house)).lineage
    assert leaving not in {one.source.subject for one in lineage}
    assert redacted["message"] not in {f"{one.partition}@{one.offset}" for one in lineage}
    assert trainings == [12, 10, len(lineage)]
    assert [one.stale_us for one in house.keys.models()] == [None]
    monkeypatch.setattr(learning, "ATTEMPTS_MAX", 1)
    trainings.clear()
    leaving = subject(house, PEOPLE[2])
    with pytest.raises(Unavailable, match="kept leaving while it was trained"):
        train(house, folder)


def test_one_training_at_a_time(house: House, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train_within(*_: Any, **__: Any) -> Any:
        return train(house, folder)

    monkeypatch.setattr(Understanding, "train", train_within)
    with pytest.raises(Unavailable, match="under way already"):
        train(house, folder)


def test_a_training_without_anything_confirmed_makes_a_model_that_needs_no_home(house: House, folder: Path) -> None:
    for name in PEOPLE:
        house.registrar.withdraw_consent(subject(house, name), purpose=IMPROVEMENT)
    told = train(house, folder)
    assert (told["sealed"], told["messages"]) == (None, 0)
    assert model_of(house.model_path) is None
    assert Understanding.load(house.model_path)
    assert house.keys.models() == [], "the key of the model that it replaced is destroyed"


def test_a_model_replaced_by_the_next_opens_nowhere_any_more(house: House, folder: Path) -> None:
    shutil.copyfile(house.model_path, folder / "kept")
    train(house, folder)
    train(house, folder, output=str(folder / "beside"))
    assert len(house.keys.models()) == 2
    with pytest.raises(BadInput, match="cannot write"):
        train(house, folder, output=str(folder / "no such folder" / "m"))
    assert len(house.keys.models()) == 2, "a key without a file is not left behind"
    with pytest.raises(StartRefused, match="none that this home has a key of"):
        read_model(folder / "kept", seals(house))


KILLED = """
import os, signal, sys
from pathlib import Path
from infra import learning
from infra.house import House
from infra.settings import Settings
from nlu.understanding import Understanding
folder, when = Path(sys.argv[1]), sys.argv[2]
train, put = Understanding.train, learning.put
Understanding.train = classmethod(lambda cls, *a, **o: train(*a, **o, calibrate=False))
def killed(path, body):
    if when == "after":
        put(path, body)
    os.kill(os.getpid(), signal.SIGKILL)
learning.put = killed
with House(Settings(home=folder / "home", log_partitions=2)) as house:
    learning.train(house, {"folder": str(folder / "assistant")}, lambda *_: None)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_training_killed_at_its_end_leaves_a_model_that_opens_and_goes_stale(folder: Path, when: str) -> None:
    before = model_of(folder / "home" / "model.parloir")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), when], cwd=CHECKOUT, env=os.environ, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    with House(Settings(home=folder / "home", log_partitions=2)) as house:
        assert (model_of(house.model_path) == before) is (when == "before")
        assert len(read_model(house.model_path, seals(house)).lineage) == 12
        assert len(house.keys.models()) == 2
        house.registrar.erase(subject(house, PEOPLE[0]), ground="asked", decided_by="test")
        assert all(one.stale_us for one in house.keys.models())
        assert len(do(house, "verify")["problems"]) == 2


# Stale models


def test_a_stale_model_answers_until_its_deadline_and_its_key_is_destroyed(folder: Path) -> None:
    with House(Settings(home=folder / "home", log_partitions=2)) as house:
        assert house.model.current().sealed == model_of(house.model_path)
        house.registrar.withdraw_consent(subject(house, PEOPLE[0]), purpose=IMPROVEMENT)
        house.registrar.open_up()
        assert house.model.current()
        (standing,) = house.keys.models()
        assert standing.stale_us is not None
        assert seals(house).out_of_service_us(standing) == standing.stale_us + 30 * DAY_US
    with House(Settings(home=folder / "home", log_partitions=2, stale_model_days=0)) as house:
        assert house.keys.models() == []
        assert learning.is_over(house, house.model_path)
        problems = do(house, "verify")["problems"]
        assert ["nothing can be understood" in problem for problem in problems] == [True]
        with pytest.raises(StartRefused, match="its time was over; train another"):
            read_model(house.model_path, seals(house))


def test_a_model_in_service_stops_answering_at_its_deadline(folder: Path) -> None:
    with House(Settings(home=folder / "home", log_partitions=2, stale_model_days=0)) as house:
        assert house.model.current()
        house.registrar.erase(subject(house, PEOPLE[0]), ground="asked", decided_by="test")
        with pytest.raises(Unavailable, match="does not agree any more"):
            house.model.current()
        train(house, folder)
        assert house.model.current().sealed == model_of(house.model_path)


def test_a_key_store_restored_from_before_an_erasure_is_told_by_the_register(folder: Path) -> None:
    keys = folder / "home" / "keys"
    shutil.copytree(keys, folder / "keys")
    settings = Settings(home=folder / "home", log_partitions=2)
    with House(settings) as house:
        house.registrar.withdraw_consent(subject(house, PEOPLE[0]), purpose=IMPROVEMENT)
        (standing,) = house.keys.models()
    shutil.copyfile(folder / "keys" / "keys.db", keys / "keys.db")
    with House(settings) as house:
        assert house.keys.models() == [standing], "since the withdrawal, and not since the restore"
        (problem,) = do(house, "verify")["problems"]
        assert "is stale" in problem


def test_a_grant_that_is_gone_without_a_word_is_found_by_verify(house: House) -> None:
    with house.keys._database.writing() as c:
        c.execute("DELETE FROM key_grant WHERE purpose = ? AND dek IN (SELECT id FROM dek WHERE owner = ?)",
                  (IMPROVEMENT, subject(house, PEOPLE[0]).bytes))  # fmt: skip
    (problem,) = do(house, "verify")["problems"]
    assert "learnt from 2 messages that may not be used any more, and the key store does not say so" in problem


# Who mentioned a value


def test_who_mentioned_an_address_is_found_recorded_and_nobody_by_identity(house: House) -> None:
    address = "somebody@example.org"
    people = [subject(house, name) for name in PEOPLE[:2]]
    house.keys.enter_mentions([Mention("email", address, one, UUID(int=n), 0) for n, one in enumerate(people)])
    found = do(house, "find", value=f" {address.upper()}", reason="request 7", actor="officer")["found"]
    assert found == [{"subject": str(one), "how": "mentioned, no proof of identity"} for one in sorted(people)]
    (*_, last) = accesses(house, PEOPLE[0])
    assert (last.actor, last.reason) == ("officer", "request 7 (mentioned, no proof of identity)")
    assert address not in last.reason
    with pytest.raises(PersonUnknown):
        do(house, "access", person=address, reason="request 7", format="json", language="en")
    for reason in ("", " ", "x" * 501):
        with pytest.raises(BadInput, match="a reason is 1 to 500 characters"):
            do(house, "find", value=address, reason=reason)
    with pytest.raises(PersonUnknown, match="nobody mentioned that"):
        do(house, "find", value="nobody@example.org", reason="request 7")


# In service


def test_a_home_whose_model_is_over_begins_again_with_one_of_the_assistants_examples_alone(folder: Path) -> None:
    (folder / "assistant" / "assistant.yaml").touch()
    settings = Settings(home=folder / "home", log_partitions=2, stale_model_days=0, assistant=str(folder / "assistant"))
    with House(settings) as house:
        house.registrar.erase(subject(house, PEOPLE[0]), ground="asked", decided_by="test")
        assert train_where_missing(house, lambda what, done, total: None)
        assert model_of(house.model_path) is None
        assert house.keys.models() == []
        assert house.model.current().sealed is None
        assert not train_where_missing(house, lambda what, done, total: None)


def test_a_model_that_is_over_while_it_is_in_service_is_followed_by_one_of_the_assistants_examples_alone(
    folder: Path,
) -> None:
    (folder / "assistant" / "assistant.yaml").touch()
    settings = Settings(home=folder / "home", log_partitions=2, stale_model_days=0, assistant=str(folder / "assistant"))
    with House(settings) as house:
        assert house.model.current().sealed is not None
        house.registrar.erase(subject(house, PEOPLE[0]), ground="asked", decided_by="test")
        with pytest.raises(Unavailable, match="does not agree any more"):
            house.model.current()
        for thread in threading.enumerate():
            if thread.name == "training":
                thread.join()
        assert house.model.current().sealed is None


def test_learning_from_a_log_in_kafka_is_the_same(kafka_home: Settings) -> None:
    with House(kafka_home) as house:
        agree(house, PEOPLE[0])
        say(house, PEOPLE[0], 1, f"{MARK} table")
        say(house, PEOPLE[1], 2, "never agreed")
        (one,) = do(house, "review-list")["messages"]
        do(house, "review-decide", messages=[one["message"]], verdict="corrected", intent="menu")
    with House(kafka_home) as house:
        assert do(house, "review-list")["messages"] == []
        (one,) = do(house, "review-list", all=True)["messages"]
        assert (one["verdict"], one["meant"]) == ("corrected", "menu")
        house.registrar.erase(subject(house, PEOPLE[0]), ground="asked", decided_by="test")
        assert do(house, "review-list", all=True)["messages"] == []


def test_what_people_type_to_a_home_that_understands_is_found_and_only_by_find(house: House) -> None:
    part = NluPart(house, lambda what, done, total: None)
    message = Message("web", "site", PEOPLE[0], "m900", "write to who@example.org", START_US)
    (receipt,) = house.intake.receive([message])
    assert receipt.offset is not None
    partition = house.conversations.partition(receipt.partition)
    part.start()
    for _ in range(400):
        if partition.position("nlu") >= receipt.offset:
            break
        partition.advance(partition.next_offset, 25)
    part.close()
    found = do(house, "find", value="WHO@example.org", reason="request 7")["found"]
    assert [one["subject"] for one in found] == [str(receipt.subject)]
    assert house.keys.find("email", "who@example.org") is None


# The command line


def test_review_train_and_find_as_they_are_typed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLOIR_LOG_PARTITIONS", "2")
    home = ["--home", str(folder / "home")]
    with House(Settings(home=folder / "home", log_partitions=2)) as house:
        say(house, PEOPLE[1], 500, "write to me at who@example.org")
        house.keys.enter_mentions([Mention("email", "who@example.org", subject(house, PEOPLE[1]), UUID(int=1), 0)])
    assert main([*home, "review", "--json"]) == 0
    (waiting,) = json.loads(capsys.readouterr().out)["messages"]
    assert main([*home, "review", "show", waiting["message"]]) == 0
    assert "'write to me at [EMAIL]'" in capsys.readouterr().out
    assert main([*home, "review", "correct", waiting["message"], "cancel"]) == 0
    assert capsys.readouterr().out == f"{waiting['message']} corrected: cancel\n"
    assert main([*home, "review"]) == 0
    assert capsys.readouterr().out == ""
    assert main([*home, "review", "--all", "--limit", "3"]) == 0
    assert capsys.readouterr().out.endswith("10 more\n")
    assert main([*home, "review", "accept", "0@999999"]) == 2
    assert main([*home, "review", "accept"]) == 2
    assert main([*home, "review", "list", "0@1"]) == 2
    assert main([*home, "review", "--limit", "-3"]) == 2
    assert capsys.readouterr().err.count("\n") == 4
    assert main([*home, "train", str(folder / "assistant"), "--from-log"]) == 0
    assert "33 examples and 13 messages of 6 persons, sealed as model " in capsys.readouterr().out
    model = str(folder / "home" / "model.parloir")
    assert main([*home, "parse", f"{MARK} table", "--model", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["intents"][0]["intent"] == "book"
    assert main(["--home", str(folder / "nowhere"), "parse", "x", "--model", model]) == 2
    assert main([*home, "find", "who@example.org", "--reason", "request 7"]) == 0
    assert capsys.readouterr().out.endswith("  mentioned, no proof of identity\n")
    assert main([*home, "find", "nobody@example.org", "--reason", "request 7"]) == 3
