"""E-mail addresses and telephone numbers that people typed, entered in the key store's index as mentioned: never as who they are.

On the data's way this follows understanding: the worker tells each batch that it understood. An officer who is given an address finds by
it who typed it. The value leaves this process only as a keyed hash; neither log nor register ever holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from nlu.personal import INDEXED, normal_form
from nlu.personal.emails import find as find_emails
from nlu.personal.emails import normal
from nlu.personal.phones import REGIONS, e164
from nlu.span import Span
from vault.errors import BadInput
from vault.keys import Mention

VALUE_CHARACTERS_MAX = 320
"""RFC 3696, erratum 1690: no address is longer."""
EMAIL, PHONE = INDEXED


class Index(Protocol):
    """Where mentions are entered."""

    def enter_mentions(self, found: Iterable[Mention]) -> int: ...


class Message(Protocol):
    """A message that was understood. `at_us`: microseconds UTC."""

    @property
    def interaction(self) -> UUID: ...
    @property
    def subject(self) -> UUID: ...
    @property
    def at_us(self) -> int: ...


class Found(Protocol):
    """What was understood of it."""

    @property
    def personal(self) -> Sequence[Span]: ...


class Mentions:
    """Enters what a batch of messages mentions, in one transaction. Told the same batch twice it enters it once."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __call__(self, understood: Iterable[tuple[Message, Found]]) -> None:
        self._index.enter_mentions(
            [
                Mention(span.kind, value, message.subject, message.interaction, message.at_us)
                for message, found in understood
                for span in found.personal
                if (value := normal_form(span)) is not None
            ]
        )


def looked_for(value: str) -> list[tuple[str, str]]:
    """The kinds and normal forms that a value may stand under: a telephone number without its country may be of several.

    Raises `BadInput` for what is neither an e-mail address nor a telephone number.
    """
    value = value.strip()
    if len(value) <= VALUE_CHARACTERS_MAX:
        for span in find_emails(value):
            if (span.start, span.end) == (0, len(value)):
                return [(EMAIL, str(span.value))]
        if "@" in value:
            return [(EMAIL, normal(value))]
        numbers = {e164(value, language) for language in (*REGIONS, "")}
        if found := sorted(number for number in numbers if number is not None):
            return [(PHONE, number) for number in found]
    raise BadInput(
        "VALUE is neither an e-mail address nor a telephone number", remedy="write a number as +33 1 23 45 67 89"
    )
