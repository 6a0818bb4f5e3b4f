"""Flows under way: beginning, going on step by step until one waits, running another within, digressing and returning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot import choosing, form, handover
from bot.assistant import Flow
from bot.form import GIVE_UP
from bot.slot_values import Fit, filled_from
from bot.state import FRAMES_MAX, Frame, bounded_result
from bot.step import END, QUESTIONS, AnyStep, Ask, Call, Choose, Confirm, Goto, If, Record, Run, Say, Set, Timer
from bot.step import Handover as HandoverStep
from bot.turn import Turn
from bot.understood import Entity, Returned, Understood

STEPS_MAX = 200
CALLS_MAX = 8
"""Calls without a word from the person in between: more are a flow that goes round by itself."""
CALL = "call"
"""The result that holds the outcome and status of the last call."""
FAILED = "failed"
"""Of a call that failed while an agent had the conversation: said when it is handed back."""


def begin(turn: Turn, flow: Flow, entities: Sequence[Entity] = (), slots: Mapping[str, Any] | None = None) -> None:
    """Begins a flow above what is under way, with what the entities already say, and goes on. A flow under way is returned to."""
    names = [frame.flow for frame in turn.state.frames]
    if flow.name in names:
        while any(frame.role == "main" for frame in turn.state.frames[names.index(flow.name) + 1 :]):
            _pop(turn)
    else:
        _open_scope(turn, Frame(flow.name, flow.first))
        turn.state.slots.update(slots or {})
        while len(turn.state.frames) > FRAMES_MAX:
            turn.state.drop_oldest()
    begin_again(turn, entities)


def begin_again(turn: Turn, entities: Sequence[Entity]) -> None:
    """Goes on with the flow on top, with what the entities say of its slots."""
    owned = next(
        turn.assistant.flows[frame.flow].owned for frame in reversed(turn.state.frames) if frame.role == "main"
    )
    asked = [turn.assistant.slots[name] for name in sorted(owned) if name in turn.assistant.slots]
    turn.state.slots.update(filled_from(turn, asked, entities))
    go_on(turn)


def go_on(turn: Turn) -> None:
    """Performs steps until one waits or nothing is under way. A question that waits is asked again; none while an agent has the
    conversation, whom the person would be answering."""
    for _ in range(STEPS_MAX):
        frame = turn.state.top
        if frame is None:
            return
        if frame.step == END:
            _pop(turn)
            _announce_return(turn)
            continue
        step = turn.assistant.flows[frame.flow].steps[frame.step]
        said = len(turn.replies)
        went = _perform(turn, frame, step)
        if went is None:
            if turn.state.handed_over and isinstance(step, QUESTIONS):
                del turn.replies[said:]
                frame.data = {}
            return
        _move(turn, frame, went)
    turn.say("system_unavailable")
    while turn.state.frames:
        _pop(turn)


def question(turn: Turn) -> tuple[Frame, Ask | Choose | Confirm] | None:
    """The question that waits for the person, if one does."""
    frame = turn.state.top
    step = current(turn, frame) if frame else None
    return (frame, step) if frame and isinstance(step, QUESTIONS) and frame.data else None


def current(turn: Turn, frame: Frame) -> AnyStep | None:
    return turn.assistant.flows[frame.flow].steps.get(frame.step)


def fit(turn: Turn, frame: Frame, step: Ask | Choose | Confirm, message: Understood) -> Fit:
    """How a message fits the question that waits."""
    if isinstance(step, Ask):
        return form.fit(turn, frame, step, message)
    return choosing.fit_choose(turn, frame, step, message) if isinstance(step, Choose) else choosing.fit_confirm(turn)


def answer(turn: Turn, frame: Frame, step: Ask | Choose | Confirm, message: Understood, found: Fit) -> None:
    """Gives the message to the question that waits, and goes on."""
    if isinstance(step, Ask):
        went = form.take(turn, frame, step, message, found)
    elif isinstance(step, Choose):
        went = choosing.take_choose(turn, frame, step, found)
    else:
        went = choosing.take_confirm(turn, frame, step, found)
    if went is not None:
        _move(turn, frame, went)
        go_on(turn)


def returned(turn: Turn, heard: Returned) -> None:
    """A call came back. The flow that waits for it goes on: at once, or when what covers it (a digression, an agent) has ended."""
    key = f"{heard.interaction}:{heard.step}"
    for place, frame in enumerate(turn.state.frames):
        step = current(turn, frame)
        if frame.data.get("key") == key and isinstance(step, Call):
            results = _results_of(turn, place)
            results[step.save] = bounded_result(dict(heard.result))
            results[CALL] = {"outcome": heard.outcome[:20], "status": heard.status}
            goes_on = frame is turn.state.top and not turn.state.handed_over
            if heard.outcome == "done":
                frame.step, frame.data = step.next, {}
            elif step.failed is not None:
                frame.step, frame.data = step.failed, {}
            elif turn.state.handed_over:
                frame.data = {FAILED: True}
            else:
                turn.say("system_unavailable")
                _end_group(turn, place)
            if goes_on:
                go_on(turn)
            return


def abandon(turn: Turn) -> None:
    """Drops the flow on top with those that run for it, and returns to what it covered."""
    while turn.state.frames and _pop(turn).role == "sub":
        pass
    _announce_return(turn)


def subject(turn: Turn) -> str:
    """What the flow on top is about, in the person's language."""
    for frame in reversed(turn.state.frames):
        title = turn.title(turn.assistant.flows[frame.flow].title, "")
        if title:
            return title
    return ""


