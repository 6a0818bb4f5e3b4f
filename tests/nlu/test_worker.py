"""The worker: what becomes of messages in the log, whatever they say, whoever else works, and whoever is erased."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from infra.nlu_verbs import plugs
from nlu.in_service import InService
from nlu.text import CHARACTERS_MAX
from nlu.training_files import Training
from nlu.understanding import Plugs, Understanding
from nlu.understanding import Understood as Meant
from nlu.worker import Said
from tests.contracts.events import everything
from tests.nlu.conftest import HOSTILE
from tests.nlu.following import (
    SENT_US,
    follow,
    handled,
    in_service,
    message,
    say,
    understood,
    wait_for,
    worker,
)
from tests.vault.conftest import Vault, open_vault
from vault.commit import Commit
from vault.conversations import Accepted
from vault.errors import BadInput, EventTampered, KeysUnavailable
from vault.ids import partition_of
from vault.interaction import Understood

Make = Callable[..., InService]


@pytest.fixture(scope="module")
def plugged() -> Plugs:
    found: Plugs = plugs()
    return found


@pytest.fixture(scope="module")
def model_file(training: Training, plugged: Plugs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.parloir"
    Understanding.train(training, plugged)[0].save(path, trained_on="t", made_at="2026-01-01", metrics={})
    return path


@pytest.fixture
def model(model_file: Path, plugged: Plugs) -> InService:
    return in_service(model_file, plugged)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    (tmp_path / "vault").mkdir()
    one = open_vault(tmp_path / "vault")
    yield one
    one.close()


def test_a_message_is_understood_once_with_what_was_found_and_which_model_found_it(
    vault: Vault, model: InService
) -> None:
    text = "une table pour demain à Paris, mon adresse est visiteur@example.org"
    (receipt,) = say(vault, message(text))
    follower = follow(vault, worker(vault, model, clock=lambda: SENT_US / 1e6 + 60))
    (event,) = wait_for(vault, 1)
    follower.close()
    assert (event.originator_id, event.originator_version) == (receipt.interaction_id, 2)
    assert (event.subject, event.channel, event.at_us) == (receipt.subject, "web", SENT_US + 60_000_000)
    assert (event.language, event.intent, event.model) == ("fr", "book", model.current().digest)
    assert event.outcome in {"understood", "unsure", "not_understood"}
    assert {each["intent"] for each in event.alternatives} == {"menu", "cancel"}
    entities = {each["type"]: each for each in event.entities}
    assert entities["date"]["value"] == "2025-10-10", "tomorrow, of the day on which it was said"
    assert (entities["city"]["value"], text[entities["city"]["start"] : entities["city"]["end"]]) == ("Paris", "Paris")
    (address,) = [each for each in event.personal_data if each["kind"] == "email"]
    assert text[address["start"] : address["end"]] == "visiteur@example.org"
    assert 0 < address["score"] <= 1
    assert address["found_by"]
    assert not event.truncated


def test_the_outcome_is_that_of_the_models_thresholds(vault: Vault, model: InService) -> None:
    texts = ["une table pour deux demain", "zzz", "", "quel est le plat du jour"]
    say(vault, *(message(text, n, f"visitor-{n}") for n, text in enumerate(texts)))
    events = {event.subject: event for event in handled(vault, worker(vault, model))}
    assert len(events) == len(texts)
    for n, (text, meant) in enumerate(zip(texts, model.current().parse(texts), strict=True)):
        person = vault.keys.find("web", f"visitor-{n}")
        assert person is not None
        event = events[person.subject]
        assert event.outcome == {"unclear": "not_understood"}.get(meant.decision, meant.decision), text
        assert event.confidence == pytest.approx(meant.intents[0][1])
        assert event.intent == (meant.intents[0][0] if event.confidence else "")


def test_hostile_texts_are_understood_as_something_and_stop_nobody(vault: Vault, model: InService) -> None:
    texts = [text for text in HOSTILE if text.isascii() or text.encode("utf-8", "ignore").decode() == text]
    assert any("\x00" in text for text in texts)
    say(vault, *(message(text, n, f"visitor-{n}") for n, text in enumerate(texts)))
    working = worker(vault, model)
    assert len(handled(vault, working)) == len(texts)
    follower = follow(vault, working)
    assert len(wait_for(vault, len(texts))) == len(texts)
    follower.close()
    assert not follower.stopped


def test_a_message_longer_than_the_limit_is_understood_by_its_beginning_and_says_so(
    vault: Vault, model: InService
) -> None:
    beginning = "je voudrais réserver une table. " * 100
    long = beginning[:CHARACTERS_MAX] + " mon courriel : late@example.org"
    (receipt, whole) = say(vault, message(long), message(long[:CHARACTERS_MAX], 2))
    cut, kept = sorted(handled(vault, worker(vault, model)), key=lambda e: e.originator_id != receipt.interaction_id)
    assert (cut.truncated, kept.truncated) == (True, False)
    assert kept.originator_id == whole.interaction_id
    assert cut.intent == kept.intent == "book"
    assert max((each["end"] for each in (*cut.entities, *cut.personal_data)), default=0) <= CHARACTERS_MAX
    ((stored,),) = [
        list(each.standing())
        for each in everything(vault.conversations.partition(receipt.partition))
        if each.offset == receipt.offset
    ]
    assert vault.mapper.open(stored).text == long  # type: ignore[union-attr]


# The conversation so far


def test_what_was_said_before_in_the_same_batch_decides_the_language_of_a_word_that_both_have(
    vault: Vault, model: InService
) -> None:
    say(vault, message("please cancel my reservation, I am not coming", 1), message("ok", 2))
    say(vault, message("je voudrais annuler ma réservation", 3, "visitor-2"), message("ok", 4, "visitor-2"))
    by_person: dict[UUID, list[str]] = {}
    for event in handled(vault, worker(vault, model)):
        by_person.setdefault(event.subject, []).append(event.language)
    assert sorted(by_person.values()) == [["en", "en"], ["fr", "fr"]]


def test_a_worker_that_begins_knows_the_conversations_from_the_log(vault: Vault, model: InService) -> None:
    say(vault, message("please cancel my reservation, I am not coming", 1))
    say(vault, message("je voudrais annuler ma réservation", 2, "visitor-2"))
    follower = follow(vault, worker(vault, model))
    wait_for(vault, 2)
    follower.close()
    say(vault, message("ok", 3), message("ok", 4, "visitor-2"))
    another = follow(vault, worker(vault, model))
    found = wait_for(vault, 4)
    another.close()
    by_person: dict[UUID, list[str]] = {}
    for event in found:
        by_person.setdefault(event.subject, []).append(event.language)
    assert sorted(by_person.values()) == [["en", "en"], ["fr", "fr"]]


def test_the_language_that_the_channel_tells_counts_until_something_was_said(vault: Vault, model: InService) -> None:
    say(vault, message("ok", 1, "visitor-1", locale="fr-CH"), message("ok", 2, "visitor-2", locale="en-GB"))
    say(vault, message("ok", 3, "visitor-3", locale="tlh"))
    assert {"fr", "en"} <= {event.language for event in handled(vault, worker(vault, model))}


def test_a_batch_that_is_given_again_is_understood_as_it_was_the_first_time(
    vault: Vault, model: InService, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(vault, message("ok", 1), message("je voudrais annuler ma réservation", 2))
    number = next(n for n in range(2) if everything(vault.conversations.partition(n)))
    batch = everything(vault.conversations.partition(number))
    working, prepare = worker(vault, model), vault.keys.prepare

    def away(pairs: Sequence[tuple[UUID, int]]) -> None:
        raise KeysUnavailable("locked for a moment")

    before: list[Sequence[str] | None] = []
    parse = model.current().parse

    def heard(texts: Sequence[str], *more: Any) -> list[Meant]:
        before.append(more[-1])
        return parse(texts, *more)

    monkeypatch.setattr(model.current(), "parse", heard)
    monkeypatch.setattr(vault.keys, "prepare", away)
    with pytest.raises(KeysUnavailable):
        working.handle(number, batch)
    monkeypatch.setattr(vault.keys, "prepare", prepare)
    working.handle(number, batch)
    assert before[:2] == before[2:]


@pytest.mark.parametrize("at_us", [-62_135_596_800_000_000, -1, 253_402_300_799_999_999])
def test_a_time_that_no_message_can_have_stops_nobody(vault: Vault, model: InService, at_us: int) -> None:
    say(vault, dataclasses.replace(message("une table pour demain, ou dans deux semaines"), at_us=at_us))
    (event,) = handled(vault, worker(vault, model))
    assert event.intent == "book"


# Who is not understood


def test_a_recorded_turn_that_says_how_it_was_understood_is_left_alone(vault: Vault, model: InService) -> None:
    def and_then(interaction: UUID, subject: UUID) -> Sequence[Understood]:
        place = {"originator_id": interaction, "originator_version": 2, "subject": subject, "at_us": SENT_US}
        said = {"language": "en", "intent": "greet", "confidence": 1.0, "outcome": "understood", "model": "recorded"}
        return [Understood(**place, **said, channel="web")]  # type: ignore[arg-type]

    say(vault, message("hello", and_then=and_then))
    say(vault, message("please cancel the order", 2))
    (event,) = handled(vault, worker(vault, model))
    assert event.intent == "cancel"


def test_the_erased_and_the_restricted_give_nothing_and_the_others_go_on(vault: Vault, model: InService) -> None:
    for number in range(9):
        say(vault, message("une table pour deux", number, f"visitor-{number}"))
    people = [vault.keys.find("web", f"visitor-{number}") for number in range(9)]
    subjects = [person.subject for person in people if person]
    vault.registrar.erase(subjects[0], ground="request 1", decided_by="officer")
    vault.registrar.restrict(subjects[1], ground="contested")
    expected = Counter(subjects[2:])
    assert Counter(event.subject for event in handled(vault, worker(vault, model))) == expected
    follower = follow(vault, worker(vault, model))
    assert Counter(event.subject for event in wait_for(vault, 7)) == expected
    follower.close()
    assert not follower.stopped


def test_who_is_erased_between_understanding_and_writing_gives_nothing(vault: Vault, model: InService) -> None:
    say(vault, message("une table pour deux"), message("une table pour trois", 2, "visitor-2"))
    person = vault.keys.find("web", "visitor-1")
    assert person is not None

    def erase(understood: Sequence[tuple[Said, Meant]]) -> None:
        if any(said.subject == person.subject for said, _ in understood):
            vault.registrar.erase(person.subject, ground="request 1", decided_by="officer")

    events = handled(vault, worker(vault, model, on_understood=erase))
    assert person.subject not in {event.subject for event in events}
    assert len(events) == 1


def test_a_message_that_is_not_as_it_was_written_stops_its_partition_at_its_place(
    vault: Vault, model: InService
) -> None:
    say(vault, message("une table pour deux"))
    person = vault.keys.find("web", "visitor-1")
    assert person is not None
    number = partition_of(person.subject)
    (accepted,) = everything(vault.conversations.partition(number))
    originator, version, topic, state = accepted.commit.packed[0]
    damaged = Accepted(accepted.offset, Commit(((originator, version, topic, state[:-1] + b"?"),), based_on=0))
    with pytest.raises(EventTampered):
        worker(vault, model).handle(number, [damaged])


def test_keys_that_are_away_for_a_moment_cost_nothing(
    vault: Vault, model: InService, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(vault, message("une table pour deux"))
    prepare, times = vault.keys.prepare, []

    def away(pairs: Sequence[tuple[UUID, int]]) -> None:
        times.append(1)
        if len(times) < 3:
            raise KeysUnavailable("locked for a moment")
        prepare(pairs)

    monkeypatch.setattr(vault.keys, "prepare", away)
    follower = follow(vault, worker(vault, model))
    assert len(wait_for(vault, 1)) == 1
    follower.close()
    assert not follower.stopped


# Several workers, and another model


def test_two_workers_understand_everything_once_between_them(vault: Vault, model: InService) -> None:
    followers = [follow(vault, worker(vault, model)) for _ in range(2)]
    sent: list[UUID] = []
    for number in range(30):
        messages = [message("une table pour deux", number * 4 + n, f"visitor-{n}") for n in range(4)]
        sent += [receipt.interaction_id for receipt in say(vault, *messages)]
    found = wait_for(vault, len(sent))
    for follower in followers:
        follower.close()
    assert Counter(event.originator_id for event in understood(vault)) == Counter(sent)
    assert len(found) == len(sent)


def test_what_was_understood_is_heard_of_before_it_is_written(vault: Vault, model: InService) -> None:
    say(vault, message("écrivez à visiteur@example.org"))
    heard: list[tuple[Said, Meant]] = []
    (event,) = handled(vault, worker(vault, model, on_understood=heard.extend))
    ((said, meant),) = heard
    assert (said.interaction, said.subject, said.text) == (
        event.originator_id,
        event.subject,
        "écrivez à visiteur@example.org",
    )
    assert [span.kind for span in meant.personal] == ["email"]


def test_another_model_is_in_service_from_the_next_batch_on_and_nothing_is_lost_between(
    vault: Vault, training: Training, plugged: Plugs, model_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.parloir"
    path.write_bytes(model_file.read_bytes())
    model = in_service(path, plugged)
    before = model.current().digest
    follower = follow(vault, worker(vault, model))
    say(vault, *(message("une table pour deux", n) for n in range(20)))
    wait_for(vault, 20)
    renamed = replace(
        training,
        places=[
            replace(place, example=replace(place.example, intent=f"{place.example.intent}_now"))
            for place in training.places
        ],
    )
    after = Understanding.train(renamed, plugged)[0].save(path, trained_on="t2", made_at="2026-02-01", metrics={})
    say(vault, *(message("une table pour deux", n) for n in range(20, 40)))
    found = wait_for(vault, 40)
    follower.close()
    assert Counter((event.model, event.intent) for event in found) == {(before, "book"): 20, (after, "book_now"): 20}


def test_a_damaged_model_is_not_taken_and_a_mended_one_is(
    vault: Vault, plugged: Plugs, model_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.parloir"
    path.write_bytes(model_file.read_bytes())
    model = in_service(path, plugged)
    working, digest = worker(vault, model), model.current().digest
    say(vault, message("une table pour deux"))
    damaged = bytearray(model_file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    for content in (bytes(damaged), b"", b"not a model", model_file.read_bytes()[:-40]):
        (tmp_path / "beside").write_bytes(content)
        (tmp_path / "beside").replace(path)
        (event,) = handled(vault, working)
        assert (event.model, event.intent) == (digest, "book")
        assert model.problem is not None
        assert str(path) in str(model.problem)
    assert "model refused" in caplog.text
    path.unlink()
    assert handled(vault, working)[0].model == digest
    assert model.problem is not None
    path.write_bytes(model_file.read_bytes())
    assert handled(vault, working)[0].model == digest
    assert model.problem is None


def test_a_model_that_is_copied_over_the_one_in_service_does_no_harm(
    vault: Vault, plugged: Plugs, model_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.parloir"
    path.write_bytes(model_file.read_bytes())
    model = in_service(path, plugged)
    working = worker(vault, model)
    say(vault, message("une table pour deux"))
    with path.open("r+b") as file:  # in place, as `cp` does, and interrupted
        file.truncate(1_000)
    assert handled(vault, working)[0].intent == "book"
    with path.open("r+b") as file:
        file.write(model_file.read_bytes())
    assert handled(vault, working)[0].intent == "book"
    assert model.problem is None


def test_one_thread_loads_while_the_others_go_on(model_file: Path, plugged: Plugs, tmp_path: Path) -> None:
    path = tmp_path / "model.parloir"
    path.write_bytes(model_file.read_bytes())
    entered, go_on, loads = threading.Event(), threading.Event(), []

    def load(file: Path) -> Understanding:
        loads.append(file)
        if len(loads) > 1:
            entered.set()
            assert go_on.wait(20)
        return Understanding.load(file, plugged)[0]

    model = InService(path, load)
    first = model.current()
    (tmp_path / "beside").write_bytes(model_file.read_bytes())
    (tmp_path / "beside").replace(path)
    loading = threading.Thread(target=model.current)
    loading.start()
    assert entered.wait(20)
    assert model.current() is first
    go_on.set()
    loading.join()
    assert model.current() is not first
    assert len(loads) == 2


def test_a_model_that_cannot_be_loaded_at_first_is_an_error_with_the_remedy(plugged: Plugs, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="parloir train"):
        in_service(tmp_path / "none.parloir", plugged)
