"""A vault without a program around it: keys, embedded logs, register, registrar and intake, opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from vault import sqlite
from vault.conversations import Conversations
from vault.ids import LogId
from vault.intake import Intake
from vault.keys import PURPOSES, KekDirectory, KeyStore
from vault.logs.sqlite import SqliteLog
from vault.mapper import SealingMapper
from vault.register import Register, RegisterPartition
from vault.registrar import Registrar

VAULT_ID = UUID(int=1)
LOG_ID = LogId(UUID(int=2))
PARTITIONS = 2


@dataclass
class Vault:
    """What one process has open."""

    keys: KeyStore
    mapper: SealingMapper
    conversations: Conversations
    register: Register
    registrar: Registrar
    intake: Intake
    closing: ExitStack

    def close(self) -> None:
        self.closing.close()


def open_vault(folder: Path, *, horizon: int = 65_536) -> Vault:
    """Opens the vault in a folder, or makes it, as a process does when it starts."""
    closing = ExitStack()
    options: dict[str, Any] = {"cache_entries": 10_000, "lease_seconds": 300.0, "busy_timeout_ms": 5_000}
    if (folder / "keks").exists():
        keks = KekDirectory.open(folder / "keks", VAULT_ID, PURPOSES)
        keys = KeyStore.open(folder / "keys.db", keks, **options)
    else:
        keks = KekDirectory.create(folder / "keks", VAULT_ID)
        keys = KeyStore.create(folder / "keys.db", keks, **options)
    closing.callback(keys.close)
    mapper = SealingMapper()
    mapper.use(keys)
    log = SqliteLog(folder / "conversations.db", "conversations", PARTITIONS)
    conversations = Conversations(
        log, LOG_ID, keks.secret("log"), state=folder / "state.db", horizon=horizon, on_erased=keys.drop
    )
    closing.callback(conversations.close)

    def make_factory(env: Any, partition: int) -> Any:
        env["SQLITE_DBNAME"] = str(folder / f"register-{partition}.db")
        return sqlite.Factory(env)

    register = Register([RegisterPartition({}, keys, make_factory, number) for number in range(PARTITIONS)])
    closing.callback(register.close)
    registrar = Registrar(keys, register, conversations, mapper)
    intake = Intake(conversations, keys, mapper, register_new=registrar.register_new, message_bytes_max=1_000)
    registrar.apply_register()
    registrar.finish_pending()
    return Vault(keys, mapper, conversations, register, registrar, intake, closing)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Vault]]:
    """Opens the test's vault; close it before opening it again."""
    held: list[Vault] = []

    def make() -> Vault:
        held.append(open_vault(tmp_path / "vault"))
        return held[-1]

    (tmp_path / "vault").mkdir()
    yield make
    for vault in held:
        vault.close()


@pytest.fixture
def vault(opened: Callable[[], Vault]) -> Vault:
    return opened()
