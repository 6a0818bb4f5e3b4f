"""What an analyst may ask: one SELECT over the projection's tables that calls functions of a list only, and is as wide as it looks.

DuckDB counts the memory that rows take, not what planning takes: `SELECT *, *` a dozen times inside itself is planned for minutes, and
planning cannot be interrupted. So what multiplies columns or inlined queries is weighed here, in the tree that DuckDB makes of the text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from projections import sql_functions, tables
from vault.errors import BadInput

CHARS_MAX = 20_000
TABLES_MAX = 32
FUNCTIONS_MAX = 300
WIDENED_MAX = 256
"""Stars times tables they stand over, of all parts of a query multiplied: how many times as wide as its tables it can be."""
TRY = f"query {', '.join(tables.NAMES)}"
REVEAL = "reveal"

Node = Mapping[str, Any]

_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SOURCES = frozenset({"BASE_TABLE", "TABLE_FUNCTION", "SUBQUERY", "EXPRESSION_LIST", "SHOW_REF"})
_DESCRIBING = frozenset({"duckdb_tables", "duckdb_columns", "duckdb_views"})
"""DuckDB's own views of tables and their comments."""
_COLUMNS = "SELECT column_name FROM duckdb_columns() WHERE NOT internal"


@dataclass(frozen=True)
class Checked:
    """A query that may be run, as it may stand in parentheses. `reveals`: it calls `reveal`."""

    text: str
    reveals: bool


def check(cursor: Any, text: str) -> Checked:
    """Raises `BadInput` unless the text is one SELECT that may be run, and DuckDB's error where it cannot be parsed."""
    if len(text) > CHARS_MAX:
        raise BadInput(f"the query is longer than {CHARS_MAX} characters")
    kinds = [statement.type for statement in duckdb.extract_statements(text)]
    if len(kinds) != 1:
        raise BadInput(f"one statement is taken, these are {len(kinds)}", remedy="give one SELECT")
    if kinds[0] is not duckdb.StatementType.SELECT:
        raise BadInput(f"{kinds[0].name} is not allowed", remedy="give one SELECT")
    try:
        (written,) = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchone()
        tree = json.loads(written)
    except RecursionError:
        raise BadInput("the query is nested too deeply") from None
    if tree["error"]:
        raise BadInput("this kind of SELECT is not allowed", remedy="write it without PIVOT, parameters or extensions")
    nodes = list(_nodes(tree["statements"]))
    columns = {row[0].lower() for row in cursor.execute(_COLUMNS).fetchall()}
    _check_kinds(nodes)
    _check_sources(nodes, columns)
    _check_functions(nodes)
    _check_rows(nodes, columns)
    _check_width(nodes)
    return Checked(_without_semicolon(text), any(_called(node) == REVEAL for node in nodes))


def _check_kinds(nodes: Sequence[Node]) -> None:
    for node in nodes:
        kind = _kind(node)
        if kind.endswith("_NODE") and kind not in _QUERIES:
            raise BadInput("only reading is allowed", remedy="give one SELECT")
        if kind == "LAMBDA":
            raise BadInput("lambdas are not allowed")
        if node.get("materialized") == "CTE_MATERIALIZE_NEVER":
            raise BadInput("NOT MATERIALIZED is not allowed", remedy="leave it out")
        if any(isinstance(value, str) and len(value) > sql_functions.CONSTANT_CHARS_MAX for value in node.values()):
            raise BadInput(f"a constant is longer than {sql_functions.CONSTANT_CHARS_MAX} characters")


def _check_sources(nodes: Sequence[Node], columns: set[str]) -> None:
    """Only the projection's tables, the query's own parts, and what describes them."""
    parts = _parts(nodes)
    if taken := sorted(parts & ({*tables.NAMES, *tables.INSIDE} | columns)):
        raise BadInput(f"{taken[0]} is the name of a table or a column", remedy="call that part of the query otherwise")
    known = {*tables.NAMES, *parts, *_DESCRIBING}
    count = 0
    for node in nodes:
        kind, name = _kind(node), str(node.get("table_name", "")).lower()
        count += kind in _SOURCES
        if kind == "BASE_TABLE" and (name not in known or not {"main", name}.issuperset(_path(node))):
            if "/" in name or "." in name:
                raise BadInput("files cannot be queried", remedy=TRY)
            raise BadInput("there is no such table", remedy=TRY)
        if kind == "SHOW_REF" and name and name != '"tables"' and name not in known:
            raise BadInput("only tables can be shown", remedy="SHOW TABLES, or DESCRIBE one of them")
    if count > TABLES_MAX:
        raise BadInput(f"the query names more than {TABLES_MAX} tables")


