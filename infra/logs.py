"""What the program says about itself while it serves: JSON lines in HOME/logs/parloir.log, for the operator.

Risk: a log line that repeats what a person wrote outlives every erasure. So a line is made of a constant text and of the fields
named here; arguments, tracebacks' messages and any other field are left out, whoever logs them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import traceback
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from infra.settings import Settings
from vault.errors import StartRefused, VaultError

FIELDS = (
    "verb",
    "follower",
    "topic",
    "partition",
    "offset",
    "event_topic",
    "originator_id",
    "interaction_id",
    "subject",
    "records",
    "model",
    "duration_ms",
    "kind",
    "reason",
)
"""What a line may hold beside its text. `reason` is the text of a `VaultError`, which names nobody."""

OURS = ("parloir", "infra", "vault", "nlu", "bot", "projections")
FRAMES_MAX = 12
TEXT_MAX = 500


class Lines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            # The text as it stands in the program; what would be filled in may be anything.
            "text": str(record.msg)[:TEXT_MAX] if isinstance(record.msg, str) else type(record.msg).__name__,
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value if isinstance(value, int | float) else str(value)[:TEXT_MAX]
        if record.exc_info and record.exc_info[0] is not None:
            line.update(_failure(record.exc_info[1], record.exc_info[2]))
        return json.dumps(line, ensure_ascii=False)


def _failure(error: BaseException | None, trace: TracebackType | None) -> dict[str, Any]:
    """What failed and where: never the text of an error that is not ours, which may quote a message."""
    frames = traceback.extract_tb(trace)[-FRAMES_MAX:]
    failure: dict[str, Any] = {
        "error": type(error).__name__,
        "where": [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, VaultError):
        failure["reason"] = str(error)[:TEXT_MAX]
    return failure


class PrivateRotatingFile(RotatingFileHandler):
    """A rotating file of mode 0600 from its first byte, and silent on failure: a full disk must not stop what is served."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        """The standard library would print the record, arguments and all."""
        del record
        print("parloir: the log file cannot be written", file=sys.stderr)


def to_file(settings: Settings, owner: Path | None = None) -> logging.Handler:
    """Sends what is logged from now on to HOME/logs/parloir.log, and nowhere else; a worker's, to that of its folder, `owner`.

    Raises `StartRefused`.
    """
    folder = (owner or settings.home) / "logs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = PrivateRotatingFile(
            folder / "parloir.log",
            maxBytes=settings.journal_bytes_max,
            backupCount=settings.journal_files_max,
            encoding="utf-8",
        )
    except OSError as error:
        raise StartRefused(
            f"{folder} cannot be written: {error.strerror}", remedy="see to the disk and its owner"
        ) from error
    handler.setFormatter(Lines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, PrivateRotatingFile):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)  # everybody else's: libraries say much, and quote what they were given
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    threading.excepthook = _thread_failed
    return handler


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Instead of a traceback on stderr, whose last line quotes the error."""
    if failed.exc_type is not SystemExit:
        error = failed.exc_value or failed.exc_type()
        logging.getLogger("parloir").error("thread failed", exc_info=(failed.exc_type, error, failed.exc_traceback))
