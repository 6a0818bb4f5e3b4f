"""The two commands: what they install, when, and that signals reach the program. Python and pip are stood in for by shell scripts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = ("infra/run", "infra/test", ".ci/run")

PYTHON = """#!/bin/sh
# Stands in for Python: makes a virtual environment whose pip notes what it was asked for, and fails while FAIL exists.
echo "$*" >>"$NOTES"
case "$*" in
*venv*--clear*)
    mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"
    ;;
*install*)
    [ ! -e "$FAIL" ] || exit 1
    cp "$PROGRAM" "$(dirname "$0")/parloir"
    ;;
esac
"""
PROGRAM = """#!/bin/sh
echo "parloir $* home=${PARLOIR_HOME:-}"
[ -z "${WAIT:-}" ] || { trap 'echo stopped; exit 0' TERM; echo waiting; while :; do sleep 0.05; done; }
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the scripts need, with programs that note what they were called with."""
    copy = tmp_path / "a checkout"
    (copy / "infra").mkdir(parents=True)
    for name in ("pyproject.toml", "infra/run", "infra/environment.sh", "infra/constraints.txt"):
        shutil.copy(CHECKOUT / name, copy / name)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "cmp", "rm", "cp", "mkdir", "sleep"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    for name, text in (("python3.11", PYTHON), ("program", PROGRAM)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("FAIL", str(tmp_path / "fail"))
    monkeypatch.setenv("PROGRAM", str(programs / "program"))
    monkeypatch.delenv("PARLOIR_HOME")
    monkeypatch.delenv("PYTHON", raising=False)
    return copy


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "infra" / "run", *arguments], capture_output=True, text=True, check=False, cwd="/"
    )


def installations(checkout: Path) -> int:
    notes = checkout.parent / "notes"
    return notes.read_text().count("pip install") if notes.exists() else 0


def test_the_first_run_installs_pinned_packages_and_the_second_only_starts(checkout: Path) -> None:
    first = run(checkout)
    assert first.stdout == "parloir serve --demo home=\n"
    assert (
        f"--constraint {checkout}/infra/constraints.txt --editable {checkout}\n"
        in (checkout.parent / "notes").read_text()
    )
    (checkout.parent / "programs" / "python3.11").unlink()
    second = run(checkout, "--only", "registrar")
    assert (second.stdout, second.stderr) == ("parloir serve --demo --only registrar home=\n", "")
    assert installations(checkout) == 1


@pytest.mark.parametrize("changed", ["pyproject.toml", "infra/constraints.txt"])
def test_it_installs_again_when_what_it_installs_from_has_changed(checkout: Path, changed: str) -> None:
    run(checkout)
    with open(checkout / changed, "a") as file:
        file.write("# changed\n")
    assert run(checkout).returncode == 0
    assert installations(checkout) == 2


def test_an_installation_that_failed_is_said_and_done_again(checkout: Path) -> None:
    (checkout.parent / "fail").touch()
    failed = run(checkout)
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    (checkout.parent / "fail").unlink()
    assert run(checkout).returncode == 0


def test_without_python_it_says_which_is_needed(checkout: Path) -> None:
    (checkout.parent / "programs" / "python3.11").write_text("#!/bin/sh\nexit 1\n")  # too old
    refused = run(checkout)
    assert refused.returncode == 1
    assert (
        refused.stderr
        == "Python 3.11 or newer is needed and none was found. Install it, or set PYTHON to where it is.\n"
    )


def test_without_ensurepip_it_says_what_to_install(checkout: Path) -> None:
    (checkout.parent / "programs" / "python3.11").write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n')
    refused = run(checkout)
    assert refused.returncode == 1
    assert "apt-get install python3-venv" in refused.stderr


def test_the_demonstration_on_kafka_has_a_home_of_its_own_unless_one_is_chosen(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        run(checkout, "--kafka").stdout
        == f"parloir serve --demo --kafka home={os.environ['HOME']}/.local/share/parloir-kafka\n"
    )
    monkeypatch.setenv("PARLOIR_HOME", "/chosen")
    assert run(checkout, "--kafka").stdout == "parloir serve --demo --kafka home=/chosen\n"


def test_sigterm_reaches_the_program(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAIT", "1")
    with subprocess.Popen([checkout / "infra" / "run"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        while running.stdout.readline() != "waiting\n":
            pass
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == "stopped\n"
        assert running.wait(10) == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_can_be_executed_and_is_shell_of_any_kind(script: str) -> None:
    assert os.access(CHECKOUT / script, os.X_OK)
    assert (CHECKOUT / script).read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", CHECKOUT / script], check=True)


# What is pinned


def pinned() -> dict[str, str]:
    lines = (CHECKOUT / "infra" / "constraints.txt").read_text().splitlines()
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.!+]*)", line) for line in lines]
    assert all(found), "a name and an exact version a line, no address and no hash"
    return {plain(match[1]): match[2] for match in found if match}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_that_is_declared_is_pinned() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    assert {plain(re.split(r"[\[<>=!~ ;]", name)[0]) for name in declared} <= set(pinned())


def test_what_is_installed_here_is_what_is_pinned() -> None:
    installed = {plain(each.metadata["Name"]): each.version for each in distributions()}
    assert {name: installed[name] for name in pinned() if name in installed} == {
        name: version for name, version in pinned().items() if name in installed
    }
    assert len(set(pinned()) & set(installed)) > len(pinned()) / 2
