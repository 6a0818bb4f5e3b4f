"""What people typed: findable by whoever knows the whole value, and gone with the person, the message or the month."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from tests.vault.keys.homes import JANUARY, MONTH, Home, run, someone
from vault.errors import KeysUnavailable, KeyTampered, KeyWithheld
from vault.keys import KeyStore, Mention, Person, Restrict, month_of
from vault.keys import mentions as mentions_module

EMAIL = "someone@example.invalid"


def typed(person: Person, message: int = 1, value: str = EMAIL, at_us: int = JANUARY) -> Mention:
    return Mention("email", value, person.subject, UUID(int=message), at_us)


def subjects(store: KeyStore, value: str = EMAIL) -> set[UUID]:
    return {person.subject for person in store.mentioned("email", value)}


def test_who_typed_a_value_is_found_once_and_by_the_whole_value_only(store: KeyStore, home: Home) -> None:
    one, other = someone(store, "1"), someone(store, "2")
    assert store.enter_mentions([typed(one), typed(one, 2), typed(other, 3), typed(other, 4, "x@example.invalid")]) == 4
    assert store.mentioned("email", EMAIL) == store.mentioned("email", EMAIL)
    assert subjects(store) == {one.subject, other.subject}
    assert {person.case for person in home.open().mentioned("email", EMAIL)} == {one.case, other.case}
    assert subjects(store, EMAIL[1:]) == set()
    assert store.mentioned("phone", EMAIL) == []


def test_a_mention_is_no_identity(store: KeyStore) -> None:
    store.enter_mentions([typed(someone(store))])
    assert store.find("email", EMAIL) is None
    assert store.resolve("email", EMAIL, partitions=1).created


def test_entering_again_changes_nothing_and_asks_for_no_transaction(store: KeyStore, home: Home) -> None:
    person = someone(store)
    assert store.enter_mentions([typed(person), typed(person)]) == 1
    before = home.rows("SELECT * FROM mention")
    asked: list[str] = []
    store._database._connection.set_trace_callback(asked.append)
    assert store.enter_mentions([typed(person)]) == 0
    assert store.enter_mentions([]) == 0
    assert not any(statement.startswith("BEGIN") for statement in asked)
    assert home.rows("SELECT * FROM mention") == before


def test_the_value_stands_nowhere_and_rows_say_neither_who_nor_which_message(store: KeyStore, home: Home) -> None:
    person = someone(store)
    message = UUID("11111111-2222-3333-4444-555555555555")
    store.enter_mentions([Mention("email", EMAIL, person.subject, message, JANUARY)])
    ((*row, _),) = home.rows("SELECT entry, keyed_message, keyed_subject, month, epoch, wrapped FROM mention")
    assert row[3:] == [month_of(JANUARY), 1]
    written = home.file.read_bytes()
    assert EMAIL.encode() not in written
    assert message.bytes not in written
    assert person.subject.bytes not in written


def test_nothing_is_entered_of_who_is_erased_or_unknown(store: KeyStore) -> None:
    erased, other = someone(store, "1"), someone(store, "2")
    store.erase(erased.subject, JANUARY, {})
    nobody = Person(UUID(int=5), UUID(int=6))
    assert store.enter_mentions([typed(erased, 1), typed(nobody, 2), typed(other, 3)]) == 1
    assert subjects(store) == {other.subject}


def test_erasure_takes_the_mentions_with_it_and_leaves_no_bytes(store: KeyStore, home: Home) -> None:
    person, other = someone(store, "1"), someone(store, "2")
    store.enter_mentions([typed(person), typed(other, 2)])
    rows = home.rows("SELECT keyed_message, wrapped FROM mention ORDER BY keyed_message")
    store.erase(person.subject, JANUARY, {})
    assert subjects(store) == {other.subject}
    written = home.file.read_bytes()
    assert sorted(wrapped in written for _, wrapped in rows) == [False, True]


def test_erasure_and_entering_at_once_leave_nothing_whoever_is_first(store: KeyStore) -> None:
    for number in range(20):
        person = someone(store, str(number))
        starts = threading.Barrier(2)

        def enter(person: Person = person, starts: threading.Barrier = starts, number: int = number) -> None:
            starts.wait()
            store.enter_mentions([typed(person, number)])

        thread = threading.Thread(target=enter)
        thread.start()
        starts.wait()
        store.erase(person.subject, JANUARY, {})
        thread.join()
    assert subjects(store) == set()
    assert store.verify() == []


@pytest.mark.parametrize("point", [5, 9, 13])
def test_an_erasure_that_is_killed_leaves_all_of_it_or_none(store: KeyStore, home: Home, point: int) -> None:
    person = someone(store)
    store.enter_mentions([typed(person, number) for number in range(5)])
    store.close()
    run(home, "erase", name="sender-1", point=point)
    opened = home.open()
    erased = opened.fenced(person.subject) is not None
    assert home.rows("SELECT count(*) FROM mention") == [(0 if erased else 5,)]
    assert (subjects(opened) == set()) is erased
    assert opened.verify() == []


def test_a_redacted_message_is_forgotten_and_no_other(store: KeyStore) -> None:
    person = someone(store)
    store.enter_mentions([typed(person, 1), typed(person, 2), typed(person, 1, "x@example.invalid")])
    store.redact(person.subject, UUID(int=1), JANUARY)
    assert subjects(store, "x@example.invalid") == set()
    assert subjects(store) == {person.subject}
    store.redact(person.subject, UUID(int=2), JANUARY)
    assert subjects(store) == set()


def test_a_late_worker_enters_nothing_of_a_message_that_was_redacted(store: KeyStore, home: Home) -> None:
    person, other = someone(store, "1"), someone(store, "2")
    store.redact(person.subject, UUID(int=1), JANUARY)
    store.redact(person.subject, UUID(int=1), JANUARY)
    store.redact(other.subject, UUID(int=3), JANUARY)
    assert home.open().enter_mentions([typed(person, 1), typed(person, 2), typed(person, 3)]) == 2
    store.erase(person.subject, JANUARY, {})
    store.redact(person.subject, UUID(int=4), JANUARY)
    assert home.rows("SELECT count(*) FROM redacted") == [(1,)]
    store.expire(month_of(JANUARY + MONTH))
    assert home.rows("SELECT count(*) FROM redacted") == [(0,)]


def test_what_was_typed_in_a_month_goes_with_its_retention(store: KeyStore) -> None:
    person = someone(store)
    store.enter_mentions([typed(person, 1), typed(person, 2, "x@example.invalid", JANUARY + MONTH)])
    store.expire(month_of(JANUARY + MONTH))
    assert subjects(store) == set()
    assert subjects(store, "x@example.invalid") == {person.subject}


def test_who_is_restricted_can_still_be_found(store: KeyStore) -> None:
    person = someone(store)
    store.enter_mentions([typed(person)])
    store.apply(0, 1, [Restrict(person.subject, JANUARY)])
    assert subjects(store) == {person.subject}


def test_a_row_that_was_changed_or_moved_is_refused(store: KeyStore, home: Home) -> None:
    store.enter_mentions([typed(someone(store, "1"), 1), typed(someone(store, "2"), 2, "x@example.invalid")])
    (one, first), (other, second) = home.rows("SELECT entry, wrapped FROM mention")
    with home.sql() as c:
        c.executemany("UPDATE mention SET wrapped = ? WHERE entry = ?", [(second, one), (first, other)])
    for value in (EMAIL, "x@example.invalid"):
        with pytest.raises(KeyTampered):
            store.mentioned("email", value)


def test_a_process_without_the_identity_keys_can_neither_enter_nor_find(store: KeyStore, home: Home) -> None:
    person = someone(store)
    store.enter_mentions([typed(person)])
    without = home.open(["service", "improvement"])
    with pytest.raises(KeyWithheld):
        without.mentioned("email", EMAIL)
    with pytest.raises(KeyWithheld):
        without.enter_mentions([typed(person, 2)])


def test_somebody_who_types_without_end_fills_no_more_than_their_share(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mentions_module, "MENTIONS_MAX", 7)
    flooding, other = someone(store, "1"), someone(store, "2")
    batch = [typed(flooding, n, f"{n}@example.invalid") for n in range(5)]
    assert store.enter_mentions([*batch, typed(other, 100)]) == 6
    assert store.enter_mentions([typed(flooding, n, f"{n}@example.invalid") for n in range(5, 30)]) == 2
    assert subjects(store) == {other.subject}


def test_a_batch_that_fails_enters_nothing(store: KeyStore, home: Home) -> None:
    people = [someone(store, str(n)) for n in range(4)]
    with home.sql() as c:
        c.execute(
            "CREATE TRIGGER full BEFORE INSERT ON mention WHEN (SELECT count(*) FROM mention) = 2"
            " BEGIN SELECT RAISE(ABORT, ''); END"
        )
    with pytest.raises(KeysUnavailable):
        store.enter_mentions([typed(person, n) for n, person in enumerate(people)])
    assert subjects(store) == set()


def test_whatever_was_typed_can_be_entered_and_found(store: KeyStore) -> None:
    person = someone(store)
    hostile = ["", "\x00", "a" * 5_000, "é\u202e@\U0001f511", "\ud800@", "'; DROP TABLE mention; --"]
    assert store.enter_mentions([typed(person, n, value) for n, value in enumerate(hostile)]) == len(hostile)
    assert all(subjects(store, value) == {person.subject} for value in hostile)
