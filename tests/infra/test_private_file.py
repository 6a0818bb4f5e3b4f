"""A private file: for its owner only, and there whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from infra.private_file import write
from vault.errors import BadInput


def test_it_is_for_its_owner_only_also_where_a_file_was_that_everybody_reads(tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"an older one")
    file.chmod(0o644)
    write(file, b"content")
    assert file.read_bytes() == b"content"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_when_it_cannot_be_finished_the_older_file_stays_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"an older one")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(BadInput, match="cannot be written: No space left on device; choose another place"):
        write(file, b"content")
    assert file.read_bytes() == b"an older one"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(BadInput, match="is not a file"):
            write(place, b"content")
    with pytest.raises(BadInput, match="cannot be written"):
        write(tmp_path / "nowhere" / "report.pdf", b"content")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "report.pdf")
    write(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "report.pdf").read_bytes() == b"content"
