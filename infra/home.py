"""The home folder: made once, owned by one process at a time, refused when it does not fit.

home/ parloir.toml home.json lock serve.sock
      keks/                 KEK files, 0600 in 0700
      keys/                 the key store and the claims
      log/                  embedded logs
      state/                what this process remembers of a Kafka log
      projection/
      backups/ logs/
      workers/NAME/         lock, socket, state and projection of a worker that follows some of the partitions
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from uuid import UUID, uuid4

from vault.errors import HomeBusy, HomeNewer, LogMismatch, StartRefused

VERSION = 1
MAKE_FIRST = "start its main process, `parloir serve`, before its workers"


@dataclass(frozen=True)
class Identity:
    """What a home was made with, and must be opened with from then on. `log` is the value of the setting."""

    vault_id: UUID
    log_id: UUID
    log: str
    partitions: int
    horizon_records: int


class Home:
    """An owned home folder. Raises `HomeBusy` while another process owns it.

    A worker beside the home's main process owns a folder of its own, and has keys and logs `of` the home.
    """

    def __init__(self, path: Path, of: Path | None = None) -> None:
        self.path = path
        self.of = of or path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartRefused(
                f"the home {path} cannot be used: {error.strerror}", remedy="set PARLOIR_HOME"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise HomeBusy(
                f"the home {path} is in use by another process", remedy="stop it, or ask it by its socket"
            ) from None
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)

    def identity(self, log: str, partitions: int, horizon_records: int) -> tuple[Identity, bool]:
        """What the home was made with, and whether it is still to be made (new, or its making was interrupted).

        Raises `HomeNewer` for a home of a newer program, `LogMismatch` when the settings say another log, number of partitions or
        horizon than the home was made with: who wins depends on them.
        """
        file = self.of / "home.json"
        if not file.exists() and self.of == self.path:
            if (self.path / "keys" / "keys.db").exists():
                raise StartRefused(f"{file} is missing from a home that has keys", remedy="restore it from a backup")
            identity = Identity(uuid4(), uuid4(), log, partitions, horizon_records)
            self.keep(identity, made=False)
            return identity, True
        try:
            held = json.loads(file.read_text())
        except FileNotFoundError:
            raise StartRefused(f"there is no home in {self.of}", remedy=MAKE_FIRST) from None
        except (ValueError, OSError) as error:
            raise StartRefused(f"{file} cannot be read", remedy="restore it from a backup") from error
        try:
            version = held["version"]
            if version > VERSION:
                raise HomeNewer(
                    f"the home {self.path} is of version {version}, this program knows {VERSION}",
                    remedy="use the newer program",
                )
            identity = Identity(
                UUID(held["vault_id"]), UUID(held["log_id"]), held["log"], held["partitions"], held["horizon_records"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StartRefused(f"{file} cannot be read", remedy="restore it from a backup") from error
        for setting, was, now in (
            ("log", identity.log, log),
            ("log_partitions", identity.partitions, partitions),
            ("log_horizon_records", identity.horizon_records, horizon_records),
        ):
            if was != now:
                raise LogMismatch(
                    f"this home was made with {setting}={was}, the settings say {now}",
                    remedy="set it back; it is fixed when a home is made",
                )
        if not held["made"] and self.of != self.path:
            raise StartRefused(f"the home {self.of} is still being made", remedy=MAKE_FIRST)
        if not held["made"]:
            for folder in ("keks", "keys"):  # interrupted before anything could be stored under them
                shutil.rmtree(self.path / folder, ignore_errors=True)
        return identity, not held["made"]

    def keep(self, identity: Identity, *, made: bool) -> None:
        """Writes down what the home was made with: the first step of making it, and with `made` the last."""
        file = self.path / "home.json"
        draft = file.with_suffix(".new")
        with open(draft, "w") as out:
            json.dump(
                {
                    "version": VERSION,
                    "made": made,
                    "vault_id": str(identity.vault_id),
                    "log_id": str(identity.log_id),
                    "log": identity.log,
                    "partitions": identity.partitions,
                    "horizon_records": identity.horizon_records,
                },
                out,
            )
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)

    def close(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> Home:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
