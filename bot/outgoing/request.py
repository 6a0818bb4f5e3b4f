"""A request made of an operation and its arguments: what goes into the target, what into the body. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from bot.outgoing.answer import CallFailed, Disclosure, Outcome
from bot.outgoing.operation import Operation, disclosures
from vault.errors import BadInput

TARGET_BYTES_MAX = 4_096
KEY = re.compile(r"[A-Za-z0-9_:-]{1,128}")
"""An idempotency key. A webhook's id too, which must hold no full stop since that separates what is signed."""


@dataclass(frozen=True, slots=True)
class Request:
    """Target and body as they are sent, and what they disclose. `content_type` is "" without a body."""

    method: str
    target: str = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str
    disclosures: tuple[Disclosure, ...]


def request_of(operation: Operation, arguments: Mapping[str, Any], request_bytes: int) -> Request:
    """The request. Raises `BadInput` at an undeclared field or a value that cannot be sent, `CallFailed` when it is too large."""
    leaving = operation.leaving(arguments)
    rest = dict(arguments)
    try:
        segments = {name: _segment(rest.pop(name)) for name in operation.placeholders if name in rest}
        if len(segments) < len(operation.placeholders):
            raise BadInput(f"operation {operation.name}: an argument of the path is missing")
        target = operation.path.format(**segments) if segments else operation.path
        pairs = [(name, each) for name in operation.query if name in rest for each in _texts(rest.pop(name))]
        if pairs:
            target += "?" + urlencode(pairs, quote_via=quote)
        content_type, body = _body(operation, rest)
    except UnicodeEncodeError:
        raise BadInput("a text in the arguments holds half a character (an unpaired surrogate)") from None
    if len(target) > TARGET_BYTES_MAX or len(body) > request_bytes:
        raise CallFailed(Outcome.TOO_LARGE, "the request is over its limit; nothing was sent")
    return Request(operation.method, target, body, content_type, disclosures(leaving))


def _body(operation: Operation, rest: Mapping[str, Any]) -> tuple[str, bytes]:
    if operation.method == "GET" or (operation.method == "DELETE" and not rest):
        return "", b""
    if operation.encoding == "form":
        pairs = [(name, each) for name, value in rest.items() for each in _texts(value)]
        return "application/x-www-form-urlencoded", urlencode(pairs, quote_via=quote).encode()
    try:
        text = json.dumps(rest, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError):
        raise BadInput("a value in the arguments is not JSON (a text, a finite number, true, false, null)") from None
    return "application/json", text.encode()


def _texts(value: Any) -> list[str]:
    """A value of a query or a form: one text, or several for a list."""
    return [_text(each) for each in value] if isinstance(value, list | tuple) else [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise BadInput("a value of a path, query or form is a text, a number, true or false")


def _segment(value: Any) -> str:
    """A value as one segment of a path."""
    text = _text(value)
    # Risk: many servers decode before they route, so an encoded slash or dot-dot would reach another resource.
    if text in {"", ".", ".."} or re.search(r"[/\\\x00-\x1f\x7f]", text):
        raise BadInput("a value of a path is empty, or has a slash or a control character; nothing was sent")
    return quote(text, safe="")
