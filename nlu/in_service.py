"""The model in service: loaded from its file, and loaded again, between two batches and without a restart, when the file is another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from nlu.understanding import Understanding
from vault.errors import VaultError

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None
"""What tells a file from the one that was there before: inode, size in bytes, time of change in nanoseconds; None: no file."""


class InService:
    """Gives the `Understanding` to use now. Thread-safe.

    A file that is missing, damaged or refused leaves the model that is in service there, and `problem` says what is wrong with it
    until another file is loaded.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], Understanding],
        check: Callable[[Understanding], None] = lambda model: None,
    ) -> None:
        """Loads the file. `load` is the one place where a model is made of a file, or refused; what it raises here is raised. `check`
        raises `Unavailable` for a model that must not answer any more, whenever that began."""
        self.path = path
        self.problem: VaultError | None = None
        self._load = load
        self._check = check
        self._loading = threading.Lock()
        self._seen = _stamp(path)
        self._model = load(path)

    def current(self) -> Understanding:
        """The model for the next batch. While one thread loads another model, the others go on with the one they have.

        Raises `Unavailable` while the one that is there must not answer any more.
        """
        if _stamp(self.path) != self._seen and self._loading.acquire(blocking=False):
            try:
                self._look_again()
            finally:
                self._loading.release()
        model = self._model
        self._check(model)
        return model

    def _look_again(self) -> None:
        stamp = _stamp(self.path)  # before it is read: what is written meanwhile is looked at next time
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._model = self._load(self.path)
        except VaultError as error:
            self.problem = error
            log.error("model refused", extra={"reason": str(error), "model": self._model.digest[:12]})
        else:
            self.problem = None
            log.info("model loaded", extra={"model": self._model.digest[:12]})


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
