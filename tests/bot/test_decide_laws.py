"""Laws of the dialogue, for any sequence of what can be heard, with the town hall's own files: it answers, stays small, and repeats.

Messages, presses, results of calls (true, false and foreign), timers, handing back, pauses and languages come in any order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.assistant import Assistant
from bot.check import checked
from bot.decide import Decision, decide
from bot.state import FRAMES_MAX, STATE_BYTES_MAX, State
from bot.turn import REPLIES_MAX
from bot.understood import Entity, HandedBack, Heard, Ranked, Returned, TimerFired, Understood
from infra.assistants import SHIPPED
from tests.bot.small import MONDAY_US

TOWN_HALL: Assistant = checked(SHIPPED / "townhall")[0]
KINDS = (
    "document",
    "date",
    "part_of_day",
    "person",
    "reference",
    "street",
    "place",
    "problem",
    "level",
    "certificate",
    "unknown",
)
VALUES = (
    "passport",
    "2026-03-10",
    "1900-01-01",
    "morning",
    "A-00001",
    "rue du Stade",
    "pool",
    "pothole",
    "birth",
    "",
    "x" * 400,
)
TEXTS = st.sampled_from(
    ["oui", "non", "le premier", "2", "rue du Stade", "Camille Exemple", "", "\x00", "\ud800", "x" * 3_000]
)
RESULTS: tuple[Any, ...] = (
    {},
    {"slots": [{"id": "a", "start": "2026-03-10T09:00"}, {"id": "b", "start": "2026-03-11T09:00"}]},
    {"slots": []},
    {"reference": "A-00001", "start": "2026-03-10T09:00", "document": "passport", "name": "x"},
    {"slots": [{"id": "x" * 9_000, "start": 5}] * 5_000},
    {"household": [1], "garden": [2], "open": True, "spans": ["08:00-12:00"]},
)
MINUTES = st.sampled_from([0, 0, 0, 1, 45, 2_000])


def message(
    text: str, intent: str, confidence: float, entities: list[Entity], language: str, chosen: str | None
) -> Any:
    ranked = (Ranked(intent, confidence),)
    return "message", Understood("", 0, text, language, 0.9, ranked, tuple(entities), "web", chosen)


messages = st.builds(
    message,
    TEXTS | st.text(max_size=30),
    st.sampled_from([*sorted(TOWN_HALL.handled), "oos", ""]),
    st.sampled_from([0.95, 0.95, 0.95, 0.4, 0.1]),
    st.lists(
        st.builds(Entity, st.sampled_from(KINDS), st.sampled_from(VALUES), st.sampled_from(["", "x" * 30])), max_size=3
    ),
    st.sampled_from(["fr", "en", "de", ""]),
    st.none() | st.none() | st.sampled_from(["passport", "a", "street", "x" * 600]),
)
returns = st.builds(
    lambda outcome, result, right: ("returned", outcome, result, right),
    st.sampled_from([("done", 200), ("done", 201), ("failed", 404), ("failed", 409), ("timed_out", 0)]),
    st.sampled_from(RESULTS),
    st.sampled_from([True, True, True, False]),
)
timers = st.builds(lambda flow, slots: ("timer", flow, slots), st.sampled_from([*TOWN_HALL.flows, "gone"]), st.dictionaries(
    st.sampled_from([*TOWN_HALL.slots, "gone"]), st.sampled_from(VALUES), max_size=3
))  # fmt: skip
happenings = st.lists(
    st.tuples(messages | messages | returns | returns | timers | st.just(("back",)), MINUTES), max_size=25
)


def held(sequence: list[Any]) -> list[tuple[Heard, Decision]]:
    """Decides a sequence in order; results answer the call that was wanted last."""
    state, at_us, call = State(), MONDAY_US, ("none", 0)
    decided: list[tuple[Heard, Decision]] = []
    for number, (what, minutes) in enumerate(sequence):
        at_us += minutes * 60_000_000 + 1
        id = f"h{number}"
        heard: Heard
        if what[0] == "message":
            m = what[1]
            heard = Understood(
                id, at_us, m.text, m.language, m.language_confidence, m.intents, m.entities, m.channel, m.chosen
            )
        elif what[0] == "returned":
            (outcome, status), result, right = what[1:]
            heard = Returned(id, at_us, *(call if right else ("stranger", 3)), outcome, status, result)
        elif what[0] == "timer":
            heard = TimerFired(id, at_us, id, 0, what[1], what[2])
        else:
            heard = HandedBack(id, at_us)
        decision = decide(state, heard, TOWN_HALL)
        decided.append((heard, decision))
        state = State.from_bytes(decision.state.to_bytes())  # as it travels
        call = next(((e.interaction, e.step) for e in decision.effects if e.kind == "call"), call)
    return decided


@given(happenings)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_sequence_is_answered_and_leaves_a_small_state(sequence: list[Any]) -> None:
    before = State()
    for heard, decision in held(sequence):
        if isinstance(heard, Understood) and not decision.state.handed_over:
            waits_silently = not decision.replies and any(effect.kind == "call" for effect in decision.effects)
            assert decision.replies or waits_silently, heard
        assert len(decision.replies) <= REPLIES_MAX
        assert all(len(reply.text) <= 2_000 for reply in decision.replies)
        assert len(decision.state.to_bytes()) <= STATE_BYTES_MAX
        assert len(decision.state.frames) <= FRAMES_MAX
        first = decision.effects[0].step if decision.effects else 0
        assert [effect.step for effect in decision.effects] == list(range(first, first + len(decision.effects)))
        assert (
            first == (12 * (heard.step + 1) if isinstance(heard, Returned | TimerFired) else 0) or not decision.effects
        )
        assert bool(decision.replies) == any(effect.kind == "deliver" for effect in decision.effects)
        if before.handed_over and decision.state.handed_over:
            assert not decision.replies or isinstance(heard, TimerFired)
        before = decision.state


@given(happenings)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_replaying_a_conversation_says_and_wants_the_same(sequence: list[Any]) -> None:
    first, again = held(sequence), held(sequence)
    assert [(d.replies, d.effects, d.state.to_bytes()) for _, d in first] == [
        (d.replies, d.effects, d.state.to_bytes()) for _, d in again
    ]


@given(happenings)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_happened_a_person_can_always_stop(sequence: list[Any]) -> None:
    decided = held([*sequence, (("back",), 0)])
    state, at_us = decided[-1][1].state, decided[-1][0].at_us
    for number in range(FRAMES_MAX + 1):
        stop = Understood(f"s{number}", at_us + number, "stop", intents=(Ranked("cancel", 0.99),), channel="web")
        state, replies, _, _ = decide(state, stop, TOWN_HALL)
        assert replies
    assert state.frames == []


@pytest.mark.parametrize("turns", [4_000])
def test_a_long_conversation_costs_no_more_at_its_end(turns: int) -> None:
    state = State()
    sizes = []
    intents = [*sorted(TOWN_HALL.flow_of), "greet", "deny", "affirm", ""]
    for number in range(turns):
        entities = (Entity("street", f"rue {number} " + "x" * 80),)
        heard = Understood(
            f"m{number}",
            MONDAY_US + number,
            "x",
            intents=(Ranked(intents[number % len(intents)], 0.9),),
            entities=entities,
        )
        state = decide(state, heard, TOWN_HALL).state
        if number % 200 == 199:
            state.handed_over = ""
            sizes.append(len(state.to_bytes()))
    assert max(sizes[10:]) <= 1.2 * max(sizes[:10])


def test_the_town_hall_is_where_it_is_shipped() -> None:
    assert Path(SHIPPED / "townhall" / "assistant.yaml").is_file()
