"""The steps of a flow, read: each does one thing, has an id that outlives its neighbours, and knows where it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from bot.assistant import Flow
from bot.expression import Expression
from bot.problem import Place
from bot.step import END, AnyStep, Ask, Call, Choose, Confirm, End, Goto, Handover, If, Record, Run, Say, Set, Timer
from bot.template import Template

KEYS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "say": (frozenset(), frozenset()),
    "ask": (frozenset(), frozenset({"confirm", "give_up"})),
    "choose": (frozenset({"from", "value", "title", "question", "none"}), frozenset({"give_up"})),
    "confirm": (frozenset(), frozenset({"yes", "no", "give_up"})),
    "if": (frozenset(), frozenset({"then", "else"})),
    "set": (frozenset(), frozenset()),
    "call": (frozenset(), frozenset({"arguments", "save", "failed", "wait"})),
    "run": (frozenset(), frozenset()),
    "goto": (frozenset(), frozenset()),
    "handover": (frozenset(), frozenset()),
    "timer": (frozenset({"minutes"}), frozenset({"before", "keep"})),
    "record": (frozenset({"name"}), frozenset()),
    "end": (frozenset(), frozenset()),
}
"""By kind: the keys it needs and those it may have beside `id`."""


class Line(NamedTuple):
    """What reading a step needs of its file: places, problems, expressions and templates, all by the path within the steps."""

    place: Callable[..., Place]
    problem: Callable[..., None]
    expression: Callable[..., Expression]
    template: Callable[..., Template]


def read_steps(given: list[Any], line: Line) -> list[AnyStep]:
    """The steps in order. Problems are noted on the line; a step that is none is left out."""
    kinds = [_kind(body, number, line) for number, body in enumerate(given)]
    ids = _ids(given, kinds, line)
    steps = []
    for number, (body, kind) in enumerate(zip(given, kinds, strict=True)):
        if kind:
            follows = next((ids[later] for later in range(number + 1, len(given)) if kinds[later]), END)
            steps.append(_step(kind, body, ids[number], follows, number, line))
    known = {step.id for step in steps} | {END}
    for number, body in enumerate(given):
        for key in ("then", "else", "yes", "no", "none", "failed", "give_up", "goto"):
            if key in body and body[key] not in known:
                line.problem(f"{key}: there is no step {body[key]!r} in this flow", "give a step that id", number, key)
    return steps


def _kind(body: Any, number: int, line: Line) -> str:
    kinds = [kind for kind in KEYS if kind in body and not (kind == "confirm" and "ask" in body)]
    if len(kinds) != 1:
        said = f"this step does {' and '.join(kinds)}" if kinds else "this step does nothing"
        line.problem(said, f"let each step do one of: {', '.join(KEYS)}", number)
        return ""
    needed, allowed = KEYS[kinds[0]]
    given = set(body) - {kinds[0], "id"}
    for key in sorted(needed - given):
        line.problem(f"{kinds[0]}: {key!r} is missing", f"add {key}:", number)
    for key in sorted(given - needed - allowed):
        line.problem(f"{kinds[0]}: has no {key!r}", "move it to the step that it belongs to", number, key)
    return "" if needed - given else kinds[0]


def _ids(given: list[Any], kinds: list[str], line: Line) -> list[str]:
    """Given ids, or one made of the step's kind and what it is about, so that a conversation finds its place in a later version."""
    ids: list[str] = []
    for number, (body, kind) in enumerate(zip(given, kinds, strict=True)):
        about = body.get(kind)
        made = f"{kind}-{'+'.join(about) if isinstance(about, list | dict) else about}"
        name = wanted = body.get("id", made)
        count = 1
        while name in ids:
            if "id" in body:
                line.problem(f"there are two steps {name!r}", "give one another id", number, "id")
            count += 1
            name = f"{wanted}-{count}"
        ids.append(name)
    return ids


def _step(kind: str, body: Any, id: str, follows: str, number: int, line: Line) -> AnyStep:
    common: dict[str, Any] = {"id": id, "place": line.place(number), "next": follows}
    given = body[kind]

    def expression(key: str) -> Expression:
        return line.expression(body[key], number, key)

    if kind == "say":
        return Say(**common, reply=given)
    if kind == "ask":
        return Ask(**common, slots=tuple(given), confirm=body.get("confirm", ""), give_up=body.get("give_up"))
    if kind == "choose":
        return Choose(
            **common,
            slot=given,
            ask=body["question"],
            source=expression("from"),
            value=body["value"],
            title=line.template(body["title"], number, "title"),
            none=body["none"],
            give_up=body.get("give_up"),
        )
    if kind == "confirm":
        common["next"] = body.get("yes", follows)
        return Confirm(**common, reply=given, no=body.get("no", END), give_up=body.get("give_up"))
    if kind == "if":
        common["next"] = body.get("then", follows)
        return If(**common, condition=expression("if"), other=body.get("else", follows))
    if kind == "set":
        return Set(**common, values={name: line.expression(text, number, "set", name) for name, text in given.items()})
    if kind == "call":
        connector, operation = given.split(".")
        arguments = {
            name: line.expression(text, number, "arguments", name) for name, text in body.get("arguments", {}).items()
        }
        return Call(
            **common,
            connector=connector,
            operation=operation,
            arguments=arguments,
            save=body.get("save", operation),
            failed=body.get("failed"),
            wait=body.get("wait", ""),
        )
    if kind == "run":
        return Run(**common, flow=given)
    if kind == "goto":
        common["next"] = given
        return Goto(**common)
    if kind == "handover":
        return Handover(**common, ground=given)
    if kind == "timer":
        before = expression("before") if "before" in body else None
        return Timer(**common, flow=given, minutes=body["minutes"], before=before, keep=tuple(body.get("keep", ())))
    if kind == "record":
        return Record(**common, kind=given, name=body["name"])
    common["next"] = END
    return End(**common)


def filled_by(step: AnyStep) -> tuple[str, ...]:
    """The slots and results that a step may fill."""
    if isinstance(step, Ask):
        return step.slots
    if isinstance(step, Choose):
        return (step.slot,)
    if isinstance(step, Set):
        return tuple(step.values)
    return (step.save,) if isinstance(step, Call) else ()


def with_owned(flows: Mapping[str, Flow]) -> dict[str, Flow]:
    """The flows with what each of them fills, directly or in the flows that it runs."""

    def owned(name: str, seen: frozenset[str]) -> frozenset[str]:
        if name in seen or name not in flows:
            return frozenset()
        own: set[str] = set()
        for step in flows[name].steps.values():
            own.update(filled_by(step))
            if isinstance(step, Run):
                own |= owned(step.flow, seen | {name})
        return frozenset(own)

    return {name: replace(flow, owned=owned(name, frozenset())) for name, flow in flows.items()}
