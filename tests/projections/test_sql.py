"""Analysts' SQL: what may be asked is answered, whatever else is tried is refused with a reason, and no file is read or written."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from projections import sql
from projections.store import Store
from projections.worker import Projector
from tests.projections.conftest import everything, rows, said
from tests.vault.conftest import LOG_ID, Vault
from vault.errors import BadInput


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "projection.duckdb", log_id=LOG_ID, memory_mb=96, threads=1)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret.csv"
    file.write_text("a,b\nzyxwvut,1\n")
    return file


def test_facts_are_queried_with_plain_sql(vault: Vault, projector: Projector) -> None:
    said(vault, people=3, turns=9)
    projector.catch_up()
    found = sql.query(
        projector.store,
        "WITH busy AS (SELECT subject, count(*) AS n FROM interaction GROUP BY ALL) SELECT n, count(*) AS people FROM busy GROUP BY n",
    )
    assert found.columns == ("n", "people")
    assert list(found.rows) == [(3, 3)]
    assert not found.cut


@pytest.mark.parametrize(
    "text",
    [
        "DESCRIBE interaction",
        "SHOW TABLES",
        "SUMMARIZE event",
        "FROM subject SELECT count(*)",
        "VALUES (1), (2)",
        "SELECT * FROM range(3)",
        "SELECT unnest([1, 2])",
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'interaction'",
        "SELECT sum(n) OVER () FROM (SELECT 1 AS n) WHERE n IN (SELECT 1)",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT max(n) FROM t",
        "SELECT channel || ' ' || intent, concat(channel, intent) FROM interaction",
        "SELECT * FROM subject WHERE subject = '00000000-0000-0000-0000-000000000000'",
        "SELECT received_at::DATE AS d, avg(latency_ms), quantile(latency_ms, 0.9) FROM interaction GROUP BY d HAVING count(*) > 1",
        "SELECT * FROM interaction QUALIFY row_number() OVER (PARTITION BY subject ORDER BY received_at) = 1",
        "SELECT sum(fallback::INT) / count(*) FROM interaction WHERE received_at > now() - INTERVAL 7 DAYS",
        "SELECT 1 -- with a comment;",
        "SELECT 1;",
    ],
)
def test_what_reads_the_tables_is_allowed(store: Store, text: str) -> None:
    assert sql.query(store, text).columns
    store.close()


HOSTILE = [
    "COPY event TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "EXPORT DATABASE '{out}'",
    "ATTACH '{out}' AS other",
    "INSTALL httpfs",
    "LOAD json",
    "PRAGMA database_size",
    "SET memory_limit = '8GB'",
    "RESET enable_external_access",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "INSERT INTO event SELECT * FROM event",
    "DELETE FROM event",
    "UPDATE position SET next_offset = 0",
    "DROP TABLE event",
    "TRUNCATE event",
    "CALL duckdb_settings()",
    "CHECKPOINT",
    "BEGIN",
    "VACUUM",
    "USE memory",
    "PREPARE p AS SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE event",
    "",
    "   -- nothing",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM READ_CSV_AUTO('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM read_parquet('{secret}')",
    "SELECT * FROM parquet_metadata('{secret}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT (SELECT max(a) FROM read_csv('{secret}'))",
    "WITH x AS (FROM read_csv('{secret}')) SELECT * FROM x",
    "SELECT * FROM event WHERE channel IN (SELECT content FROM read_text('{secret}'))",
    "SELECT * FROM query('FROM read_csv(''{secret}'')')",
    "SELECT * FROM query_table('event')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM duckdb_logs()",
    "SELECT current_setting('memory_limit')",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT repeat('x', 4000000000)",
    "SELECT lpad('', 2000000000, 'x')",
    "SELECT printf('%1000000000d', 1)",
    "SELECT range(2000000000)",
    "SELECT list_transform([1], y -> y)",
    "SELECT 'a' || 'b' || 'c' || 'd' || 'e' || 'f'",
    "SELECT [1, 2, 3, 4, 5, 6, 7, 8, 9]",
    "SELECT concat('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i')",
    "SELECT x || x || x FROM (SELECT y || y || y AS x FROM (SELECT 'z' || 'z' AS y))",
    "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t",
    "SELECT '" + "x" * 1_001 + "'",
    "SELECT $1",
    "SELECT no_such_column FROM event",
    "SELEC 1",
    "SELECT '" + "x" * sql.QUERY_CHARS_MAX + "'",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
    "SELECT 'a'::INTEGER",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:40] for text in HOSTILE])
def test_whatever_else_is_tried_is_refused_with_a_reason(store: Store, secret: Path, tmp_path: Path, text: str) -> None:
    out = tmp_path / "out"
    before = everything(store)
    given = text.replace("{out}", str(out)).replace("{secret}", str(secret)).replace("{folder}", str(tmp_path))
    with pytest.raises(BadInput) as refused:
        sql.query(store, given, timeout_ms=5_000)
    assert "zyxwvut" not in str(refused.value)
    assert str(refused.value).strip()
    assert len(str(refused.value)) < 600
    assert not out.exists()
    assert everything(store) == before
    assert sql.query(store, "SELECT 1").rows == [(1,)], "the next query works"
    store.close()


@pytest.mark.parametrize(
    "text",
    [
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
        "SELECT count(*) FROM range(100000000000)",
    ],
)
def test_a_query_that_does_not_end_is_interrupted(store: Store, text: str) -> None:
    began = time.monotonic()
    with pytest.raises(BadInput, match=r"did not end within sql_timeout_ms \(300\)|more memory"):
        sql.query(store, text, timeout_ms=300)
    assert time.monotonic() - began < 5
    assert sql.query(store, "SELECT 1").rows == [(1,)]
    store.close()


def test_a_query_that_needs_too_much_memory_is_refused_and_nothing_spills(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="more memory than duckdb_memory_mb"):
        sql.query(store, "SELECT list(range::VARCHAR) FROM range(50000000)", timeout_ms=20_000)
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} <= {
        "projection.duckdb",
        "projection.duckdb.wal",
    }
    store.close()


def test_rows_are_bounded_and_it_is_said_that_there_are_more(store: Store) -> None:
    found = sql.query(store, "SELECT * FROM range(5000)", rows_max=100)
    assert (len(found.rows), found.cut) == (100, True)
    exact = sql.query(store, "SELECT * FROM range(100)", rows_max=100)
    assert (len(exact.rows), exact.cut) == (100, False)
    assert "(the first 100 rows)" in sql.render(found, "table")["text"]
    store.close()


def test_a_result_of_too_many_bytes_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "RESULT_BYTES_MAX", 1 << 20)
    with pytest.raises(BadInput, match="larger than 1 MB"):
        sql.query(store, "SELECT 'a constant of no importance' FROM range(100000)", rows_max=1_000_000)
    store.close()


def test_writing_goes_on_while_somebody_queries(vault: Vault, projector: Projector) -> None:
    said(vault)
    with projector.store.reading() as cursor:
        cursor.execute("SELECT * FROM range(1000000)")
        projector.catch_up(timeout_ms=10_000)
        assert rows(projector.store, "SELECT count(*) FROM event") == [(36,)]


def test_every_format_shows_the_same_rows(store: Store, tmp_path: Path) -> None:
    found = sql.query(
        store, "SELECT 1 AS n, 'é' AS t, NULL AS nothing, '2025-01-02 03:04:05+00'::TIMESTAMPTZ AS at_, 'ab'::BLOB AS b"
    )
    assert json.loads(sql.render(found, "json")["text"]) == [
        {"n": 1, "t": "é", "nothing": None, "at_": "2025-01-02T03:04:05Z", "b": "6162"}
    ]
    assert sql.render(found, "csv")["text"].splitlines()[1] == "1,é,,2025-01-02T03:04:05Z,6162"
    assert sql.render(found, "table")["text"].splitlines()[2].split() == ["1", "é", "2025-01-02T03:04:05Z", "6162"]
    file = tmp_path / "out.parquet"
    told = sql.render(found, "parquet", file)
    assert (told["rows"], told["output"]) == (1, str(file))
    assert parquet.read_table(file).to_pylist()[0]["t"] == "é"
    assert file.stat().st_mode & 0o777 == 0o600
    store.close()


def test_a_file_is_for_its_owner_only_even_if_it_was_there(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.touch(0o644)
    sql.render(sql.query(store, "SELECT 1 AS n"), "csv", file)
    assert file.read_bytes() == b"n\r\n1\r\n"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadInput, match="cannot be written"):
        sql.render(sql.query(store, "SELECT 1"), "csv", tmp_path / "no" / "such")
    with pytest.raises(BadInput, match="parquet"):
        sql.render(sql.query(store, "SELECT 1"), "parquet")
    store.close()


def test_a_csv_runs_nothing_in_a_spreadsheet(store: Store) -> None:
    found = sql.query(store, "SELECT '=1+1' AS a, '@sum' AS b, '+1' AS c, -5 AS d, 'fine' AS e")
    assert sql.render(found, "csv")["text"].splitlines()[1] == "'=1+1,'@sum,'+1,-5,fine"
    store.close()


def test_a_table_moves_no_cursor(store: Store) -> None:
    found = sql.query(store, f"SELECT 'a \x1b[31m \n x' AS a, '{'y' * 500}' AS b")
    text = sql.render(found, "table")["text"]
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
    assert "y" * 100 not in text
    store.close()
