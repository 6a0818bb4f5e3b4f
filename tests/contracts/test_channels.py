"""What every channel holds to: a message is stored and answered once, however often, in whatever order and whenever it comes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import pytest

from infra.settings import Settings
from tests.answering import LATER, Answering
from tests.contracts.channels import DRIVERS, Driver
from vault.interaction import Delivered, Erased, Received
from vault.keys import Claim

HORIZON = 16
PARTITIONS = 2


@dataclass
class Place:
    """A home that is answering, and can be stopped and started. Tests share it: each has words and senders of its own."""

    settings: Settings
    home: Answering

    def restart(self) -> Answering:
        self.home.close()
        self.home = Answering(self.settings)
        return self.home


@pytest.fixture(scope="module", params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    log = "sqlite"
    if request.param == "kafka":
        log = f"kafka://{request.getfixturevalue('broker').bootstrap}/test-{uuid4().hex[:12]}"
    settings = Settings(
        home=tmp_path_factory.mktemp("channels") / "home",
        log=log,
        log_partitions=PARTITIONS,
        log_horizon_records=HORIZON,
        gateway_port=0,
        gateway_burst_messages=1_000,
    )
    made = Place(settings, Answering(settings))
    yield made
    made.home.close()


@pytest.fixture(params=DRIVERS, ids=[driver.name for driver in DRIVERS])
def channel(request: pytest.FixtureRequest) -> Driver:
    made: Driver = request.param()
    return made


@pytest.fixture
def own() -> str:
    """A word that no other test says."""
    return f"word-{uuid4().hex[:8]}"


def test_a_message_is_stored_answered_and_delivered_once(place: Place, channel: Driver, own: str) -> None:
    home = place.home
    assert channel.say(home, own, "m1", f"{own} hello")
    home.until(lambda: home.about(f"{own} hello") == (1, 1, 1))
    (received,) = (e for e in home.events() if isinstance(e, Received) and e.text == f"{own} hello")
    assert received.channel == channel.name
    assert channel.replies(home, "a") in ([f"you said: {own} hello"], [])


def test_the_same_message_twice_is_stored_once_and_answered_the_same(place: Place, channel: Driver, own: str) -> None:
    home = place.home
    assert [channel.say(home, own, "m1", f"{own} hello") for _ in range(3)] == [True, True, True]
    assert channel.say(home, own, "m2", f"{own} goodbye")
    home.until(lambda: home.about(f"{own} goodbye") == (1, 1, 1))
    assert home.about(f"{own} hello") == (1, 1, 1)


def test_another_message_under_the_same_id_is_refused_and_not_stored(place: Place, channel: Driver, own: str) -> None:
    home = place.home
    assert channel.say(home, own, "m1", f"{own} hello")
    assert not channel.say(home, own, "m1", f"{own} something else")
    assert home.about(f"{own} something else") == (0, 0, 0)


def test_messages_that_come_out_of_order_are_each_stored_once(place: Place, channel: Driver, own: str) -> None:
    home = place.home
    assert channel.say(home, own, "m2", f"{own} second")
    assert channel.say(home, own, "m1", f"{own} first")
    assert channel.say(home, own, "m2", f"{own} second")
    assert channel.say(home, own, "m1", f"{own} first")
    home.until(lambda: home.about(f"{own} first") == home.about(f"{own} second") == (1, 1, 1))


def test_the_same_message_many_times_at_once_is_stored_and_answered_once(
    place: Place, channel: Driver, own: str
) -> None:
    home = place.home
    assert channel.say(home, own, "m0", f"{own} begin")
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: channel.say(home, own, "m1", f"{own} hello"), range(8)))
    assert said == [True] * 8
    home.until(lambda: home.about(f"{own} hello") == (1, 1, 1))


def test_a_message_whose_first_taker_crashed_before_it_was_appended_is_stored_once(
    place: Place, channel: Driver, own: str
) -> None:
    home = place.home
    assert channel.say(home, own, "m0", f"{own} begin")
    (received,) = (e for e in home.events() if isinstance(e, Received) and e.text == f"{own} begin")
    keys = home.house.keys
    claim_id = keys.claim_id(received.channel, received.account, received.sender, "m1")
    number = home.house.conversations.partition(received.subject.int >> 112)
    keys.claim([Claim(claim_id, keys.interaction_id(claim_id, received.subject), number.partition, number.next_offset)])
    home = place.restart()
    assert channel.say(home, own, "m1", f"{own} hello")
    assert channel.say(home, own, "m1", f"{own} hello")
    home.until(lambda: home.about(f"{own} hello") == (1, 1, 1))


def test_a_message_that_is_repeated_after_a_week_and_a_restart_is_answered_the_same_and_stored_once(
    place: Place, channel: Driver, own: str
) -> None:
    home = place.home
    assert channel.say(home, own, "m1", f"{own} hello")
    home.until(lambda: home.about(f"{own} hello") == (1, 1, 1))
    for number in range(
        HORIZON // 2
    ):  # each is two records at least, so that the log does not know the first by its window
        assert channel.say(home, own, f"n{number}", f"{own} more {number}")
    home = place.restart()
    assert channel.say(home, own, "m1", f"{own} hello")
    assert channel.say(home, own, "m2", f"{own} goodbye")
    home.until(lambda: home.about(f"{own} goodbye") == (1, 1, 1))
    assert home.about(f"{own} hello") == (1, 1, 1)


def test_after_an_erasure_the_sender_is_somebody_new_and_nothing_comes_back(
    place: Place, channel: Driver, own: str
) -> None:
    home = place.home
    assert channel.say(home, own, "m1", f"{own} hello")
    (before,) = home.subjects(f"{own} hello")
    home.house.registrar.erase(before, ground="asked", decided_by="test")
    channel.say(home, own, "m1", f"{own} hello")
    channel.say(home, own, "m1", f"{own} hello")
    assert home.about(f"{own} hello")[0] <= 1
    assert channel.say(home, own, "m2", f"{own} goodbye")
    assert channel.say(home, own, "m2", f"{own} goodbye")
    home.until(lambda: home.about(f"{own} goodbye") == (1, 1, 1))
    assert before not in home.subjects(f"{own} goodbye")
    assert before not in {event.subject for event in home.events() if not isinstance(event, Erased)}


def test_what_comes_after_a_call_is_part_of_the_answer_and_each_part_is_delivered_once(
    place: Place, channel: Driver, own: str
) -> None:
    home = place.home
    assert channel.say(home, own, "m1", f"{LATER} {own}")
    home.until(lambda: home.about(f"{LATER} {own}") == (1, 1, 1))
    said = {e.originator_id for e in home.events() if isinstance(e, Received) and e.text == f"{LATER} {own}"}
    (delivered,) = (e for e in home.events() if isinstance(e, Delivered) and e.interaction_id in said)
    assert delivered.outcome == "delivered"
