"""Workers: processes beside a home's main one, each with the projection of some partitions in a file of its own.

They agree among themselves who follows what (vault/logs/group.py); one that is gone is replaced by the others, who read its partitions
from the log. Each answers verbs on a socket in its folder, HOME/workers/NAME; whoever is asked about a person passes the question on
to the worker that follows the person's partition.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vault.client import ask
from vault.errors import BadInput, Unavailable

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]

FOLDER = "workers"
ASK_EVERY_S = 0.2
START_ONE = "start one: `parloir serve --worker NAME`; without workers, remove the folder workers of the home"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def folder(home: Path, name: str) -> Path:
    """The folder of a worker. Raises `BadInput` for what is no name."""
    if not _NAME.fullmatch(name):
        raise BadInput("a worker's name is up to 32 small letters, digits and hyphens", remedy="for example --worker a")
    return home / FOLDER / name


class Workers:
    """The workers of a home, as seen by whoever wants something of them."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def names(self) -> list[str]:
        """Every worker that the home ever had, running or not."""
        found = self._home.joinpath(FOLDER)
        return sorted(path.name for path in found.iterdir() if path.is_dir()) if found.is_dir() else []

    def partitions(self) -> dict[str, frozenset[int]]:
        """What each running worker follows."""
        found = {}
        for name in self.names():
            said = _ask(folder(self._home, name), "partitions", {}, _silently)
            if said is not None:
                found[name] = frozenset(said["partitions"])
        return found

    def ask_owner(self, partition: int, verb: str, arguments: Json, progress: Progress, timeout_ms: int) -> Json:
        """Has the verb answered by the worker that follows a partition; waits while they agree who does.

        Raises `Unavailable` when nobody does in time, and what the worker raised.
        """
        deadline = time.monotonic() + timeout_ms / 1_000
        while True:
            for name, partitions in self.partitions().items():
                if partition in partitions:
                    said = _ask(folder(self._home, name), verb, arguments, progress)
                    if said is not None:
                        return said
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"no worker of {self._home} follows partition {partition}",
                    remedy=START_ONE,
                )
            progress("waiting for the workers", 0, 0)
            time.sleep(ASK_EVERY_S)

    def ask_all(self, verb: str, arguments: Json, progress: Progress) -> Mapping[str, Json]:
        """What each running worker answers. Raises `Unavailable` when none runs."""
        answers = {
            name: said
            for name in self.names()
            if (said := _ask(folder(self._home, name), verb, arguments, progress)) is not None
        }
        if not answers:
            raise Unavailable(
                f"the projection of {self._home} is shared out among workers, and none runs",
                remedy=START_ONE,
            )
        return answers


def _ask(place: Path, verb: str, arguments: Json, progress: Progress) -> Json | None:
    """None when it is not there, or went away over it."""
    try:
        return ask(place, verb, arguments, progress)
    except (OSError, Unavailable):
        return None


def _silently(what: str, done: int, total: int) -> None:
    del what, done, total
