"""An assistant's connectors as the outgoing client declares them, and its answers as the dialogue hears them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.assistant import Assistant, Connector, Operation
from bot.outgoing import Answer, Client, Limits, Origin, Outcome
from bot.outgoing import Field as OutgoingField
from bot.outgoing import Operation as OutgoingOperation
from bot.turn import Effect
from bot.understood import Returned
from vault.errors import BadInput

OUTCOMES = {Outcome.OK: "done", Outcome.TIMEOUT: "timed_out"}
"""How the dialogue calls an outcome; every other one is `failed`."""


def client_of(assistant: Assistant, origins: Mapping[str, str] | None = None) -> Client:
    """The client that calls an assistant's connectors. `origins` may give some of them another origin than their file does.

    Raises `BadInput` where a declaration cannot be one, such as plain http without networks.
    """
    declared = [
        declaration(connector, (origins or {}).get(connector.name, connector.origin))
        for connector in assistant.connectors.values()
    ]
    return Client([origin for origin, _ in declared], [each for _, operations in declared for each in operations])


def origins_of(given: str, assistant: Assistant) -> dict[str, str]:
    """Connectors and the origins to call them at, from `NAME=ORIGIN`, separated by spaces. Raises `BadInput`."""
    found: dict[str, str] = {}
    for each in given.split():
        name, _, origin = each.partition("=")
        if name not in assistant.connectors or not origin:
            known = ", ".join(assistant.connectors)
            raise BadInput(
                f"{each!r} names no connector and its origin", remedy=f"write CONNECTOR=ORIGIN; connectors: {known}"
            )
        found[name] = origin
    return found


def declaration(connector: Connector, url: str) -> tuple[Origin, list[OutgoingOperation]]:
    """A connector at an origin, as the client declares it. Raises `BadInput` where it cannot be one."""
    return _origin(connector, url), [_operation(connector, each) for each in connector.operations.values()]


def called(client: Client, effect: Effect, *, id: str, at_us: int) -> Returned:
    """Carries a wanted call out and gives what the dialogue hears of it. Waits; repeating it is known by its key."""
    key = f"{effect.interaction}:{effect.step}"
    answer = client.call(name_of(*effect.name.split(".")), effect.arguments, key=key)
    return Returned(id, at_us, effect.interaction, effect.step, outcome_of(answer), answer.status, result_of(answer))


def outcome_of(answer: Answer) -> str:
    """How the dialogue calls the outcome of a call: done, timed_out or failed."""
    return OUTCOMES.get(answer.outcome, "failed")


def result_of(answer: Answer) -> Mapping[str, Any]:
    """What the dialogue hears of an answer. One that is no JSON object is `{"value": …}`."""
    return answer.value if isinstance(answer.value, dict) else {"value": answer.value}


def _origin(connector: Connector, url: str) -> Origin:
    limits = Limits(first_byte_ms=connector.timeout_ms, total_ms=2 * connector.timeout_ms)
    return Origin(connector.name, url, connector.networks, limits=limits)


def _operation(connector: Connector, operation: Operation) -> OutgoingOperation:
    repeatable = operation.method != "GET" and connector.idempotency_header
    return OutgoingOperation(
        name_of(connector.name, operation.name),
        connector.name,
        operation.method,
        operation.path,
        tuple(
            OutgoingField(name, f"$.{name}", connector.purpose, connector.recipient, field.personal)
            for name, field in operation.fields.items()
        ),
        query=tuple(name for name, field in operation.fields.items() if field.place == "query"),
        retries=operation.retries,
        idempotency_header=connector.idempotency_header if repeatable else "",
    )


def name_of(connector: str, operation: str) -> str:
    """What the client calls an operation of a connector."""
    return f"{connector}-{operation}"
