"""Tokens, rates and lanes by themselves, with a clock of the test's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from bot.gateway.lane import Lane
from bot.gateway.pages import origins_of
from bot.gateway.rate import SENDERS_MAX, Rate
from bot.gateway.token import HOUR_US, Refused, Tokens
from vault.errors import BadInput, LimitExceeded

SECRET = bytes(range(32))


class Clock:
    def __init__(self, now: int = 1_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


# Tokens


def test_a_token_says_its_conversation_to_every_process_of_the_home() -> None:
    conversation, token = Tokens(SECRET, hours=1, clock=Clock()).new()
    assert Tokens(SECRET, hours=1, clock=Clock()).use(token) == conversation


def test_the_token_of_another_home_is_foreign() -> None:
    _, token = Tokens(bytes(32), hours=1, clock=Clock()).new()
    assert Tokens(SECRET, hours=1, clock=Clock()).use(token) is Refused.FOREIGN


def test_a_token_with_any_character_changed_or_cut_is_foreign() -> None:
    tokens = Tokens(SECRET, hours=1, clock=Clock())
    conversation, token = tokens.new()
    for at, character in enumerate(token):
        assert tokens.use(token[:at] + ("A" if character != "A" else "B") + token[at + 1 :]) is Refused.FOREIGN
        assert tokens.use(token[:at]) is Refused.FOREIGN
    assert tokens.use(token) == conversation


@pytest.mark.parametrize("token", ["", "=", "é" * 20, "\ud800", "A" * 100_000, "AQ" * 20])
def test_what_is_no_token_is_foreign(token: str) -> None:
    assert Tokens(SECRET, hours=1, clock=Clock()).use(token) is Refused.FOREIGN


def test_a_token_expires_by_its_hours() -> None:
    clock = Clock()
    tokens = Tokens(SECRET, hours=2, clock=clock)
    conversation, token = tokens.new()
    clock.now += 2 * HOUR_US
    assert tokens.use(token) == conversation
    clock.now += 1
    assert tokens.use(token) is Refused.EXPIRED


def test_a_token_works_until_a_later_one_was_used() -> None:
    tokens = Tokens(SECRET, hours=1, clock=Clock())
    conversation, first = tokens.new()
    assert tokens.use(first) == conversation
    second = tokens.issue(conversation)
    assert tokens.use(first) == conversation
    assert tokens.use(second) == conversation
    assert tokens.use(first) is Refused.REPLACED
    assert tokens.use(second) == conversation


def test_no_token_of_a_conversation_that_ended_works() -> None:
    tokens = Tokens(SECRET, hours=1, clock=Clock())
    conversation, token = tokens.new()
    tokens.end(conversation)
    assert tokens.use(token) is Refused.REPLACED


# Rates


def test_a_sender_may_write_a_few_messages_at_once_and_then_one_as_the_bucket_fills() -> None:
    clock = Clock(0)
    rate = Rate(burst=3, minute=60, clock=clock)
    assert [rate.wait_s("web", "a") for _ in range(4)] == [0, 0, 0, pytest.approx(1)]
    assert rate.wait_s("web", "b") == 0
    assert rate.wait_s("rest", "a") == 0
    clock.now += 1
    assert rate.wait_s("web", "a") == 0
    assert rate.wait_s("web", "a") > 0


def test_refused_messages_do_not_put_off_the_next_that_is_taken() -> None:
    clock = Clock(0)
    rate = Rate(burst=1, minute=60, clock=clock)
    rate.wait_s("a")
    for _ in range(100):
        assert rate.wait_s("a") == pytest.approx(1)
    clock.now += 1
    assert rate.wait_s("a") == 0


def test_the_senders_that_are_remembered_are_bounded() -> None:
    rate = Rate(burst=1, minute=1, clock=Clock(0))
    for number in range(SENDERS_MAX + 10):
        rate.wait_s(str(number))
    assert len(rate._buckets) == SENDERS_MAX


# Lanes


def test_what_arrives_while_a_batch_is_under_way_is_the_next_batch() -> None:
    batches: list[int] = []
    go_on = threading.Event()

    def work(batch: Sequence[int]) -> Sequence[int]:
        assert go_on.wait(20)
        batches.append(len(batch))
        return [item * 2 for item in batch]

    async def run() -> list[int]:
        lane: Lane[int, int] = Lane("test", work, at_once=50, waiting_max=100)
        first = lane.put(0)
        await asyncio.sleep(0)  # the first is begun
        later = [lane.put(number) for number in range(1, 81)]
        go_on.set()
        results = await asyncio.gather(first, *later)
        await lane.close()
        return list(results)

    assert asyncio.run(run()) == [2 * number for number in range(81)]
    assert batches == [1, 50, 30]


def test_a_lane_takes_no_more_than_its_limit() -> None:
    go_on = threading.Event()

    def work(batch: Sequence[int]) -> Sequence[int]:
        assert go_on.wait(20)
        return list(batch)

    async def run() -> None:
        lane: Lane[int, int] = Lane("test", work, at_once=2, waiting_max=3)
        held = [lane.put(0)]
        await asyncio.sleep(0)
        held += [lane.put(number) for number in range(3)]
        with pytest.raises(LimitExceeded, match="3 wait for test"):
            lane.put(4)
        go_on.set()
        await asyncio.gather(*held)
        await lane.close()

    asyncio.run(run())


def test_an_item_that_fails_fails_alone_and_a_batch_that_fails_fails_whole() -> None:
    def work(batch: Sequence[str]) -> Sequence[str | Exception]:
        if "all" in batch:
            raise ValueError
        return [BadInput("no") if item == "one" else item for item in batch]

    async def run() -> None:
        lane: Lane[str, str] = Lane("test", work, at_once=9, waiting_max=9)
        found = await asyncio.gather(*map(lane.put, ("a", "one", "b")), return_exceptions=True)
        assert [type(each) for each in found] == [str, BadInput, str]
        found = await asyncio.gather(*map(lane.put, ("a", "all")), return_exceptions=True)
        assert [type(each) for each in found] == [ValueError, ValueError]
        assert await lane.put("c") == "c"
        await lane.close()

    asyncio.run(run())


# Origins


@pytest.mark.parametrize(
    "text", ["https://a.example/", "a.example", "https://A.example", "https://a.example;x", "javascript:1", "*"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="an origin is"):
        origins_of(text)


def test_origins_are_separated_by_spaces() -> None:
    assert origins_of(" https://a.example http://127.0.0.1:80 ") == ("https://a.example", "http://127.0.0.1:80")
