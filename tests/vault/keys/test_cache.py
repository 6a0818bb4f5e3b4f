from __future__ import annotations

import threading

from tests.vault.keys.homes import Clock
from vault.keys.cache import LeasedCache

FIRST, SECOND = 1, 2


def a_cache(entries: int = 100) -> tuple[LeasedCache[str, str], Clock]:
    clock = Clock(0.0)
    return LeasedCache(entries, 60.0, clock), clock


def test_value_is_there_until_its_lease_ends() -> None:
    cache, clock = a_cache()
    cache.put("k", "v", FIRST, cache.drops)
    clock.seconds = 59.9
    assert cache.get("k") == "v"
    clock.seconds = 60.0
    assert cache.get("k") is None


def test_meeting_a_value_does_not_prolong_its_lease() -> None:
    cache, clock = a_cache(entries=4)
    cache.put("k", "v", FIRST, cache.drops)
    for seconds in (20.0, 40.0):
        clock.seconds = seconds
        for number in range(2):  # pushes it to the old generation, from which it is met again
            cache.put(f"{seconds}-{number}", "x", SECOND, cache.drops)
        assert cache.get("k") == "v"
    clock.seconds = 60.0
    assert cache.get("k") is None


def test_never_holds_more_than_its_bound() -> None:
    cache, _ = a_cache(entries=10)
    for number in range(1_000):
        cache.put(str(number), "v", number % 7, cache.drops)
        cache.get(str(number // 2))
        assert len(cache) <= 10


def test_what_is_met_often_outlives_what_is_not() -> None:
    cache, _ = a_cache(entries=10)
    cache.put("often", "v", FIRST, cache.drops)
    for number in range(100):
        cache.put(str(number), "v", SECOND, cache.drops)
        assert cache.get("often") == "v"
    assert cache.get("0") is None


def test_dropping_an_owner_leaves_the_others() -> None:
    cache, _ = a_cache(entries=6)
    for number in range(3):
        cache.put(f"first {number}", "v", FIRST, cache.drops)
        cache.put(f"second {number}", "v", SECOND, cache.drops)
    cache.drop(FIRST)
    assert [cache.get(f"first {number}") for number in range(3)] == [None] * 3
    assert [cache.get(f"second {number}") for number in range(3)] == ["v"] * 3


def test_value_loaded_before_a_drop_is_not_kept_after_it() -> None:
    cache, _ = a_cache()
    drops = cache.drops  # somebody begins to load here
    cache.drop(FIRST)
    cache.put("k", "stale", FIRST, drops)
    assert cache.get("k") is None


def test_nothing_of_an_owner_survives_a_drop_while_others_read_and_write() -> None:
    cache, _ = a_cache(entries=50)
    done = threading.Event()

    def work() -> None:
        number = 0
        while not done.is_set():
            number += 1
            cache.put(f"k{number % 40}", "v", number % 3, cache.drops)
            cache.get(f"k{number % 37}")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        cache.drop(FIRST)
    done.set()
    for thread in threads:
        thread.join()
    cache.drop(FIRST)
    held = [*cache._young.values(), *cache._old.values()]
    assert FIRST not in {owner for _, _, owner in held}
    assert len(cache) <= 50
