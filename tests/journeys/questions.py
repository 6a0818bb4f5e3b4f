"""Five questions that an analyst asks of the conversations, as in a notebook: `python -m tests.journeys.questions HOME`."""

from __future__ import annotations

import sys
from typing import Any

import projections

PAUSE = "INTERVAL 30 MINUTE"
"""After so long without a message of the person, the next one begins another conversation."""

CONVERSATIONS = f"""
    WITH said AS (
        SELECT subject, channel, received_at, answered_at, fallback,
        coalesce(received_at - lag(received_at) OVER w > {PAUSE}, true) AS is_first
        FROM interaction WINDOW w AS (PARTITION BY subject, channel ORDER BY received_at)
    ), numbered AS (
        SELECT *, sum(is_first::INT) OVER (PARTITION BY subject, channel ORDER BY received_at) AS number FROM said
    ), conversation AS (
        SELECT subject, channel, number, count(*) AS messages, min(received_at) AS began_at,
        max(answered_at) - min(received_at) AS lasted, bool_or(fallback) AS fell_back
        FROM numbered GROUP BY subject, channel, number
    )"""

QUESTIONS = {
    "the busiest hours": """
        SELECT hour(received_at) AS hour, count(*) AS messages FROM interaction
        GROUP BY hour ORDER BY messages DESC, hour LIMIT 5""",
    "how often the bot did not understand, by intent": """
        SELECT intent, avg(fallback::INT) AS fallbacks, count(*) AS messages FROM interaction
        GROUP BY intent HAVING count(*) >= 20 ORDER BY fallbacks DESC, messages DESC LIMIT 10""",
    "conversations by channel": f"""{CONVERSATIONS}
        SELECT channel, count(*) AS conversations FROM conversation GROUP BY channel ORDER BY channel""",
    "length until it was resolved": f"""{CONVERSATIONS}
        SELECT median(messages) AS messages, quantile_cont(messages, 0.9) AS messages_of_nine_in_ten,
        median(epoch(lasted)) AS seconds FROM conversation WHERE NOT coalesce(fell_back, false)""",
    "how many come back": f"""{CONVERSATIONS}, person AS (SELECT subject, count(*) AS times FROM conversation GROUP BY subject)
        SELECT avg((times > 1)::INT) AS returned, count(*) AS persons FROM person""",
}


def answers(home: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that answer each question."""
    with projections.connect(home, reason="five questions") as connection:
        return {question: connection.sql(query).fetchall() for question, query in QUESTIONS.items()}


if __name__ == "__main__":
    for asked, rows in answers(sys.argv[1]).items():
        print(asked)
        for row in rows:
            print("   ", *row)
