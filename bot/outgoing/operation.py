"""An operation: one thing that may be asked of an origin, and which data may leave with it, field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from bot.outgoing.answer import Disclosure
from bot.outgoing.header import forbidden
from bot.outgoing.origin import NAME
from bot.outgoing.secret_file import SecretFile, SecretHeader
from vault.errors import BadInput

DEPTH_MAX = 16
VALUES_MAX = 10_000
RETRIES_MAX = 5
SIGNING_KEYS_MAX = 2

_KEY = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
_SIMPLE_KEY = re.compile(_KEY)
_PATH = re.compile(rf"\$(?:\.{_KEY}(?:\[\*\])*)+")
_TEMPLATE = re.compile(rf"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{{2}}|\{{{_KEY}\}})*)+")
_PLACEHOLDER = re.compile(rf"\{{({_KEY})\}}")
_VALUE = re.compile(r"[\x20-\x7e]{0,1024}")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field that may leave. `path` is its place in the arguments: `$.person.email`, `$.lines[*].text` for every item.

    `personal` is False for what says nothing about a person (an opening hour's office): declared like the others, and in no report.
    """

    name: str
    path: str
    purpose: str
    recipient: str
    personal: bool = True

    @property
    def top(self) -> str:
        """The argument that it is, or is in."""
        return re.split(r"[.\[]", self.path)[1]


@dataclass(frozen=True)
class Operation:
    """What is sent: `method` and `path`, whose `{name}` are arguments; the arguments named in `query`; the others as the body.
    What is in a path or a query gets into the recipient's access logs: prefer the body for what is personal.

    `retries` after the first attempt are only for GET and for an operation whose system knows repeats by the header
    `idempotency_header`. `signed_by`: the keys (whsec_…) of a webhook, the newest first; two while one replaces the other. Raises
    `BadInput` that says what is wrong with the declaration.
    """

    name: str
    origin: str
    method: Method
    path: str
    fields: tuple[Field, ...] = ()
    query: tuple[str, ...] = ()
    encoding: Literal["json", "form"] = "json"
    answer: Literal["json", "bytes"] = "json"
    retries: int = 0
    idempotency_header: str = ""
    headers: Mapping[str, str] | None = None
    secrets: tuple[SecretHeader, ...] = ()
    signed_by: tuple[SecretFile, ...] = ()

    def __post_init__(self) -> None:
        where = f"operation {self.name}"
        if not NAME.fullmatch(self.name):
            raise BadInput("the name of an operation is letters, digits, _ and -")
        if self.method not in {"GET", "POST", "PUT", "PATCH", "DELETE"}:
            raise BadInput(f"{where}: the method is GET, POST, PUT, PATCH or DELETE")
        if not _TEMPLATE.fullmatch(self.path) or {".", ".."} & set(self.path.split("/")):
            raise BadInput(
                f"{where}: the path is not one", remedy="write it like /appointments/{office}, without a query"
            )
        if not 0 <= self.retries <= RETRIES_MAX:
            raise BadInput(f"{where}: retries are from 0 to {RETRIES_MAX}")
        if self.retries and self.method != "GET" and not self.idempotency_header:
            # Risk: a request that was carried out, but whose answer was lost, is carried out twice.
            raise BadInput(f"{where}: retries need idempotency_header", remedy="name the header that the system knows")
        if len(self.signed_by) > SIGNING_KEYS_MAX:
            raise BadInput(f"{where}: at most {SIGNING_KEYS_MAX} keys sign", remedy="remove the oldest")
        self._check_headers(where)
        self._check_fields(where)

    def _check_headers(self, where: str) -> None:
        constant = dict(self.headers or {})
        names = [*constant, *(each.header for each in self.secrets), *filter(None, [self.idempotency_header])]
        if len({name.lower() for name in names}) < len(names):
            raise BadInput(f"{where}: a header is set twice")
        if any(forbidden(name) for name in names) or not all(_VALUE.fullmatch(each) for each in constant.values()):
            raise BadInput(f"{where}: a header is not one that may be set")

    def _check_fields(self, where: str) -> None:
        for each in self.fields:
            if not NAME.fullmatch(each.name) or not _PATH.fullmatch(each.path):
                raise BadInput(
                    f"{where}: a field is not one", remedy="write its path like $.person.email or $.lines[*].text"
                )
            if not each.purpose or not each.recipient:
                raise BadInput(f"{where}: field {each.name} lacks its purpose or its recipient")
        tops = {each.top for each in self.fields}
        if len(self._by_path) < len(self.fields) or len({each.name for each in self.fields}) < len(self.fields):
            raise BadInput(f"{where}: two fields have one name or one path")
        in_url = [*self.placeholders, *self.query]
        if not set(in_url) <= tops or len(set(in_url)) < len(in_url):
            raise BadInput(f"{where}: path and query name each a declared field, once")
        flat = {each.path.removesuffix("[*]") for each in self.fields if "." not in each.path[2:]}
        plain = {f"$.{name}" for name in (tops if self.encoding == "form" else in_url)}
        if not plain <= flat or any(f"$.{name}" not in self._by_path for name in self.placeholders):
            raise BadInput(f"{where}: a field of a path, query or form is itself an argument, like $.day")
        if self.method == "GET" and tops - set(in_url):
            raise BadInput(f"{where}: a GET has no body", remedy="name every field in path or query, or use POST")

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """The arguments that are part of the path."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @cached_property
    def _by_path(self) -> Mapping[str, Field]:
        return {each.path: each for each in self.fields}

    def leaving(self, arguments: Mapping[str, Any]) -> tuple[Field, ...]:
        """The declared fields that these arguments hold, as declared. Raises `BadInput` at whatever is not declared."""
        held = {self._declared(leaf) for leaf in _leaves(arguments)}
        return tuple(each for each in self.fields if each.path in held)

    def _declared(self, leaf: _Leaf) -> str:
        """The leaf's path. An empty list or object needs only something declared in it, and discloses nothing."""
        if leaf.path in self._by_path:
            return leaf.path
        if leaf.is_empty and any(each.startswith((f"{leaf.path}.", f"{leaf.path}[")) for each in self._by_path):
            return leaf.path
        raise BadInput(
            f"operation {self.name}: {leaf.where} is not a declared field; nothing was sent",
            remedy="declare its path, purpose and recipient, or leave it out",
        )


