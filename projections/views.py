"""What people ask the projection for: events, interactions, subjects, rights and daily statistics, as views over its tables.

Columns of `interaction` that come from several events are put together from partial rows: of each event that is recent, and of what
is settled and not yet complete. Both sides of the union keep `subject` in the clear, so that a question about one person reads
little.
"""

from __future__ import annotations

from vault.interaction import Answered, ConversationEvent, Received, Understood

OWN_WORDS = (*Received.topics(), *Understood.topics(), *Answered.topics())
"""The events that a redaction takes away, and of which `interaction` is made."""
OTHERS = "(others)"
"""Stands for channel, language and intent of groups with too few persons."""

_FIELDS = (
    "interaction, subject, channel, received_at, understood_at, answered_at, language, intent, confidence, fallback"
)
_EVENT_COLUMNS = (
    'partition, "offset", "index", originator, version, event_topic, subject, happened_at, channel, key_id, sealed,'
    " language, intent, confidence, fallback"
)
_IS_OWN_WORDS = f"event_topic IN {OWN_WORDS}"


def _is(event: type[ConversationEvent]) -> str:
    """The condition that a row is of an event, in whatever version."""
    return "event_topic IN (" + ", ".join(f"'{topic}'" for topic in event.topics()) + ")"


_COMPLETE = "(received_at IS NOT NULL AND understood_at IS NOT NULL AND answered_at IS NOT NULL)"


def partial(source: str) -> str:
    """A query of what the events of `source` say of interactions, an event a row."""
    return f"""SELECT originator AS interaction, subject, channel,
        CASE WHEN {_is(Received)} THEN happened_at END AS received_at,
        CASE WHEN {_is(Understood)} THEN happened_at END AS understood_at,
        CASE WHEN {_is(Answered)} THEN happened_at END AS answered_at,
        language, intent, confidence, fallback
        FROM {source} WHERE {_IS_OWN_WORDS}"""


def put_together(query: str) -> str:
    """A query of one row an interaction, out of the partial rows of another."""
    return f"""SELECT interaction, subject, channel, max(received_at) AS received_at, max(understood_at) AS understood_at,
        max(answered_at) AS answered_at, any_value(language) AS language, any_value(intent) AS intent,
        any_value(confidence) AS confidence, any_value(fallback) AS fallback
        FROM ({query}) GROUP BY interaction, subject, channel"""


def settled_interactions(source: str) -> str:
    """A query of the rows of `settled_interaction` that the events of `source` make."""
    return f"SELECT {_FIELDS} FROM ({put_together(partial(source))}) ORDER BY subject, received_at"


DAY = "CAST(timezone('UTC', coalesce(received_at, understood_at, answered_at)) AS DATE)"
"""Of an interaction: its day, UTC."""
WAS_OPENED = "(language IS NOT NULL OR fallback IS NOT NULL)"
"""Of an interaction: its facts were read once. What never was, as after a rebuild, is counted in `gone_daily` already."""

_DAILY = f"""
    SELECT day, channel, language, intent, sum(interactions) AS interactions, sum(fallbacks) AS fallbacks, sum(persons) AS persons
    FROM (
        SELECT {DAY} AS day, channel, language, intent, count(*) AS interactions, count(*) FILTER (fallback) AS fallbacks,
        count(DISTINCT subject) AS persons FROM interaction GROUP BY ALL
        UNION ALL
        SELECT day, channel, language, intent, sum(interactions), coalesce(sum(interactions) FILTER (fallback), 0), max(persons)
        FROM gone_daily GROUP BY ALL
    ) GROUP BY ALL"""
"""Of persons who are gone only the most that one row knows are counted: two rows may mean the same person."""

_FEW = "persons < (SELECT persons_min FROM projection)"

_INTENT_DAILY = f"""SELECT day, CASE WHEN {_FEW} THEN '{OTHERS}' ELSE channel END AS channel,
    CASE WHEN {_FEW} THEN '{OTHERS}' ELSE language END AS language,
    CASE WHEN {_FEW} THEN '{OTHERS}' ELSE intent END AS intent,
    CAST(sum(interactions) AS BIGINT) AS interactions, CAST(sum(fallbacks) AS BIGINT) AS fallbacks
    FROM ({_DAILY}) GROUP BY ALL"""

