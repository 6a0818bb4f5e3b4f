"""The tables of the projection and what each of their columns means, as the file itself tells whoever queries it.

Everything that was followed stands in two layers: `recent_event` in the order of arrival, and `settled_event` sorted by person, in
which DuckDB's zone maps find one person among a million (projections/settle.py moves rows from the first to the second, into a new
file). What people ask for are the views (projections/views.py). A row is about a pseudonym: who that is stands only in the key
store, and goes with the person.
"""

from __future__ import annotations

from collections.abc import Iterator

from projections import views

LAYOUT = 2
"""Counts up with every change; a file of an older layout is made anew from the logs."""

# Sealed bytes and random ids do not compress: trying takes longer than everything else about a row.
_PLAIN = "USING COMPRESSION uncompressed"

Columns = dict[str, tuple[str, str]]
"""By name: type and meaning."""

_EVENT: Columns = {
    "partition": ("USMALLINT", "Partition of the conversations."),
    "offset": ("BIGINT", "Offset of the record in the partition."),
    "index": ("UINTEGER", "Place of the event in the record, from 0."),
    "originator": (f"UUID {_PLAIN}", "The interaction or companion that recorded the event."),
    "version": ("UINTEGER", "Place of the event in its originator, from 1."),
    "event_topic": ("VARCHAR", "What happened, and the version of its schema."),
    "subject": ("UUID", "Pseudonym of the person."),
    "happened_at": ("TIMESTAMPTZ", "When, to the microsecond."),
    "channel": ("VARCHAR", "Channel it happened on."),
    "key_id": ("BLOB", "Which key opens the payload."),
    "sealed": (f"BLOB {_PLAIN}", "The payload as it is sealed: nonce and ciphertext."),
    "language": ("VARCHAR", "Fact of interaction.understood; empty elsewhere and where it could not be opened."),
    "intent": ("VARCHAR", "Fact of interaction.understood; empty also where nothing was understood."),
    "confidence": ("DOUBLE", "Fact of interaction.understood, 0 to 1."),
    "fallback": ("BOOLEAN", "Fact of interaction.answered.1: the bot did not understand and said so."),
}

