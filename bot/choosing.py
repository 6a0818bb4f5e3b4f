"""Choosing one item of a list, and confirming with yes or no.

`frame.data`: `options` as they were shown (`{"value", "title"}`), `attempts`.
"""

from __future__ import annotations

from typing import Any

from bot.choices import chosen
from bot.form import ATTEMPTS, GIVE_UP
from bot.slot_values import NOTHING, Fit, Strength
from bot.state import Frame
from bot.step import Choose, Confirm
from bot.turn import Turn, options_buttons
from bot.understood import Understood

OPTIONS_MAX = 8
NONE = "\0none"
CHOSEN = "chosen"
"""The result that holds the item that was chosen last."""


def enter_choose(turn: Turn, frame: Frame, step: Choose) -> str | None:
    """Shows the options; goes on at `none` when there are none."""
    options = []
    for item in _items(turn, step):
        title = step.title(turn.scope({"item": item}), turn.state.language)
        options.append({"value": str(item[step.value]), "title": title})
    frame.data = {"options": options or frame.data.get("options", []), "attempts": frame.data.get("attempts", 0)}
    if not frame.data["options"]:
        return step.none
    turn.say(step.ask, buttons=options_buttons(frame.data["options"]))
    return None


def fit_choose(turn: Turn, frame: Frame, step: Choose, message: Understood) -> Fit:
    options = frame.data.get("options", [])
    values = [option["value"] for option in options]
    if message.chosen is not None:
        return Fit(Strength.STRONG, message.chosen if message.chosen in values else None)
    if turn.role == "deny":
        return Fit(Strength.STRONG, NONE)
    if turn.role == "affirm" and len(values) == 1:
        return Fit(Strength.STRONG, values[0])
    place, whole = chosen(message.text, options)
    if place is not None:
        return Fit(Strength.STRONG if whole else Strength.WEAK, values[place])
    meant = _by_entities(turn, step, message)
    return Fit(Strength.WEAK, meant) if meant in values else NOTHING


def take_choose(turn: Turn, frame: Frame, step: Choose, found: Fit) -> str | None:
    if found.value is None:
        return _again(turn, frame, step, lambda: enter_choose(turn, frame, step))
    if found.value == NONE:
        return step.none
    turn.state.slots[step.slot] = found.value
    item = [item for item in _items(turn, step) if str(item[step.value]) == found.value]
    turn.state.results[CHOSEN] = item[0] if item else {step.value: found.value}
    return step.next


def enter_confirm(turn: Turn, frame: Frame, step: Confirm) -> str | None:
    frame.data.setdefault("attempts", 0)
    turn.say(step.reply, buttons=turn.yes_no())
    return None


def fit_confirm(turn: Turn) -> Fit:
    return Fit(Strength.STRONG, turn.role == "affirm") if turn.role in ("affirm", "deny") else NOTHING


def take_confirm(turn: Turn, frame: Frame, step: Confirm, found: Fit) -> str | None:
    if found.value is None:
        return _again(turn, frame, step, lambda: enter_confirm(turn, frame, step))
    return step.next if found.value else step.no


def _again(turn: Turn, frame: Frame, step: Choose | Confirm, ask: Any) -> str | None:
    frame.data["attempts"] = frame.data.get("attempts", 0) + 1
    turn.confused = True
    if frame.data["attempts"] >= ATTEMPTS:
        return GIVE_UP if step.give_up is None else step.give_up
    turn.say("system_invalid")
    asked: str | None = ask()
    return asked


def _items(turn: Turn, step: Choose) -> list[dict[str, Any]]:
    given = turn.value(step.source)
    items = given if isinstance(given, list) else []
    return [item for item in items if isinstance(item, dict) and isinstance(item.get(step.value), str | int)][
        :OPTIONS_MAX
    ]


def _by_entities(turn: Turn, step: Choose, message: Understood) -> str | None:
    """The one item that has every date and time that the message names somewhere in its values."""
    wanted = [entity.value for entity in message.entities if entity.value]
    found = [
        str(item[step.value])
        for item in _items(turn, step)
        if wanted and all(any(value in str(held) for held in item.values()) for value in wanted)
    ]
    return found[0] if len(found) == 1 else None
