"""The program as its users have it: `parloir` in a process of its own, on a home of its own."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Parloir:
    """Runs verbs on one home."""

    home: Path
    env: dict[str, str]

    def __call__(
        self, *arguments: str, text: str | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "infra.cli", *arguments]

    def json(self, *arguments: str) -> Any:
        """What a verb prints with `--json`; it must succeed."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def serve(self, *arguments: str) -> subprocess.Popen[str]:
        """A running `serve`, once it answers."""
        serving = self.start("serve", *arguments)
        assert serving.stdout is not None
        first = serving.stdout.readline()
        assert first, serving.stderr.read() if serving.stderr else ""
        return serving


@pytest.fixture
def make_parloir(tmp_path: Path) -> Iterator[Callable[..., Parloir]]:
    started: list[subprocess.Popen[str]] = []

    class Kept(Parloir):
        def start(self, *arguments: str) -> subprocess.Popen[str]:
            started.append(super().start(*arguments))
            return started[-1]

    def make(**settings: str) -> Parloir:
        home = tmp_path / "home"
        env = {**os.environ, "PARLOIR_HOME": str(home), "PARLOIR_LOG_PARTITIONS": "2"}
        env |= {f"PARLOIR_{name.upper()}": value for name, value in settings.items()}
        return Kept(home, env)

    yield make
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def parloir(make_parloir: Callable[..., Parloir]) -> Parloir:
    return make_parloir()


def dialogue(number: int, *said: str) -> dict[str, Any]:
    """A recorded dialogue: what was said, each answered."""
    turns: list[dict[str, Any]] = []
    for text in said:
        turns.append({"speaker": "user", "utterance": text, "intent": [f"Intent{number % 3}"]})
        turns.append({"speaker": "system", "utterance": f"Answer to: {text}"})
    return {"dialogue_id": f"d{number:05d}", "services": ["Town_1"], "turns": turns}


def write_dialogues(path: Path, dialogues: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as out:
        for one in dialogues:
            out.write(json.dumps(one, ensure_ascii=False) + "\n")
    return path