_TABLES: dict[str, tuple[str, Columns]] = {
    "projection": (
        "What this file was made from, and when. One row.",
        {
            "log_id": ("UUID", "The log that the rows come from."),
            "layout": ("INTEGER", "Version of these tables."),
            "made_at": ("TIMESTAMPTZ", "When this file was made."),
            "removed_rows": (
                "BIGINT",
                "Rows deleted since, whose bytes may still be in the file until it is made anew.",
            ),
            "persons_min": ("INTEGER", "Fewest persons that a group of the daily statistics is shown with."),
            "is_building": ("BOOLEAN", "The logs were not yet read to their ends for the first time."),
        },
    ),
    "position": (
        "How far each partition of each log was read; written together with the rows.",
        {
            "log": ("VARCHAR", "conversations or register."),
            "partition": ("USMALLINT", "Partition of the log."),
            "next_offset": (
                "BIGINT",
                "The first offset not read yet; in the register, the id of the first event not read yet.",
            ),
        },
    ),
    "recent_event": ("The newer events of the conversations, in the order in which they came.", _EVENT),
    "settled_event": ("The older events of the conversations, sorted by person.", _EVENT),
    "settled_interaction": (
        "What settled_event says of each interaction, one row each, sorted by person.",
        {
            "interaction": (f"UUID {_PLAIN}", "The interaction."),
            "subject": ("UUID", "Pseudonym of the person."),
            "channel": ("VARCHAR", "Channel of the message."),
            "received_at": ("TIMESTAMPTZ", "When the message came."),
            "understood_at": ("TIMESTAMPTZ", "When it was understood; empty when that is not in settled_event."),
            "answered_at": ("TIMESTAMPTZ", "When it was answered; empty when that is not in settled_event."),
            "language": ("VARCHAR", "Language of the message."),
            "intent": ("VARCHAR", "What the person wants; empty when not understood."),
            "confidence": ("DOUBLE", "Confidence of the intent, 0 to 1."),
            "fallback": ("BOOLEAN", "The bot did not understand and said so."),
        },
    ),
    "redaction": (
        "Interactions whose message, understanding and answer are not to be held any more.",
        {
            "interaction": ("UUID", "The interaction."),
            "subject": ("UUID", "Pseudonym of the person."),
        },
    ),
    "disclosure": (
        "What left for whom: one row a call of a connector, from call.made.1. What the fields held is not here.",
        {
            "partition": ("USMALLINT", "Partition of the conversations."),
            "offset": ("BIGINT", "Offset of the record in the partition."),
            "index": ("UINTEGER", "Place of the event in the record, from 0."),
            "subject": ("UUID", "Pseudonym of the person."),
            "interaction": ("UUID", "The interaction that it served; empty when none."),
            "happened_at": ("TIMESTAMPTZ", "When the call was decided."),
            "channel": ("VARCHAR", "Channel of the conversation."),
            "recipient": ("VARCHAR", "Who received it; empty where the event could not be opened."),
            "connector": ("VARCHAR", "Through which connector; empty like the recipient."),
            "operation": ("VARCHAR", "What was asked of it; empty like the recipient."),
            "fields": ("VARCHAR[]", "Names of the fields that left; empty like the recipient."),
        },
    ),
    "register_event": (
        "Every accepted event of the register: notices, consents, requests, accesses, erasures.",
        {
            "partition": ("USMALLINT", "Partition of the register."),
            "id": ("BIGINT", "Place of the event in the partition, from 1."),
            "originator": (f"UUID {_PLAIN}", "The aggregate that recorded the event."),
            "version": ("UINTEGER", "Place of the event in its aggregate."),
            "event_topic": ("VARCHAR", "What happened, and the version of its schema."),
            "case": ("UUID", "Pseudonym of the person in the register, another than the subject."),
            "happened_at": ("TIMESTAMPTZ", "When, to the microsecond."),
            "key_id": ("BLOB", "Which key opens the payload."),
            "sealed": (f"BLOB {_PLAIN}", "The payload as it is sealed: nonce and ciphertext."),
            "purpose": ("VARCHAR", "Of a consent or its withdrawal: the purpose."),
            "notice_version": ("VARCHAR", "Of a consent: the notice that it followed."),
            "kind": ("VARCHAR", "Of a request: which right."),
            "assurance": ("VARCHAR", "Of a request: how sure it is who asked."),
            "due_at": ("TIMESTAMPTZ", "Of a request and its extension: when the answer is due."),
            "outcome": ("VARCHAR", "Of a request: what came of the check of identity, or of the request."),
            "role": ("VARCHAR", "Of an access: as what the data were opened; no names."),
            "reason": ("VARCHAR", "Of an access: why."),
            "events": ("BIGINT", "Of an access: how many events were opened."),
        },
    ),
    "gone_daily": (
        "What the rows that were removed (erased, redacted, expired) counted in the daily statistics, without the persons. Counted "
        "where an understanding or an answer could be opened.",
        {
            "day": ("DATE", "Day of the message, UTC."),
            "channel": ("VARCHAR", "Channel of the message."),
            "language": ("VARCHAR", "Language of the message."),
            "intent": ("VARCHAR", "What the person wanted; empty when not understood."),
            "fallback": ("BOOLEAN", "The bot did not understand and said so."),
            "interactions": ("BIGINT", "How many messages."),
            "persons": ("BIGINT", "Of how many persons who were erased or whose messages expired."),
        },
    ),
    "unreadable": (
        "How many payloads could not be opened for their facts when they were read; nothing is lost, their rows are there.",
        {
            "partition": ("USMALLINT", "Partition of the log that the events are in."),
            "event_topic": ("VARCHAR", "Which events."),
            "reason": ("VARCHAR", "erased, withheld, expired or missing."),
            "events": ("BIGINT", "How many."),
        },
    ),
}

INSIDE = ("gone_daily",)
"""What no query may name: a row of it may be one person's, though nobody says whose. The daily views protect it."""
NAMES = tuple(name for name in (*_TABLES, *views.VIEWS) if name not in INSIDE)
"""Everything that can be queried."""


def columns(table: str) -> tuple[str, ...]:
    """The names of a table's columns, in order."""
    return tuple(_TABLES[table][1])


def statements() -> Iterator[str]:
    """What makes the tables and views, in order."""
    for table, (comment, declared) in _TABLES.items():
        body = ", ".join(f'"{name}" {kind}' for name, (kind, _) in declared.items())
        yield f'CREATE TABLE "{table}" ({body})'
        yield f"COMMENT ON TABLE \"{table}\" IS '{comment}'"
        for name, (_, meaning) in declared.items():
            yield f'COMMENT ON COLUMN "{table}"."{name}" IS \'{meaning}\''
    for view, (comment, query, meanings) in views.VIEWS.items():
        yield f'CREATE VIEW "{view}" AS {query}'
        yield f"COMMENT ON VIEW \"{view}\" IS '{comment}'"
        for name, meaning in meanings.items():
            yield f'COMMENT ON COLUMN "{view}"."{name}" IS \'{meaning}\''
