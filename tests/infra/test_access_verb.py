"""`parloir access`: its formats and languages, the file it writes, what it warns of, and what it records."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from infra.cli import main
from infra.house import House
from infra.settings import Settings
from projections.declaration import FILE
from projections.report import LANGUAGES
from tests.projections.reports import DECLARED
from vault.intake import Message
from vault.request import PrivacyRequest

WHO = "web:visitor-1"
TITLES = {"fr": "Ce qui est conservé à votre sujet", "en": "What is held about you"}


@pytest.fixture
def held(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with one message of one person, and a declaration."""
    monkeypatch.setenv("PARLOIR_LOG_PARTITIONS", str(home.log_partitions))
    with House(home) as house:
        house.intake.receive([Message("web", "site", "visitor-1", "m-1", "hello", 1_780_000_000_000_000)])
    (home.home / FILE).write_text(DECLARED, "utf-8")
    return home


def read(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_format_is_written_in_the_language_to_a_file_for_its_owner(
    held: Settings, tmp_path: Path, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for format in ("text", "html", "pdf", "json"):
        file = tmp_path / f"report.{format}"
        assert main(["access", WHO, "--format", format, "--lang", language, "-o", str(file)]) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        content = file.read_bytes()
        if format == "pdf":
            metadata = PdfReader(io.BytesIO(content)).metadata
            assert metadata is not None
            assert metadata.title == TITLES[language]
        elif format == "json":
            assert json.loads(content)["purposes"][0]["name"] == {"fr": "répondre", "en": "answering"}
        else:
            assert TITLES[language] in content.decode()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [f"written to {tmp_path}/report.{format}" for format in ("text", "html", "pdf", "json")]


def test_without_a_declaration_it_warns_and_reports_all_the_same(
    held: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (held.home / FILE).unlink()
    assert main(["access", WHO]) == 0
    out, err = capsys.readouterr()
    assert "hello" in out
    assert err == f"parloir: there is no {FILE} in {held.home}: the report says that nothing is declared\n"


def test_a_declaration_that_is_wrong_is_one_line_with_its_place_and_nothing_is_opened(
    held: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (held.home / FILE).write_text(DECLARED.replace('"public_task"', '"public-task"'), "utf-8")
    assert main(["access", WHO]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    line = DECLARED.split('"public_task"')[0].count("\n") + 1
    assert (
        f"{held.home}/{FILE}, line {line}: purpose 1, legal_basis is none of those it can be; did you mean public_task?"
        in err
    )
    (held.home / FILE).write_text(DECLARED, "utf-8")
    assert main(["access", WHO, "--json"]) == 0
    assert read(capsys)["accesses"] == []


def test_an_access_is_recorded_with_its_request_and_stands_in_the_next_report(
    held: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with House(held) as house:
        person = house.person(WHO)
        request = PrivacyRequest.receive(case=person.case, kind="access", assurance="site", due_at_us=1)
        house.register.save(request, case=person.case)
    assert main(["access", WHO, "--json", "--request", str(request.id), "--reason", "a letter"]) == 0
    assert read(capsys)["asked"]["request"]["id"] == str(request.id)
    assert main(["access", WHO, "--format", "json", "--identity", "known at the desk"]) == 0
    report = read(capsys)
    assert report["asked"]["identity"] == "known at the desk"
    (access,) = report["accesses"]
    assert (access["reason"], access["request_id"]) == ("a letter", str(request.id))
    for wrong in ("a-request", str(person.case)):
        assert main(["access", WHO, "--request", wrong]) == 2


def test_only_what_the_person_provided_is_json(held: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["access", WHO, "--portable", "--blank-others"]) == 0
    provided = read(capsys)
    assert [each["text"] for each in provided["messages"]] == ["hello"]
    assert provided["others"]["asked"] is True
    for wrong in (["--portable", "--format", "pdf"], ["--json", "--format", "html"]):
        assert main(["access", WHO, *wrong]) == 2
        assert "is JSON and nothing else; leave out --format" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_said_in_one_line(held: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["access", WHO, "-o", "/dev/null"]) == 2
    assert capsys.readouterr().err == "parloir: /dev/null is not a file; choose another place\n"
