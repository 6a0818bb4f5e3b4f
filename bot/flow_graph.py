"""Where a flow can go: which steps lead to which, what is never reached, and what never ends."""

from __future__ import annotations

from collections.abc import Mapping

from bot.assistant import Flow
from bot.step import END, QUESTIONS, AnyStep, Ask, Call, Choose, Confirm, If, Run


def successors(step: AnyStep) -> set[str]:
    """The steps, or `END`, that may come after this one, giving up included where the author named a step for it."""
    after = {step.next}
    if isinstance(step, If):
        after.add(step.other)
    elif isinstance(step, Choose):
        after.add(step.none)
    elif isinstance(step, Confirm):
        after.add(step.no)
    elif isinstance(step, Call) and step.failed is not None:
        after.add(step.failed)
    if isinstance(step, Ask | Choose | Confirm) and step.give_up is not None:
        after.add(step.give_up)
    return after


def unreachable(flow: Flow) -> list[AnyStep]:
    """Steps that nothing leads to, in order."""
    seen = _reached({flow.first}, flow.steps)
    return [step for name, step in flow.steps.items() if name not in seen]


def endless(flow: Flow) -> list[AnyStep]:
    """Steps from which the flow's end cannot be reached, in order."""
    ending = {END}
    while True:
        more = {name for name, step in flow.steps.items() if name not in ending and successors(step) & ending}
        if not more:
            return [step for name, step in flow.steps.items() if name not in ending]
        ending |= more


def unasked_loops(flow: Flow, flows: Mapping[str, Flow]) -> list[AnyStep]:
    """Steps that may follow themselves without anything being asked in between, in order."""
    quiet = {name: step for name, step in flow.steps.items() if not _asks(step, flows)}
    return [step for name, step in quiet.items() if name in _reached(successors(step), quiet)]


def _asks(step: AnyStep, flows: Mapping[str, Flow]) -> bool:
    """Whether a step is a question, or runs a flow that cannot end without one."""
    if not isinstance(step, Run) or step.flow not in flows:
        return isinstance(step, QUESTIONS)
    run = flows[step.flow]
    quiet = {name: each for name, each in run.steps.items() if not isinstance(each, QUESTIONS)}
    return END not in _reached({run.first}, quiet)


def _reached(begin: set[str], steps: Mapping[str, AnyStep]) -> set[str]:
    """What can be reached through those steps alone, `END` included."""
    seen: set[str] = set()
    waiting = list(begin)
    while waiting:
        at = waiting.pop()
        if at not in seen and (at == END or at in steps):
            seen.add(at)
            waiting += successors(steps[at]) if at != END else ()
    return seen


def circles(flows: Mapping[str, Flow]) -> list[Run]:
    """Steps that run a flow which, directly or not, runs their own."""
    found = []
    for name, flow in flows.items():
        for step in flow.steps.values():
            if isinstance(step, Run) and name in _run_by(step.flow, flows):
                found.append(step)
    return found


def _run_by(name: str, flows: Mapping[str, Flow]) -> set[str]:
    """The flow and all that it runs."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        at = waiting.pop()
        if at in flows and at not in seen:
            seen.add(at)
            waiting += [step.flow for step in flows[at].steps.values() if isinstance(step, Run)]
    return seen
