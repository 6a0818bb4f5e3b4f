"""SQL over a home's projection from Python, for a notebook or a script: `projections.connect(home)`.

The DuckDB file has one owner and the keys belong to it, so a connection holds neither: it asks the running `parloir serve` over the
home's socket, and where none runs it starts one that follows the logs and ends with the connection. So the limits are those of
`parloir sql`, what is revealed is recorded before it arrives, and every other verb works meanwhile.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import TracebackType

from projections.result import Result
from vault import client
from vault.errors import BadInput, StartRefused, Unavailable

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
WHILE_ASKED = ("serve", "--only", "projections", "--until-input-ends")
"""How a `serve` is started that ends with the connection, even when this process is killed."""


class Connection:
    """A read-only connection to a home's projection. Use as a context manager, or `close` it. Not thread-safe."""

    def __init__(self, home: str | Path, *, reason: str | None = None) -> None:
        """`reason`: why words are opened where a query calls `reveal`; it is recorded with the persons' data."""
        self._home = Path(home).expanduser().absolute()
        self._reason = reason
        self._serving: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        if not (self._home / "home.json").exists():
            raise BadInput(f"there is no home in {self._home}", remedy="`parloir serve` or `parloir replay` makes one")
        if self._ask("ping", {}) is None:
            self._start()

    def sql(self, query: str, *, reason: str | None = None) -> Result:
        """The rows of one SELECT. Raises the errors of `parloir sql`; warns where `sql_rows_max` cut the result off."""
        if self._is_closed:
            raise Unavailable("the connection is closed", remedy="connect again")
        arguments = {"query": query, "format": "arrow", "reason": reason or self._reason, "actor": actor()}
        answered = self._ask("sql", arguments)
        if answered is None:  # whoever served has gone
            self._start()
            answered = self._ask("sql", arguments)
        if answered is None:
            raise Unavailable(f"nobody serves {self._home}", remedy="run `parloir serve`, or connect again")
        if answered["truncated"]:
            warnings.warn(f"only the first {answered['rows']:,} rows (sql_rows_max)", stacklevel=2)
        return Result.from_ipc(base64.b64decode(answered["body"]), cut=answered["truncated"])

    execute = sql

    def _ask(self, verb: str, arguments: client.Json) -> client.Json | None:
        return client.ask(self._home, verb, arguments, lambda what, done, total: None)

    def _start(self) -> None:
        """Starts a `serve` and waits until it answers, or until another one does."""
        self._stop()
        self._serving = subprocess.Popen(  # noqa: S603 (our own program, a path as one argument)
            [sys.executable, "-m", "infra.cli", "--home", str(self._home), *WHILE_ASKED],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is meant for the query, or for the notebook
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._ask("ping", {}) is None:
            if self._serving.poll() is not None:
                said = self._serving.communicate()[1].decode(errors="replace").strip()
                self._serving = None
                raise StartRefused(said.rpartition("\n")[2].removeprefix("parloir: ") or "serve ended without a word")
            if time.monotonic() > deadline:
                self._stop()
                raise Unavailable(f"{self._home} could not be opened within {START_TIMEOUT_S:.0f} s")
            time.sleep(0.05)

    def _stop(self) -> None:
        if self._serving is not None:
            try:
                self._serving.communicate(timeout=STOP_TIMEOUT_S)  # closes its input, and it ends
            except subprocess.TimeoutExpired:
                self._serving.kill()
                self._serving.communicate()
            self._serving = None

    def close(self) -> None:
        """Ends the `serve` that was started for this connection, if there is one."""
        self._is_closed = True
        self._stop()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(home: str | Path, *, reason: str | None = None) -> Connection:
    """A read-only connection to the projection of a home. See `Connection`."""
    return Connection(home, reason=reason)


def actor() -> str:
    """Who asks, for the record of accesses: the role and the account's number, never a name."""
    return f"analyst, account {os.getuid()}"
