"""The assistant over REST, for systems that have their own way to people: `POST /v1/messages`, described by `/v1/openapi.json`.

A message is idempotent by its id: the same one again is stored once and gets the same replies; another one under a used id is refused
with 409. So a reply that took too long is fetched by sending the same message again. Where a webhook is set, the answer is 202
without replies, and all replies come by it, those that nobody asked for included (bot/channels/rest_webhook.py). Errors are
problems (RFC 9457) that quote nothing of what was sent.

Who may write has a token, the only line of a file in HOME/rest of mode 0600, whose name up to its first dot is the account. A second
file of the same account, like `crm.next`, lets a token be changed without a pause. A sender belongs to its account: the person is
`rest:ACCOUNT:SENDER`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount

from bot.channels.channel import Incoming, Outcome, Spoken
from bot.channels.replies import replies_of
from bot.channels.rest_accounts import Accounts
from bot.channels.rest_webhook import Webhook
from bot.gateway.gateway import Gateway
from bot.gateway.guard import Refusal, problem, refused

_REFUSED = {
    Outcome.CONFLICT: (409, "another message was stored under this id"),
    Outcome.GONE: (410, "the message was stored before and cannot be read any more"),
    Outcome.TOO_LONG: (413, "the message is too long; nothing was stored"),
    Outcome.UNREADABLE: (422, "the message says nothing, or holds half a character; nothing was stored"),
    Outcome.TOO_FAST: (429, "this sender writes too fast; nothing was stored"),
    Outcome.BUSY: (503, "there is no room now; send the same message again"),
}


class Message(BaseModel):
    """What a person said, as you know it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=128, description="Yours; the same when you send it again.")]
    sender: Annotated[str, Field(min_length=1, max_length=256, description="Who wrote, as you name them.")]
    text: Annotated[str, Field(description="The words; of a pressed button, what stands on it.")] = ""
    payload: Annotated[str | None, Field(min_length=1, max_length=2_000, description="That of a pressed button.")] = (
        None
    )
    language: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=32, description="A language tag, if known."),
    ] = None


class Button(BaseModel):
    title: str
    payload: str


class Link(BaseModel):
    title: str
    url: str


class Reply(BaseModel):
    speaker: Annotated[str, Field(description="assistant or agent")]
    text: str
    buttons: list[Button]
    links: list[Link]


class Answer(BaseModel):
    """`answered`: these are all the replies. `waiting`: more will come, by webhook or to the same message sent again."""

    id: str
    interaction: Annotated[str, Field(description="The message's id here, by which a webhook names it.")]
    state: Annotated[str, Field(description="answered or waiting")]
    replies: list[Reply]


class Problem(BaseModel):
    type: str
    title: str
    status: int


_EXAMPLE = {"id": "7f3a-0001", "sender": "visitor-0042", "text": "When is the town hall open?", "language": "en"}
_ANSWER = {
    "id": "7f3a-0001",
    "interaction": "6c1c2f0a-3d0e-8b57-2f4e-5a9c1d7e0b42",
    "state": "answered",
    "replies": [
        {
            "speaker": "assistant",
            "text": "From 9 o'clock.",
            "buttons": [{"title": "Appointment", "payload": "/book_appointment"}],
            "links": [],
        }
    ],
}
_STATUSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Answer, "content": {"application/json": {"example": _ANSWER}}},
    202: {
        "model": Answer,
        "description": "Stored; not all replies are there yet",
        "content": {"application/json": {"example": {**_ANSWER, "state": "waiting", "replies": []}}},
    },
    **{
        status: {"description": title, "content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}
        for status, title in (
            *_REFUSED.values(),
            (400, "the body is not JSON"),
            (401, "the token is not known"),
            (408, "the body did not come in time"),
            (415, "the body is not application/json; attachments are not kept"),
        )
    },
}


