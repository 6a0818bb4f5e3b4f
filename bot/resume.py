"""A conversation that goes on later: expired, after a pause, or under another version of the assistant.

- After the declared idle time nothing of it is known any more: whoever rebuilds states reads the log back that far only.
- After a pause with something under way, the person is told where it was.
- Under another version, slots and flows that are still described are kept. A flow whose step is gone begins again with what was
  already said; one that is gone altogether is dropped. The person is told when what they were doing is concerned.
"""

from __future__ import annotations

from bot.assistant import Ask, Assistant, Slot
from bot.flow import question, subject
from bot.state import Frame, State
from bot.turn import Turn


def expired(state: State, at_us: int, assistant: Assistant) -> bool:
    return bool(state.at_us) and at_us - state.at_us > assistant.idle_us


def welcome_back(turn: Turn, last_us: int) -> None:
    """Says where the conversation was, after a pause."""
    if turn.heard.at_us - last_us > turn.assistant.pause_us and question(turn) is not None:
        turn.say("system_welcome_back", extra={"subject": subject(turn)})


def adopt(state: State, assistant: Assistant) -> bool:
    """Makes a state of another version one of this assistant; whether what is under way was changed by it."""
    if state.assistant == assistant.label:
        return False
    first = not state.assistant
    state.assistant = assistant.label
    if first:
        return False
    if state.language not in assistant.languages:
        state.language, state.language_pinned = assistant.languages[0], False
    kept = {name: value for name, value in state.slots.items() if name in assistant.slots}
    state.slots = {name: value for name, value in kept.items() if _holds(assistant.slots[name], value)}
    state.offer = {}
    before = [(frame.flow, frame.step) for frame in state.frames]
    state.frames = _frames(state.frames, assistant)
    return [(frame.flow, frame.step) for frame in state.frames] != before


def _holds(slot: Slot, value: object) -> bool:
    return slot.type != "choice" or value in {option.value for option in slot.options}


def _frames(frames: list[Frame], assistant: Assistant) -> list[Frame]:
    """The flows that can go on, group by group: one the person began, with those that run for it."""
    kept: list[Frame] = []
    lost = False
    for frame in frames:
        if frame.role == "main":
            lost = False
        if lost:
            continue
        flow = assistant.flows.get(frame.flow)
        if flow is None:
            lost = True
            if frame.role == "sub":
                _drop_group(kept)
        elif frame.step and frame.step not in flow.steps:
            lost = True
            kept.append(Frame(flow.name, flow.first, frame.role))
        else:
            step = flow.steps.get(frame.step)
            asked = frame.data.get("slot")
            stale = isinstance(step, Ask) and asked is not None and asked not in step.slots
            kept.append(Frame(flow.name, frame.step, frame.role, {} if stale else frame.data))
    return kept


def _drop_group(kept: list[Frame]) -> None:
    """Drops the frames down to the one that the person began: they ran something that is gone."""
    while kept and kept.pop().role == "sub":
        pass
