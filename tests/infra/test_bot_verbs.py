"""`parloir check`, `test` and `talk`: what they print, and with which exit code they end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.assistants import SHIPPED
from infra.cli import main

CHECKOUT = Path(__file__).resolve().parents[2]
MARK = "marked-utterance"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the town hall that a test may spoil."""
    return Path(shutil.copytree(SHIPPED / "townhall", tmp_path / "townhall"))


def test_a_shipped_assistant_is_checked_and_tested_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "townhall"]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings\n"
    assert main(["test", "townhall"]) == 0
    assert " 0 not as expected" in capsys.readouterr().out


def test_an_error_in_a_file_is_shown_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "flows" / "town.yaml"
    file.write_text(file.read_text().replace("say: waste_days", "say: waste_dyas"))
    assert main(["check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "error: there is no reply 'waste_dyas'; did you mean 'waste_days'?" in out
    assert main(["test", str(folder)]) == 2
    assert "waste_dyas" in capsys.readouterr().err


def test_a_difference_is_shown_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "tests" / "town.yaml"
    file.write_text(file.read_text().replace("bot: [report_status]", "bot: [problem_reported]"))
    assert main(["test", str(folder), "--only", "suivre un signalement"]) == 1
    out = capsys.readouterr().out
    assert "expected  problem_reported\n    said      report_status: Votre signalement" in out
    assert main(["test", str(folder), "--json"]) == 1
    (different,) = json.loads(capsys.readouterr().out)["different"]
    assert different["name"] == "suivre un signalement"


def test_no_such_assistant_and_no_such_test_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "townhal"]) == 2
    assert capsys.readouterr().err == (
        "parloir: there is no assistant.yaml in townhal; give its folder, or one of: townhall\n"
    )
    assert main(["test", "townhall", "--only", "no such name"]) == 2


def test_tests_may_be_understood_by_the_nearest_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "townhall", "--understanding", "examples", "--only", "notice vient"]) == 0


def chatted(typed: bytes, *arguments: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "infra.cli", "talk", "townhall", "--connect", "town=http://127.0.0.1:9", *arguments],
        input=typed, capture_output=True, cwd=CHECKOUT, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


def test_a_chat_answers_line_by_line_until_the_input_ends() -> None:
    code, out, _ = chatted("bonjour\nj'ai besoin de refaire mes papiers d'identité\n2\n\nquelle horreur\n".encode())
    assert code == 0
    assert "Est-ce pour un passeport ou pour une carte d'identité ?" in out
    assert "  1  passeport\n  2  carte d'identité\n" in out
    assert "jour" in out.split("carte d'identité\n")[-1]


def test_a_chat_by_intents_and_in_json() -> None:
    code, out, _ = chatted(b"waste_days street=rue_du_Stade\n", "--intent", "--json")
    assert code == 0
    first, second = [json.loads(line) for line in out.splitlines()]
    assert first["effects"][1]["arguments"] == {"street": "rue du Stade"}
    assert [reply["name"] for reply in second["replies"]] == ["system_unavailable"]


def test_bytes_that_are_no_text_are_answered(tmp_path: Path) -> None:
    code, out, err = chatted(b"\xff\xfe\x00\n\xed\xa0\x80\n" + b"x" * 100_000 + b"\n" + f"{MARK}\n".encode())
    assert code == 0
    assert "autrement" in out or "reformuler" in out or "Could you" in out
    assert MARK not in err


def test_a_connector_that_is_not_declared_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["talk", "townhall", "--connect", "twon=http://127.0.0.1:9"]) == 2
    assert "connectors: town" in capsys.readouterr().err
