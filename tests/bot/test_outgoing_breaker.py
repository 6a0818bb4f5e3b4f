"""When a circuit opens, is tried and closes."""

from __future__ import annotations

import pytest

from bot.outgoing.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, open_s=10.0, clock=clock)


def attempt(breaker: Breaker, alive: bool | None) -> bool:
    """Whether it was let through."""
    ticket = breaker.enter()
    if ticket is not None:
        breaker.leave(ticket, alive)
    return ticket is not None


def test_it_opens_after_failures_in_a_row_only(breaker: Breaker) -> None:
    for alive in (False, False, True, False, False, None):
        assert attempt(breaker, alive)
    assert not breaker.is_open
    assert attempt(breaker, False)
    assert breaker.is_open
    assert not attempt(breaker, True)


def test_when_its_time_is_over_one_trial_is_let_through_and_closes_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        attempt(breaker, False)
    clock.now = 9.99
    assert breaker.enter() is None
    clock.now = 10.0
    trial = breaker.enter()
    assert trial is not None
    assert breaker.enter() is None
    breaker.leave(trial, True)
    assert not breaker.is_open
    assert attempt(breaker, False)
    assert attempt(breaker, False)
    assert not breaker.is_open


def test_a_trial_that_fails_opens_it_for_as_long_again(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        attempt(breaker, False)
    clock.now = 10.0
    assert attempt(breaker, False)
    clock.now = 19.99
    assert not attempt(breaker, True)
    clock.now = 20.0
    assert attempt(breaker, True)
    assert not breaker.is_open


def test_a_trial_that_says_nothing_leaves_the_place_to_another(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        attempt(breaker, False)
    clock.now = 10.0
    assert attempt(breaker, None)
    assert breaker.is_open
    assert attempt(breaker, True)
    assert not breaker.is_open


def test_what_began_before_it_opened_decides_nothing_later(breaker: Breaker, clock: Clock) -> None:
    late_success, late_failure = breaker.enter(), breaker.enter()
    assert late_success is not None
    assert late_failure is not None
    for _ in range(3):
        attempt(breaker, False)
    breaker.leave(late_success, True)
    assert breaker.is_open
    clock.now = 10.0
    trial = breaker.enter()
    assert trial is not None
    breaker.leave(late_failure, False)
    assert breaker.enter() is None  # the trial is still on
    breaker.leave(trial, True)
    assert not breaker.is_open
