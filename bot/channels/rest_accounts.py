"""Who may write over REST: tokens in files of mode 0600, of which only hashes are kept in memory."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from bot.outgoing import SecretFile
from vault.errors import StartRefused, VaultError

LOOK_EVERY_S = 1.0
FILES_MAX = 100
TOKEN_BYTES = 32
FIRST = "default"

log = logging.getLogger(__name__)


class Accounts:
    """The accounts in a folder; files that come, change or go count within `LOOK_EVERY_S`."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Makes the folder, with one account, where it is not there. Raises `StartRefused`."""
        self._folder = folder
        self._clock = clock
        self._looked_s = float("-inf")
        self._files: dict[str, tuple[int, int, int]] = {}
        self._digests: list[tuple[bytes, str]] = []
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return
        except OSError as error:
            raise StartRefused(f"{folder} cannot be made: {error.strerror}", remedy="see to the home") from error
        file = folder / FIRST
        file.touch(0o600)
        file.write_text(secrets.token_urlsafe(TOKEN_BYTES) + "\n", "ascii")

    def of(self, token: str) -> str | None:
        """The account that a token is of. Takes the same time whichever it is, or none."""
        self._look()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        found = None
        for held, account in self._digests:
            if hmac.compare_digest(held, digest):
                found = account
        return found

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now
        files = {}
        for file in sorted(self._folder.iterdir())[:FILES_MAX]:
            held = file.lstat()
            files[file.name] = (held.st_mtime_ns, held.st_ino, held.st_mode)
        if files == self._files:
            return
        self._files, self._digests = files, []
        for name in files:
            try:
                token = SecretFile(self._folder / name).read()
            except VaultError as error:
                log.error("token not used", extra={"reason": str(error)})
            else:
                self._digests.append((hashlib.sha256(token.encode()).digest(), name.partition(".")[0]))
