"""A conversation that goes on later: expired, after a pause, or under another version of the assistant.

- After the declared idle time nothing of it is known any more: whoever rebuilds states reads the log back that far only.
- After a pause with something under way, the person is told where it was.
- Under another version, slots and flows that are still described are kept. A flow whose step is gone begins again with what was
  already said; one that is gone altogether is dropped. The person is told when what they were doing is concerned.
"""

from __future__ import annotations

from typing import Any

from bot.assistant import Assistant, Slot
from bot.flow import question, subject
from bot.state import Frame, State
from bot.step import Ask
from bot.turn import Turn

Scope = dict[str, dict[str, Any]]


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
    state.offer = {}
    before = [(frame.flow, frame.step) for frame in state.frames]
    _adopt_frames(state, assistant)
    return [(frame.flow, frame.step) for frame in state.frames] != before


def _adopt_frames(state: State, assistant: Assistant) -> None:
    """Keeps the groups of frames that can go on (a flow the person began, and those that run for it), each with its scope."""
    groups: list[list[Frame]] = []
    for frame in state.frames:
        if frame.role == "main" or not groups:
            groups.append([])
        groups[-1].append(frame)
    scopes: list[Scope] = [*(group[0].held for group in groups[1:]), {"slots": state.slots, "results": state.results}]
    kept = [
        (adopted, _adopted_scope(scope, assistant))
        for group, scope in zip(
            groups, scopes, strict=False
        )  # without groups there is one scope, of what is remembered
        if (adopted := _adopted_group(group, assistant))
    ]
    described = _described(state.slots, assistant)
    remembered = {name: value for name, value in described.items() if assistant.slots[name].remember}
    below: Scope = {}
    for frames, scope in kept:
        frames[0].held, below = below, scope
    state.frames = [frame for frames, _ in kept for frame in frames]
    state.slots = below.get("slots", {}) | remembered
    state.results = below.get("results", {})


def _adopted_group(group: list[Frame], assistant: Assistant) -> list[Frame]:
    """As much of a group as is still described; none of it when one of its flows is gone."""
    kept: list[Frame] = []
    for frame in group:
        flow = assistant.flows.get(frame.flow)
        if flow is None:
            return []
        if frame.step and frame.step not in flow.steps:
            return [*kept, Frame(flow.name, flow.first, frame.role)]
        step = flow.steps.get(frame.step)
        asked = frame.data.get("slot")
        stale = isinstance(step, Ask) and asked is not None and asked not in step.slots
        kept.append(Frame(flow.name, frame.step, frame.role, {} if stale else frame.data))
    return kept


def _adopted_scope(scope: Scope, assistant: Assistant) -> Scope:
    return {"slots": _described(scope.get("slots", {}), assistant), "results": scope.get("results", {})}


def _described(slots: dict[str, Any], assistant: Assistant) -> dict[str, Any]:
    """The slots that are still described and hold something that may still be chosen."""
    known = assistant.slots
    return {name: value for name, value in slots.items() if name in known and _holds(known[name], value)}


def _holds(slot: Slot, value: Any) -> bool:
    return slot.type != "choice" or value in [option.value for option in slot.options]
