"""The folder that the projection's files live in: numbered generations, and a pointer that names the one in service.

A file is never repaired or rewritten in place. What is to replace it is made beside it as the next generation, and one atomic
replacement of the pointer puts it in service. So a process that is killed at any moment leaves the old file or the new one, whole;
what is not named by the pointer is a left-over, and removed by the next that opens the folder.

    projection/current            the name of the generation in service, e.g. "7.duckdb"
    projection/7.duckdb           that generation, and 7.duckdb.wal beside it: what is not yet written into it
    projection/6.duckdb.broken-…  a damaged one that was set aside, by the time (UTC) at which it was
    projection/5.duckdb.gone      one that is being removed, a part at a time
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Collection
from pathlib import Path

from vault.errors import HomeBusy, StartRefused

REMOVED_BYTES = 16 * 1024 * 1024
"""A file is removed in parts of this size. Where a file system tells its disk what became free (mounted with `discard`), everybody's
reads wait meanwhile: 80 ms for four gigabytes at once, 13 ms for a part."""

_NUMBER = re.compile(r"(\d+)\.duckdb")
_POINTER = "current"
_SUFFIX = ".duckdb"


class Generations:
    """The folder, owned by this process while it is open."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if there is none. Raises `HomeBusy` when another process owns it, `StartRefused` when it cannot be used."""
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StartRefused(f"{folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise HomeBusy(f"{folder} is in use by another process", remedy="stop it, or ask it") from None

    def current(self) -> Path | None:
        """The file in service; None when there is none, or what the pointer says cannot be read or is not there."""
        try:
            name = (self.folder / _POINTER).read_text("ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        path = self.folder / name
        return path if _NUMBER.fullmatch(name) and path.exists() else None

    def all(self) -> list[Path]:
        """Every generation that is there, in order."""
        found = [path for path in self.folder.iterdir() if _NUMBER.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem))

    def next(self) -> Path:
        """Where the next generation is to be made: a number that no file has, be it one that was set aside."""
        numbers = [int(found[1]) for path in self.folder.iterdir() if (found := _NUMBER.match(path.name))]
        return self.folder / f"{max(numbers, default=0) + 1}{_SUFFIX}"

    def put_in_service(self, path: Path) -> None:
        """Names a generation, whose bytes are on the disk, as the one in service. On an `OSError` the other one still is."""
        draft = self.folder / f"{_POINTER}.new"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
                out.write(f"{path.name}\n")
                out.flush()
                os.fsync(out.fileno())
            os.replace(draft, self.folder / _POINTER)
        finally:
            draft.unlink(missing_ok=True)
        os.fsync(self._lock)

    def clean(self, keep: Collection[Path]) -> None:
        """Removes every generation, whole or half made, but those to keep, and whatever belongs to one that is not there."""
        kept = {name for path in keep for name in (path.name, wal_of(path).name)}
        for path in self.folder.iterdir():
            if _NUMBER.match(path.name) and path.name not in kept and ".broken-" not in path.name:
                path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> Path:
        """Renames a damaged generation, so that it can be looked at; mode 0600. Returns its name now."""
        aside = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        os.replace(path, aside)
        aside.chmod(0o600)
        wal_of(path).unlink(missing_ok=True)
        return aside

    def close(self) -> None:
        os.close(self._lock)


def remove(path: Path) -> None:
    """Removes a generation, and its log of what is not in it yet. Takes seconds for a large one: not to be waited for."""
    wal_of(path).unlink(missing_ok=True)
    gone = path.with_name(path.name + ".gone")  # a shortened one must not look like a damaged one
    try:
        os.replace(path, gone)
    except OSError:  # it is not there, or the folder has no room for another name
        path.unlink(missing_ok=True)
        return
    with open(gone, "r+b") as file:
        for size in range(gone.stat().st_size - REMOVED_BYTES, 0, -REMOVED_BYTES):
            file.truncate(size)
            os.fsync(file.fileno())
    gone.unlink(missing_ok=True)


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
