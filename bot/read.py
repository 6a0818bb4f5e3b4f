"""An assistant's folder, read: `assistant.yaml`, `flows/*.yaml`, `replies/*.yaml`. What is wrong is collected, then said at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bot.assistant import (
    Answer,
    Assistant,
    ButtonText,
    Channel,
    Connector,
    Escalation,
    Field,
    Flow,
    Notice,
    Operation,
    Option,
    Purpose,
    Replies,
    Slot,
    Variant,
)
from bot.documents import Document, json_schema, read
from bot.expression import Expression
from bot.expression import parse as parse_expression
from bot.problem import FilesRefused, Place, Problem
from bot.read_steps import Line, read_steps, with_owned
from bot.template import Template
from bot.template import parse as parse_template
from bot.understood import Thresholds
from vault.errors import BadInput

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MINUTE_US = 60_000_000
IDLE_MINUTES = 24 * 60
PAUSE_MINUTES = 30
TIMEOUT_MS = 5_000
FOLDERS = ("flows", "replies")
SLOTS_MAX = 60
T = TypeVar("T")


def read_assistant(folder: Path) -> Assistant:
    """The assistant in a folder. Raises `FilesRefused` with every problem that keeps it from being one."""
    if not (folder / "assistant.yaml").is_file():
        raise BadInput(f"there is no assistant.yaml in {folder}", remedy="give the folder of an assistant")
    return _Reading(folder).assistant()


def digest_of(folder: Path) -> str:
    """SHA-256 over the names and bytes of the files that decide, as 12 hexadecimal digits."""
    total = hashlib.sha256()
    for file in (
        folder / "assistant.yaml",
        *chain.from_iterable(sorted((folder / each).glob("*.yaml")) for each in FOLDERS),
    ):
        content = file.read_bytes()
        total.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:12]


class _Reading:
    """One reading of a folder, and the problems it met."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._problems: list[Problem] = []

    def assistant(self) -> Assistant:
        head = self._documents("assistant", [self._folder / "assistant.yaml"])
        flows = self._documents("flows", sorted((self._folder / "flows").glob("*.yaml")))
        replies = self._documents("replies", sorted((self._folder / "replies").glob("*.yaml")))
        if self._problems:
            raise FilesRefused(self._problems)
        made = self._put_together(head[0], flows, replies)
        if self._problems:
            raise FilesRefused(self._problems)
        return made

    def _documents(self, schema: str, files: list[Path]) -> list[Document]:
        found = []
        for file in files:
            try:
                found.append(read(self._folder, file, json_schema(f"{schema}.1")))
            except FilesRefused as refused:
                self._problems += refused.problems
        return found

    def _put_together(self, head: Document, flows: list[Document], replies: list[Document]) -> Assistant:
        given = head.value
        dialogue = given.get("dialogue", {})
        slots = self._named(flows, "slots", self._slot)
        if len(slots) > SLOTS_MAX:
            self._problem(flows[0], f"more than {SLOTS_MAX} slots", "drop those that are hardly used")
        try:
            ZoneInfo(given["zone"])
        except (KeyError, ValueError, OSError):
            self._problem(head, f"there is no time zone {given['zone']!r}", "write one as Europe/Paris", "zone")
        return Assistant(
            name=given["name"],
            label=f"{given['name']} {given['version']} {digest_of(self._folder)}",
            languages=tuple(given["languages"]),
            zone=given["zone"],
            controller=given["controller"]["name"],
            contact=given["controller"]["contact"],
            protection_contact=given["controller"]["data_protection_contact"],
            purposes={name: Purpose(name=name, **body) for name, body in given["purposes"].items()},
            channels={name: Channel(name=name, **body) for name, body in given["channels"].items()},
            connectors={name: self._connector(head, name, body) for name, body in given.get("connectors", {}).items()},
            escalation=_escalation(given["escalation"]),
            notice=Notice(
                given["notice"]["version"], given["notice"]["reply"], tuple(given["notice"].get("shown_by", ()))
            ),
            thresholds=Thresholds(**given["understanding"]) if "understanding" in given else None,
            idle_us=dialogue.get("idle_minutes", IDLE_MINUTES) * MINUTE_US,
            pause_us=dialogue.get("pause_minutes", PAUSE_MINUTES) * MINUTE_US,
            controls=given["controls"],
            language_intents={intent: language for language, intent in given.get("language_intents", {}).items()},
            slots=slots,
            flows=with_owned(self._named(flows, "flows", self._flow)),
            answers=self._named(flows, "answers", self._answer),
            replies=self._replies(replies),
            place=Place(head.file, 1),
        )

    def _named(self, documents: list[Document], under: str, make: Callable[[Document, str, Any], T]) -> dict[str, T]:
        """What stands under a key in all files, by name; a name that two files give is a problem."""
        found: dict[str, T] = {}
        for document in documents:
            for name, body in document.value.get(under, {}).items():
                if name in found:
                    self._problem(document, f"{name!r} is described in two files", "keep one of them", under, name)
                found[name] = make(document, name, body)
        return found

    def _slot(self, document: Document, name: str, body: Any) -> Slot:
        place = ("slots", name)
        options = tuple(
            Option(each["value"], each["title"], tuple(each.get("words", ()))) for each in body.get("options", ())
        )
        if (body["type"] == "choice") != bool(options):
            self._problem(
                document, f"slot {name}: options belong to type choice, and it needs them", "see to both", *place
            )
        plain = {
            key: body[key]
            for key in ("entity", "ask", "invalid", "attempts", "length_max", "anything", "remember")
            if key in body
        }
        return Slot(
            name=name,
            type=body["type"],
            place=self._place(document, *place),
            title=body.get("title", {}),
            valid=self._expression(document, body["valid"], *place, "valid") if "valid" in body else None,
            options=options,
            **plain,
        )

    def _flow(self, document: Document, name: str, body: Any) -> Flow:
        line = Line(
            lambda *path: self._place(document, "flows", name, "steps", *path),
            lambda what, remedy, *path: self._problem(document, what, remedy, "flows", name, "steps", *path),
            lambda text, *path: self._expression(document, text, "flows", name, "steps", *path),
            lambda text, *path: self._template(document, text, "flows", name, "steps", *path),
        )
        steps = read_steps(body["steps"], line)
        return Flow(
            name=name,
            place=self._place(document, "flows", name),
            title=body.get("title", {}),
            intents=tuple(body.get("intents", ())),
            steps={step.id: step for step in steps},
            first=steps[0].id if steps else "",
        )

    def _answer(self, document: Document, intent: str, body: Any) -> Answer:
        return Answer(intent, body["reply"], body.get("title", {}), self._place(document, "answers", intent))

    def _replies(self, documents: list[Document]) -> dict[str, Replies]:
        variants: dict[str, dict[str, tuple[Variant, ...]]] = {}
        places: dict[str, dict[str, Place]] = {}
        for document in documents:
            language = document.value["language"]
            for name, given in document.value["replies"].items():
                if language in variants.setdefault(name, {}):
                    self._problem(document, f"{name!r} is worded twice in {language}", "keep one", "replies", name)
                variants[name][language] = tuple(self._variants(document, name, given))
                places.setdefault(name, {})[language] = self._place(document, "replies", name)
        return {name: Replies(name, variants[name], places[name]) for name in variants}

    def _variants(self, document: Document, name: str, given: list[Any]) -> Iterator[Variant]:
        for number, body in enumerate(given):
            place = ("replies", name, number)
            buttons = []
            for button in body.get("buttons", ()):
                if ("payload" in button) == ("url" in button):
                    self._problem(
                        document, f"{name}: a button has either a payload or a url", "give one of them", *place
                    )
                title = self._template(document, button["title"], *place, "buttons")
                buttons.append(ButtonText(title, button.get("payload", ""), button.get("url", "")))
            yield Variant(self._template(document, body["text"].strip(), *place, "text"), tuple(buttons))

    def _connector(self, document: Document, name: str, body: Any) -> Connector:
        operations = {}
        for operation, described in body["operations"].items():
            fields = {
                each: Field(where["in"], where["personal"]) for each, where in described.get("fields", {}).items()
            }
            in_path = {each for each, where in fields.items() if where.place == "path"}
            if in_path != {part[1:-1] for part in described["path"].split("/") if part[:1] == "{"}:
                self._problem(
                    document,
                    f"{name}.{operation}: the places in its path are not its fields in the path",
                    "declare each {place} as a field with in: path",
                    *("connectors", name, "operations", operation),
                )
            operations[operation] = Operation(
                operation, described["method"], described["path"], fields, described.get("retries", 0)
            )
        if body["purpose"] not in document.value["purposes"]:
            self._problem(
                document, f"connector {name}: purpose {body['purpose']!r} is not declared", "declare it under purposes",
                *("connectors", name, "purpose"),
            )  # fmt: skip
        return Connector(
            name,
            body["origin"],
            tuple(body.get("networks", ())),
            body.get("idempotency_header", ""),
            body["recipient"],
            body["purpose"],
            body.get("timeout_ms", TIMEOUT_MS),
            operations,
            self._place(document, "connectors", name),
        )

    def _place(self, document: Document, *path: str | int) -> Place:
        return Place(document.file, document.line(*path))

    def _problem(self, document: Document, what: str, remedy: str, *path: str | int) -> None:
        self._problems.append(Problem(document.file, document.line(*path), what, remedy))

    def _expression(self, document: Document, text: str, *path: str | int) -> Expression:
        try:
            return parse_expression(text)
        except BadInput as error:
            self._problem(document, error.args[0], error.remedy, *path)
            return parse_expression("null")

    def _template(self, document: Document, text: str, *path: str | int) -> Template:
        try:
            return parse_template(text)
        except BadInput as error:
            self._problem(document, error.args[0], error.remedy, *path)
            return parse_template("")


def _escalation(body: Any) -> Escalation:
    hours = {
        DAYS.index(day) + 1: tuple((span[:5], span[6:]) for span in spans)
        for day, spans in body.get("hours", {}).items()
    }
    return Escalation(body["queue"], hours)
