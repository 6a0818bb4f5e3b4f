"""The tables of the projection and what each of their columns means, as the file itself tells whoever queries it.

`event` holds what was followed, append-only; the three views are what people ask for. A row is about a pseudonym: who that is stands
only in the key store, and goes with the person.
"""

from __future__ import annotations

from collections.abc import Iterator

LAYOUT = 1
"""Counts up with every change; a file of an older layout is made anew from the logs."""

# Sealed bytes and random ids do not compress: trying takes longer than everything else about a row.
_PLAIN = "USING COMPRESSION uncompressed"

_TABLES: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "projection": (
        "What this file was made from. One row.",
        {
            "log_id": ("UUID", "The log that the rows come from."),
            "layout": ("INTEGER", "Version of these tables."),
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
    "event": (
        "Every accepted event of the conversations that is not void and whose person is not erased.",
        {
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
            "language": (
                "VARCHAR",
                "Fact of interaction.understood.1; empty elsewhere and where it could not be opened.",
            ),
            "intent": ("VARCHAR", "Fact of interaction.understood.1; empty also where nothing was understood."),
            "confidence": ("DOUBLE", "Fact of interaction.understood.1, 0 to 1."),
            "fallback": ("BOOLEAN", "Fact of interaction.answered.1: the bot did not understand and said so."),
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
        },
    ),
    "unreadable": (
        "How many payloads could not be opened for their facts when they were read; nothing is lost, their rows are there.",
        {
            "partition": ("USMALLINT", "Partition of the conversations."),
            "event_topic": ("VARCHAR", "Which events."),
            "reason": ("VARCHAR", "erased, withheld, expired or missing."),
            "events": ("BIGINT", "How many."),
        },
    ),
}

_VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "sealed_event": (
        "The events of the conversations as they are held: clear header and sealed payload.",
        'SELECT partition, "offset", "index", originator, version, event_topic, subject, happened_at, channel, key_id, sealed'
        " FROM event",
        {
            "partition": "Partition of the conversations.",
            "offset": "Offset of the record in the partition.",
            "index": "Place of the event in the record, from 0.",
            "originator": "The interaction or companion that recorded the event.",
            "version": "Place of the event in its originator, from 1.",
            "event_topic": "What happened, and the version of its schema.",
            "subject": "Pseudonym of the person.",
            "happened_at": "When, to the microsecond.",
            "channel": "Channel it happened on.",
            "key_id": "Which key opens the payload.",
            "sealed": "The payload as it is sealed: nonce and ciphertext.",
        },
    ),
    "interaction": (
        "One row a message of a person: what became of it, without its words.",
        """SELECT originator AS interaction, any_value(subject) AS subject, any_value(channel) AS channel,
        max(happened_at) FILTER (event_topic = 'interaction.received.1') AS received_at,
        max(happened_at) FILTER (event_topic = 'interaction.understood.1') AS understood_at,
        max(happened_at) FILTER (event_topic = 'interaction.answered.1') AS answered_at,
        any_value("language") AS "language", any_value(intent) AS intent, any_value(confidence) AS confidence,
        any_value(fallback) AS fallback,
        (epoch_us(answered_at) - epoch_us(received_at)) / 1000.0 AS latency_ms
        FROM event
        WHERE event_topic IN ('interaction.received.1', 'interaction.understood.1', 'interaction.answered.1')
        GROUP BY originator""",
        {
            "interaction": "The interaction.",
            "subject": "Pseudonym of the person.",
            "channel": "Channel of the message.",
            "received_at": "When the message came.",
            "understood_at": "When it was understood; empty until it is.",
            "answered_at": "When it was answered; empty until it is.",
            "language": "Language of the message.",
            "intent": "What the person wants; empty when not understood.",
            "confidence": "Confidence of the intent, 0 to 1.",
            "fallback": "The bot did not understand and said so.",
            "latency_ms": "Milliseconds from message to answer.",
        },
    ),
    "subject": (
        "One row a person, by pseudonym: when seen, and how much is held.",
        """SELECT subject, min(happened_at) AS first_seen_at, max(happened_at) AS last_seen_at, count(*) AS events,
        count(*) FILTER (event_topic = 'interaction.received.1') AS messages,
        count(*) FILTER (event_topic = 'interaction.answered.1') AS answers,
        count(DISTINCT channel) AS channels
        FROM event GROUP BY subject""",
        {
            "subject": "Pseudonym of the person.",
            "first_seen_at": "Time of the earliest event held.",
            "last_seen_at": "Time of the latest event held.",
            "events": "Events held.",
            "messages": "Messages that the person sent.",
            "answers": "Answers that the bot gave.",
            "channels": "On how many channels.",
        },
    ),
}

NAMES = (*_TABLES, *_VIEWS)
"""Everything that can be queried."""


def statements() -> Iterator[str]:
    """What makes the tables, in order."""
    for table, (comment, columns) in _TABLES.items():
        declared = ", ".join(f'"{name}" {kind}' for name, (kind, _) in columns.items())
        yield f'CREATE TABLE "{table}" ({declared})'
        yield f"COMMENT ON TABLE \"{table}\" IS '{comment}'"
        for name, (_, meaning) in columns.items():
            yield f'COMMENT ON COLUMN "{table}"."{name}" IS \'{meaning}\''
    for view, (comment, query, meanings) in _VIEWS.items():
        yield f'CREATE VIEW "{view}" AS {query}'
        yield f"COMMENT ON VIEW \"{view}\" IS '{comment}'"
        for name, meaning in meanings.items():
            yield f'COMMENT ON COLUMN "{view}"."{name}" IS \'{meaning}\''
