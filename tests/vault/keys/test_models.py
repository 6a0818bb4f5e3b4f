"""Models that were trained on people: made only of who agrees, stale as soon as one does not, and ended for good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.vault.keys.homes import JANUARY, MONTH, Home, run, sealed_with, someone
from vault.keys import (
    IMPROVEMENT,
    PURPOSES,
    EraseApplied,
    Give,
    KeyStore,
    Lift,
    Lost,
    ModelStanding,
    Person,
    Restrict,
    Source,
    Unreadable,
    Withdraw,
    month_of,
)
from vault.seal import Dek

MODEL = UUID(int=99)
LATER = JANUARY + 1_000_000


def consented(store: KeyStore, name: str) -> Person:
    person = someone(store, name)
    store.apply(0, store.applied(0) + 1, [Give(person.subject)])
    return person


def source(store: KeyStore, person: Person, message: int = 1, month: int = 0) -> Source:
    dek = sealed_with(store, person, month)
    return Source(person.subject, UUID(int=message), dek.key_id, JANUARY + month * MONTH)


def learnt(store: KeyStore, *sources: Source, model: UUID = MODEL) -> Dek:
    dek = store.begin_model(model, sources, JANUARY)
    assert isinstance(dek, Dek)
    return dek


def opens(store: KeyStore, dek: Dek, model: UUID = MODEL) -> bool:
    return isinstance(store.granted(dek.key_id, model, IMPROVEMENT), Dek)


def test_a_models_key_opens_for_improvement_only(store: KeyStore, home: Home) -> None:
    dek = learnt(store, source(store, consented(store, "1")))
    assert opens(store, dek)
    assert store.model(MODEL) == ModelStanding(MODEL, JANUARY, None)
    assert store.granted(dek.key_id, MODEL, "service") is Unreadable.WITHHELD
    without = home.open([purpose for purpose in PURPOSES if purpose != IMPROVEMENT])
    assert not opens(without, dek)
    assert without.model(MODEL) == store.model(MODEL)
    assert store.verify() == []


Leaving = Callable[[KeyStore, Person], object]


def change(store: KeyStore, one: object) -> None:
    store.apply(0, store.applied(0) + 1, [one])  # type: ignore[list-item]


WAYS_TO_LEAVE: list[tuple[str, Leaving]] = [
    ("withdraws", lambda store, person: change(store, Withdraw(person.subject, IMPROVEMENT, LATER))),
    ("is restricted", lambda store, person: change(store, Restrict(person.subject, LATER))),
    ("is erased", lambda store, person: store.erase(person.subject, LATER, {})),
    ("is erased elsewhere", lambda store, person: change(store, EraseApplied(person.subject, LATER))),
    ("has a message redacted", lambda store, person: store.redact(person.subject, UUID(int=1), LATER)),
]


@pytest.mark.parametrize("leaves", [way for _, way in WAYS_TO_LEAVE], ids=[name for name, _ in WAYS_TO_LEAVE])
def test_a_model_is_stale_as_soon_as_somebody_it_learnt_from_leaves(store: KeyStore, leaves: Leaving) -> None:
    person, other = consented(store, "1"), consented(store, "2")
    dek = learnt(store, source(store, person, 1), source(store, other, 2))
    learnt(store, source(store, other, 2), model=UUID(int=100))
    leaves(store, person)
    assert store.models() == [ModelStanding(MODEL, JANUARY, LATER), ModelStanding(UUID(int=100), JANUARY, None)]
    assert opens(store, dek)
    assert store.verify() == []


@pytest.mark.parametrize("leaves", [way for _, way in WAYS_TO_LEAVE], ids=[name for name, _ in WAYS_TO_LEAVE])
def test_no_model_is_made_of_who_left_while_it_was_being_trained(store: KeyStore, home: Home, leaves: Leaving) -> None:
    person, other = consented(store, "1"), consented(store, "2")
    theirs, stays = source(store, person, 1), source(store, other, 2)
    leaves(store, person)
    assert store.begin_model(MODEL, [theirs, stays], JANUARY) == Lost(frozenset([theirs]))
    assert store.models() == []
    assert home.rows("SELECT count(*) FROM dek WHERE month = -2") == [(0,)]


def test_consent_given_again_does_not_bring_what_was_said_before_back(store: KeyStore) -> None:
    person = consented(store, "1")
    before = source(store, person)
    change(store, Withdraw(person.subject, IMPROVEMENT, LATER))
    change(store, Give(person.subject))
    since = source(store, person, 2)
    assert store.begin_model(MODEL, [before, since], JANUARY) == Lost(frozenset([before]))
    assert isinstance(store.begin_model(MODEL, [since], JANUARY), Dek)


def test_a_source_under_somebody_elses_name_or_key_is_none(store: KeyStore) -> None:
    one, other = source(store, consented(store, "1")), source(store, consented(store, "2"))
    forged = one._replace(subject=other.subject)
    assert store.begin_model(MODEL, [forged], JANUARY) == Lost(frozenset([forged]))


def test_a_model_stays_stale_and_since_the_first_who_left(store: KeyStore) -> None:
    people = [consented(store, str(n)) for n in range(3)]
    learnt(store, *(source(store, person, n) for n, person in enumerate(people)))
    change(store, Restrict(people[0].subject, LATER))
    change(store, Lift(people[0].subject))
    assert store.models() == [ModelStanding(MODEL, JANUARY, LATER)]
    store.erase(people[1].subject, LATER + 5, {})
    assert store.models() == [ModelStanding(MODEL, JANUARY, LATER)]
    change(store, Withdraw(people[2].subject, IMPROVEMENT, LATER - 5))
    assert store.models() == [ModelStanding(MODEL, JANUARY, LATER - 5)]


def test_a_model_of_months_whose_retention_is_over_is_stale(store: KeyStore, home: Home) -> None:
    person = consented(store, "1")
    learnt(store, source(store, person, 1, month=1))
    store.expire(month_of(JANUARY + MONTH))
    assert store.models() == [ModelStanding(MODEL, JANUARY, None)]
    store.expire(month_of(JANUARY + 2 * MONTH))
    assert store.models() == [ModelStanding(MODEL, JANUARY, int(home.now.seconds * 1e6))]


def test_erasure_leaves_nothing_that_says_who_was_in_a_model(store: KeyStore, home: Home) -> None:
    person = consented(store, "1")
    learnt(store, source(store, person))
    ((message, subject),) = home.rows("SELECT keyed_message, keyed_subject FROM learnt_from")
    store.erase(person.subject, LATER, {})
    assert home.rows("SELECT * FROM learnt_from") == []
    written = home.file.read_bytes()
    assert message not in written
    assert subject not in written


def test_a_model_whose_time_is_over_opens_nowhere_any_more(store: KeyStore, home: Home) -> None:
    person, other = consented(store, "1"), consented(store, "2")
    dek = learnt(store, source(store, person))
    stays = learnt(store, source(store, other), model=UUID(int=100))
    elsewhere = home.open()
    store.erase(person.subject, LATER, {})
    assert store.end_stale_models(LATER) == []
    assert store.end_stale_models(LATER + 1) == [MODEL]
    assert store.end_stale_models(LATER + 1) == []
    for each in (store, elsewhere):
        assert each.model(MODEL) is None
        assert each.granted(dek.key_id, MODEL, IMPROVEMENT) is Unreadable.MISSING
        assert opens(each, stays, UUID(int=100))
    store.end_model(UUID(int=100))
    store.end_model(UUID(int=100))
    assert store.models() == []
    assert home.rows("SELECT count(*) FROM learnt_from") == [(0,)]
    assert store.verify() == []


def test_a_rotation_keeps_a_living_model_and_a_copy_from_before_opens_none(store: KeyStore, home: Home) -> None:
    person = consented(store, "1")
    dek = learnt(store, source(store, person))
    store.rotate(home.backups)
    assert opens(store, dek)
    assert opens(home.open(), dek)
    assert store.verify() == []


def test_a_key_store_restored_from_before_a_model_does_not_open_it(store: KeyStore, home: Home) -> None:
    person = consented(store, "1")
    theirs = source(store, person)
    shutil.copyfile(home.file, home.path / "before.db")
    dek = learnt(store, theirs)
    store.close()
    restored = home.open(file=home.path / "before.db")
    assert restored.model(MODEL) is None
    assert restored.granted(dek.key_id, MODEL, IMPROVEMENT) is Unreadable.MISSING


def test_a_key_store_restored_from_before_an_erasure_is_stale_once_the_register_is_applied(
    store: KeyStore, home: Home
) -> None:
    person = consented(store, "1")
    learnt(store, source(store, person))
    shutil.copyfile(home.file, home.path / "before.db")
    store.erase(person.subject, LATER, {})
    store.close()
    restored = home.open(file=home.path / "before.db")
    assert restored.models() == [ModelStanding(MODEL, JANUARY, None)]
    change(restored, EraseApplied(person.subject, LATER))
    assert restored.models() == [ModelStanding(MODEL, JANUARY, LATER)]


@pytest.mark.parametrize("point", [5, 9, 13])
def test_an_erasure_that_is_killed_has_made_the_model_stale_or_has_not_begun(
    store: KeyStore, home: Home, point: int
) -> None:
    person = consented(store, "sender-1")
    learnt(store, source(store, person))
    store.close()
    run(home, "erase", name="sender-1", point=point)
    opened = home.open()
    (standing,) = opened.models()
    assert (standing.stale_us is not None) is (opened.fenced(person.subject) is not None)
