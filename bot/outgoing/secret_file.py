"""A secret that lives in a file which only its owner reads, and is read again for every call, so a new one needs no restart."""

from __future__ import annotations

import base64
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from bot.outgoing.header import TOKEN, forbidden
from vault.errors import BadInput, StartRefused

SECRET_BYTES_MAX = 8_192
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class SecretFile:
    """Names the file; never holds what is in it, so it may be printed."""

    path: Path

    def read(self) -> str:
        """The secret: one line of visible ASCII. Raises `StartRefused` that names the file and says what to do."""
        try:
            # O_NONBLOCK: a named pipe must not stop us. What is checked is the opened file, so no other can be put in its place.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise StartRefused(
                f"secret file {self.path} cannot be read: {error.strerror}", remedy="put the secret there, mode 0600"
            ) from None
        try:
            content = self._content(descriptor)
        finally:
            os.close(descriptor)
        text = content.decode("latin-1").removesuffix("\n").removesuffix("\r")
        if len(content) > SECRET_BYTES_MAX or not _VISIBLE.fullmatch(text):
            raise StartRefused(
                f"secret file {self.path} does not hold one line of visible ASCII",
                remedy="write the secret alone in it",
            )
        return text

    def _content(self, descriptor: int) -> bytes:
        held = os.fstat(descriptor)
        if not stat.S_ISREG(held.st_mode):
            raise StartRefused(f"secret file {self.path} is not a file")
        # Risk: whoever else reads this machine's files could call in our name. Only our user, or root, may.
        if stat.S_IMODE(held.st_mode) & 0o077 or held.st_uid not in {0, os.geteuid()}:
            raise StartRefused(
                f"secret file {self.path} is open to others than its owner", remedy=f"run chmod 600 {self.path}"
            )
        return os.read(descriptor, SECRET_BYTES_MAX + 1)


@dataclass(frozen=True, slots=True)
class SecretHeader:
    """A header that carries a secret: `Authorization: Bearer <secret>`; with scheme "Basic" the file holds `user:password`.

    There is no other place for a secret, so none can get into a URL.
    """

    file: SecretFile
    header: str = "Authorization"
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        if forbidden(self.header) or not (self.scheme == "" or TOKEN.fullmatch(self.scheme)):
            raise BadInput("the header of a secret is not one that may be set")

    def value(self) -> str:
        """What the header says. Raises `StartRefused`."""
        secret = self.file.read()
        if self.scheme == "Basic":
            secret = base64.b64encode(secret.encode()).decode()
        return f"{self.scheme} {secret}".lstrip()
