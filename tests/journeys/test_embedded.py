"""An embedded home from its first message to an erasure, on the command line."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.journeys.conftest import Parloir, dialogue, write_dialogues

PERSON = "web:visitor"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_dialogues(
        tmp_path / "d.jsonl.gz", [dialogue(n, f"hello number {n}", f"second of {n}") for n in range(40)]
    )


@pytest.fixture
def replayed(parloir: Parloir, file: Path) -> Parloir:
    done = parloir.json("replay", str(file), "--people", "5", "--channel", "web")
    assert (done["dialogues"], done["messages"], done["repeated"]) == (40, 80, 0)
    return parloir


def somebody(parloir: Parloir) -> str:
    rows = parloir.json("sql", "SELECT subject FROM subject ORDER BY subject LIMIT 1")
    return str(rows[0]["subject"])


def test_a_person_is_shown_and_erased_and_shown_no_more(replayed: Parloir) -> None:
    who = somebody(replayed)
    shown = replayed("access", who)
    assert shown.returncode == 0, shown.stderr
    assert "hello number" in shown.stdout
    assert "complete to offset" in shown.stdout
    again = replayed("access", who, "--format", "json")
    report = json.loads(again.stdout)
    assert len(report["accesses"]) == 1, "the access before stands in the next report"
    erased = replayed("erase", who, "--reason", "request 1", text="erase\n")
    assert erased.returncode == 0, erased.stderr
    assert "destroyed key" in erased.stdout
    assert "cannot be undone" in erased.stderr
    gone = replayed("access", who)
    assert gone.returncode == 3
    assert gone.stderr.count("\n") == 1
    second = replayed("erase", who, "--reason", "request 2", "--yes")
    assert second.returncode == 0
    assert "already erased" in second.stdout
    assert replayed("verify").returncode == 0


def test_an_erasure_that_is_not_confirmed_erases_nothing(replayed: Parloir) -> None:
    who = somebody(replayed)
    refused = replayed("erase", who, "--reason", "request 1", text="no\n")
    assert refused.returncode == 1
    assert replayed("access", who).returncode == 0


def test_a_replay_run_again_adds_nothing(replayed: Parloir, file: Path) -> None:
    again = replayed.json("replay", str(file), "--people", "5", "--channel", "web")
    assert (again["messages"], again["repeated"]) == (0, 80)


def test_a_broken_line_is_named_and_the_lines_before_it_are_in(parloir: Parloir, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    lines = [json.dumps(dialogue(n, f"hello number {n}")) for n in range(4)]
    lines[2] = '{"dialogue_id": "d2", "turns": ['
    broken.write_text("\n".join(lines) + "\n", "utf-8")
    for _ in range(2):
        done = parloir("replay", str(broken), "--channel", "web")
        assert done.returncode == 2
        assert "broken.jsonl" in done.stderr
        assert "line 3" in done.stderr
        assert "hello" not in done.stderr
    rows = parloir("sql", "SELECT count(*) AS n FROM interaction", "--format", "csv")
    assert rows.stdout.split() == ["n", "2"]


def test_an_unknown_person_is_exit_3_and_one_line(replayed: Parloir) -> None:
    for verb in (["access", "web:nobody"], ["erase", "web:nobody", "--reason", "r", "--yes"]):
        done = replayed(*verb)
        assert done.returncode == 3
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1


def test_a_verb_asks_the_serve_that_runs_and_sigterm_stops_it_cleanly(replayed: Parloir) -> None:
    serving = replayed.serve()
    who = somebody(replayed)
    assert replayed("access", who).returncode == 0
    assert replayed("verify").returncode == 0
    assert (replayed.home / "serve.sock").stat().st_mode & 0o777 == 0o600
    serving.send_signal(signal.SIGTERM)
    _, stderr = serving.communicate(timeout=60)
    assert serving.returncode == 0
    assert "stopped" in stderr
    assert not (replayed.home / "serve.sock").exists()
    assert replayed("access", who).returncode == 0


def test_a_serve_that_was_killed_is_started_again_and_has_lost_nothing(replayed: Parloir, file: Path) -> None:
    serving = replayed.serve()
    serving.send_signal(signal.SIGKILL)
    serving.communicate()
    serving = replayed.serve()
    again = replayed.json("replay", str(file), "--people", "5", "--channel", "web")
    assert (again["messages"], again["repeated"]) == (0, 80)
    assert replayed("verify").returncode == 0
    serving.send_signal(signal.SIGINT)
    serving.communicate(timeout=60)
    assert serving.returncode == 0


def test_rotate_and_rebuild_change_nothing_that_is_held(replayed: Parloir) -> None:
    who = somebody(replayed)
    before = json.loads(replayed("access", who, "--format", "json").stdout)
    assert replayed.json("rotate")["epoch"] == 2
    assert replayed.json("rebuild")["events"] > 0
    after = json.loads(replayed("access", who, "--format", "json").stdout)
    assert after["interactions"] == before["interactions"] != []
    keks = sorted(file.name for file in (replayed.home / "keks").glob("*.kek"))
    assert all(".2." in name for name in keks)
    assert replayed("verify").returncode == 0


def test_nothing_that_was_said_is_readable_in_the_home_before_or_after_an_erasure(
    parloir: Parloir, tmp_path: Path
) -> None:
    marked = "a sentence with zyxwvut in it"
    file = write_dialogues(tmp_path / "m.jsonl.gz", [dialogue(1, marked)])
    parloir.json("replay", str(file), "--channel", "web")
    serving = parloir.serve()
    who = somebody(parloir)
    assert marked in parloir("access", who).stdout
    _nothing_readable(parloir, b"zyxwvut")
    parloir("erase", who, "--reason", "request 1", "--yes")
    _nothing_readable(parloir, b"zyxwvut")
    serving.send_signal(signal.SIGTERM)
    serving.communicate(timeout=60)
    _nothing_readable(parloir, b"zyxwvut")


def _nothing_readable(parloir: Parloir, marked: bytes) -> None:
    files = [path for path in parloir.home.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert marked not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("loose keys", "looser than"),
        ("no keys", "missing"),
        ("another number of partitions", "log_partitions=2"),
        ("a newer home", "newer program"),
        ("another vault's keys", "is of vault"),
    ],
)
def test_a_home_that_does_not_fit_is_refused_with_the_remedy(replayed: Parloir, damage: str, said: str) -> None:
    keks = replayed.home / "keks"
    if damage == "loose keys":
        keks.chmod(0o755)
    elif damage == "no keys":
        keks.rename(replayed.home / "elsewhere")
    elif damage == "another number of partitions":
        replayed.env["PARLOIR_LOG_PARTITIONS"] = "3"
    elif damage == "a newer home":
        home = json.loads((replayed.home / "home.json").read_text())
        (replayed.home / "home.json").write_text(json.dumps(home | {"version": 99}))
    else:
        (keks / "vault-id").write_text("00000000-0000-4000-8000-000000000000\n")
    done = replayed("access", "web:nobody")
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert ";" in done.stderr, "a remedy follows"
