"""How the rows of a query are shown, and what becomes of them on the way to a notebook."""

from __future__ import annotations

import builtins
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from projections import sql
from projections.result import Result
from projections.showing import rendered
from projections.store import Store
from tests.vault.conftest import LOG_ID
from vault.errors import BadInput


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = Store.open(tmp_path / "projection", log_id=LOG_ID, memory_mb=96, threads=1)
    yield one
    one.close()


def shown(store: Store, query: str, format: str) -> str:
    return rendered(sql.query(store, query), format).decode()


ROW = "SELECT 1 AS n, 'é' AS t, NULL AS nothing, '2025-01-02 03:04:05+00'::TIMESTAMPTZ AS at_, 'ab'::BLOB AS b"


def test_every_format_shows_the_same_rows(store: Store) -> None:
    assert json.loads(shown(store, ROW, "json")) == [
        {"n": 1, "t": "é", "nothing": None, "at_": "2025-01-02T03:04:05Z", "b": "6162"}
    ]
    assert shown(store, ROW, "csv").splitlines()[1] == "1,é,,2025-01-02T03:04:05Z,6162"
    assert shown(store, ROW, "table").splitlines()[2].split() == ["1", "é", "2025-01-02T03:04:05Z", "6162"]
    table = parquet.read_table(io.BytesIO(rendered(sql.query(store, ROW), "parquet")))
    assert table.to_pylist()[0]["t"] == "é"
    with pytest.raises(BadInput, match="no format is called xml"):
        shown(store, ROW, "xml")


def test_columns_of_one_name_are_told_apart(store: Store) -> None:
    assert json.loads(shown(store, "SELECT 1 AS a, 2 AS a", "json")) == [{"a": 1, "a_1": 2}]
    assert rendered(sql.query(store, "SELECT 1 AS a, 2 AS a"), "parquet")


def test_what_has_parts_is_shown_with_them(store: Store) -> None:
    query = "SELECT histogram(range % 2) AS h, list(range) AS l, INTERVAL '2 days 3.5 seconds' AS i FROM range(3)"
    (row,) = json.loads(shown(store, query, "json"))
    assert row == {"h": {"0": 2, "1": 1}, "l": [0, 1, 2], "i": "2 days, 0:00:03.500000"}


def test_a_csv_runs_nothing_in_a_spreadsheet(store: Store) -> None:
    query = "SELECT '=1+1' AS a, '@sum' AS b, '+1' AS c, -5 AS d, 'fine' AS e"
    assert shown(store, query, "csv").splitlines()[1] == "'=1+1,'@sum,'+1,-5,fine"


def test_a_table_moves_no_cursor(store: Store) -> None:
    text = shown(store, f"SELECT 'a \x1b[31m \n x' AS a, '{'y' * 500}' AS b", "table")
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
    assert "y" * 100 not in text


def test_a_table_says_that_there_are_more_rows(store: Store) -> None:
    found = sql.query(store, "SELECT * FROM range(5000)", rows_max=1_500)
    assert rendered(found, "table").decode().endswith("(the first 1,500 rows)\n")


def test_a_result_comes_out_of_the_socket_as_it_went_in(store: Store) -> None:
    found = sql.query(store, f"{ROW} UNION ALL {ROW}")
    again = Result.from_ipc(found.to_ipc(), cut=True)
    assert again.rows == found.rows == again.fetchall()
    assert again.columns == ("n", "t", "nothing", "at_", "b")
    assert again.arrow().equals(found.table)
    assert (len(again), again.cut) == (2, True)
    empty = sql.query(store, "SELECT * FROM interaction")
    assert Result.from_ipc(empty.to_ipc(), cut=False).columns == empty.columns


@pytest.mark.parametrize(("method", "package"), [("df", "pandas"), ("pl", "polars")])
def test_a_frame_needs_its_package_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch, method: str, package: str
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".", maxsplit=1)[0] in (package, "pandas"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadInput, match="not installed here"):
        getattr(sql.query(store, "SELECT 1 AS n"), method)()
