"""The command line: what it refuses, what it prints where, and which exit code that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra import cli
from infra.cli import main
from infra.settings import TABLE
from infra.verbs import VERBS

MARK = "marked-utterance"


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize("verb", [["access", "web:nobody"], ["sql", "SELECT 1"], ["verify"], ["rotate"], ["rebuild"]])
def test_a_home_that_is_not_there_is_refused_and_not_made(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path / "mistyped"), *verb]) == 2
    assert f"there is no home in {tmp_path}/mistyped" in one_line(capsys)
    assert not (tmp_path / "mistyped").exists()


def test_an_unknown_person_is_one_line_and_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "none.jsonl"
    made.touch()
    assert main(["replay", str(made)]) == 0
    capsys.readouterr()
    assert main(["access", "web:nobody"]) == 3
    assert one_line(capsys) == "parloir: nothing is held under that name"


def test_bad_settings_are_one_line_and_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARLOIR_LOGS", "sqlite")
    assert main(["verify"]) == 2
    assert "there is no setting logs; did you mean log?" in one_line(capsys)


@pytest.mark.parametrize("arguments", [[], ["acess"], ["erase", "web:x"], ["access"], ["sql", "x", "--format", "xml"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: parloir" in capsys.readouterr().err


def test_an_unforeseen_error_tells_nobody_what_it_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "none.jsonl"
    empty.touch()
    main(["replay", str(empty)])
    capsys.readouterr()

    def broken(*_: object) -> dict[str, object]:
        raise RuntimeError(MARK)

    monkeypatch.setitem(VERBS, "verify", broken)
    assert main(["verify"]) == 1
    assert one_line(capsys) == "parloir: failed unexpectedly (RuntimeError); run again with --debug to see where"
    with pytest.raises(RuntimeError):
        main(["--debug", "verify"])


def test_settings_can_be_listed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    assert "\nlog_partitions " in capsys.readouterr().out
    assert main(["settings", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(TABLE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_verb(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(verb in script for verb in cli.EPILOGS)


def test_a_part_that_is_not_there_yet_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--only", "desk"]) == 2
    assert "the part desk is not in this version yet" in one_line(capsys)


def test_a_gateway_without_an_assistant_is_refused_with_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--only", "gateway"]) == 2
    assert "set assistant to its folder" in one_line(capsys)
