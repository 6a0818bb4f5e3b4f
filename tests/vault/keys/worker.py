"""What another process does in a test: `python worker.py WORK HOME ARGUMENT`. Ends itself where it is told to, as by kill -9.

A point is the number of the call, counted from 1, at which the process dies: of SQLite statements (`statement`), of KEK files written
or destroyed (`file`), of batches rewrapped (`batch`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vault.keys import Claim, rotation

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.vault.keys.homes import JANUARY, PARTITIONS, Home, sealed_with, someone


class DyingAt:
    """Counts calls, and kills the process at one of them."""

    def __init__(self, point: int) -> None:
        self.left = point

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def rotate(home: Home, argument: dict[str, Any]) -> object:
    """Rotates, in batches of two rows, and dies at the given point if it comes to it."""
    rotation.ROWS_AT_ONCE = 2
    rotation.PAUSE_SECONDS = 0.0
    store = home.open()
    dying = DyingAt(argument["point"])
    progress: Callable[[int, int], None] = lambda done, total: None  # noqa: E731
    if argument["at"] == "batch":
        progress = dying
    elif argument["at"] == "statement":
        store._database._connection.set_trace_callback(dying)
    else:
        before = os.fsync

        def sync(descriptor: int) -> None:
            dying()
            before(descriptor)

        os.fsync = sync  # type: ignore[assignment]
    return store.rotate(home.backups, progress).epoch


def erase(home: Home, argument: dict[str, Any]) -> object:
    store = home.open()
    person = store.find("web", argument["name"])
    assert person is not None
    store._database._connection.set_trace_callback(DyingAt(argument["point"]))
    return store.erase(person.subject, JANUARY, {"ground": "art17"}).already


def make(home: Home, argument: dict[str, Any]) -> object:
    """Makes the same people and chapters as everybody else, as soon as it is told to."""
    store = home.open()
    wait()
    people = store.resolve_many([("web", str(n)) for n in range(argument["people"])], partitions=PARTITIONS)
    store.prepare([(p.subject, JANUARY) for p in people])
    return {
        "created": sum(p.created for p in people),
        "subjects": [str(p.subject) for p in people],
        "cases": [str(p.case) for p in people],
        "deks": [sealed_with(store, p).key_id.hex() for p in people],
    }


def claim(home: Home, argument: dict[str, Any]) -> object:
    """Claims the same messages as everybody else."""
    store = home.open()
    person = someone(store, "sender")
    wait()
    won = 0
    for number in range(argument["messages"]):
        name = store.claim_id("web", "shop", "sender", str(number))
        (state,) = store.claim([Claim(name, person.subject, 0, number)])
        won += state.is_new
    return won


def seal_until_erased(home: Home, argument: dict[str, Any]) -> object:
    """Begins one chapter after another for a person until it is refused."""
    from vault.errors import SubjectErased

    store = home.open(cache_entries=1)
    person = store.find("web", argument["name"])
    assert person is not None
    wait()
    made = 0
    try:
        for month in range(1_000_000):
            sealed_with(store, person, month % 1_200)
            store.drop(person.subject)
            made += 1
            if made == 3:
                print("sealing", flush=True)
    except SubjectErased:
        return made
    return None


def live(home: Home, argument: dict[str, Any]) -> object:
    """Makes people, seals for them and erases every other one, saying each time what is done, until it is killed."""
    store = home.open()
    for number in range(argument["first"], argument["first"] + 100_000):
        person = someone(store, str(number))
        dek = sealed_with(store, person)
        print(json.dumps([number, str(person.subject), dek.key_id.hex(), "sealed"]), flush=True)
        if number % 2:
            store.erase(person.subject, JANUARY, {})
            print(json.dumps([number, str(person.subject), dek.key_id.hex(), "erased"]), flush=True)
    return None


def hold(home: Home, argument: dict[str, Any]) -> object:
    """Holds the key store's file exclusively until it is told to end."""
    with home.sql() as c:
        c.execute("BEGIN EXCLUSIVE")
        wait()
    return None


def wait() -> None:
    """Says that it is ready, and goes on when its parent says so."""
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    works = {work.__name__: work for work in (rotate, erase, make, claim, seal_until_erased, live, hold)}
    place, told = Path(sys.argv[2]), json.loads(sys.argv[3])
    print(json.dumps(works[sys.argv[1]](Home(place), told)), flush=True)
