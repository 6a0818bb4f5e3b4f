from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.vault.keys.homes import DAY_S, Home, Process
from vault.errors import HomeNewer, KeysUnavailable, StartRefused
from vault.keys import NEW_CLAIM, Claim, ClaimState, KeyStore

FIRST, SECOND = UUID(int=1), UUID(int=2)


def a_claim(name: int, originator: UUID = FIRST, end: int = 5) -> Claim:
    return Claim(name.to_bytes(16, "big"), originator, 3, end)


def pending(claim: Claim) -> ClaimState:
    """What the table holds after a claim was made."""
    return ClaimState(False, False, claim.originator, claim.partition, claim.end)


def done(claim: Claim) -> ClaimState:
    return ClaimState(False, True, claim.originator, claim.partition, claim.end)


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends, "did not come about within 10 s"


def test_first_claimer_gets_it_and_others_learn_what_is_known(store: KeyStore, home: Home) -> None:
    assert store.claim([a_claim(1)]) == [NEW_CLAIM]
    assert store.claim([a_claim(1, SECOND, 9)]) == [pending(a_claim(1))]
    assert home.open().claim([a_claim(1, SECOND)]) == [pending(a_claim(1))]


def test_batch_may_hold_known_and_new_and_the_same_twice(store: KeyStore) -> None:
    store.claim([a_claim(1)])
    states = store.claim([a_claim(2), a_claim(1, SECOND), a_claim(2, SECOND)])
    assert states == [NEW_CLAIM, pending(a_claim(1)), pending(a_claim(2))]
    assert store.claim([]) == []


def test_completed_claim_is_done_also_after_a_restart(store: KeyStore, home: Home) -> None:
    store.claim([a_claim(1), a_claim(2)])
    store.complete_claims([a_claim(1).claim_id, b"unknown"])
    store.complete_claims([])
    for process in (store, home.open()):
        assert process.claim([a_claim(1), a_claim(2)]) == [done(a_claim(1)), pending(a_claim(2))]
    assert {name: store.counts()[name] for name in ("claims", "claims_pending")} == {"claims": 2, "claims_pending": 1}


def test_claim_moves_if_it_is_still_what_was_read(store: KeyStore) -> None:
    store.claim([a_claim(1)])
    (read,) = store.claim([a_claim(1)])
    assert store.move_claim(read, a_claim(1, SECOND, 9))
    assert store.claim([a_claim(1)]) == [pending(a_claim(1, SECOND, 9))]


@pytest.mark.parametrize("meanwhile", ["other originator", "other end", "done", "gone"])
def test_claim_that_changed_since_it_was_read_does_not_move(store: KeyStore, home: Home, meanwhile: str) -> None:
    store.claim([a_claim(1)])
    (read,) = store.claim([a_claim(1)])
    if meanwhile == "done":
        store.complete_claims([a_claim(1).claim_id])
    elif meanwhile == "gone":
        with home.sql(home.claims) as c:
            c.execute("DELETE FROM claim")
    else:
        changed = a_claim(1, SECOND) if meanwhile == "other originator" else a_claim(1, FIRST, 6)
        assert store.move_claim(read, changed)
    assert not store.move_claim(read, a_claim(1, UUID(int=3), 9))
    (state,) = store.claim([a_claim(1)])
    assert state.originator != UUID(int=3)


def test_of_two_that_move_the_same_claim_one_succeeds(store: KeyStore, home: Home) -> None:
    other = home.open()
    store.claim([a_claim(1)])
    (read,) = store.claim([a_claim(1)])
    assert [s.move_claim(read, a_claim(1, UUID(int=9), n)) for n, s in enumerate((store, other))] == [True, False]


def test_what_arrives_while_a_transaction_is_written_shares_the_next(store: KeyStore, home: Home) -> None:
    claims = store._claims
    states: list[ClaimState] = []
    threads = [threading.Thread(target=lambda n=n: states.extend(store.claim([a_claim(n)]))) for n in range(9)]
    asked: list[str] = []
    claims._connection.set_trace_callback(asked.append)
    with home.sql(home.claims) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        threads[0].start()
        wait_until(lambda: bool(asked))  # the first is in its transaction's beginning
        for thread in threads[1:]:
            thread.start()
        wait_until(lambda: len(claims._waiting) == 8)
        blocker.execute("ROLLBACK")
    for thread in threads:
        thread.join()
    assert states == [NEW_CLAIM] * 9
    assert asked.count("COMMIT") == 2


def test_a_shared_transaction_takes_no_more_than_its_limit(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.keys.claims.CLAIMS_AT_ONCE", 3)
    claims = store._claims
    threads = [threading.Thread(target=store.claim, args=([a_claim(10 * n), a_claim(10 * n + 1)],)) for n in range(4)]
    asked: list[str] = []
    claims._connection.set_trace_callback(asked.append)
    with claims._writing:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(claims._waiting) == 4)
    for thread in threads:
        thread.join()
    assert asked.count("COMMIT") == 4
    assert store.counts()["claims"] == 8


