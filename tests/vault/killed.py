"""Runs one erasure in a process that kills itself, like a power cut, just before or after one named step.

`python -m tests.vault.killed FOLDER SUBJECT STEP before|after`
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.vault.conftest import Vault, open_vault

STEPS: dict[str, Callable[[Vault], tuple[Any, str]]] = {
    "the keys are destroyed": lambda vault: (vault.keys, "erase"),
    "the register records it": lambda vault: (vault.register, "save"),
    "the conversations record it": lambda vault: (vault.conversations.log, "send"),
    "the fence learns its offset": lambda vault: (vault.keys, "set_fence_offset"),
    "the note is finished": lambda vault: (vault.keys, "finish"),
}


def main(folder: str, subject: str, step: str, when: str) -> None:
    vault = open_vault(Path(folder))
    owner, name = STEPS[step](vault)
    original = getattr(owner, name)

    def killed(*args: Any, **options: Any) -> None:
        if when == "after":
            original(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)
    vault.registrar.erase(UUID(subject), ground="request 1", decided_by="officer")
    raise SystemExit("the step was never reached")


if __name__ == "__main__":
    main(*sys.argv[1:])
