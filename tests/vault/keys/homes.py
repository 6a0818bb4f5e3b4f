"""A key store in a temporary folder, with a clock that a test turns."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from vault.keys import PURPOSES, KekDirectory, KeyStore, Person
from vault.seal import Dek

VAULT = UUID("7f0c1d2e-0000-4000-8000-00000000a001")
JANUARY = 1_735_689_600_000_000
"""2025-01-01T00:00:00Z in microseconds."""
MONTH = 31 * 86_400_000_000
DAY_S = 86_400.0
PARTITIONS = 4


class Clock:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Home:
    path: Path
    clock: Clock = field(default_factory=lambda: Clock(1_000.0))
    """Monotonic: leases."""
    now: Clock = field(default_factory=lambda: Clock(1_735_689_600.0))
    """Since 1970: retention of claims."""
    opened: list[KeyStore] = field(default_factory=list)

    @property
    def keks(self) -> Path:
        return self.path / "keks"

    @property
    def file(self) -> Path:
        return self.path / "keys.db"

    @property
    def claims(self) -> Path:
        return self.path / "claims.db"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    def create(self, **options: Any) -> KeyStore:
        keks = KekDirectory.create(self.keks, VAULT)
        return self._kept(KeyStore.create(self.file, keks, **self._options(options)))

    def open(self, purposes: Collection[str] = PURPOSES, *, file: Path | None = None, **options: Any) -> KeyStore:
        keks = KekDirectory.open(self.keks, VAULT, purposes)
        return self._kept(KeyStore.open(file or self.file, keks, **self._options(options)))

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "cache_entries": 1_000,
            "lease_seconds": 60.0,
            "busy_timeout_ms": 2_000,
            "clock": self.clock,
            "now": self.now,
            **options,
        }

    def _kept(self, store: KeyStore) -> KeyStore:
        self.opened.append(store)
        return store

    @contextmanager
    def sql(self, file: Path | None = None) -> Iterator[sqlite3.Connection]:
        """Another connection, for looking and for doing damage."""
        with closing(sqlite3.connect(file or self.file, isolation_level=None, timeout=2)) as connection:
            yield connection

    def rows(self, query: str, *values: object) -> list[Any]:
        with self.sql() as c:
            return c.execute(query, values).fetchall()


def someone(store: KeyStore, name: str = "sender-1", channel: str = "web") -> Person:
    return store.resolve(channel, name, partitions=PARTITIONS)


def sealed_with(store: KeyStore, person: Person, month: int = 0) -> Dek:
    """The DEK that the person's events of a month are sealed with."""
    return store.sealing(person.subject, JANUARY + month * MONTH)


class Process:
    """Another process at work in the same home; see worker.py."""

    def __init__(self, home: Home, work: str, **argument: object) -> None:
        command = [
            sys.executable,
            str(Path(__file__).with_name("worker.py")),
            work,
            str(home.path),
            json.dumps(argument),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_for(self, said: str) -> None:
        assert self.heard() == f"{said}\n"

    def heard(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        return str(self._process.stdout.readline())

    def kill(self) -> str:
        """Ends it at once; what it had said until then."""
        self._process.kill()
        return self._process.communicate(timeout=60)[0]

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """What it came to, or the word "killed"."""
        try:
            out, _ = self._process.communicate(timeout=60)
        finally:
            self._process.kill()
        if self._process.returncode == -signal.SIGKILL:
            return "killed"
        assert self._process.returncode == 0
        return json.loads(out.splitlines()[-1])


def run(home: Home, work: str, **argument: object) -> Any:
    return Process(home, work, **argument).end()
