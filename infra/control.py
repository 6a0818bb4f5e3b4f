"""How a verb asks a `serve` that runs on the same home: a Unix socket, mode 0600, one JSON object a line.

Request: {"verb", "arguments"}. Answers: any number of {"progress": [what, done, total]}, then one {"result"} or {"error", "code"}.
Only the user who owns the home can open the socket; nothing listens on a network.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vault.errors import BadInput, PersonUnknown, StartRefused, Unavailable, VaultError

log = logging.getLogger(__name__)

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


def exit_code(error: BaseException) -> int:
    """The exit code that an error means."""
    if isinstance(error, RemoteError):
        return error.code
    if isinstance(error, PersonUnknown):
        return NOTHING_HELD
    return USAGE if isinstance(error, BadInput) else FAILED


class Server:
    """Answers verbs on the home's socket until closed, a thread each."""

    def __init__(self, home: Path, answer: Callable[[str, Json, Progress], Json]) -> None:
        path = home / NAME
        path.unlink(missing_ok=True)  # we own the home's lock: whoever left it is gone
        handler = _handler(answer)
        before = os.umask(0o177)
        try:
            self._server = _UnixServer(_short(path), handler)
        except OSError as error:
            raise StartRefused(
                f"the socket {path} cannot be made: {error}", remedy="use a home with a shorter path"
            ) from error
        finally:
            os.umask(before)
        self._path = path
        self._thread = threading.Thread(target=self._server.serve_forever, name="socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes no more requests, and waits for those under way."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 16

    def handle_error(self, request: object, client_address: object) -> None:
        """Instead of a traceback on stderr, whose last line may quote what a person wrote."""
        del request, client_address
        log.error("request failed", exc_info=True)


def _handler(answer: Callable[[str, Json, Progress], Json]) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline(REQUEST_BYTES_MAX)
            try:
                if not line.endswith(b"\n"):
                    raise BadInput(f"a request is one line of at most {REQUEST_BYTES_MAX} bytes")
                request = json.loads(line)
                result = answer(request["verb"], request["arguments"], self._progress)
                self._say({"result": result})
            except VaultError as error:
                self._say({"error": str(error), "code": exit_code(error)})
            except (KeyError, TypeError, ValueError) as error:
                self._say({"error": f"the request is not understood ({type(error).__name__})", "code": USAGE})
            except Exception as error:
                self._say({"error": f"failed with {type(error).__name__}", "code": FAILED})
                raise

        def _progress(self, what: str, done: int, total: int) -> None:
            self._say({"progress": [what, done, total]})

        def _say(self, line: Json) -> None:
            # Whoever asked may be gone; what was begun is finished all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(json.dumps(line).encode() + b"\n")

    return Handler


def _short(path: Path) -> str:
    """A path that fits a socket's address (about 100 bytes), relative to the working directory where that is shorter."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)


def ask(home: Path, verb: str, arguments: Json, progress: Progress) -> Json | None:
    """Asks the running `serve` of a home. None when there is none. Raises `RemoteError` with what it says."""
    path = home / NAME
    if not path.exists():
        return None
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(_short(path))
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
