"""Memory of `parloir serve`, embedded, after replaying recorded dialogues through its socket. `python -m tests.bench.memory`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import services

Figures = dict[str, float]


def bench_memory() -> Figures:
    """MB resident after the replay, and the most there ever was; messages replayed a second."""
    file = services.DATA / "sgd" / "train.jsonl.gz"
    program = [sys.executable, "-m", "infra.cli"]
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "PARLOIR_HOME": f"{home}/home"}
        with subprocess.Popen(
            [*program, "serve"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as serving:
            assert serving.stdout is not None
            serving.stdout.readline()
            done = subprocess.run([*program, "replay", str(file), "--json"], env=env, check=True, capture_output=True)
            status = Path(f"/proc/{serving.pid}/status").read_text()
            serving.send_signal(signal.SIGTERM)
            serving.communicate()
    kilobytes = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
    return {
        "resident_mb": int(kilobytes["VmRSS"].split()[0]) / 1_024,
        "most_mb": int(kilobytes["VmHWM"].split()[0]) / 1_024,
        "messages": json.loads(done.stdout)["messages"],
    }


if __name__ == "__main__":
    print(json.dumps(bench_memory(), indent=2))
