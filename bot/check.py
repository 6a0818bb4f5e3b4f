"""What is wrong in an assistant although every file is of its schema: names that lead nowhere, steps never reached, words missing.

Errors keep the assistant from being used; warnings do not.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path

from bot import flow_graph
from bot.assistant import SYSTEM_REPLIES, Assistant, Flow, Slot, Titles
from bot.choosing import CHOSEN
from bot.connectors import declaration
from bot.conversation import read_conversations
from bot.expression import Expression
from bot.flow import CALL
from bot.problem import FilesRefused, Place, Problem
from bot.read import read_assistant
from bot.read_steps import filled_by
from bot.step import AnyStep, Ask, Call, Choose, Confirm, If, Run, Say, Set, Timer
from bot.training import Training, read_training
from bot.understood import CHOOSE
from vault.errors import BadInput

RESERVED = frozenset({"title", "today", "now", "language", "channel", "value", "item", CHOSEN, CALL})
"""Names that the dialogue itself fills."""
GRAMMAR = {"date", "time", "datetime", "interval", "duration", "money", "number", "ordinal", "percentage"}
BUILT_IN_ENTITIES = frozenset({*GRAMMAR, "person", "address"})
"""Entities that understanding recognises without an example: its grammar's, and what it finds as personal data."""
SAID_BY_SYSTEM = frozenset({"subject"})


def checked(folder: Path) -> tuple[Assistant, list[Problem]]:
    """The assistant in a folder and its warnings. Raises `FilesRefused` when there is an error."""
    assistant = read_assistant(folder)
    problems = _Check(assistant, read_training(folder)).all()
    if any(not problem.warning for problem in problems):
        raise FilesRefused(problems)
    return assistant, sorted(problems)


def problems_of(folder: Path) -> list[Problem]:
    """Everything that is wrong in a folder, errors and warnings, its conversation tests included."""
    found: list[Problem] = []
    try:
        found += checked(folder)[1]
    except FilesRefused as refused:
        found += refused.problems
    try:
        read_conversations(folder)
    except FilesRefused as refused:
        found += refused.problems
    return sorted(found)