class Rest:
    """The adapter."""

    name = "rest"

    def __init__(self, gateway: Gateway, accounts: Accounts, webhook: Webhook | None = None) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._webhook = webhook

    def routes(self) -> Sequence[BaseRoute]:
        # Without pages, which would load scripts from elsewhere.
        api = FastAPI(title="Parloir", version="1", servers=[{"url": "/v1"}], docs_url=None, redoc_url=None)
        api.exception_handler(HTTPException)(_http_problem)
        api.exception_handler(Refusal)(refused)
        api.post(
            "/messages",
            summary="Say something to the assistant",
            description=__doc__,
            status_code=200,
            responses=_STATUSES,
            response_class=JSONResponse,
            openapi_extra={
                "security": [{"token": []}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": Message.model_json_schema(), "example": _EXAMPLE}},
                },
            },
        )(self._messages)
        described = api.openapi

        def openapi() -> dict[str, Any]:
            found = described()
            found.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            return found

        api.openapi = openapi  # type: ignore[method-assign]
        return [Mount("/v1", api)]

    async def open(self) -> None:
        if self._webhook is not None:
            await asyncio.to_thread(self._webhook.start)

    async def close(self) -> None:
        if self._webhook is not None:
            await asyncio.to_thread(self._webhook.close)

    async def _messages(self, request: Request) -> Response:
        account = self._account(request)
        if account is None:
            return problem(401, "the token is not known", {"www-authenticate": "Bearer"})
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem(415, "the body is not application/json; attachments are not kept")
        try:
            message = Message.model_validate_json(await request.body())
        except ValidationError as error:
            return _invalid(error)
        return await self._say(account, message)

    def _account(self, request: Request) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self._accounts.of(token.strip()) if scheme.lower() == "bearer" else None

    async def _say(self, account: str, message: Message) -> Response:
        waiting = None if self._webhook else _Waiting()
        taken = await self._gateway.receive(
            Incoming(
                channel=self.name,
                account=account,
                sender=f"{account}:{message.sender}",
                message_id=message.id,
                text=message.text,
                payload=message.payload,
                language=message.language,
            ),
            waiting,
        )
        if taken.receipt is None or taken.outcome in _REFUSED:
            after = {"retry-after": str(taken.retry_after_s)} if taken.retry_after_s else {}
            return problem(*_REFUSED[taken.outcome], after)
        interaction = taken.receipt.interaction_id
        if waiting is None:
            return JSONResponse(_answer(message, interaction, (), complete=False), 202)
        try:
            spoken, complete = await waiting.answer(interaction, self._gateway.limits.reply_ms / 1_000)
        finally:
            self._gateway.leave(taken.receipt.subject, waiting)
        if waiting.gone:
            return problem(*_REFUSED[Outcome.GONE])
        body = _answer(message, interaction, spoken, complete=complete)
        return JSONResponse(body, 200 if complete else 202, background=BackgroundTask(self._went, spoken))

    async def _went(self, spoken: Sequence[Spoken]) -> None:
        """The answer was sent."""
        for each in spoken:
            if each.replies:
                self._gateway.delivered(each)


class _Waiting:
    """Listens for what is said to one message."""

    def __init__(self) -> None:
        self.gone = False
        self._heard: list[Spoken] = []
        self._something = asyncio.Event()

    def heard(self, spoken: Spoken) -> None:
        self._heard.append(spoken)
        self._something.set()

    def erased(self) -> None:
        self.gone = True
        self._something.set()

    async def answer(self, interaction: UUID, timeout_s: float) -> tuple[list[Spoken], bool]:
        """What was said to the interaction, and whether that is all of it."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    said = [each for each in self._heard if each.interaction == interaction]
                    if self.gone or (said and not said[-1].waits):
                        return said, True
                    self._something.clear()
                    await self._something.wait()
        except TimeoutError:
            return said, False


def _answer(message: Message, interaction: UUID, spoken: Sequence[Spoken], *, complete: bool) -> dict[str, Any]:
    return {
        "id": message.id,
        "interaction": str(interaction),
        "state": "answered" if complete else "waiting",
        "replies": [reply for each in spoken for reply in replies_of(each)],
    }


def _invalid(error: ValidationError) -> Response:
    """Which fields are not as they should be. A name that is not one of ours may be anything, and is not given back."""
    kinds = {each["type"] for each in error.errors(include_input=False, include_context=False, include_url=False)}
    if "json_invalid" in kinds:
        return problem(400, "the body is not JSON")
    named = {str(each["loc"][0]) for each in error.errors(include_input=False) if each["loc"]}
    known = sorted(named & set(Message.model_fields))
    return problem(422, f"not as described: {', '.join(known) or 'the object, or a field that is not known'}")


def _http_problem(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problem(
        status, {404: "there is nothing here", 405: "this method is not for this path"}.get(status, "refused")
    )
