"""An assistant, as its files describe it: what the dialogue decides by. Frozen; read by bot/read.py, checked by bot/check.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from bot.expression import Expression
from bot.problem import Place
from bot.step import AnyStep
from bot.template import Template
from bot.understood import Thresholds

SlotType = Literal["text", "choice", "yes_no", "date", "time", "number"]
ROLES = ("affirm", "deny", "cancel", "agent", "restart", "repeat", "help", "correct")
"""What an intent may mean to the dialogue itself, whatever the flow. `controls` in assistant.yaml names the intents."""

SYSTEM_REPLIES = (
    "system_rephrase",
    "system_did_you_mean",
    "system_none_of_these",
    "system_menu",
    "system_offer_agent",
    "system_handover",
    "system_agent_closed",
    "system_handed_back",
    "system_invalid",
    "system_give_up",
    "system_resume",
    "system_welcome_back",
    "system_cancelled",
    "system_nothing_to_cancel",
    "system_restarted",
    "system_which",
    "system_working",
    "system_unavailable",
    "system_changed",
    "system_language",
    "system_yes",
    "system_no",
)
"""Replies that the dialogue itself gives; every assistant words them."""


Titles = Mapping[str, str]
"""Words by language."""


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    title: Titles
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """Something a flow needs to know. `anything`: whatever is written is the answer, be it a question or another wish."""

    name: str
    type: SlotType
    place: Place
    entity: str = ""
    title: Titles = field(default_factory=dict)
    ask: str = ""
    invalid: str = "system_invalid"
    valid: Expression | None = None
    options: tuple[Option, ...] = ()
    attempts: int = 3
    length_max: int = 200
    anything: bool = False
    remember: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """`steps` by id, in order, from `first`. `owned` are the slots and results that end with it, those of its sub-flows included."""

    name: str
    place: Place
    title: Titles
    intents: tuple[str, ...]
    steps: Mapping[str, AnyStep]
    first: str
    owned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply to an intent that begins nothing: small talk, a frequent question."""

    intent: str
    reply: str
    title: Titles
    place: Place


@dataclass(frozen=True, slots=True)
class ButtonText:
    title: Template
    payload: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    text: Template
    buttons: tuple[ButtonText, ...] = ()


@dataclass(frozen=True, slots=True)
class Replies:
    """The variants of one reply, by language, and where each language's stand."""

    name: str
    variants: Mapping[str, tuple[Variant, ...]]
    places: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Field:
    """An argument of an operation: where in the request it goes, and whether it is personal data."""

    place: Literal["path", "query", "body"]
    personal: bool


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    fields: Mapping[str, Field]
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Connector:
    """A system that may be called: its origin (scheme, host, port), who receives the data there, and for which purpose.

    `networks`: where its addresses must lie; without any, they must be public. `idempotency_header`: by which it knows repeats.
    """

    name: str
    origin: str
    networks: tuple[str, ...]
    idempotency_header: str
    recipient: str
    purpose: str
    timeout_ms: int
    operations: Mapping[str, Operation]
    place: Place


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told before anything is kept. `shown_by` are the channels that show it themselves."""

    version: str
    reply: str
    shown_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who takes over. `hours` by weekday (1 is Monday): opening times `("08:30", "12:00")`; none at all means always."""

    queue: str
    hours: Mapping[int, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Purpose:
    name: str
    basis: str
    retention_days: int
    description: Titles


@dataclass(frozen=True, slots=True)
class Channel:
    """Where the assistant can be reached, who intercepts and stores what passes through it, and in which country."""

    name: str
    operator: str
    country: str


@dataclass(frozen=True)
class Assistant:
    """`label` names it with a digest of its files, so that a state tells which assistant it was made by. `thresholds` are its own,
    None where its file leaves it to the model how well a message was understood."""

    name: str
    label: str
    languages: tuple[str, ...]
    zone: str
    controller: str
    contact: str
    protection_contact: str
    purposes: Mapping[str, Purpose]
    channels: Mapping[str, Channel]
    connectors: Mapping[str, Connector]
    escalation: Escalation
    notice: Notice
    thresholds: Thresholds | None
    idle_us: int
    pause_us: int
    controls: Mapping[str, str]
    language_intents: Mapping[str, str]
    slots: Mapping[str, Slot]
    flows: Mapping[str, Flow]
    answers: Mapping[str, Answer]
    replies: Mapping[str, Replies]
    place: Place

    @cached_property
    def flow_of(self) -> Mapping[str, Flow]:
        """The flow that an intent begins."""
        return {intent: flow for flow in self.flows.values() for intent in flow.intents}

    @cached_property
    def role_of(self) -> Mapping[str, str]:
        """What an intent means to the dialogue itself."""
        return {intent: role for role, intent in self.controls.items()}

    @cached_property
    def titles(self) -> Mapping[str, Titles]:
        """What an intent is called when people are asked whether they mean it."""
        named = {intent: flow.title for intent, flow in self.flow_of.items() if flow.title}
        return named | {answer.intent: answer.title for answer in self.answers.values() if answer.title}

    @cached_property
    def handled(self) -> frozenset[str]:
        """Every intent that something answers."""
        return frozenset({*self.flow_of, *self.answers, *self.role_of, *self.language_intents})