def test_many_threads_claim_each_message_once(store: KeyStore) -> None:
    won: list[int] = []
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait()
        won.extend(n for n in range(50) if store.claim([a_claim(n)])[0].is_new)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(50))


def test_two_processes_claim_each_message_once(store: KeyStore, home: Home) -> None:
    others = [Process(home, "claim", messages=100) for _ in range(2)]
    for other in others:
        other.wait_for("ready")
    for other in others:
        other.go()
    won = [other.end() for other in others]
    assert sum(won) == 100
    assert store.counts()["claims"] == 100


def test_locked_claims_fail_everybody_who_shared_the_transaction_and_nothing_is_claimed(home: Home) -> None:
    store = home.create(busy_timeout_ms=50)
    errors: list[KeysUnavailable] = []

    def work(number: int) -> None:
        try:
            store.claim([a_claim(number)])
        except KeysUnavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    with home.sql(home.claims) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        with store._claims._writing:
            for thread in threads:
                thread.start()
            wait_until(lambda: len(store._claims._waiting) == 3)
        for thread in threads:
            thread.join()
    assert len({id(error) for error in errors}) == 3
    assert all("locked by another process; try again" in str(error) for error in errors)
    assert store.claim([a_claim(n) for n in range(3)]) == [NEW_CLAIM] * 3


def test_full_disk_claims_nothing_and_goes_on_when_there_is_room(store: KeyStore) -> None:
    store.claim([a_claim(0)])
    connection = store._claims._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(KeysUnavailable, match="no room left; nothing of this was stored; free space"):
        store.claim([a_claim(n) for n in range(1, 500)])
    assert store.counts()["claims"] == 1
    connection.execute("PRAGMA max_page_count=1000000")
    assert store.claim([a_claim(n) for n in range(1, 500)]) == [NEW_CLAIM] * 499


def test_done_claims_are_pruned_after_their_retention_and_pending_ones_never(home: Home) -> None:
    store = home.create(claim_retention_days=30)
    old = [a_claim(n) for n in range(3_000)]
    waiting, finished = old[:1_500], old[1_500:]  # more wait in a row than one step of pruning looks at
    store.claim(old)
    store.complete_claims(claim.claim_id for claim in finished)
    home.now.seconds += 30 * DAY_S
    claim_others(store, 5_000)
    assert store.claim(finished[:1]) == [done(finished[0])]  # on its last day
    home.now.seconds += DAY_S
    claim_others(store, 8_000)
    assert store.claim(finished) == [NEW_CLAIM] * 1_500
    assert store.claim(waiting) == [pending(claim) for claim in waiting]


def claim_others(store: KeyStore, count: int) -> None:
    first = store.counts()["claims"] + 1_000_000
    for at in range(first, first + count, 500):
        store.claim([a_claim(n << 64) for n in range(at, at + 500)])


def test_pruning_looks_at_a_bounded_number_of_rows_at_once(home: Home) -> None:
    store = home.create()
    many = [a_claim(n) for n in range(5_000)]
    store.claim(many)
    store.complete_claims(claim.claim_id for claim in many)
    home.now.seconds += 40 * DAY_S
    store.claim([a_claim(10_000 + n) for n in range(499)])
    assert store.counts()["claims"] == 5_499
    store.claim([a_claim(20_000)])
    assert store.counts()["claims"] == 5_500 - 1_000


def test_closed_claims_say_so(store: KeyStore) -> None:
    store.close()
    with pytest.raises(KeysUnavailable, match="is closed"):
        store.claim([a_claim(1)])
    with pytest.raises(KeysUnavailable, match="is closed"):
        store.complete_claims([b"c" * 16])


def test_claims_hold_hashes_only(store: KeyStore, home: Home) -> None:
    store.claim([Claim(store.claim_id("marked-channel", "marked-account", "marked-sender", "marked-id"), FIRST, 0, 0)])
    store.close()
    assert b"marked" not in home.claims.read_bytes()


def test_claims_are_durable_when_the_call_returns(store: KeyStore) -> None:
    connection = store._claims._connection
    store.claim([a_claim(1)])
    store.complete_claims([a_claim(1).claim_id])
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_claims_of_a_newer_program_are_refused(store: KeyStore, home: Home) -> None:
    store.close()
    with home.sql(home.claims) as c:
        c.execute("PRAGMA user_version=2")
    with pytest.raises(HomeNewer, match="of version 2, this program knows 1; use the newer program"):
        home.open()


def test_claims_that_are_something_else_or_torn_are_refused(store: KeyStore, home: Home) -> None:
    store.close()
    home.claims.unlink()
    with sqlite3.connect(home.claims) as c:
        c.execute("CREATE TABLE other (a)")
    c.close()
    with pytest.raises(StartRefused, match="not a file of claims"):
        home.open()
    home.claims.write_bytes(b"no database at all" * 100)
    with pytest.raises(StartRefused, match="damaged; restore"):
        home.open()


def test_claims_that_are_there_are_not_made_again(store: KeyStore, home: Home) -> None:
    store.claim([a_claim(1)])
    store.close()
    home.file.unlink()
    (home.path / "keks").rename(home.path / "keks-before")
    with pytest.raises(StartRefused, match="are there already"):
        home.create()
