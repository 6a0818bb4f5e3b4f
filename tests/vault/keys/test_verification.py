from __future__ import annotations

from uuid import UUID

import pytest

from tests.vault.keys.homes import JANUARY, PARTITIONS, Home, sealed_with, someone
from vault.keys import Claim, Give, KeyStore, Lift, Mention, Restrict, Withdraw, month_of


@pytest.fixture
def filled(store: KeyStore) -> KeyStore:
    people = store.resolve_many([("web", str(n)) for n in range(5)], partitions=PARTITIONS)
    for person in people:
        sealed_with(store, person)
    subject = someone(store, "0").subject
    store.enter_mentions([Mention("phone", "+33123456789", subject, UUID(int=1), JANUARY)])
    store.begin_model(UUID(int=9), [], JANUARY)
    return store


def problems(home: Home, damage: str, *values: object) -> list[str]:
    with home.sql() as c:
        c.execute("PRAGMA foreign_keys=OFF")
        c.execute(damage, values)
    return home.open().verify()


def test_nothing_is_wrong_with_a_store_in_use(filled: KeyStore, home: Home) -> None:
    subject = someone(filled, "0").subject
    filled.apply(0, 1, [Give(subject), Restrict(subject), Lift(subject), Withdraw(subject)])
    filled.link(subject, "email", "0@example.invalid")
    filled.erase(someone(filled, "1").subject, JANUARY, {})
    filled.expire(month_of(JANUARY))
    filled.rotate(home.backups)
    assert filled.verify() == []
    assert home.open(["service"]).verify() == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE key_grant SET wrapped = randomblob(60) WHERE purpose = 'service'", "the service grant of key"),
        ("UPDATE key_grant SET purpose = 'improvement' WHERE purpose = 'rights'", "the improvement grant of key"),
        ("UPDATE dek SET key_id = randomblob(32) WHERE month >= 0", "stands in another key's row"),
        ("UPDATE dek SET owner = randomblob(16) WHERE month >= 0", "belongs to nobody this key store knows"),
        ("DELETE FROM dek WHERE month >= 0", "10 grants are of no key"),
        ("UPDATE identity SET wrapped = randomblob(90)", "identity entry"),
        ("UPDATE identity SET keyed_subject = randomblob(16)", "does not open as it was wrapped"),
        ("DELETE FROM tie", "has no tie"),
        ("UPDATE tie SET wrapped = randomblob(60)", "tie "),
        ("DELETE FROM dek WHERE month = -1", "its case has no evidence key"),
        ("UPDATE mention SET wrapped = randomblob(60)", "mention "),
        ("UPDATE mention SET keyed_message = randomblob(16)", "does not open as it was wrapped"),
        ("DELETE FROM tie", "mention "),
        ("DELETE FROM model", "seals a model this key store does not know"),
        ("DELETE FROM dek WHERE month = -2", "has no key"),
        ("UPDATE note SET wrapped = randomblob(60)", "a note of kind register"),
        ("INSERT INTO fence SELECT owner, 0, 0 FROM dek WHERE month >= 0", "who was erased"),
    ],
)
def test_each_damage_is_told_with_what_to_do(filled: KeyStore, home: Home, damage: str, said: str) -> None:
    found = problems(home, damage)
    assert any(said in problem for problem in found)
    assert all("restore the key store from a" in problem for problem in found if not problem.startswith("and "))


def test_rows_swapped_between_two_people_are_told(filled: KeyStore, home: Home) -> None:
    found = problems(
        home,
        "UPDATE key_grant SET wrapped = (SELECT g.wrapped FROM key_grant g WHERE g.purpose = key_grant.purpose"
        " AND g.dek > key_grant.dek ORDER BY g.dek LIMIT 1)"
        " WHERE dek = (SELECT min(id) FROM dek WHERE month >= 0)",
    )
    assert len(found) == 2


def test_damage_that_this_process_cannot_see_is_left_to_who_can(filled: KeyStore, home: Home) -> None:
    damage = "UPDATE key_grant SET wrapped = randomblob(60) WHERE purpose = 'rights'"
    assert problems(home, damage)
    assert home.open(["service"]).verify() == []


def test_of_many_problems_the_first_are_told_and_the_rest_counted(store: KeyStore, home: Home) -> None:
    for person in store.resolve_many([("web", str(n)) for n in range(50)], partitions=PARTITIONS):
        sealed_with(store, person)
    found = problems(home, "UPDATE key_grant SET wrapped = randomblob(60) WHERE purpose = 'rights'")
    assert len(found) == 21
    assert found[-1] == "and 30 more like that"


def test_damaged_file_is_told(store: KeyStore, home: Home) -> None:
    for person in store.resolve_many([("web", str(n)) for n in range(200)], partitions=PARTITIONS):
        sealed_with(store, person)
    with home.sql() as c:
        (root,) = c.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'identity_of'").fetchone()
        (size,) = c.execute("PRAGMA page_size").fetchone()
    whole = home.file.read_bytes()
    at = (root - 1) * size
    home.file.write_bytes(whole[: at + 100] + bytes(size - 100) + whole[at + size :])
    (problem,) = home.open().verify()
    assert problem.endswith("is damaged; stop, and restore it from a backup")


def test_damaged_claims_are_told(store: KeyStore, home: Home) -> None:
    store.claim([Claim(n.to_bytes(16, "big"), UUID(int=n), 0, 0) for n in range(1_000)])
    store.close()
    whole = home.claims.read_bytes()
    home.claims.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    found = home.open().verify()
    assert len(found) == 1
    assert "claims.db are damaged" in found[0]


def test_problems_name_no_person(filled: KeyStore, home: Home) -> None:
    person = filled.find("web", "0")
    assert person is not None
    found = problems(home, "UPDATE identity SET wrapped = randomblob(90)") + problems(home, "DELETE FROM tie")
    assert not any(str(person.case) in problem or "web" in problem for problem in found)