def _check_functions(nodes: Sequence[Node]) -> None:
    in_from: set[int] = set()
    joined, count, recursive = 0, 0, False
    for node in nodes:
        recursive = recursive or _kind(node) == "RECURSIVE_CTE_NODE"
        if _kind(node) == "TABLE_FUNCTION":
            in_from.add(id(node["function"]))
            if (name := _called(node["function"])) not in sql_functions.TABLES:
                raise BadInput(f"the table function {name} is not allowed", remedy=TRY)
        name = _called(node)
        count += bool(name)
        if name and name not in sql_functions.ALLOWED and name != REVEAL and id(node) not in in_from:
            raise BadInput(f"the function {name} is not one of those that a query may use")
        if name in sql_functions.JOINING or _kind(node) == "ARRAY_CONSTRUCTOR":
            joined += max(len(node.get(place) or ()) for place in ("arguments", "children"))
    if count > FUNCTIONS_MAX:
        raise BadInput(f"the query calls more than {FUNCTIONS_MAX} functions")
    if joined > (0 if recursive else sql_functions.JOINED_MAX):
        raise BadInput("too much is joined (||, concat, lists)", remedy="join less, and nothing in a recursive query")


def _check_rows(nodes: Sequence[Node], columns: set[str]) -> None:
    """A whole row as a value can hold rows that hold rows, twice as many each time; so only `reveal` takes one."""
    aliases = {str(node.get("alias") or "").lower() for node in nodes if _kind(node) in _SOURCES}
    rows = (aliases | _parts(nodes) | {*tables.NAMES}) - columns
    if taken := sorted(aliases & columns):
        raise BadInput(f"{taken[0]} is the name of a column", remedy="call that table otherwise")
    revealed = {
        id(argument["expression"])
        for node in nodes
        if _called(node) == REVEAL
        for argument in node.get("arguments") or ()
    }
    for node in nodes:
        if _kind(node) == "COLUMN_REF" and len(names := node["column_names"]) == 1 and id(node) not in revealed:
            name = str(names[0])
            if name.lower() in rows:
                raise BadInput(f"{name} is a whole row, which only reveal takes", remedy="name the columns")


def _check_width(nodes: Sequence[Node]) -> None:
    widened = 1
    for node in nodes:
        if _kind(node) == "SELECT_NODE":
            stars = _count(node["select_list"], lambda kind: kind == "STAR")
            widened *= max(1, stars * _count(node["from_table"], _SOURCES.__contains__))
            if widened > WIDENED_MAX:
                raise BadInput("too many columns are named by stars", remedy="name the columns")


def _parts(nodes: Sequence[Node]) -> set[str]:
    """The names of the query's common table expressions."""
    return {str(node["key"]).lower() for node in nodes if isinstance(node.get("value"), dict) and "key" in node}


def _count(tree: Any, is_counted: Callable[[str], bool]) -> int:
    """How many nodes of a kind there are, those of queries within not among them."""
    return sum(is_counted(_kind(node)) for node in _nodes(tree, _QUERIES))


def _kind(node: Node) -> str:
    kind = node.get("type")
    return kind if isinstance(kind, str) else ""


def _called(node: Node) -> str:
    return str(node.get("function_name", "")).lower()


def _path(node: Node) -> set[str]:
    return {str(name).lower() for name in (node.get("qualified_name") or {}).get("path", ())}


def _nodes(tree: Any, not_into: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """Every node of a tree; without recursion, for a query may be nested as deep as it is long."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if _kind(node) not in not_into:
                yield node
                waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _without_semicolon(text: str) -> str:
    """The one statement of a text without its end, so that it can stand in parentheses."""
    encoded = text.encode()
    ends = [at for at, kind in duckdb.tokenize(text) if kind is duckdb.token_type.operator and encoded[at] == ord(";")]
    return encoded[: ends[0]].decode() if ends else text
