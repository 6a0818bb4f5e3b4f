"""One call on its thread: attempts until there is an answer, no retry is left or the time is over."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.outgoing.answer import Answer, CallFailed, Outcome
from bot.outgoing.exchange import Response
from bot.outgoing.lane import Lane
from bot.outgoing.operation import Operation
from bot.outgoing.request import Request
from bot.outgoing.signature import key_of, signed
from vault.errors import BadInput, StartRefused

_OVERLOADED = frozenset({429, 502, 503, 504})
_AGAIN = frozenset({Outcome.UNAVAILABLE, Outcome.TIMEOUT})
_ALIVE = frozenset({Outcome.TOO_LARGE, Outcome.REDIRECTED})


class Call:
    """`started` is in seconds of `time.monotonic`; `closing` ends pauses and retries."""

    def __init__(
        self,
        lane: Lane,
        operation: Operation,
        request: Request,
        key: str,
        started: float,
        wall: Callable[[], float],
        chance: Callable[[], float],
        closing: threading.Event,
    ) -> None:
        self._lane = lane
        self._operation = operation
        self._request = request
        self._key = key
        self._started = started
        self._deadline = started + lane.origin.limits.total_ms / 1000
        self._wall = wall
        self._chance = chance
        self._closing = closing
        self._sent = False
        self._attempts = 0

    def run(self) -> Answer:
        """The answer, whatever happens. What had been waiting for a place beyond its time is not begun."""
        if self._closing.is_set():
            return self._ended(Answer(Outcome.UNAVAILABLE, "the client is closed; nothing was sent"))
        if time.monotonic() >= self._deadline:
            return self._ended(Answer(Outcome.TIMEOUT, "no place in time; nothing was sent"))
        longest_s = self._lane.origin.limits.pause_ms / 1000
        answer, asked_s = self._attempt()
        for retry in range(self._operation.retries):
            # Full jitter: those that failed together do not come back together.
            pause_s = max(longest_s * 2**retry * self._chance(), asked_s)
            late = time.monotonic() + pause_s >= self._deadline
            if answer.outcome not in _AGAIN or late or self._closing.wait(pause_s):
                break
            answer, asked_s = self._attempt()
        return self._ended(answer)

    def _attempt(self) -> tuple[Answer, float]:
        """One attempt, and how many seconds the system asks to be left alone."""
        breaker = self._lane.breaker
        ticket = breaker.enter()
        if ticket is None:
            return Answer(Outcome.UNAVAILABLE, "the circuit is open after failures"), 0.0
        alive: bool | None = None
        try:
            self._attempts += 1
            response = self._exchange()
            # A 500 or an odd answer may come of one person's input: it must not close the system to everybody.
            alive = response.status not in _OVERLOADED
            return _answer_of(response, self._operation), _retry_after_s(response)
        except StartRefused as error:
            return Answer(Outcome.REFUSED, str(error)), 0.0
        except CallFailed as failed:
            alive = None if failed.outcome is Outcome.REFUSED else failed.outcome in _ALIVE
            return Answer(failed.outcome, failed.reason), 0.0
        finally:
            breaker.leave(ticket, alive)

    def _exchange(self) -> Response:
        limits = self._lane.origin.limits
        headers = self._headers()
        connection = self._lane.connection(self._deadline)
        try:
            response = connection.exchange(
                self._request.method,
                self._request.target,
                headers,
                self._request.body,
                response_bytes=limits.response_bytes,
                head_deadline=min(self._deadline, time.monotonic() + limits.first_byte_ms / 1000),
                deadline=self._deadline,
            )
        except BaseException:
            connection.close()
            raise
        finally:
            self._sent |= connection.has_sent
        self._lane.give_back(connection)
        return response

    def _headers(self) -> list[tuple[str, str]]:
        """Every header of one attempt. Raises `StartRefused` when a secret file cannot be used any more."""
        operation, request = self._operation, self._request
        found = [
            ("Host", self._lane.origin.authority),
            ("User-Agent", "parloir"),
            ("Accept", "application/json" if operation.answer == "json" else "*/*"),
            ("Accept-Encoding", "gzip"),
        ]
        if request.content_type:
            found.append(("Content-Type", request.content_type))
        if request.method != "GET":
            found.append(("Content-Length", str(len(request.body))))
        found.extend((operation.headers or {}).items())
        found.extend(secret_headers(operation))
        if operation.idempotency_header:
            found.append((operation.idempotency_header, self._key))
        if operation.signed_by:
            found.extend(signed(self._key, int(self._wall()), request.body, signing_keys(operation)).items())
        return found

    def _ended(self, answer: Answer) -> Answer:
        return replace(
            answer,
            disclosures=self._request.disclosures if self._sent else (),
            sent=self._sent,
            attempts=self._attempts,
            duration_ms=int((time.monotonic() - self._started) * 1000),
        )


def secret_headers(operation: Operation) -> list[tuple[str, str]]:
    """The headers that carry secrets, read from their files. Raises `StartRefused`."""
    return [(each.header, each.value()) for each in operation.secrets]


def signing_keys(operation: Operation) -> list[bytes]:
    """The keys that sign, read from their files. Raises `StartRefused`."""
    try:
        return [key_of(each.read()) for each in operation.signed_by]
    except BadInput as error:
        raise StartRefused(f"operation {operation.name}: {error}") from None


def _answer_of(response: Response, operation: Operation) -> Answer:
    status, body = response.status, response.body
    value: Any = None
    readable = True
    if operation.answer == "json" and body:
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            readable = False
    if status in _OVERLOADED:
        return Answer(Outcome.UNAVAILABLE, "the system is overloaded or away", status, value, body)
    if status >= 500:
        return Answer(Outcome.FAILED, "the system failed", status, value, body)
    if status >= 400:
        return Answer(Outcome.REJECTED, "the system said no", status, value, body)
    if not readable:
        return Answer(Outcome.MALFORMED, "the answer is not JSON", status, None, body)
    return Answer(Outcome.OK, "", status, value, body)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _retry_after_s(response: Response) -> float:
    """Seconds; a date is not followed."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0
