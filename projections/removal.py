"""Rows that go before the file does: of who was erased, of what was redacted, and what they counted without them.

Every function works inside the caller's transaction, so that rows, counts and the position that says why go together. What an
interaction counted in the daily statistics is added to `gone_daily`, which knows no person, no time within the day and no
interaction; rows that mean the same are one row, so that it does not show what was removed together either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from projections import views
from vault.ids import ids_in
from vault.interaction import TOPICS

GONE = "day, channel, language, intent, fallback, interactions, persons"


class Redaction(NamedTuple):
    """An interaction of which message, understanding and answer are not to be held any more."""

    interaction: UUID
    subject: UUID


def remove_persons(connection: Any, subjects: Iterable[UUID], *, counting: bool) -> int:
    """Deletes every row of the conversations about these persons. `counting`: what they counted stays. Returns how many events."""
    listed = list(subjects)
    if not listed:
        return 0
    of_them = "subject IN (SELECT unnest(?::UUID[]))"
    if counting:
        count_gone(connection, "interaction", f"{of_them} AND {views.WAS_OPENED}", "count(DISTINCT subject)", [listed])
    for table in ("settled_interaction", "disclosure", "redaction"):
        connection.execute(f"DELETE FROM {table} WHERE {of_them}", [listed])  # noqa: S608 (our names)
    removed = 0
    for table in _LAYERS:
        removed += _deleted(connection, f"DELETE FROM {table} WHERE {of_them}", [listed])  # noqa: S608 (our names)
    return removed


def remove_interactions(connection: Any, redactions: Iterable[Redaction], *, counting: bool) -> int:
    """Deletes what was said, understood and answered in these interactions, and remembers that it is not to come back.

    The persons are still held, so none is counted as gone. Returns how many events.
    """
    removed = 0
    for interaction, subject in redactions:
        place = [subject, interaction]
        if counting:
            where = f"subject = ? AND interaction = ? AND {views.WAS_OPENED}"
            count_gone(connection, "interaction", where, "0", place)
        connection.execute("DELETE FROM settled_interaction WHERE subject = ? AND interaction = ?", place)
        for table in _LAYERS:
            where = f"subject = ? AND originator = ? AND event_topic IN {views.OWN_WORDS}"
            removed += _deleted(connection, f"DELETE FROM {table} WHERE {where}", place)  # noqa: S608 (our names)
        connection.execute(
            "INSERT INTO redaction SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM redaction WHERE interaction = ?)",
            [interaction, subject, interaction],
        )
    return removed


def remove_partition(connection: Any, partition: int) -> None:
    """Deletes every row of a partition of the conversations; a person's id begins with its number."""
    for table in (*_LAYERS, "settled_interaction", "disclosure", "redaction"):
        connection.execute(f"DELETE FROM {table} WHERE subject BETWEEN ? AND ?", ids_in(partition))  # noqa: S608 (our names)
    connection.execute(
        "DELETE FROM unreadable WHERE partition = ? AND event_topic IN (SELECT unnest(?::VARCHAR[]))",
        [partition, sorted(TOPICS)],
    )


def count_gone(connection: Any, source: str, where: str, persons: str, parameters: list[Any]) -> None:
    """Adds what the interactions of `source` count to `gone_daily`. `persons`: the expression that counts persons."""
    merge_gone(
        connection,
        f"SELECT {views.DAY} AS day, channel, language, intent, fallback, count(*) AS interactions, {persons} AS persons"  # noqa: S608
        f" FROM {source} WHERE {where} GROUP BY day, channel, language, intent, fallback",
        parameters,
    )


def merge_gone(connection: Any, query: str, parameters: list[Any] | None = None) -> None:
    """Adds the rows of a query, which has the columns of `gone_daily`, to it."""
    same = " AND ".join(f"g.{name} IS NOT DISTINCT FROM a.{name}" for name in GONE.split(", ")[:5])
    connection.execute(
        f"MERGE INTO gone_daily g USING ({query}) a ON {same}"  # noqa: S608 (our names)
        " WHEN MATCHED THEN UPDATE SET interactions = g.interactions + a.interactions, persons = g.persons + a.persons"
        f" WHEN NOT MATCHED THEN INSERT ({GONE}) VALUES ({', '.join(f'a.{name}' for name in GONE.split(', '))})",
        parameters or [],
    )


def _deleted(connection: Any, statement: str, parameters: list[Any]) -> int:
    return int(connection.execute(statement, parameters).fetchone()[0])


_LAYERS = ("recent_event", "settled_event")
