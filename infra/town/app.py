"""The town over HTTP: JSON in and out, references instead of persons, and a request repeated under its `Idempotency-Key` done once.

Errors are `{"error": WORD}`: not_found 404, taken 409, key_reused 409, full 507, else invalid.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from infra.town.town import NotThere, Taken, Town
from vault.errors import LimitExceeded

Json = dict[str, Any]
KEYS_MAX = 10_000
Text = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
Day = Annotated[date | None, Query(description="The day that counts as today; without it, today.")]


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Booking(Given):
    slot: Text
    name: Text


class Certificate(Given):
    kind: Literal["birth", "marriage", "death"]
    name: Text
    date: date
    delivery: Literal["post", "counter"]
    address: Annotated[str, Field(max_length=200)] = ""


class Report(Given):
    category: Literal["pothole", "street_light", "graffiti", "dumping", "other"]
    street: Text
    description: Annotated[str, Field(min_length=1, max_length=1_000)]


class Registration(Given):
    child: Text
    birth_date: date
    street: Text
    level: Literal["nursery", "elementary"]


class Once:
    """Answers kept by idempotency key: the same request again gets the same answer, another one under the key is refused."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[str, JSONResponse]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, key: str | None, request: str, do: Callable[[], JSONResponse]) -> JSONResponse:
        if key is None:
            return do()
        digest = hashlib.sha256(request.encode("utf-8", "replace")).hexdigest()
        with self._lock:  # held while it is done: a twin waits and gets the first one's answer
            if key in self._answers:
                known, answer = self._answers[key]
                return answer if known == digest else JSONResponse({"error": "key_reused"}, 409)
            answer = do()
            self._answers[key] = (digest, answer)
            while len(self._answers) > KEYS_MAX:
                self._answers.popitem(last=False)
            return answer


def create(today: Callable[[], date] = date.today) -> FastAPI:
    """The service with a town of its own. It has no pages, which would load scripts from elsewhere; `/openapi.json` describes it."""
    town, once = Town(), Once()
    app = FastAPI(title="Town information system", version="1", docs_url=None, redoc_url=None)

    @app.exception_handler(NotThere)
    def not_there(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"error": "not_found"}, 404)

    @app.exception_handler(Taken)
    def taken(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"error": "taken"}, 409)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, __: Exception) -> JSONResponse:
        # FastAPI's own answer quotes what was sent, which is personal, and breaks on half a character.
        return JSONResponse({"error": "invalid"}, 422)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: Exception) -> JSONResponse:
        status = error.status_code if isinstance(error, HTTPException) else 400
        return JSONResponse({"error": "not_found" if status == 404 else "invalid"}, status)

    @app.exception_handler(LimitExceeded)
    def full(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"error": "full"}, 507)

    @app.get("/health")
    def health() -> Json:
        return {"status": "up"}

    @app.get("/v1/appointments/free")
    def free(
        document: Text,
        first: Annotated[date | None, Query(alias="from")] = None,
        part: Literal["any", "morning", "afternoon"] = "any",
        limit: Annotated[int, Query(ge=1, le=20)] = 4,
    ) -> Json:
        return {"slots": town.free(document, max(first or today(), today()), part, limit)}

    @app.post("/v1/appointments", status_code=201)
    def book(body: Booking, key: Key = None) -> JSONResponse:
        return once(key, f"book {body!r}", lambda: JSONResponse(town.book(body.slot, body.name, today()), 201))

    @app.get("/v1/appointments/{reference}")
    def appointment(reference: Text) -> Json:
        return town.appointment(reference)

    @app.delete("/v1/appointments/{reference}")
    def cancel(reference: Text, key: Key = None) -> JSONResponse:
        return once(key, f"cancel {reference}", lambda: JSONResponse(town.cancel(reference)))

    @app.post("/v1/certificates", status_code=201)
    def certificate(body: Certificate, key: Key = None) -> JSONResponse:
        return once(
            key, f"certificate {body!r}", lambda: JSONResponse(town.keep("C", body.model_dump(mode="json")), 201)
        )

    @app.get("/v1/waste")
    def waste(street: Text) -> Json:
        return town.waste(street)

    @app.get("/v1/hours")
    def hours(place: Text, day: Day = None) -> Json:
        return town.hours(place, day or today())

    @app.post("/v1/reports", status_code=201)
    def report(body: Report, key: Key = None) -> JSONResponse:
        return once(key, f"report {body!r}", lambda: JSONResponse(town.keep("R", body.model_dump(mode="json")), 201))

    @app.get("/v1/reports/{reference}")
    def reported(reference: Text) -> Json:
        found = town.kept("R", reference)
        return {name: found[name] for name in ("reference", "status", "category", "street")}

    @app.post("/v1/registrations", status_code=201)
    def register(body: Registration, key: Key = None) -> JSONResponse:
        def do() -> JSONResponse:
            school = town.school(body.street)
            return JSONResponse(town.keep("S", {**body.model_dump(mode="json"), "school": school}), 201)

        return once(key, f"register {body!r}", do)

    return app
