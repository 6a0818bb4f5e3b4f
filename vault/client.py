"""How to ask the `serve` that owns a home: a Unix socket, mode 0600, one JSON object a line.

Request: {"verb", "arguments"}. Answers: any number of {"progress": [what, done, total]}, then one {"result"} or {"error", "code"}.
Only the user who owns the home can open the socket; nothing listens on a network. The answering half is infra/control.py.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vault.errors import Unavailable, VaultError

REQUEST_BYTES_MAX = 1_048_576
NAME = "serve.sock"

DONE, FAILED, USAGE, NOTHING_HELD = 0, 1, 2, 3
"""Exit codes: done, failed, wrong usage, nothing held."""

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]


class RemoteError(VaultError):
    """An error of the serving process, with the exit code it means."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def short(path: Path) -> str:
    """A path that fits a socket's address (about 100 bytes), relative to the working directory where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def ask(home: Path, verb: str, arguments: Json, progress: Progress) -> Json | None:
    """Asks the running `serve` of a home. None when there is none. Raises `RemoteError` with what it says."""
    path = home / NAME
    if not path.exists():
        return None
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(short(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except OSError as error:
            raise Unavailable(
                f"the socket {path} cannot be used: {error}", remedy="run this in the home's folder"
            ) from error
        client.sendall(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        with client.makefile("rb") as answers:
            for line in answers:
                answer = json.loads(line)
                if "progress" in answer:
                    progress(*answer["progress"])
                elif "error" in answer:
                    raise RemoteError(answer["error"], answer["code"])
                else:
                    result: Json = answer["result"]
                    return result
    raise RemoteError("the serving process went away before it had answered", FAILED)
