"""What a message says about a slot: a value of its type, and how plainly it is meant as the answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from enum import IntEnum
from typing import Any, NamedTuple

from bot.assistant import Slot
from bot.choices import chosen
from bot.state import bounded
from bot.turn import Turn
from bot.understood import Entity, Understood

COVER = 0.6
"""An entity that makes up so much of a message is what the message is about."""
DATE = "date"
HOLD_A_DATE = frozenset({"datetime", "interval"})
TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
NUMBER = re.compile(r"-?[0-9]{1,12}(?:[.,][0-9]{1,6})?")


class Strength(IntEnum):
    """How a message fits a question: not at all, perhaps (another wish may be meant), plainly."""

    NONE = 0
    WEAK = 1
    STRONG = 2


class Fit(NamedTuple):
    """`value` is what the question makes of the message; None where nothing can be used."""

    strength: Strength
    value: Any = None


NOTHING = Fit(Strength.NONE)


def is_of(entity: Entity, slot: Slot) -> bool:
    """Whether an entity is of the slot's kind; the day of a time or a stretch of time is one too."""
    return entity.kind == slot.entity or (slot.entity == DATE and slot.type == DATE and entity.kind in HOLD_A_DATE)


def meant(slot: Slot, entity: Entity, language: str) -> Any:
    """What an entity says of a slot: by its value, else by its words; None when neither is of the slot's type."""
    value = converted(slot, entity.value, language)
    return converted(slot, entity.text, language) if value is None else value


def converted(slot: Slot, given: str, language: str) -> Any:
    """A text as a value of the slot's type, or None."""
    given = given.strip()
    if slot.type == "choice":
        place, _ = chosen(given, shown(slot, language))
        return None if place is None else slot.options[place].value
    if slot.type == "date":
        try:
            return date.fromisoformat(given[:10]).isoformat()
        except ValueError:
            return None
    if slot.type == "time":
        found = TIME.search(given)
        return found[0] if found else None
    if slot.type == "number":
        found = NUMBER.fullmatch(given)
        number = float(given.replace(",", ".")) if found else None
        return int(number) if number is not None and number.is_integer() else number
    if slot.type == "yes_no":
        return None
    text = " ".join("".join(each if each.isprintable() else " " for each in given).split())
    return bounded(text[: slot.length_max]) or None


def shown(slot: Slot, language: str) -> list[dict[str, Any]]:
    """The slot's options as they are shown: `{"value", "title", "words"}`."""
    return [
        {"value": option.value, "title": option.title.get(language, option.value), "words": option.words}
        for option in slot.options
    ]


def usable(turn: Turn, slot: Slot, value: Any) -> bool:
    return value is not None and (slot.valid is None or bool(turn.value(slot.valid, {"value": value})))


def read_slot(turn: Turn, slot: Slot, message: Understood) -> Fit:
    """What the message answers to the slot's question. A value that is not usable counts as no value, as strongly as it was meant."""
    fit = _read(turn, slot, message)
    return fit if fit.value is None or usable(turn, slot, fit.value) else Fit(fit.strength)


def _read(turn: Turn, slot: Slot, message: Understood) -> Fit:
    if slot.type == "yes_no":
        return Fit(Strength.STRONG, turn.role == "affirm") if turn.role in ("affirm", "deny") else NOTHING
    if message.chosen is not None:
        return Fit(Strength.STRONG, converted(slot, message.chosen, turn.state.language))
    for entity in message.entities:
        if is_of(entity, slot):
            value = meant(slot, entity, turn.state.language)
            if value is not None:
                return Fit(Strength.STRONG if covers(entity, message) or slot.anything else Strength.WEAK, value)
    if slot.type == "choice":
        place, whole = chosen(message.text, shown(slot, turn.state.language))
        if place is None:
            return NOTHING
        return Fit(Strength.STRONG if whole else Strength.WEAK, slot.options[place].value)
    if slot.type == "text" and (slot.anything or not _means_something_else(turn)):
        value = converted(slot, message.text, turn.state.language)
        return Fit(Strength.STRONG if slot.anything else Strength.WEAK, value) if value else NOTHING
    value = None if slot.type == "text" else converted(slot, message.text, turn.state.language)
    return NOTHING if value is None else Fit(Strength.STRONG, value)


def _means_something_else(turn: Turn) -> bool:
    """Whether the message is sure to mean yes, no, or the wish that is already being answered: no text for a slot."""
    flows = {frame.flow for frame in turn.state.frames}
    begun = turn.assistant.flow_of.get(turn.sure_intent)
    return bool(turn.role) or (begun is not None and begun.name in flows)


def covers(entity: Entity, message: Understood) -> bool:
    text = message.text.strip()
    return len(entity.text) >= COVER * len(text)


def filled_from(turn: Turn, slots: Iterable[Slot], entities: Sequence[Entity]) -> dict[str, Any]:
    """Values for those slots that the entities name beyond doubt: one slot of the kind, one entity of the kind, a usable value."""
    slots = list(slots)
    values = {}
    for slot in slots:
        found = [entity for entity in entities if is_of(entity, slot)]
        rivals = [each for each in slots if each.entity == slot.entity]
        if slot.entity and len(found) == 1 and len(rivals) == 1:
            value = meant(slot, found[0], turn.state.language)
            if usable(turn, slot, value):
                values[slot.name] = value
    return values
