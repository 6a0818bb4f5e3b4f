"""The kinds of step that a flow is made of. What each does is in bot/flow.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bot.expression import Expression
from bot.problem import Place
from bot.template import Template

END = ""
"""The place after a flow's last step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`id` is unique in its flow and stays the same when other steps come and go. `next` is where it goes on."""

    id: str
    place: Place
    next: str = END


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Step):
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Step):
    """A form: asks for each slot that is still empty, then confirms and corrects where `confirm` names a reply."""

    slots: tuple[str, ...]
    confirm: str = ""
    give_up: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose(Step):
    """Lets the person choose one item of a list that a connector returned. `none`: where to go when none suits, or none is there."""

    slot: str
    ask: str
    source: Expression
    value: str
    title: Template
    none: str
    give_up: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(Step):
    reply: str
    no: str
    give_up: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class If(Step):
    condition: Expression
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(Step):
    values: Mapping[str, Expression]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Step):
    """Wants an operation of a connector. `save` names what it returns. `failed` is None: say so and end the flow."""

    connector: str
    operation: str
    arguments: Mapping[str, Expression]
    save: str
    failed: str | None = None
    wait: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Step):
    flow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Goto(Step):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover(Step):
    ground: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer(Step):
    """Begins `flow` later, with the slots that `keep` names: `after_minutes` from now, or as long `before` a moment."""

    flow: str
    minutes: int
    before: Expression | None
    keep: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Step):
    """Wants something recorded about the person: a notice shown, a consent, a right."""

    kind: Literal["notice", "consent", "right"]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Step):
    pass


AnyStep = Say | Ask | Choose | Confirm | If | Set | Call | Run | Goto | Handover | Timer | Record | End
QUESTIONS = (Ask, Choose, Confirm)