def disclosures(leaving: tuple[Field, ...]) -> tuple[Disclosure, ...]:
    """One for each recipient and purpose, in the order of the declaration."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for each in leaving:
        if each.personal:
            grouped.setdefault((each.recipient, each.purpose), []).append(each.name)
    return tuple(Disclosure(recipient, purpose, tuple(names)) for (recipient, purpose), names in grouped.items())


@dataclass(frozen=True, slots=True)
class _Leaf:
    """`where` is how an error names it. `is_empty`: a list or an object with nothing in it."""

    path: str
    where: str
    is_empty: bool


def _leaves(arguments: Mapping[str, Any]) -> Iterator[_Leaf]:
    """Every leaf. Raises `BadInput` at a name that is not simple: it can have no path."""
    waiting: list[tuple[str, str, Any, int]] = [("$", "$", arguments, 0)]
    count = 0
    while waiting:
        path, where, value, depth = waiting.pop()
        count += 1
        if depth > DEPTH_MAX or count + len(waiting) > VALUES_MAX:
            raise BadInput(f"arguments are over {DEPTH_MAX} levels or {VALUES_MAX:,} values; nothing was sent")
        if isinstance(value, Mapping) and (value or path == "$"):
            if not all(isinstance(key, str) and _SIMPLE_KEY.fullmatch(key) for key in value):
                raise BadInput(f"a name in {path} is not one that can be declared; nothing was sent")
            # Risk: a name made from what a person typed would get into an error. Its number says which one is meant.
            members = enumerate(value.items(), 1)
            waiting.extend((f"{path}.{key}", f"member {n} of {path}", each, depth + 1) for n, (key, each) in members)
        elif isinstance(value, list | tuple) and value:
            waiting.extend((f"{path}[*]", where, each, depth + 1) for each in value)
        else:
            yield _Leaf(path, where, isinstance(value, Mapping | list | tuple))
