"""What SQLite leaves in the unallocated space of a page, taken away.

`secure_delete` overwrites a row that is deleted and a page that is freed. But when rows move to a neighbouring page to balance the
tree, SQLite may rebuild the page they came from without clearing the space that became free there, and a copy of a moved row, a
wrapped key for instance, stays in it. Deleting the row later overwrites the row and not the copy: in one of about 200 erasures
something was left. So after each transaction the pages that it wrote are looked at again and that space is zeroed.

Which pages those are is read from the rollback journal before the commit, which does not list pages that are new or that were free
and so had nothing to be rolled back to; these are found by the file's length and list of free pages before and after. A crash
between a commit and the cleaning leaves some uncleaned, so opening a key store looks at every page. Nothing here needs a sync: what
a power failure undoes is looked at again in the same way. The formats are those of https://www.sqlite.org/fileformat2.html (sections
1.5, 1.6 and 3).
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterable
from pathlib import Path

_INTERIOR = (2, 5)
_LEAF = (10, 13)

_lock = threading.Lock()
_descriptors: dict[tuple[int, int], list[int]] = {}
"""By device and inode: descriptor, and how many use it.

Closing any descriptor of a file takes away the POSIX locks that this process has on it, SQLite's own, so there is one descriptor a
file, closed when the last database on it is.
"""


class Unallocated:
    """The unallocated space in the pages of one database file. Whoever calls `clean` keeps every writer out meanwhile."""

    def __init__(self, path: Path) -> None:
        self._journal = Path(f"{path}-journal")
        status = path.stat()
        self._file = (status.st_dev, status.st_ino)
        with _lock:
            shared = _descriptors.setdefault(self._file, [-1, 0])
            if not shared[1]:
                shared[0] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            shared[1] += 1
            self._descriptor = shared[0]
        self.page_size = int.from_bytes(os.pread(self._descriptor, 2, 16), "big")
        if self.page_size == 1:  # how the format writes 65,536
            self.page_size = 65_536

    def pages(self) -> int:
        """How many there are now; they are numbered from 1."""
        return os.fstat(self._descriptor).st_size // self.page_size if self.page_size else 0

    def free(self) -> set[int]:
        """The pages that hold nothing now: those that list others, and those that are listed."""
        found: set[int] = set()
        (trunk,) = struct.unpack(">I", os.pread(self._descriptor, 4, 32) or bytes(4))
        while trunk and trunk not in found:
            page = os.pread(self._descriptor, self.page_size, (trunk - 1) * self.page_size)
            following, leaves = struct.unpack_from(">II", page)
            found.add(trunk)
            found.update(struct.unpack_from(f">{min(leaves, self.page_size // 4 - 2)}I", page, 8))
            trunk = following
        return found

    def being_written(self) -> set[int]:
        """The pages that the transaction under way changed, but for those that are new or were free."""
        try:
            journal = os.open(self._journal, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return set()
        try:
            return {number for number in self._journalled(journal) if 0 < number <= self.pages()}
        finally:
            os.close(journal)

    def _journalled(self, journal: int) -> Iterable[int]:
        """Each header counts the records after it; the last one, not synced yet, says 0, and they go on to the end of the file.

        A process that was killed may have left a longer journal, which is written over from its beginning. What is still its own
        is read too: pages more than need be, or numbers of none, and a last record that may be a part of one.
        """
        size = os.fstat(journal).st_size
        record = self.page_size + 8  # page number, page, checksum
        at, counted = 0, -1
        while at < size and counted:
            header = os.pread(journal, 28, at)
            counted = int.from_bytes(header[8:12], "big")
            sector = int.from_bytes(header[20:24], "big")
            if not 0 < sector <= 65_536:
                return
            at += sector
            there = max(0, (size - at) // record)
            records = min(counted, there) if counted else there
            for number in range(records):
                yield int.from_bytes(os.pread(journal, 4, at + number * record), "big")
            at += records * record
            at += -at % sector

    def clean(self, pages: Iterable[int]) -> None:
        """Zeroes what these pages hold in their unallocated space."""
        size = self.page_size
        for number in pages:
            at = (number - 1) * size
            page = os.pread(self._descriptor, size, at)
            top, start = unallocated(page, is_first=number == 1)
            if page.count(0, top, start) != start - top:
                os.pwrite(self._descriptor, bytes(start - top), at + top)

    def close(self) -> None:
        with _lock:
            shared = _descriptors.get(self._file)
            if self._descriptor < 0 or shared is None:
                return
            self._descriptor = -1
            shared[1] -= 1
            if not shared[1]:
                os.close(shared[0])
                del _descriptors[self._file]


def unallocated(page: bytes, *, is_first: bool) -> tuple[int, int]:
    """Where a page's unallocated space begins and ends; two equal numbers for a page that is none of a tree.

    Pages of other kinds begin with a page number, whose first byte is 0 in files of less than 128 GB.
    """
    header = 100 if is_first else 0  # the file's own header
    kind = page[header] if len(page) > header + 12 else 0
    if kind not in _INTERIOR and kind not in _LEAF:
        return 0, 0
    cells = int.from_bytes(page[header + 3 : header + 5], "big")
    start = int.from_bytes(page[header + 5 : header + 7], "big") or 65_536
    top = header + (12 if kind in _INTERIOR else 8) + 2 * cells
    return (top, start) if top <= start <= len(page) else (0, 0)
