"""How a running `serve` answers verbs: the home's Unix socket, mode 0600. What is said there is described in vault/client.py."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path

from vault.client import FAILED, NAME, NOTHING_HELD, REQUEST_BYTES_MAX, USAGE, Json, Progress, RemoteError, short
from vault.errors import BadInput, PersonUnknown, StartRefused, Unavailable, VaultError

log = logging.getLogger(__name__)

ENDS_WITH_CALLER = frozenset({"snapshot"})
"""Verbs that are given up when whoever asked has gone; any other is finished all the same."""


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
            self._server = _UnixServer(short(path), handler)
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
        _gives_up = False

        def handle(self) -> None:
            line = self.rfile.readline(REQUEST_BYTES_MAX)
            try:
                if not line.endswith(b"\n"):
                    raise BadInput(f"a request is one line of at most {REQUEST_BYTES_MAX} bytes")
                request = json.loads(line)
                self._gives_up = request["verb"] in ENDS_WITH_CALLER
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
            try:
                self._write({"progress": [what, done, total]})
            except (BrokenPipeError, ConnectionResetError):
                if self._gives_up:
                    raise Unavailable("whoever asked has gone") from None

        def _say(self, line: Json) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # whoever asked may be gone
                self._write(line)

        def _write(self, line: Json) -> None:
            self.wfile.write(json.dumps(line).encode() + b"\n")

    return Handler
