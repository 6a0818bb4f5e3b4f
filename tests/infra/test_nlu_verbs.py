"""`parloir train`, `parse`, `evaluate` and `import`, and `check` of training files, as they are typed."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from infra.cli import main
from tests.nlu.conftest import write_assistant

EXAMPLES = "".join(
    json.dumps({"text": f"{word} {n}", "intent": intent, "fold": n}) + "\n"
    for intent, words in {"a": ["red", "green", "blue"], "b": ["one", "two", "three"]}.items()
    for word in words
    for n in range(2)
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_assistant(tmp_path / "assistant")
    path = tmp_path / "m.parloir"
    assert main(["train", str(tmp_path / "assistant"), "-o", str(path), "--made-at", "2026-01-31T12:00:00Z"]) == 0
    return path


def test_train_says_how_good_it_is_and_makes_the_same_file_again(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(tmp_path / "assistant")]) == 0
    assert "by cross-validation: " in capsys.readouterr().out
    again = ["train", str(tmp_path / "assistant"), "--made-at", "2026-01-31T12:00:00Z", "--json"]
    assert main(again) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["model"]).read_bytes() == model.read_bytes()
    assert told["examples"] == 33
    assert set(told["metrics"]) == {"in_scope_accuracy", "calibration_error", "unclear", "unsure"}


def test_parse_prints_what_is_understood(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["parse", "annuler ma réservation", "--model", str(model), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["language"], told["intents"][0]["intent"]) == ("fr", "cancel")
    assert len(told["model"]) == 64
    assert main(["parse", "cancel my reservation", "--model", str(model)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("en (")
    assert " cancel\n" in shown


def test_parse_reads_messages_from_standard_input(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("the menu please\n\ncancel it\n"))
    assert main(["parse", "-", "--model", str(model), "--json"]) == 0
    assert [json.loads(line)["intents"][0]["intent"] for line in capsys.readouterr().out.splitlines()][::2] == [
        "menu",
        "cancel",
    ]


@pytest.mark.parametrize("text", ["", "\udcff", "\x00", "😀"])
def test_parse_answers_whatever_is_typed(model: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    for form in ([], ["--json"]):
        assert main(["parse", text, "--model", str(model), *form]) == 0
    capsys.readouterr().out.encode("utf-8")


def test_check_lists_and_fails_on_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_assistant(tmp_path / "good")
    assert main(["check", str(good)]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings\n"
    bad = write_assistant(tmp_path / "bad", french="intents:\n  a: ['[b']\n")
    assert main(["check", str(bad)]) == 1
    assert "nlu/fr.yaml:2: error: unbalanced mark" in capsys.readouterr().out
    assert main(["check", str(bad), "--json"]) == 1
    assert [found["warning"] for found in json.loads(capsys.readouterr().out)].count(False) == 1
    assert main(["train", str(bad)]) == 2
    assert "fr.yaml:2: unbalanced mark" in capsys.readouterr().err


def test_evaluate_prints_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(EXAMPLES)
    assert main(["evaluate", "--train", str(file), "--test", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["intent"]["micro_f1"] == 1.0
    assert main(["evaluate", "--train", str(file), "--protocol", "hwu64"]) == 0
    assert "intent: micro f1 " in capsys.readouterr().out
    assert main(["evaluate", "--train", str(file)]) == 2
    assert "--protocol hwu64" in capsys.readouterr().err


def test_import_makes_an_assistant_that_can_be_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "nlu.yml"
    old.write_text("nlu:\n- intent: a\n  examples: |\n    - red\n- intent: b\n  examples: |\n    - one\n- story: x\n")
    made = tmp_path / "assistant"
    assert main(["import", "rasa", str(old), "-o", str(made)]) == 0
    assert "left out: " in capsys.readouterr().out
    assert main(["train", str(made)]) == 0


def test_an_unfit_model_is_one_line_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m").write_bytes(b"{}" * 100)
    for name, code in (("m", 1), ("none", 2)):
        assert main(["parse", "hello", "--model", str(tmp_path / name)]) == code
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "parloir train" in said


def test_evaluate_scores_what_finds_personal_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "écrivez à visiteur@example.org"
    marked = {"text": text, "spans": [{"start": 10, "end": len(text), "entity": "email"}]}
    file = tmp_path / "marked.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.write(json.dumps(marked) + "\n")
    assert main(["evaluate", "--pii", str(file), "--language", "fr", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["sentences"], figures["exact"]["email"]["f1"], figures["presidio"]["f2"]) == (1, 1.0, 1.0)
    assert main(["evaluate", "--pii", str(file)]) == 0
    assert "exact email: precision 1.0, recall 1.0, f1 1.0, marked 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (b"{}\n", [], "marked.jsonl: line 1 is no marked sentence"),
        (b"\xff\xfe", [], "is not UTF-8"),
        (None, [], "cannot read"),
        (b"", ["--test", "x"], "--pii is scored alone"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, more: list[str], said: str
) -> None:
    file = tmp_path / "marked.jsonl"
    if content is not None:
        file.write_bytes(content)
    assert main(["evaluate", "--pii", str(file), *more]) == 2
    assert said in capsys.readouterr().err
