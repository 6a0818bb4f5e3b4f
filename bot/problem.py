"""What is wrong in an assistant's files, said so that its author can mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vault.errors import BadInput

SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the files something stands."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`line` is counted from 1. A `warning` does not stop the assistant from running."""

    file: str
    line: int
    what: str
    remedy: str
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning" if self.warning else "error"
        return f"{self.file}:{self.line}: {kind}: {self.what}; {self.remedy}"


class FilesRefused(BadInput):
    """An assistant's files do not describe an assistant. `problems` are all that were found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        shown = "\n".join(str(problem) for problem in self.problems[:SHOWN_MAX])
        more = len(self.problems) - SHOWN_MAX
        super().__init__(shown + (f"\nand {more} more" if more > 0 else ""))
