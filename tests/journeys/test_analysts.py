"""An analyst's day: plain SQL on the command line and from a notebook, words of who consented, and a copy to take away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

import projections
from infra.house import House
from infra.settings import load
from tests.journeys.conftest import Parloir, dialogue, write_dialogues
from tests.journeys.questions import answers
from vault.client import NAME, RemoteError
from vault.errors import BadInput, Unavailable
from vault.keys import IMPROVEMENT

MESSAGES = 80
REVEALED = "SELECT reveal(e) AS words FROM sealed_event e WHERE event_topic = 'interaction.received.1'"


@pytest.fixture
def home(parloir: Parloir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parloir:
    """A home of five people of whom one consented before a second batch came."""
    for name, value in parloir.env.items():
        monkeypatch.setenv(name, value)
    parloir.json("replay", str(batch(tmp_path, "first", "before")), "--people", "5", "--channel", "web")
    settings = load(parloir.env, parloir.home)
    with House(settings) as house:
        (subject, *_) = [row[0] for row in subjects(house)]
        house.registrar.show_notice(subject, notice_version="1", language="en")
        house.registrar.give_consent(subject, purpose=IMPROVEMENT, notice_version="1")
    parloir.json("replay", str(batch(tmp_path, "second", "after")), "--people", "5", "--channel", "web")
    return parloir


def batch(folder: Path, name: str, words: str) -> Path:
    first = 0 if name == "first" else 20
    return write_dialogues(
        folder / f"{name}.jsonl.gz",
        [dialogue(n, f"marked {words} {n}", f"again {words} {n}") for n in range(first, first + 20)],
    )


def subjects(house: House) -> list[tuple[object, ...]]:
    house.projector.catch_up()
    with house.projector.store.reading() as cursor:
        return list(cursor.execute("SELECT subject FROM subject ORDER BY messages DESC, subject").fetchall())


def revealed(parloir: Parloir) -> list[str]:
    found = parloir.json("sql", REVEALED, "--reason", "a test")
    assert len(found) == MESSAGES
    return [row["words"] for row in found if row["words"] is not None]


def test_words_are_shown_of_who_consented_and_stand_in_their_report(home: Parloir) -> None:
    refused = home("sql", REVEALED)
    assert refused.returncode == 2
    assert "give a reason (--reason)" in refused.stderr
    words = revealed(home)
    assert 0 < len(words) < MESSAGES / 2
    assert all("after" in text for text in words)
    (access,) = home.json("sql", "SELECT role, reason, events FROM access_log")
    assert (access["role"], access["events"]) == ("analyst", len(words))
    assert access["reason"].startswith("a test (SQL query ")


def test_a_notebook_asks_the_running_serve_and_every_verb_works_meanwhile(home: Parloir) -> None:
    serving = home.serve()
    with projections.connect(home.home, reason="a test") as connection:
        assert connection.sql("SELECT count(*) FROM interaction").fetchall() == [(MESSAGES,)]
        words = [row[0] for row in connection.execute(REVEALED).rows if row[0]]
        assert words
        assert sorted(words) == sorted(revealed(home))
        with pytest.raises(RemoteError, match="not allowed"):
            connection.sql("DROP TABLE position")
        with pytest.warns(UserWarning, match="only the first 10,000 rows"):
            assert len(connection.sql("SELECT * FROM range(20000)")) == 10_000
    assert serving.poll() is None, "it was not started by the connection"
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(timeout=60) == 0


def test_a_notebook_starts_a_serve_where_none_runs_and_ends_it(home: Parloir) -> None:
    with projections.connect(home.home) as connection:
        assert (home.home / NAME).exists()
        assert connection.sql("SELECT count(*) AS n FROM interaction").arrow().to_pydict() == {"n": [MESSAGES]}
        assert home.json("sql", "SELECT count(*) AS n FROM interaction") == [{"n": MESSAGES}]
        with pytest.raises(RemoteError, match="give a reason"):
            connection.sql(REVEALED)
        assert connection.sql(REVEALED, reason="a test").rows
    assert not (home.home / NAME).exists()
    with pytest.raises(Unavailable, match="closed"):
        connection.sql("SELECT 1")
    assert home("verify").returncode == 0


def test_the_serve_of_a_notebook_that_was_killed_ends_by_itself(home: Parloir) -> None:
    script = (
        f"import projections, os; c = projections.connect({str(home.home)!r}); print('ready', flush=True);"
        " os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script], env=home.env, capture_output=True, text=True, check=False)
    assert killed.stdout == "ready\n"
    deadline = time.monotonic() + 30
    while (home.home / NAME).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert home.json("sql", "SELECT count(*) AS n FROM interaction") == [{"n": MESSAGES}]


def test_a_home_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no home"):
        projections.connect(tmp_path / "mistyped")


@pytest.mark.parametrize("is_served", [False, True])
def test_a_copy_is_written_whole_and_says_how_far_it_reaches(home: Parloir, tmp_path: Path, is_served: bool) -> None:
    if is_served:
        home.serve()
    file = tmp_path / "copy.duckdb"
    done = home("snapshot", str(file))
    assert done.returncode == 0, done.stderr
    assert "  interaction 80\n" in done.stdout
    assert "as of conversations/0@" in done.stdout
    with duckdb.connect(str(file), read_only=True) as anybody:
        assert anybody.execute("SELECT count(*) FROM interaction").fetchone() == (MESSAGES,)
    again = home("snapshot", str(file))
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert home.json("snapshot", str(file), "--force", "--with-sealed")["rows"]["interaction"] == MESSAGES
    assert b"marked" not in file.read_bytes()


def test_results_go_to_files_of_their_owner_in_every_format(home: Parloir, tmp_path: Path) -> None:
    for form in ("table", "csv", "json", "parquet"):
        file = tmp_path / f"out.{form}"
        done = home("sql", "SELECT count(*) AS n FROM interaction", "--format", form, "-o", str(file))
        assert done.returncode == 0, done.stderr
        assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "out.json").read_text()) == [{"n": MESSAGES}]
    assert home("sql", "SELECT 1", "--format", "parquet").returncode == 2


def test_the_five_questions_of_an_analyst_are_answered(home: Parloir) -> None:
    found = answers(str(home.home))
    assert sum(messages for _, messages in found["the busiest hours"]) <= MESSAGES
    assert found["how often the bot did not understand, by intent"]
    assert found["conversations by channel"] == [("web", 40)]
    ((messages, most, seconds),) = found["length until it was resolved"]
    assert (messages, most) == (2, 2)
    assert seconds > 0
    assert found["how many come back"] == [(1.0, 5)]