class _Check:
    """One assistant held against its training files and against itself."""

    def __init__(self, assistant: Assistant, training: Training) -> None:
        self._assistant = assistant
        self._training = training
        self._problems: list[Problem] = []
        self._filled = {
            name for flow in assistant.flows.values() for step in flow.steps.values() for name in filled_by(step)
        }
        self._results = {
            step.save for flow in assistant.flows.values() for step in flow.steps.values() if isinstance(step, Call)
        }
        self._said: set[str] = {*SYSTEM_REPLIES, assistant.notice.reply}

    def all(self) -> list[Problem]:
        assistant = self._assistant
        for flow in assistant.flows.values():
            self._flow(flow)
        for slot in assistant.slots.values():
            self._slot(slot)
        for answer in assistant.answers.values():
            self._reply(answer.reply, answer.place)
            self._titles(answer.title, f"answer {answer.intent}", answer.place)
        self._whole()
        self._intents()
        self._wording()
        return self._problems

    def _error(self, place: Place, what: str, remedy: str) -> None:
        self._problems.append(Problem(place.file, place.line, what, remedy))

    def _warn(self, place: Place, what: str, remedy: str) -> None:
        self._problems.append(Problem(place.file, place.line, what, remedy, warning=True))

    def _known(self, name: str, known: Collection[str], what: str, place: Place) -> bool:
        if name in known:
            return True
        near = difflib.get_close_matches(name, known, 1)
        self._error(
            place, f"there is no {what} {name!r}", f"did you mean {near[0]!r}?" if near else f"describe the {what}"
        )
        return False

    def _reply(self, name: str, place: Place) -> None:
        self._said.add(name)
        self._known(name, self._assistant.replies, "reply", place)

    def _titles(self, titles: Titles, of: str, place: Place) -> None:
        missing = [language for language in self._assistant.languages if titles and language not in titles]
        if missing:
            self._error(place, f"{of}: its title is missing in {', '.join(missing)}", "add it")

    def _names(self, expressions: Iterable[Expression], place: Place, *, also: Collection[str] = ()) -> None:
        known = {*self._assistant.slots, *self._results, *RESERVED, *also}
        for expression in expressions:
            for name in sorted(expression.names):
                self._known(name, known, "slot or result", place)

    # Flows

    def _flow(self, flow: Flow) -> None:
        self._titles(flow.title, f"flow {flow.name}", flow.place)
        for step in flow.steps.values():
            self._step(step)
        for step in flow_graph.unreachable(flow):
            self._error(step.place, f"step {step.id!r} is never reached", "lead to it with goto, or remove it")
        for step in flow_graph.endless(flow)[:1]:
            self._error(step.place, f"from step {step.id!r} on the flow never ends", "lead some branch to the end")
        for step in flow_graph.unasked_loops(flow, self._assistant.flows)[:1]:
            self._error(
                step.place, f"step {step.id!r} comes round again without a question", "ask something on the way"
            )

    def _step(self, step: AnyStep) -> None:
        place = step.place
        match step:
            case Say():
                self._reply(step.reply, place)
            case Confirm():
                self._reply(step.reply, place)
            case Ask():
                self._ask(step)
            case Choose():
                self._reply(step.ask, place)
                self._known(step.slot, self._assistant.slots, "slot", place)
                self._names([step.source], place)
            case If():
                self._names([step.condition], place)
            case Set():
                self._names(step.values.values(), place)
                for name in step.values:
                    self._known(name, self._assistant.slots, "slot", place)
            case Call():
                self._call(step)
            case Run():
                self._known(step.flow, self._assistant.flows, "flow", place)
            case Timer():
                self._known(step.flow, self._assistant.flows, "flow", place)
                self._names([step.before] if step.before else [], place)
                for name in step.keep:
                    self._known(name, self._assistant.slots, "slot", place)
            case _:
                pass

    def _ask(self, step: Ask) -> None:
        if step.confirm:
            self._reply(step.confirm, step.place)
        for name in step.slots:
            if not self._known(name, self._assistant.slots, "slot", step.place):
                continue
            slot = self._assistant.slots[name]
            if not slot.ask:
                self._error(slot.place, f"slot {name} is asked for, and has no question", "add ask: REPLY")
            if step.confirm and len(step.slots) > 1 and not slot.title:
                self._error(slot.place, f"slot {name} may be corrected, and has no title to name it by", "add title:")

    def _call(self, step: Call) -> None:
        assistant = self._assistant
        self._names(step.arguments.values(), step.place)
        if step.wait:
            self._reply(step.wait, step.place)
        if not self._known(step.connector, assistant.connectors, "connector", step.place):
            return
        connector = assistant.connectors[step.connector]
        if not self._known(step.operation, connector.operations, "operation", step.place):
            return
        operation = connector.operations[step.operation]
        for name in step.arguments:
            self._known(name, operation.fields, "field", step.place)
        for name, field in operation.fields.items():
            if field.place == "path" and name not in step.arguments:
                self._error(step.place, f"{step.operation} needs {name} in its path", f"add {name}: to the arguments")

    def _slot(self, slot: Slot) -> None:
        if slot.name in RESERVED or slot.name in self._results:
            self._error(slot.place, f"the name {slot.name!r} is taken", "give the slot another name")
        if slot.name not in self._filled:
            self._error(slot.place, f"slot {slot.name} is never filled", "ask for it, set it, or remove it")
        for reply in filter(None, (slot.ask, slot.invalid)):
            self._reply(reply, slot.place)
        self._titles(slot.title, f"slot {slot.name}", slot.place)
        for option in slot.options:
            self._titles(option.title, f"slot {slot.name}, option {option.value}", slot.place)
        self._names([slot.valid] if slot.valid else [], slot.place)
        if slot.entity and slot.entity not in self._training.entities | BUILT_IN_ENTITIES:
            self._error(
                slot.place, f"no example marks the entity {slot.entity!r}", "mark it in nlu/*.yaml, or correct it"
            )

    # The whole

    def _whole(self) -> None:
        assistant = self._assistant
        for step in flow_graph.circles(assistant.flows):
            self._error(step.place, f"the flow {step.flow} runs this one in turn", "let one of them end instead")
        thresholds = assistant.thresholds
        if thresholds is not None and thresholds.unsure > thresholds.sure:
            self._error(assistant.place, "unsure is above sure", "lower unsure or raise sure")
        for name in assistant.notice.shown_by:
            self._known(name, assistant.channels, "channel", assistant.place)
        for connector in assistant.connectors.values():
            try:
                declaration(connector, connector.origin)
            except BadInput as error:
                self._error(connector.place, error.args[0], error.remedy or f"correct the connector {connector.name}")
        for language in assistant.language_intents.values():
            self._known(language, assistant.languages, "language", assistant.place)

    def _intents(self) -> None:
        assistant, training = self._assistant, self._training
        places = {
            **{intent: assistant.place for intent in (*assistant.controls.values(), *assistant.language_intents)},
            **{intent: answer.place for intent, answer in assistant.answers.items()},
        }
        for flow in assistant.flows.values():
            for intent in flow.intents:
                if intent in places:
                    self._error(flow.place, f"intent {intent!r} is answered in two places", "keep one of them")
                places[intent] = flow.place
        for intent, place in places.items():
            missing = [each for each in assistant.languages if (each, intent) not in training.examples]
            if missing:
                self._error(place, f"intent {intent!r} has no examples in {', '.join(missing)}", "add some to nlu/")
        for (_, intent), place in sorted(training.places.items()):
            if intent not in places and intent != "oos":
                self._error(place, f"intent {intent!r} has no flow and no answer", "add one, or remove its examples")
        begun = {
            step.flow
            for flow in assistant.flows.values()
            for step in flow.steps.values()
            if isinstance(step, Run | Timer)
        }
        for flow in assistant.flows.values():
            if not flow.intents and flow.name not in begun:
                self._warn(flow.place, f"nothing begins the flow {flow.name}", "give it an intent, or remove it")

    def _wording(self) -> None:
        """Replies: there in every language, their places known, their buttons understood, said by something."""
        assistant = self._assistant
        for name in (*SYSTEM_REPLIES, assistant.notice.reply):
            self._known(name, assistant.replies, "reply", assistant.place)
        for name, reply in assistant.replies.items():
            place = next(iter(reply.places.values()))
            for language in assistant.languages:
                if language not in reply.variants:
                    self._error(place, f"reply {name} is missing in {language}", f"word it in {language}")
            if name not in self._said:
                self._warn(place, f"reply {name} is never said", "use it, or remove it")
            also = SAID_BY_SYSTEM if name.startswith("system_") else frozenset()
            known = {*assistant.slots, *self._results, *RESERVED, *also}
            for language, variants in reply.variants.items():
                for variant in variants:
                    for template in (variant.text, *(button.title for button in variant.buttons)):
                        for wanted in sorted(template.names):
                            self._known(wanted, known, "slot or result", reply.places[language])
                    for button in variant.buttons:
                        if button.payload and not button.payload.startswith(CHOOSE):
                            intent = button.payload[1:].split(" ")[0]
                            self._known(intent, assistant.handled, "intent", reply.places[language])
