"""Settings: where they come from, and that what is wrong is refused with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import TABLE, Settings, load, settings_table
from vault.errors import BadInput

SECRET = "marked-hunter2"


def written(home: Path, text: str) -> Path:
    home.mkdir(exist_ok=True)
    (home / "parloir.toml").write_text(text)
    return home


def refused(environ: dict[str, str], home: Path) -> str:
    with pytest.raises(BadInput) as caught:
        load(environ, home)
    return str(caught.value)


def test_a_new_home_has_the_defaults_of_the_table(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    assert {name: value for name, value in vars(found).items() if name != "home"} == {
        name: row.default for name, row in TABLE.items() if name != "home"
    }
    assert found.home == tmp_path


def test_the_home_is_the_option_then_the_variable_then_the_users_data(tmp_path: Path) -> None:
    environ = {
        "PARLOIR_HOME": str(tmp_path / "variable"),
        "XDG_DATA_HOME": str(tmp_path / "xdg"),
        "HOME": str(tmp_path),
    }
    assert load(environ, tmp_path / "option").home == tmp_path / "option"
    assert load(environ).home == tmp_path / "variable"
    del environ["PARLOIR_HOME"]
    assert load(environ).home == tmp_path / "xdg" / "parloir"
    del environ["XDG_DATA_HOME"]
    assert load(environ).home == tmp_path / ".local" / "share" / "parloir"


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({"PARLOIR_HOME": "here"}).home == tmp_path / "here"


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    home = written(tmp_path, "batch_records = 7\nduckdb_threads = 1\n")
    found = load({"PARLOIR_BATCH_RECORDS": "9"}, home)
    assert (found.batch_records, found.duckdb_threads) == (9, 1)


def test_places_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    load({"PARLOIR_HOME": "x", "PARLOIR_DATA": "y", "PARLOIR_CACHE": "z"}, tmp_path)


def test_an_unknown_name_is_refused_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    home = written(tmp_path, "# settings\n\nbatch_record = 7\n")
    said = refused({}, home)
    assert f"{home}/parloir.toml, line 3" in said
    assert "did you mean batch_records?" in said


def test_an_unknown_variable_is_refused_and_its_value_is_not_repeated(tmp_path: Path) -> None:
    said = refused({"PARLOIR_KAFKA_SASL_PASSWORD": SECRET}, tmp_path)
    assert "PARLOIR_KAFKA_SASL_PASSWORD" in said
    assert "kafka_sasl_password_file" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "line",
    [
        'batch_records = "7"',
        "batch_records = 7.5",
        "batch_records = true",
        "log = 7",
        "batch_records = [7]",
        "[log]\nx = 1",
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, line: str) -> None:
    assert "line 1" in refused({}, written(tmp_path, line))


@pytest.mark.parametrize("text", ["", "seven", "7.5", "0x7", " 7", "9" * 30])
def test_a_variable_that_is_no_number_is_refused(tmp_path: Path, text: str) -> None:
    assert "PARLOIR_BATCH_RECORDS" in refused({"PARLOIR_BATCH_RECORDS": text}, tmp_path)


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.kind is int], ids=lambda row: row.name)
def test_every_number_is_refused_just_outside_its_bounds_and_taken_at_them(tmp_path: Path, row: object) -> None:
    assert isinstance(row, type(TABLE["batch_records"]))
    # Copies that must be written are at most the copies there are.
    more = {"PARLOIR_KAFKA_REPLICATION_FACTOR": "1000"} if row.name == "kafka_min_insync_replicas" else {}
    variable = f"PARLOIR_{row.name.upper()}"
    for bound in (row.low, row.high):
        assert getattr(load({**more, variable: str(bound)}, tmp_path), row.name) == bound
    for outside in (row.low - 1, row.high + 1):
        assert row.unit in refused({variable: str(outside)}, tmp_path)


@pytest.mark.parametrize("log", ["sqlite", "kafka://127.0.0.1:9092/parloir", "kafka://a:1,b:2/p.q-r_s", "kafka://a:1"])
def test_a_log_that_can_be_is_taken(tmp_path: Path, log: str) -> None:
    assert load({"PARLOIR_LOG": log}, tmp_path).log == log


@pytest.mark.parametrize(
    "log", ["", "SQLITE", "kafka://", "kafka://a/p", "kafka://a:1/p/q", "kafka://a:1/p q", "amqp://a:1/p"]
)
def test_a_log_that_cannot_be_is_refused(tmp_path: Path, log: str) -> None:
    assert "kafka://host:port" in refused({"PARLOIR_LOG": log}, tmp_path)


@pytest.mark.parametrize("name", ["log", "keys"])
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path, name: str) -> None:
    scheme = {"log": "kafka", "keys": "postgresql"}[name]
    said = refused({f"PARLOIR_{name.upper()}": f"{scheme}://someone:{SECRET}@host:1/x"}, tmp_path)
    assert "by its file" in said
    assert SECRET not in said


def test_more_required_copies_than_copies_are_refused(tmp_path: Path) -> None:
    assert "no record could ever be written" in refused({"PARLOIR_KAFKA_MIN_INSYNC_REPLICAS": "2"}, tmp_path)


def test_sasl_without_whom_to_log_in_as_is_refused(tmp_path: Path) -> None:
    environ = {"PARLOIR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "PARLOIR_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}
    assert "kafka_sasl_username" in refused(environ, tmp_path)


def test_a_file_that_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in refused({}, written(tmp_path, "batch_records = 7\nlog = \n"))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "parloir.toml").write_bytes(b"log = '\xff'")
    assert "UTF-8" in refused({}, tmp_path)


def test_the_home_cannot_be_set_in_the_file_that_lies_in_it(tmp_path: Path) -> None:
    assert "PARLOIR_HOME" in refused({}, written(tmp_path, "home = '/somewhere'"))


def test_what_is_shown_is_plain_and_complete() -> None:
    shown = Settings(home=Path("/somewhere")).shown()
    assert set(shown) == set(TABLE)
    assert shown["home"] == "/somewhere"


def test_the_table_shows_every_setting_with_its_help_and_default() -> None:
    text = settings_table()
    for row in TABLE.values():
        assert f"\n{row.name} " in text
        assert row.help in text