def _perform(turn: Turn, frame: Frame, step: AnyStep) -> str | None:
    """Performs a step: gives the id of the next one, or None when this one waits."""
    match step:
        case Say():
            turn.say(step.reply)
        case Ask():
            return form.enter(turn, frame, step)
        case Choose():
            return choosing.enter_choose(turn, frame, step)
        case Confirm():
            return choosing.enter_confirm(turn, frame, step)
        case If():
            return step.next if turn.value(step.condition) else step.other
        case Set():
            for name, expression in step.values.items():
                _set(turn, name, turn.value(expression))
        case Call():
            return _call(turn, frame, step)
        case Run():
            return _run(turn, frame, step)
        case HandoverStep():
            if handover.hand_over(turn, step.ground):
                frame.step, frame.data = step.next, {}
                return None
        case Timer():
            _timer(turn, step)
        case Record():
            turn.want(step.kind, step.name)
        case Goto():
            pass
        case _:
            return END
    return step.next


def _set(turn: Turn, name: str, value: object) -> None:
    """Fills a slot, or empties it with null."""
    if value is None:
        turn.state.slots.pop(name, None)
    else:
        turn.state.slots[name] = value


def _call(turn: Turn, frame: Frame, step: Call) -> str | None:
    if "key" in frame.data:
        return None
    if FAILED in frame.data:
        turn.say("system_unavailable")
        _end_group(turn, len(turn.state.frames) - 1)
        return END
    turn.state.calls += 1
    arguments = {name: turn.value(expression) for name, expression in step.arguments.items()}
    given = {name: value for name, value in arguments.items() if value is not None}
    called = turn.state.calls <= CALLS_MAX and turn.want("call", f"{step.connector}.{step.operation}", given)
    if not called:
        turn.say("system_unavailable")
        return END
    if step.wait:
        turn.say(step.wait)
    frame.data = {"key": called}
    return None


def _run(turn: Turn, frame: Frame, step: Run) -> str | None:
    """The caller stands at its next step already, so that it goes on there when the other flow has ended."""
    if len(turn.state.frames) > FRAMES_MAX:
        turn.say("system_unavailable")
        return END
    turn.state.frames.append(Frame(step.flow, turn.assistant.flows[step.flow].first, "sub"))
    return step.next


def _timer(turn: Turn, step: Timer) -> None:
    after = timedelta(minutes=step.minutes)
    due = turn.now + after
    if step.before is not None:
        try:
            moment = datetime.fromisoformat(str(turn.value(step.before)))
        except ValueError:
            return
        due = moment.replace(tzinfo=moment.tzinfo or ZoneInfo(turn.assistant.zone)) - after
    if due > turn.now:
        slots = {name: turn.state.slots[name] for name in step.keep if name in turn.state.slots}
        turn.want(
            "timer",
            step.flow,
            {"at_us": round(due.timestamp() * 1_000_000), "slots": slots, "language": turn.state.language},
        )


def _move(turn: Turn, frame: Frame, went: str) -> None:
    if went == GIVE_UP:
        turn.say("system_give_up")
        abandon(turn)
        if turn.state.top is None:
            handover.offer(turn)
    else:
        frame.step, frame.data = went, {}


def _open_scope(turn: Turn, frame: Frame) -> None:
    """Puts a flow that the person began on top. It sees the slots to be remembered, and none of the flows below."""
    remembered = _remembered(turn)
    others = {name: value for name, value in turn.state.slots.items() if name not in remembered}
    frame.held = {"slots": others, "results": turn.state.results} if turn.state.frames else {}
    turn.state.slots, turn.state.results = remembered, {}
    turn.state.frames.append(frame)


def _pop(turn: Turn) -> Frame:
    """Takes the flow on top away. With one that the person began its scope ends, and what the flows below knew is there again."""
    frame = turn.state.frames.pop()
    if frame.role == "main":
        turn.state.slots = frame.held.get("slots", {}) | _remembered(turn)
        turn.state.results = frame.held.get("results", {})
    return frame


def _remembered(turn: Turn) -> dict[str, Any]:
    slots = turn.assistant.slots
    return {name: value for name, value in turn.state.slots.items() if name in slots and slots[name].remember}


def _results_of(turn: Turn, place: int) -> dict[str, Any]:
    """The results that the flow at a place sees: those of its scope, which a flow begun above it holds."""
    above = next((frame for frame in turn.state.frames[place + 1 :] if frame.role == "main"), None)
    return turn.state.results if above is None else above.held.setdefault("results", {})


def _announce_return(turn: Turn) -> None:
    """Says where the conversation goes on, when a question that was interrupted comes back."""
    if question(turn) is not None:
        turn.say("system_resume", extra={"subject": subject(turn)})


def _end_group(turn: Turn, place: int) -> None:
    """Ends the flow at a place with those that it runs for."""
    while True:
        turn.state.frames[place].step, turn.state.frames[place].data = END, {}
        if turn.state.frames[place].role == "main":
            return
        place -= 1
