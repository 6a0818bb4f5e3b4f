"""File systems small enough to fill up."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def disk_of(where: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size. Needs root; without it there is nothing that fills up as a disk does, and the test is skipped."""
    where.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root; run the tests as root to see a full disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(where)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system; run the tests where root may, to see a full disk")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)
