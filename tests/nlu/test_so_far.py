"""What is remembered of conversations: the last of each, for a day, of so many people."""

from __future__ import annotations

from uuid import UUID

from nlu.so_far import IDLE_US, UNKNOWN, Conversations, SoFar

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))


def test_the_last_that_was_noted_is_known_until_the_conversation_is_over() -> None:
    known = Conversations()
    assert known.before(ONE, 5) is UNKNOWN
    known.note(ONE, language="fr", intent="book", at_us=5)
    known.note(ONE, intent="menu")
    assert known.before(ONE, 5 + IDLE_US) == SoFar("fr", "menu", 5)
    assert known.before(ONE, 6 + IDLE_US) is UNKNOWN
    known.forget(ONE)
    known.forget(ONE)
    assert known.before(ONE, 5) is UNKNOWN


def test_of_more_people_than_the_limit_the_longest_silent_are_forgotten() -> None:
    known = Conversations(people_max=2)
    known.note(ONE, language="fr")
    known.note(TWO, language="fr")
    known.note(ONE, intent="book")
    known.note(THREE, language="en")
    assert len(known) == 2
    assert known.before(TWO, 0) is UNKNOWN
    assert known.before(ONE, 0) == SoFar("fr", "book")
