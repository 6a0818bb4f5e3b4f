"""Forms: each slot asked in turn, checked, several filled by one message, the whole confirmed, one corrected, given up in the end.

What was said before can be changed at any time, by naming another value of it.

`frame.data`: `stage` (slot, confirm or which), `slot` that is asked, `attempts` at it.
"""

from __future__ import annotations

from bot.assistant import Slot
from bot.choices import chosen
from bot.slot_values import NOTHING, Fit, Strength, covers, filled_from, read_slot, shown
from bot.state import Frame
from bot.step import Ask
from bot.turn import Button, Turn, options_buttons
from bot.understood import Understood

GIVE_UP = "\0give-up"
"""Where a question goes on when its attempts are used up and its author named no step."""
CORRECT = "\0correct"
ATTEMPTS = 3


def enter(turn: Turn, frame: Frame, step: Ask) -> str | None:
    """Asks what is still missing; gives the next step when nothing is, or None to wait."""
    missing = [name for name in step.slots if name not in turn.state.slots]
    if missing and frame.data.get("stage") != "which":
        if frame.data.get("slot") != missing[0]:
            frame.data = {"stage": "slot", "slot": missing[0], "attempts": 0}
        _ask(turn, turn.assistant.slots[missing[0]])
        return None
    if frame.data.get("stage") == "which":
        turn.say("system_which", buttons=options_buttons(_slots_shown(turn, step)))
        return None
    if not step.confirm:
        return step.next
    if frame.data.get("stage") != "confirm":
        frame.data = {"stage": "confirm", "attempts": 0}
    turn.say(step.confirm, buttons=turn.yes_no())
    return None


def fit(turn: Turn, frame: Frame, step: Ask, message: Understood) -> Fit:
    """How the message fits what is asked now."""
    stage = frame.data.get("stage")
    if turn.role == "correct" and (changes := _changes(turn, step, message)):
        return Fit(Strength.STRONG, changes)
    if turn.role == "correct":
        return Fit(Strength.STRONG, CORRECT)
    if stage == "slot":
        slot = turn.assistant.slots[frame.data["slot"]]
        found = read_slot(turn, slot, message)
        if found.value is not None:
            return Fit(found.strength, {slot.name: found.value})
    changes = _changes(turn, step, message)
    if stage == "slot":
        return Fit(Strength.WEAK, changes) if changes else found
    if stage == "which":
        place = _which(turn, step, message)
        if place is not None:
            return Fit(Strength.STRONG, step.slots[place])
    elif turn.role in ("affirm", "deny") and not changes:
        return Fit(Strength.STRONG, turn.role == "affirm")
    if changes:
        plain = turn.role == "deny" or any(covers(entity, message) for entity in message.entities)
        return Fit(Strength.STRONG if plain else Strength.WEAK, changes)
    return NOTHING


def take(turn: Turn, frame: Frame, step: Ask, message: Understood, found: Fit) -> str | None:
    """Does what the message says, and asks on."""
    state = turn.state
    if found.value is None:
        return _again(turn, frame, step)
    if found.value is True:
        return step.next
    if found.value is False or found.value == CORRECT:
        _back(turn, frame, step)
    elif isinstance(found.value, str):
        state.slots.pop(found.value, None)
        frame.data = {"stage": "slot", "slot": found.value, "attempts": 0}
    else:
        state.slots.update(found.value)
        open_slots = [turn.assistant.slots[name] for name in step.slots if name not in state.slots]
        used = {turn.assistant.slots[name].entity for name in found.value}
        others = [entity for entity in message.entities if entity.kind not in used]
        state.slots.update(filled_from(turn, open_slots, others))
        frame.data = {}
    return enter(turn, frame, step)


def _ask(turn: Turn, slot: Slot) -> None:
    buttons: tuple[Button, ...] = ()
    if slot.type == "choice":
        buttons = options_buttons(shown(slot, turn.state.language))
    elif slot.type == "yes_no":
        buttons = turn.yes_no()
    turn.say(slot.ask, buttons=buttons)


def _again(turn: Turn, frame: Frame, step: Ask) -> str | None:
    """What was said is no answer: says so and asks again, until the attempts are used up."""
    slot = turn.assistant.slots[frame.data["slot"]] if frame.data.get("stage") == "slot" else None
    frame.data["attempts"] = frame.data.get("attempts", 0) + 1
    turn.confused = True
    if frame.data["attempts"] >= (slot.attempts if slot else ATTEMPTS):
        return GIVE_UP if step.give_up is None else step.give_up
    turn.say(slot.invalid if slot else "system_invalid")
    return enter(turn, frame, step)


def _back(turn: Turn, frame: Frame, step: Ask) -> None:
    """Something is to be corrected: the one slot before, or the one that the person names next."""
    filled = [name for name in step.slots if name in turn.state.slots]
    if frame.data.get("stage") == "slot" or len(filled) == 1:
        if filled:
            turn.state.slots.pop(filled[-1])
        frame.data = {}
    else:
        frame.data = {"stage": "which", "attempts": 0}


def _changes(turn: Turn, step: Ask, message: Understood) -> dict[str, object]:
    slots = [turn.assistant.slots[name] for name in step.slots]
    values = filled_from(turn, slots, message.entities)
    return {name: value for name, value in values.items() if turn.state.slots.get(name) != value}


def _slots_shown(turn: Turn, step: Ask) -> list[dict[str, str]]:
    slots = [turn.assistant.slots[name] for name in step.slots]
    return [{"value": slot.name, "title": turn.title(slot.title, slot.name)} for slot in slots]


def _which(turn: Turn, step: Ask, message: Understood) -> int | None:
    if message.chosen in step.slots:
        return step.slots.index(str(message.chosen))
    return chosen(message.text, _slots_shown(turn, step))[0]
