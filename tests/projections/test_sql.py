"""Analysts' SQL: what may be asked is answered, whatever else is tried is refused with a reason, and no file is read or written."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from projections import sql, sql_check
from projections.result import Result
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
        "SUMMARIZE recent_event",
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
        "SELECT 'a; b' AS \"c; d\" /* e; f */ ; -- é;",
        "TABLE subject",
        "(SELECT 1)",
        "SELECT subject, count(subject) FROM subject GROUP BY subject",
        "SELECT request, status FROM request",
        "SELECT i.*, e.event_topic FROM interaction i JOIN sealed_event e ON e.originator = i.interaction",
        "SELECT * FROM main.interaction",
        "SELECT table_name, comment FROM duckdb_tables()",
        "SELECT view_name, comment FROM duckdb_views WHERE NOT internal",
        "WITH busy AS MATERIALIZED (SELECT channel AS c FROM interaction) SELECT a.c FROM busy a, busy b",
        "SELECT day, sum(interactions) FROM intent_daily GROUP BY ALL ORDER BY ALL",
        "SELECT INTERVAL 1 DAY, TIME '10:00:00+01'::TIMETZ, '101'::BIT, 170141183460469231731687303715884105727::HUGEINT",
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
    "INSERT INTO event SELECT * FROM sealed_event",
    "DELETE FROM sealed_event",
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
    "SELECT * FROM sealed_event WHERE channel IN (SELECT content FROM read_text('{secret}'))",
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
    "SELECT no_such_column FROM sealed_event",
    "SELEC 1",
    "SELECT '" + "x" * sql_check.CHARS_MAX + "'",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
    "SELECT 'a'::INTEGER",
    # Tables and functions that tell of the machine, by every name they have
    "SELECT * FROM duckdb_settings",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM system.main.duckdb_settings()",
    "SELECT * FROM pragma_table_info('sealed_event')",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "SHOW VARIABLES",
    "DESCRIBE '{secret}'",
    "SUMMARIZE '{secret}'",
    "DESCRIBE (FROM read_csv('{secret}'))",
    "SELECT set_config('memory_limit', '8GB', false)",
    "SELECT main.getenv('HOME')",
    "SELECT system.main.current_setting('memory_limit')",
    "SELECT \"getenv\"('HOME')",
    "SELECT GETENV('HOME')",
    "SELECT /* a comment */ getenv /* another */ ('HOME')",
    "SELECT ge\u200btenv('HOME')",
    "SELECT \uff47etenv('HOME')",
    "SELECT error('x')",
    "SELECT current_query()",
    "SELECT version()",
    "SELECT nextval('x')",
    "SELECT ('HOME').getenv()",
    "SELECT [1].list_transform(x -> x)",
    "SELECT [x FOR x IN [1]]",
    "SELECT json_execute_serialized_sql('x')",
    "SELECT * FROM json_execute_serialized_sql('x')",
    "SELECT reveal_1(1)",
    # Python variables are no tables
    "SELECT * FROM store",
    "SELECT * FROM text",
    # Writing from within a SELECT, and going on after it
    "WITH x AS (INSERT INTO position SELECT * FROM position RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM position RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE position SET next_offset = 0 RETURNING *) SELECT * FROM x",
    "WITH x AS (COPY position TO '{out}') SELECT * FROM x",
    "FROM (COPY position TO '{out}')",
    "SELECT 1) TO '{out}'; --",
    "SELECT 1); DROP TABLE position; SELECT (1",
    "SELECT 1 INTO mine",
    "SELECT 1 /* not closed",
    "SELECT 1; -- \n; DROP TABLE position",
    "EXECUTE p",
    "DEALLOCATE p",
    "SET VARIABLE x = 1",
    "SELECT $name",
    "SELECT ?",
    "COMMIT",
    "MERGE INTO position USING position ON true WHEN MATCHED THEN DELETE",
    "PIVOT position ON log USING sum(next_offset)",
    # The result's own table, and names that would hide one of ours
    "SELECT * FROM result",
    "SELECT * FROM temp.main.result",
    "WITH interaction AS (SELECT 1 AS n) SELECT * FROM interaction",
    "WITH channel AS (SELECT 1 AS n) SELECT channel FROM channel",
    "SELECT channel FROM range(3) AS channel",
    # What multiplies while it is planned, which cannot be interrupted
    "SELECT *, * FROM (" * 16 + "SELECT * FROM subject" + ")" * 16,
    "WITH a AS (SELECT * FROM subject x, subject y), b AS (SELECT * FROM a x, a y, a z, a w), c AS (SELECT * FROM b x, b y, b z, b w),"
    " d AS (SELECT * FROM c x, c y, c z, c w), e AS (SELECT * FROM d x, d y, d z) SELECT count(*) FROM e",
    "WITH t0 AS (SELECT subject AS a FROM subject), "
    + ", ".join(f"t{n} AS (SELECT t{n - 1} AS a, t{n - 1} AS b FROM t{n - 1})" for n in range(1, 25))
    + " SELECT count(*) FROM t24",
    "SELECT e, e FROM sealed_event e",
    "SELECT list(sealed_event) FROM sealed_event",
    "SELECT (x)::VARCHAR FROM subject x",
    "WITH t0 AS NOT MATERIALIZED (SELECT 1 AS x), "
    + ", ".join(f"t{n} AS NOT MATERIALIZED (SELECT a.x FROM t{n - 1} a, t{n - 1} b)" for n in range(1, 22))
    + " SELECT count(*) FROM t21",
    "SELECT " + ", ".join(["*"] * 300) + " FROM sealed_event",
    "SELECT " + ", ".join(["COLUMNS('.')"] * 300) + " FROM sealed_event",
    "SELECT count(*) FROM range(1) " + "CROSS JOIN range(1) " * 400,
    "SELECT " + ", ".join(f"count(DISTINCT range % {n})" for n in range(2, 300)) + " FROM range(100000)",
    "SELECT " + "NOT " * 990 + "true",
    # What takes memory that it must be stopped at
    "SELECT NULL::INTEGER[100000] FROM range(10)",
    "SELECT NULL::INTEGER[10000][10000] FROM range(10)",
    f"SELECT length(string_agg(s, '')) FROM (SELECT string_agg('{'x' * 900}', '') AS s FROM range(100000)), range(1000)",
    f"SELECT s FROM (SELECT string_agg('{'x' * 900}', '') AS s FROM range(20000)), range(2048)",
    f"WITH c AS (SELECT '{'x' * 900}' AS s) SELECT {', '.join(['s'] * 500)} FROM c, range(10000)",
    "SELECT len(list(s)) FROM (SELECT list(range) AS s FROM range(1000000)), range(1000)",
    "SELECT histogram(range) FROM range(20000000)",
    "SELECT count(DISTINCT range) FROM range(200000000)",
    "SELECT max(range, 10000000) FROM range(200000000)",
    "SELECT count(*) FROM range(200000000) a JOIN range(200000000) b USING (range)",
    "SELECT count(*) FROM sealed_event GROUP BY CUBE(" + ", ".join(f'"offset" + {n}' for n in range(17)) + ")",
    "SELECT regexp_matches('aaaa', '((a{1,100}){1,100}){1,100}')",
    "SELECT count(*) FROM range(1000000000) USING SAMPLE 100000000 ROWS",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:40] for text in HOSTILE])
def test_whatever_else_is_tried_is_refused_with_a_reason(store: Store, secret: Path, tmp_path: Path, text: str) -> None:
    out = tmp_path / "out"
    began = time.monotonic()
    before = everything(store)
    given = text.replace("{out}", str(out)).replace("{secret}", str(secret)).replace("{folder}", str(tmp_path))
    with pytest.raises(BadInput) as refused:
        sql.query(store, given, timeout_ms=5_000)
    assert "zyxwvut" not in str(refused.value)
    assert str(refused.value).strip()
    assert len(str(refused.value)) < 600
    assert not out.exists()
    assert everything(store) == before
    assert time.monotonic() - began < 15
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
    assert not [file for file in tmp_path.rglob("*") if "tmp" in file.name]
    store.close()


def test_rows_are_bounded_and_it_is_said_that_there_are_more(store: Store) -> None:
    found = sql.query(store, "SELECT * FROM range(5000)", rows_max=100)
    assert (len(found.rows), found.cut) == (100, True)
    exact = sql.query(store, "SELECT * FROM range(100)", rows_max=100)
    assert (len(exact.rows), exact.cut) == (100, False)
    assert found.rows[:2] == [(0,), (1,)]
    store.close()


def test_rows_come_in_the_order_that_was_asked_for(store: Store) -> None:
    found = sql.query(store, "SELECT range AS n FROM range(100000) ORDER BY n DESC", rows_max=5_000)
    assert found.rows == [(n,) for n in range(99_999, 94_999, -1)]
    store.close()


def test_a_query_that_cannot_be_parsed_shows_what_duckdb_says(store: Store) -> None:
    with pytest.raises(BadInput, match='syntax error at or near "SELEC"'):
        sql.query(store, "SELEC 1")
    with pytest.raises(BadInput, match='"no_such_column" not found'):
        sql.query(store, "SELECT no_such_column FROM interaction")
    store.close()


def test_sums_and_ids_come_as_what_everything_can_read(store: Store) -> None:
    found = sql.query(store, "SELECT sum(range) AS n, '00000000-0000-0000-0000-000000000001'::UUID AS id FROM range(5)")
    assert [str(kind) for kind in found.table.schema.types] == ["int64", "string"]
    assert found.rows == [(10, "00000000-0000-0000-0000-000000000001")]
    store.close()


def test_only_so_many_queries_run_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_running", threading.BoundedSemaphore(1))
    begun, may_end, run = threading.Event(), threading.Event(), sql._Query.run
    found: list[Result] = []

    def runs_long(query: sql._Query, text: str, reveal: sql.Reveal | None) -> Result:
        begun.set()
        assert may_end.wait(20)
        return run(query, text, reveal)

    monkeypatch.setattr(sql._Query, "run", runs_long)
    long = threading.Thread(target=lambda: found.append(sql.query(store, "SELECT 2")))
    long.start()
    assert begun.wait(20)
    with pytest.raises(BadInput, match="running already"):
        sql.query(store, "SELECT 1", timeout_ms=100)
    may_end.set()
    long.join()
    assert found[0].rows == [(2,)]
    assert sql.query(store, "SELECT 1").rows == [(1,)]
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
        assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(36,)]
