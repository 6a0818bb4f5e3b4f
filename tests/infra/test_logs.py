"""The program's own log: JSON lines that say what happened and never what a person wrote."""

from __future__ import annotations

import contextlib
import json
import logging
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import logs
from infra.settings import Settings
from vault.errors import PartitionStopped, StartRefused

MARK = "marked-utterance-4711"
log = logging.getLogger("vault.anything")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    threading.excepthook = hook


def lines(home: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home.home / "logs" / "parloir.log").read_text("utf-8").splitlines()]


def test_a_line_has_its_time_level_logger_text_and_known_fields(home: Settings) -> None:
    logs.to_file(home)
    log.info("follower moved", extra={"follower": "nlu", "partition": 3, "offset": 12, "duration_ms": 1.5})
    (line,) = lines(home)
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "vault.anything",
        "text": "follower moved",
        "follower": "nlu",
        "partition": 3,
        "offset": 12,
        "duration_ms": 1.5,
    }


def test_neither_arguments_nor_unknown_fields_nor_texts_of_errors_reach_the_file(home: Settings) -> None:
    logs.to_file(home)
    log.warning("received %s", MARK)
    log.warning("received", extra={"text": MARK, "utterance": MARK})
    log.warning(ValueError(MARK))
    try:
        int(MARK)
    except ValueError:
        log.exception("failed with %s", MARK)
    failing = threading.Thread(target=lambda: int(MARK), name=MARK)
    failing.start()
    failing.join()
    written = lines(home)
    assert MARK not in json.dumps(written)
    assert [line["text"] for line in written] == [
        "received %s",
        "received",
        "ValueError",
        "failed with %s",
        "thread failed",
    ]
    assert written[-1]["error"] == "ValueError"
    assert written[-1]["where"][-1].startswith("test_logs.py:")


def test_the_text_of_our_own_errors_is_kept_because_it_names_the_place(home: Settings) -> None:
    logs.to_file(home)
    try:
        raise PartitionStopped("conversations partition 2 stopped at offset 7", partition=2, offset=7)
    except PartitionStopped:
        log.exception("stopped")
    assert "offset 7" in lines(home)[0]["reason"]


def test_libraries_are_heard_from_warning_up_and_our_packages_from_info_up(home: Settings) -> None:
    logs.to_file(home)
    logging.getLogger("kafka.net").info("connected")
    logging.getLogger("kafka.net").warning("lost")
    for name in logs.OURS:
        logging.getLogger(name).debug("detail")
        logging.getLogger(f"{name}.module").info("said")
    assert [line["text"] for line in lines(home)] == ["lost", *["said"] * len(logs.OURS)]


def test_files_are_private_and_bounded_in_size_and_number(tmp_path: Path) -> None:
    home = Settings(home=tmp_path, journal_bytes_max=10_000, journal_files_max=2)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "parloir.log").touch(mode=0o644)
    logs.to_file(home)
    for number in range(1_000):
        log.info("said", extra={"offset": number})
    files = sorted((tmp_path / "logs").iterdir())
    assert [file.name for file in files] == ["parloir.log", "parloir.log.1", "parloir.log.2"]
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert lines(home)[-1]["offset"] == 999


def test_calling_it_again_moves_the_log_and_writes_nothing_twice(tmp_path: Path) -> None:
    first, second = Settings(home=tmp_path / "first"), Settings(home=tmp_path / "second")
    logs.to_file(first)
    logs.to_file(second)
    log.info("said")
    assert (len(lines(first)), len(lines(second))) == (0, 1)


def test_a_disk_that_takes_no_more_is_said_once_a_line_and_stops_nobody(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logs.to_file(home)
    assert isinstance(handler, logging.StreamHandler)
    handler.close()
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        handler.stream = full
        log.info("said %s", MARK, extra={"verb": "access"})
        handler.stream = None  # type: ignore[assignment]
    assert capsys.readouterr().err == "parloir: the log file cannot be written\n"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(StartRefused, match="cannot be written"):
        logs.to_file(Settings(home=tmp_path))