_CHANNEL_DAILY = f"""SELECT day, CASE WHEN {_FEW} THEN '{OTHERS}' ELSE channel END AS channel,
    CAST(sum(interactions) AS BIGINT) AS interactions, CAST(sum(fallbacks) AS BIGINT) AS fallbacks
    FROM (
        SELECT day, channel, sum(interactions) AS interactions, sum(fallbacks) AS fallbacks, sum(persons) AS persons
        FROM (
            SELECT {DAY} AS day, channel, count(*) AS interactions, count(*) FILTER (fallback) AS fallbacks,
            count(DISTINCT subject) AS persons FROM interaction GROUP BY ALL
            UNION ALL
            SELECT day, channel, sum(interactions), coalesce(sum(interactions) FILTER (fallback), 0), max(persons)
            FROM gone_daily GROUP BY ALL
        ) GROUP BY ALL
    ) GROUP BY ALL"""

_FEW_PERSONS = (
    "Groups of fewer persons than the setting statistics_persons_min are merged into one row a day, named (others). Removed messages"
    " stay counted."
)

VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "sealed_event": (
        "The events of the conversations as they are held: clear header, sealed payload, and the few facts that were read out of it. "
        "None that is void, redacted, or of a person who is erased.",
        f"SELECT {_EVENT_COLUMNS} FROM recent_event UNION ALL SELECT {_EVENT_COLUMNS} FROM settled_event",
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
            "language": "Fact of interaction.understood; empty elsewhere and where it could not be opened.",
            "intent": "Fact of interaction.understood; empty also where nothing was understood.",
            "confidence": "Fact of interaction.understood, 0 to 1.",
            "fallback": "Fact of interaction.answered.1: the bot did not understand and said so.",
        },
    ),
    "interaction": (
        "One row a message of a person: what became of it, without its words.",
        f"""SELECT {_FIELDS}, (epoch_us(answered_at) - epoch_us(received_at)) / 1000.0 AS latency_ms FROM (
            SELECT {_FIELDS} FROM settled_interaction WHERE {_COMPLETE}
            UNION ALL
            {put_together(f"{partial('recent_event')} UNION ALL SELECT {_FIELDS} FROM settled_interaction WHERE NOT {_COMPLETE}")}
        )""",
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
        f"""SELECT subject, min(happened_at) AS first_seen_at, max(happened_at) AS last_seen_at, count(*) AS events,
        count(*) FILTER ({_is(Received)}) AS messages,
        count(*) FILTER ({_is(Answered)}) AS answers,
        count(DISTINCT channel) AS channels
        FROM sealed_event GROUP BY subject""",
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
    "consent": (
        "One row a consent that was given, with its withdrawal if there was one.",
        """SELECT "case", purpose, given_at, CASE WHEN next_topic = 'subject.consent_withdrawn.1' THEN next_at END AS withdrawn_at,
        notice_version FROM (
            SELECT "case", purpose, event_topic, happened_at AS given_at, notice_version,
            lead(event_topic) OVER w AS next_topic, lead(happened_at) OVER w AS next_at
            FROM register_event WHERE event_topic IN ('subject.consent_given.1', 'subject.consent_withdrawn.1')
            WINDOW w AS (PARTITION BY "case", purpose ORDER BY version)
        ) WHERE event_topic = 'subject.consent_given.1'""",
        {
            "case": "Pseudonym of the person in the register, another than the subject.",
            "purpose": "What the consent is for; empty where it could not be opened.",
            "given_at": "When it was given.",
            "withdrawn_at": "When it was withdrawn; empty while it stands.",
            "notice_version": "The notice that was shown before.",
        },
    ),
    "restriction": (
        "One row a restriction of processing (GDPR Art. 18), with its lifting if there was one.",
        """SELECT "case", restricted_at, CASE WHEN next_topic = 'subject.restriction_lifted.1' THEN next_at END AS lifted_at FROM (
            SELECT "case", event_topic, happened_at AS restricted_at,
            lead(event_topic) OVER w AS next_topic, lead(happened_at) OVER w AS next_at
            FROM register_event WHERE event_topic IN ('subject.restricted.1', 'subject.restriction_lifted.1')
            WINDOW w AS (PARTITION BY "case" ORDER BY version)
        ) WHERE event_topic = 'subject.restricted.1'""",
        {
            "case": "Pseudonym of the person in the register, another than the subject.",
            "restricted_at": "When processing was restricted.",
            "lifted_at": "When the restriction was lifted; empty while it stands.",
        },
    ),
    "rectification": (
        "One row a correction that was recorded (GDPR Art. 16); what was corrected is sealed.",
        """SELECT "case", happened_at AS rectified_at FROM register_event WHERE event_topic = 'subject.rectified.1'""",
        {
            "case": "Pseudonym of the person in the register, another than the subject.",
            "rectified_at": "When the correction was recorded.",
        },
    ),
    "request": (
        "One row a request of a person under GDPR Art. 15 to 22.",
        """SELECT originator AS request, "case", any_value(kind) AS kind, any_value(assurance) AS assurance,
        CASE WHEN count(*) FILTER (event_topic = 'request.answered.1') > 0 THEN 'answered'
        WHEN count(*) FILTER (event_topic = 'request.refused.1') > 0 THEN 'refused'
        WHEN count(*) FILTER (event_topic = 'request.extended.1') > 0 THEN 'extended'
        WHEN count(*) FILTER (event_topic = 'request.identity_checked.1') > 0 THEN 'identity checked'
        ELSE 'received' END AS status,
        any_value(outcome) FILTER (event_topic = 'request.answered.1') AS outcome,
        min(happened_at) FILTER (event_topic = 'request.received.1') AS received_at,
        max(happened_at) FILTER (event_topic = 'request.identity_checked.1') AS identity_checked_at,
        max(happened_at) FILTER (event_topic = 'request.extended.1') AS extended_at,
        max(due_at) AS due_at,
        max(happened_at) FILTER (event_topic IN ('request.answered.1', 'request.refused.1')) AS closed_at
        FROM register_event WHERE event_topic LIKE 'request.%' GROUP BY originator, "case\"""",
        {
            "request": "The request.",
            "case": "Pseudonym of the person in the register, another than the subject.",
            "kind": "Which right: access, portability, rectification, restriction, objection or erasure.",
            "assurance": "How sure it is who asked: browser, channel, site or verified.",
            "status": "received, identity checked, extended, answered or refused.",
            "outcome": "What the answer was; empty until there is one.",
            "received_at": "When it came.",
            "identity_checked_at": "When the identity was last checked.",
            "extended_at": "When the term was extended; empty when it was not.",
            "due_at": "When the answer is due.",
            "closed_at": "When it was answered or refused; empty until it is.",
        },
    ),
    "access_log": (
        "One row an access to the data of a person: when, as what, why and how much. Who it was is sealed.",
        """SELECT originator AS access, "case", happened_at AS accessed_at, role, reason, events
        FROM register_event WHERE event_topic = 'access.opened.1'""",
        {
            "access": "The access.",
            "case": "Pseudonym of the person in the register, another than the subject.",
            "accessed_at": "When.",
            "role": "As what the data were opened; no names.",
            "reason": "Why.",
            "events": "How many events were opened.",
        },
    ),
    "intent_daily": (
        f"Messages a day (UTC), channel, language and intent. {_FEW_PERSONS}",
        _INTENT_DAILY,
        {
            "day": "Day of the message, UTC.",
            "channel": "Channel of the message.",
            "language": "Language of the message; empty when it is not known.",
            "intent": "What the persons wanted; empty when not understood.",
            "interactions": "How many messages.",
            "fallbacks": "How many of them the bot did not understand, and said so.",
        },
    ),
    "channel_daily": (
        f"Messages a day (UTC) and channel. {_FEW_PERSONS}",
        _CHANNEL_DAILY,
        {
            "day": "Day of the message, UTC.",
            "channel": "Channel of the message.",
            "interactions": "How many messages.",
            "fallbacks": "How many of them the bot did not understand, and said so.",
        },
    ),
}
