"""A file for its owner only, written whole or not at all: for what leaves the vault in the clear at somebody's request."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from vault.errors import BadInput


def write(path: Path, content: bytes) -> None:
    """Writes a file of mode 0600 in place of the file that has that name. Raises `BadInput` when it cannot, and leaves nothing then.

    Risk: for a moment the content is also under a name that ends in `.part`; it lies in the same folder, for the same owner, and
    goes whatever happens but a kill or a loss of power.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():  # or a device would be replaced
        raise BadInput(f"{path} is not a file", remedy="choose another place")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", remedy="choose another place") from error
