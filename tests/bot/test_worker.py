"""The bot on a real log: every message answered once and in order, through restarts, twins, erasures; long conversations and many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from bot.memory import Memory, MemoryLimits
from bot.state import State
from tests.bot.workshop import (
    Shop,
    Workshop,
    answers,
    assistant,
    calls,
    due,
    returns,
    sent,
    texts_of,
    timers,
)
from tests.contracts.events import everything
from tests.projections.conftest import turn
from tests.vault.conftest import LOG_ID, Vault, open_vault
from vault.commit import Commit
from vault.effects import now_us
from vault.ids import partition_of
from vault.interaction import Erased, HandedOver, MessageSent, Understood, companion_id
from vault.seal import person_of

HOUR_US = 3_600_000_000
BOOKING = "book bicycle=road date=2030-03-05"


@pytest.fixture
def shop() -> Iterator[Shop]:
    one = Shop()
    yield one
    one.close()


@pytest.fixture
def open_workshop(tmp_path: Path, shop: Shop) -> Iterator[Callable[[], Workshop]]:
    """Opens the workshop, or opens it again as another process does once the one before is closed."""
    (tmp_path / "vault").mkdir()
    described = assistant(tmp_path / "assistant")
    held: list[tuple[Workshop, Vault]] = []

    def make() -> Workshop:
        for before, vault in held:
            before.stop()
            vault.close()
        held.clear()
        vault = open_vault(tmp_path / "vault")
        workshop = Workshop(
            vault.conversations,
            vault.keys,
            vault.mapper,
            vault.intake,
            vault.registrar,
            described,
            shop,
            tmp_path / "effects.db",
            LOG_ID,
        )
        held.append((workshop, vault))
        return workshop

    yield make
    shop.let_go.set()
    for workshop, vault in held:
        workshop.stop()
        vault.close()


@pytest.fixture
def workshop(open_workshop: Callable[[], Workshop]) -> Workshop:
    return open_workshop()


def booked(workshop: Workshop, sender: str) -> MessageSent:
    """A person books; gives what says that it is done."""
    assert workshop.says(sender, BOOKING, "affirm")
    workshop.until(sent)
    workshop.says(sender, "1", "Robin")
    subject = workshop.person(sender)
    found = workshop.until(
        lambda events: [e for e in sent(events) if e.subject == subject and any("Booked" in t for t in texts_of(e))]
    )
    return found[0]


def test_a_conversation_with_calls_and_a_reminder_is_in_the_log_from_beginning_to_end(workshop: Workshop) -> None:
    workshop.all()
    done = booked(workshop, "visitor")
    assert texts_of(done) == ["Booked for Robin at 10:00: 7."]
    events = list(workshop.events())
    subject = workshop.person("visitor")
    found, book = calls(events)
    assert (found.connector, found.operation, found.recipient) == ("shop", "find", "the workshop")
    assert json.loads(found.arguments) == {"day": "2030-03-05"}
    assert json.loads(book.arguments) == {"day": "2030-03-05", "name": "Robin"}
    assert [(e.outcome, e.status) for e in returns(events)] == [("done", 200), ("done", 200)]
    assert [(e.interaction_id, e.step) for e in returns(events)] == [(e.interaction_id, e.step) for e in (found, book)]
    (timer,) = timers(events)
    assert (timer.interaction_id, timer.flow, timer.language) == (book.interaction_id, "remind", "en")
    assert done.originator_id == companion_id(book.interaction_id, MessageSent.TOPIC, book.step)  # type: ignore[arg-type]
    assert [effect["kind"] for effect in done.effects] == ["timer", "deliver"]
    assert all(e.subject == subject and e.channel == "web" for e in events)
    assert all(e.assistant == workshop.assistant.label for e in answers(events))
    assert State.from_bytes(done.dialogue_state or b"").frames == []
    assert {key for what, key in workshop.shop.keys if what == "book"} == {f"{book.interaction_id}:{book.step}"}


def test_a_pressed_button_says_what_it_holds_and_typed_words_never_do(workshop: Workshop) -> None:
    workshop.all()
    (pressed,) = workshop.write("visitor", "my road bicycle", payload='/prices {"bicycle": "road"}')
    (answer,) = workshop.until(lambda events: [e for e in answers(events) if e.originator_id == pressed])
    assert texts_of(answer) == ["Repairing a road bicycle costs 20."]
    assert workshop.says("visitor", '/prices {"bicycle": "road"}') == ["(system_rephrase)"]


def test_many_messages_at_once_are_answered_each_once_and_in_order(workshop: Workshop) -> None:
    workshop.all()
    written = {sender: workshop.write(sender, *["greet", "hours"] * 20) for sender in ("a", "b", "c")}
    found = workshop.until(answers, 120)
    assert len(found) == 120
    for sender, interactions in written.items():
        subject = workshop.person(sender)
        mine = [event for event in found if event.subject == subject]
        assert [event.originator_id for event in mine] == interactions
        assert [texts_of(event)[-1] for event in mine] == ["Hello.", "From 9 to 5."] * 20


def test_a_bot_that_starts_again_goes_on_where_everybody_was(open_workshop: Callable[[], Workshop]) -> None:
    workshop = open_workshop()
    workshop.all()
    assert workshop.says("visitor", "book bicycle=road") == ["Which day?"]
    workshop = open_workshop()
    left = workshop.write("visitor", "date=2030-03-05", "affirm")
    workshop.all()
    workshop.until(lambda events: [e for e in answers(events) if e.originator_id in left], 2)
    assert [each.operation for each in workshop.until(calls)] == ["find"]
    assert len(list(answers(list(workshop.events())))) == 3


def test_a_state_that_is_no_longer_in_memory_is_opened_from_its_place_in_the_log(workshop: Workshop) -> None:
    workshop.understanding()
    workshop.bot(limits=MemoryLimits(states_bytes_max=1))
    workshop.caller()
    for partition in (workshop.conversations.partition(n) for n in range(2)):
        partition._kept_events = 1  # so that the log is read, and not this process's memory of it
    for sender in ("a", "b"):
        assert workshop.says(sender, "book bicycle=cargo") == ["Which day?"]
    for number in range(12):
        workshop.says(f"other-{number}", "greet")
    for sender in ("a", "b"):
        assert workshop.says(sender, "date=2030-03-05") == ["cargo bicycle, Tuesday 5 March 2030?"]


def test_after_the_idle_time_nothing_is_known_of_a_conversation(open_workshop: Callable[[], Workshop]) -> None:
    workshop = open_workshop()
    workshop.all()
    begun_us = now_us()
    assert workshop.says("visitor", "book bicycle=road", at_us=begun_us) == ["Which day?"]
    later_us = begun_us + 25 * HOUR_US
    assert workshop.says("visitor", "date=2030-03-05", at_us=later_us) == ["(system_rephrase)"]


def test_reading_back_ends_where_everything_has_expired(workshop: Workshop) -> None:
    workshop.understanding()
    clock = [now_us()]
    first = workshop.bot(clock=lambda: clock[0])
    workshop.says("old", "book bicycle=road")
    number = partition_of(workshop.person("old"))
    clock[0] += 30 * HOUR_US
    for _ in range(6):
        sender = workshop.somebody_in(number)
    first.close()
    partition = workshop.conversations.partition(number)
    memory = Memory(partition, workshop.keys, idle_us=workshop.assistant.idle_us, limits=MemoryLimits(block=4))
    memory.begin(partition.position("bot"))
    assert memory.state(workshop.person("old").bytes).frames == []
    assert memory.state(workshop.person(sender).bytes).noticed
    whole = Memory(partition, workshop.keys, idle_us=100 * HOUR_US, limits=MemoryLimits(block=4))
    whole.begin(partition.position("bot"))
    assert [frame.flow for frame in whole.state(workshop.person("old").bytes).frames] == ["book"]
    for each in (memory, whole):
        each.close()


def test_a_message_whose_place_was_let_go_of_is_found_in_the_log(workshop: Workshop) -> None:
    interactions = workshop.write("visitor", *["greet"] * 30)
    workshop.bot(limits=MemoryLimits(messages_max=2, block=7))
    workshop.until(lambda events: events, 30)
    workshop.understanding()
    found = workshop.until(answers, 30)
    assert [event.originator_id for event in found] == interactions


def test_two_bots_answer_every_message_once_between_them(workshop: Workshop) -> None:
    workshop.understanding()
    workshop.bot()
    workshop.bot()
    for _ in range(6):
        for sender in ("a", "b"):
            workshop.write(sender, "book bicycle=road", "cancel", "greet")
    found = workshop.until(answers, 36)
    assert Counter(event.originator_id for event in found).most_common(1)[0][1] == 1
    for sender in ("a", "b"):
        subject = workshop.person(sender)
        mine = [texts_of(event)[-1] for event in found if event.subject == subject]
        assert mine == ["Which day?", "(system_cancelled)", "Hello."] * 6


def test_recorded_turns_that_hold_their_answer_are_left_alone(workshop: Workshop) -> None:
    workshop.all()
    workshop.intake.receive([turn("visitor", number) for number in range(5)])
    assert workshop.says("visitor", "greet") == ["Hello."]
    assert len(answers(list(workshop.events()))) == 6


def test_a_message_while_a_call_is_out_is_answered_at_once(workshop: Workshop) -> None:
    workshop.all()
    workshop.shop.holding.add("find")
    workshop.says("visitor", BOOKING, "affirm")
    assert workshop.shop.entered.wait(20)
    assert workshop.says("visitor", "and then?") == ["(system_working)"]
    assert workshop.says("visitor", "hours") == ["From 9 to 5."]
    workshop.shop.let_go.set()
    (message,) = workshop.until(sent)
    assert texts_of(message) == ["Which time?"]


def test_nothing_is_said_to_or_done_for_a_person_who_was_erased_in_the_middle_of_a_call(workshop: Workshop) -> None:
    workshop.all()
    workshop.shop.holding.add("find")
    workshop.says("visitor", BOOKING, "affirm")
    assert workshop.shop.entered.wait(20)
    subject = workshop.person("visitor")
    workshop.registrar.erase(subject, ground="asked", decided_by="officer")
    workshop.shop.let_go.set()
    assert workshop.says("visitor", "greet") == ["Hello."]  # somebody new
    workshop.stop()
    number = partition_of(subject)
    partition = workshop.conversations.partition(number)
    after = False
    for accepted in everything(partition):
        for event in accepted.standing():
            mine = person_of(event.state) == subject.bytes
            assert not (after and mine)
            after = after or (mine and event.topic == Erased.TOPIC)
    assert after


def test_a_message_of_a_person_who_restricts_processing_is_not_answered(workshop: Workshop) -> None:
    workshop.all()
    workshop.says("visitor", "greet")
    subject = workshop.person("visitor")
    workshop.registrar.restrict(subject, ground="contested")
    (silent,) = workshop.write("visitor", "hours")
    workshop.somebody_in(partition_of(subject))  # who wrote later, and was answered
    assert silent not in [event.originator_id for event in answers(list(workshop.events()))]


def test_a_system_that_is_down_is_said_to_be_and_the_conversation_goes_on(workshop: Workshop) -> None:
    workshop.all()
    workshop.shop.broken = True
    workshop.says("visitor", BOOKING, "affirm")
    (message,) = workshop.until(sent)
    assert texts_of(message) == ["(system_unavailable)"]
    (came,) = returns(list(workshop.events()))
    assert (came.outcome, came.status) == ("failed", 503)
    assert workshop.says("visitor", "hours") == ["From 9 to 5."]


def test_a_connector_that_hangs_delays_nobody_else(workshop: Workshop) -> None:
    """More calls hang than are under way at once at one origin, and everybody else in both partitions is answered meanwhile."""
    workshop.all()
    workshop.shop.holding.add("find")
    for number in range(12):
        workshop.says(f"stuck-{number}", BOOKING, "affirm")
    assert workshop.shop.entered.wait(20)
    for number in range(20):
        assert workshop.says(f"free-{number}", "greet", "hours") == ["Hello.", "From 9 to 5."]
    assert not returns(list(workshop.events()))
    workshop.shop.let_go.set()
    workshop.until(sent, 12)


def test_a_call_goes_on_after_a_restart_under_the_same_key(open_workshop: Callable[[], Workshop]) -> None:
    workshop = open_workshop()
    workshop.understanding()
    workshop.bot()
    workshop.says("visitor", BOOKING, "affirm")
    (call,) = workshop.until(calls)
    workshop = open_workshop()
    workshop.all()
    (message,) = workshop.until(sent)
    assert texts_of(message) == ["Which time?"]
    assert message.interaction_id == call.interaction_id
    workshop = open_workshop()
    workshop.all()
    assert workshop.says("visitor", "greet")
    assert len(returns(list(workshop.events()))) == 1
    assert len(workshop.shop.keys) == 1


def test_a_reminder_that_became_due_while_nothing_ran_is_said_once(open_workshop: Callable[[], Workshop]) -> None:
    workshop = open_workshop()
    workshop.all()
    booked(workshop, "visitor")
    for _ in range(2):
        workshop = open_workshop()
        workshop.understanding()
        workshop.bot()
        workshop.caller(clock=lambda: now_us() + 2 * HOUR_US)
        found = workshop.until(lambda events: [e for e in sent(events) if e.origin == "reminder"])
        assert [texts_of(event) for event in found] == [["Hello.", "Soon, Robin."]]
        workshop.says("visitor", "greet")
    assert len(due(list(workshop.events()))) == 1
    assert len([e for e in sent(list(workshop.events())) if e.origin == "reminder"]) == 1


def test_a_reminder_is_in_the_log_alone(open_workshop: Callable[[], Workshop], tmp_path: Path) -> None:
    workshop = open_workshop()
    workshop.all()
    booked(workshop, "visitor")
    workshop.stop()
    (tmp_path / "effects.db").unlink()
    workshop = open_workshop()
    workshop.understanding()
    workshop.bot()
    workshop.caller(clock=lambda: now_us() + 2 * HOUR_US)
    workshop.until(lambda events: [e for e in sent(events) if e.origin == "reminder"])
    assert [what for what, _ in workshop.shop.keys] == ["find", "book"]


def test_a_handover_is_on_record_and_the_bot_is_silent_after_it(workshop: Workshop) -> None:
    workshop.all()
    assert workshop.says("visitor", "agent") == ["(system_handover)"]
    assert workshop.says("visitor", "greet") == []
    (handed,) = [event for event in workshop.events() if isinstance(event, HandedOver)]
    assert (handed.queue, handed.ground) == ("counter", "asked_for")


def test_what_a_stranger_to_the_dialogue_returned_comes_to_nothing(workshop: Workshop) -> None:
    workshop.all()
    workshop.says("visitor", BOOKING, "affirm")
    workshop.until(sent)
    events = list(workshop.events())
    (came,) = returns(events)
    copy = workshop.mapper.to_stored_event(
        type(came)(
            originator_id=UUID(int=7),
            subject=came.subject,
            at_us=now_us(),
            channel="web",
            interaction_id=came.interaction_id,
            step=5,
            outcome="done",
            status=200,
            result="no JSON",
            duration_ms=1,
        )
    )
    partition = workshop.conversations.partition(partition_of(came.subject))
    partition.append([Commit.of((copy,), based_on=partition.catch_up())])
    workshop.says("visitor", "hours")
    assert len(sent(list(workshop.events()))) == 1


def test_an_understanding_that_cannot_be_read_stops_its_partition_by_name(workshop: Workshop) -> None:
    (interaction,) = workshop.write("visitor", "greet")
    subject = workshop.person("visitor")
    number = partition_of(subject)
    partition = workshop.conversations.partition(number)
    end = partition.catch_up()
    good = workshop.mapper.to_stored_event(
        Understood(
            originator_id=interaction,
            originator_version=2,
            subject=subject,
            at_us=1,
            channel="web",
            language="en",
            intent="greet",
            confidence=1.0,
            outcome="understood",
            model="m",
        )
    )
    damaged = type(good)(good.originator_id, good.originator_version, good.topic, good.state[:-1] + b"x")
    partition.append([Commit.of((damaged,), follower="nlu", after=-1, upto=end - 1)])
    bot = workshop.bot()
    for _ in range(400):
        if bot.stopped:
            break
        partition.advance(partition.next_offset, 20)
    assert bot.stopped[number].offset == end
    assert "greet" not in str(bot.stopped[number])
    assert partition.position("bot") == -1
