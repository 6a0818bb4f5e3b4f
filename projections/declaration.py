"""What the controller of a deployment declares: `declaration.toml` in the home, beside parloir.toml.

Who is responsible, for what, on which legal basis, for how long and with whom is the deployment's to say, and every report on a
person says it in these words. The form is schemas/declaration.1.schema.json; what a schema cannot say is checked here: ids that
name one another, special categories that need a basis of their own, transfers that need a safeguard.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from projections.form import Form
from vault.errors import BadInput

FILE = "declaration.toml"
BYTES_MAX = 1_048_576

EEA = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()  # noqa: SIM905
)
"""Countries of the European Economic Area, where a transfer needs no safeguard (GDPR Chapter V)."""

Text = Mapping[str, str]
"""The same text in `fr` and `en`."""


@dataclass(frozen=True)
class Body:
    """The controller, the officer or the authority. The officer has a contact only, the authority no address."""

    contact: str
    name: str = ""
    address: str = ""


@dataclass(frozen=True)
class Category:
    """A kind of personal data. `special`: one of Art. 9."""

    id: str
    name: Text
    special: bool = False


@dataclass(frozen=True)
class Purpose:
    """What data are used for. `legal_basis` is of Art. 6(1), `special_basis` of Art. 9(2)."""

    id: str
    name: Text
    legal_basis: str
    retention_days: int
    categories: Sequence[str]
    special_basis: str | None = None
    profiling: bool = False
    automated_decisions: bool = False
    logic: Text | None = None


@dataclass(frozen=True)
class Recipient:
    """Who receives data: by connectors, under `id`, or because it carries the messages of `channels`."""

    id: str
    name: str
    country: str
    purposes: Sequence[str]
    safeguard: str | None = None
    fields: Sequence[str] = ()
    channels: Sequence[str] = ()

    @property
    def is_transfer(self) -> bool:
        """Whether data that it receives leave the European Economic Area."""
        return self.country not in EEA


@dataclass(frozen=True)
class Declaration:
    """The whole declaration. What is looked up is by id."""

    controller: Body
    authority: Body
    officer: Body | None = None
    categories: Mapping[str, Category] = field(default_factory=dict)
    purposes: Mapping[str, Purpose] = field(default_factory=dict)
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    sources: Sequence[Text] = ()


def load(file: Path) -> Declaration | None:
    """The declaration in a file; None when there is none. Raises `BadInput` with the line, what is wrong and what to do."""
    try:
        with file.open("rb") as opened:
            content = opened.read(BYTES_MAX + 1)
        if len(content) > BYTES_MAX:
            raise BadInput(f"{file} is longer than {BYTES_MAX:,} bytes", remedy="is it the declaration?")
        return parse(content.decode("utf-8"), str(file))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8 text", remedy="save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}", remedy="let its owner read it") from error


def parse(text: str, name: str = FILE) -> Declaration:
    """The declaration that a TOML text makes. Raises `BadInput`; `name` is what errors call the text."""
    form = Form(text, schema(), name)
    said: Mapping[str, Any] = form.values
    _unique(form, said)
    _consistent(form, said)
    officer = said.get("data_protection_officer")
    return Declaration(
        controller=Body(**said["controller"]),
        authority=Body(**said["authority"]),
        officer=Body(**officer) if officer else None,
        categories={each["id"]: Category(**each) for each in said.get("category", ())},
        purposes={each["id"]: Purpose(**each) for each in said["purpose"]},
        recipients={each["id"]: Recipient(**each) for each in said.get("recipient", ())},
        sources=[each["name"] for each in said.get("source", ())],
    )


@cache
def schema() -> Mapping[str, Any]:
    """The form as JSON Schema."""
    found: Mapping[str, Any] = json.loads(files("schemas").joinpath("declaration.1.schema.json").read_text("utf-8"))
    return found


def _unique(form: Form, said: Mapping[str, Any]) -> None:
    for kind in ("category", "purpose", "recipient"):
        seen: set[str] = set()
        for at, each in enumerate(said.get(kind, ())):
            if each["id"] in seen:
                form.refuse((kind, at, "id"), "is taken by one above", "give each an id of its own")
            seen.add(each["id"])


def _consistent(form: Form, said: Mapping[str, Any]) -> None:
    special = {each["id"]: each.get("special", False) for each in said.get("category", ())}
    for at, purpose in enumerate(said["purpose"]):
        _known(form, ("purpose", at, "categories"), purpose["categories"], special, "category")
        if any(special[name] for name in purpose["categories"]) != ("special_basis" in purpose):
            if "special_basis" in purpose:
                form.refuse(
                    ("purpose", at, "special_basis"),
                    "is for special categories only",
                    "take it out, or flag a category",
                )
            form.refuse(("purpose", at, "special_basis"), "is missing", "a special category needs a basis of Art. 9(2)")
        if (purpose.get("profiling") or purpose.get("automated_decisions")) and "logic" not in purpose:
            form.refuse(("purpose", at, "logic"), "is missing", "say how it is decided and what that means for people")
    purposes = {each["id"] for each in said["purpose"]}
    for at, recipient in enumerate(said.get("recipient", ())):
        _known(form, ("recipient", at, "purposes"), recipient["purposes"], purposes, "purpose")
        if (recipient["country"] in EEA) == ("safeguard" in recipient):
            if "safeguard" in recipient:
                form.refuse(
                    ("recipient", at, "safeguard"),
                    "is for transfers only",
                    "inside the European Economic Area take it out",
                )
            form.refuse(
                ("recipient", at, "safeguard"), "is missing", "say what allows the transfer, such as standard_clauses"
            )


def _known(form: Form, path: tuple[str | int, ...], names: Sequence[str], known: Iterable[str], kind: str) -> None:
    for at, name in enumerate(names):
        if name not in known:
            form.refuse((*path, at), f"names no {kind}", f"declare it with [[{kind}]], or correct it")
