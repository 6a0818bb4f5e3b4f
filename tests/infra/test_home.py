"""The home folder: one owner at a time, opened only as it was made, made anew where the making was interrupted."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infra.home import VERSION, Home
from tests.services import CHECKOUT
from vault.errors import HomeBusy, HomeNewer, LogMismatch, StartRefused

HORIZON = 65_536


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home"


def made(path: Path) -> None:
    with Home(path) as home:
        identity, _ = home.identity("sqlite", 4, HORIZON)
        home.keep(identity, made=True)


def test_a_home_is_known_again_by_what_it_was_made_with(path: Path) -> None:
    with Home(path) as home:
        first, new = home.identity("sqlite", 4, HORIZON)
        assert new
        home.keep(first, made=True)
    with Home(path) as home:
        assert home.identity("sqlite", 4, HORIZON) == (first, False)


def test_a_home_that_is_owned_is_refused_until_its_owner_is_gone_even_by_kill(path: Path) -> None:
    owning = "import sys; from pathlib import Path; from infra.home import Home; Home(Path(sys.argv[1])); print('mine', flush=True)"
    command = [sys.executable, "-c", owning + "; sys.stdin.read()", str(path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "mine\n"
        with pytest.raises(HomeBusy, match="in use by another process"):
            Home(path)
        owner.kill()
    with Home(path):
        pass


def test_the_folder_is_for_its_owner_only_even_if_it_was_open_before(path: Path) -> None:
    path.mkdir(mode=0o755)
    with Home(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "lock").stat().st_mode) == 0o600


def test_another_log_number_of_partitions_or_horizon_is_refused_with_both_values(path: Path) -> None:
    made(path)
    with Home(path) as home:
        with pytest.raises(LogMismatch, match=r"log=sqlite.*kafka://a:1/p"):
            home.identity("kafka://a:1/p", 4, HORIZON)
        with pytest.raises(LogMismatch, match=r"log_partitions=4.* 8"):
            home.identity("sqlite", 8, HORIZON)
        with pytest.raises(LogMismatch, match="log_horizon_records=65536, the settings say 8"):
            home.identity("sqlite", 4, 8)


def test_a_home_of_a_newer_program_is_refused_and_left_as_it_is(path: Path) -> None:
    made(path)
    file = path / "home.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": VERSION + 1}))
    before = file.read_text()
    with Home(path) as home, pytest.raises(HomeNewer, match=f"version {VERSION + 1}, this program knows {VERSION}"):
        home.identity("sqlite", 4, HORIZON)
    assert file.read_text() == before


@pytest.mark.parametrize("held", ["", "[]", "{}", '{"version": "1"}', '{"version": 1, "vault_id": "x"}'])
def test_a_damaged_identity_is_refused_with_the_remedy(path: Path, held: str) -> None:
    made(path)
    (path / "home.json").write_text(held)
    with Home(path) as home, pytest.raises(StartRefused, match="restore it from a backup"):
        home.identity("sqlite", 4, HORIZON)


def test_keys_without_an_identity_are_never_taken_for_a_new_home(path: Path) -> None:
    (path / "keys").mkdir(parents=True)
    (path / "keys" / "keys.db").touch()
    with Home(path) as home, pytest.raises(StartRefused, match="missing from a home that has keys"):
        home.identity("sqlite", 4, HORIZON)


def test_what_an_interrupted_making_left_is_made_anew_under_the_same_ids(path: Path) -> None:
    with Home(path) as home:
        first, _ = home.identity("sqlite", 4, HORIZON)
        (path / "keks").mkdir()
        (path / "keys").mkdir()
        (path / "keys" / "keys.db").touch()
    with Home(path) as home:
        again, new = home.identity("sqlite", 4, HORIZON)
        assert (again, new) == (first, True)
        assert not (path / "keks").exists()
        assert not (path / "keys").exists()


def test_a_home_that_cannot_be_made_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartRefused, match="PARLOIR_HOME"):
        Home(tmp_path / "file" / "home")
