"""A home with something in it: demonstration conversations of a town hall, filled from the templates in demo.toml, and the
declaration of that town hall.

They go in by the same way as a replay. Everything follows from a conversation's number, so loading again after an interruption
adds what is missing; once all is in, a note in the key store says so, and whoever was erased since stays erased.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.dialogues import DAY_US, DAYS, ENDS_AT_US, Dialogue, Entity, Exchange, Role, timed
from infra.house import House
from infra.replay import Setting, messages_of, stream
from infra.settings import Settings, default_home
from projections import declaration
from vault.errors import StartRefused
from vault.intake import Message
from vault.keys import IMPROVEMENT

CONVERSATIONS = 300
PEOPLE = 100
CHANNELS = ("app", "web", "web", "sms")
NOTICE = "demonstration-1"
CONSENTS_EVERY = 3
"""Every third visitor consents to improvement, so that analysts have something to be allowed and something not."""
EXAMPLE_QUERY = "SELECT language, intent, count(*) AS messages FROM interaction GROUP BY ALL ORDER BY ALL"
NOTE, BEGUN, DONE = "demonstration", "begun", "done"

Progress = Callable[[str, int, int], None]
if TYPE_CHECKING:
    from infra.gateway_part import GatewayPart
    from infra.town.beside import TownBeside

log = logging.getLogger(__name__)
_SLOT = re.compile(r"\{(\w+)\}")


def load_demo(house: House, progress: Progress) -> bool:
    """Fills a new home. False when there was nothing to do: it was filled before, or holds conversations of another kind."""
    noted = house.keys.meta(NOTE)
    if noted == DONE or (noted is None and _holds_something(house)):
        return False
    house.keys.set_meta(NOTE, BEGUN)
    _declare(house.settings.home / declaration.FILE)
    # Everybody's first matter, then the notices, then the rest: consent opens to analysts what comes after it.
    _stream(house, range(PEOPLE), progress)
    for visitor in range(PEOPLE):
        _inform(house, visitor)
        progress("demonstration notices", visitor + 1, PEOPLE)
    _stream(house, range(PEOPLE, CONVERSATIONS), progress)
    house.keys.set_meta(NOTE, DONE)
    return True


def with_assistant(settings: Settings) -> Settings:
    """The settings with the demonstration's assistant, unless there is one."""
    return settings if settings.assistant else replace(settings, assistant=_templates()["assistant"])


def demo_town(settings: Settings) -> TownBeside | None:
    """The system that the town hall calls, where that is on this machine and nobody serves it yet."""
    if settings.caller_origins or settings.assistant != _templates()["assistant"]:
        return None
    from infra.town.__main__ import PORT
    from infra.town.beside import TownBeside

    try:
        return TownBeside(PORT)
    except StartRefused as error:
        log.warning("the town is not started", extra={"reason": str(error)})
        return None


def _declare(file: Path) -> None:
    """Puts the town hall's declaration into the home, unless it has one."""
    if not file.exists():
        file.write_text(files("infra").joinpath("demo_declaration.toml").read_text("utf-8"), "utf-8")


def _stream(house: House, numbers: Sequence[int], progress: Progress) -> None:
    def messages() -> Iterator[Message]:
        for number in numbers:
            yield from messages_of_conversation(number)
            progress("demonstration conversations", number + 1, CONVERSATIONS)

    stream(messages(), house.intake, batch_records=house.settings.batch_records)


def _holds_something(house: House) -> bool:
    partitions = range(house.conversations.partitions)
    return any(house.conversations.partition(number).catch_up() > 0 for number in partitions)


def _inform(house: House, visitor: int) -> None:
    """What the visitor was told and agreed to, unless it stands in the register already."""
    role = _role(visitor, 0)
    person = house.keys.find(role.channel, role.person)
    if person is None:
        return
    subject = house.register.subject(person.case)
    if subject is None or NOTICE not in subject.notices:
        house.registrar.show_notice(person.subject, notice_version=NOTICE, language=role.language)
    if visitor % CONSENTS_EVERY == 0:  # giving it again changes nothing
        house.registrar.give_consent(person.subject, purpose=IMPROVEMENT, notice_version=NOTICE)


def messages_of_conversation(number: int) -> Iterator[Message]:
    """The messages of one of the demonstration conversations, numbered from 0."""
    dialogue, role = conversation(number)
    setting = Setting(role.channel, role.person, role.language, role.started_at_us)
    return messages_of(dialogue, setting, timed(dialogue, role))


def conversation(number: int) -> tuple[Dialogue, Role]:
    """One of the demonstration conversations, and who has it."""
    visitor = number % PEOPLE
    digest = blake2b(b"demonstration %d" % number, digest_size=16).digest()
    role = _role(visitor, int.from_bytes(digest[:8], "big"))
    templates = [each for each in _templates()["dialogue"] if each["language"] == role.language]
    # Each visitor comes back with another matter.
    turns = templates[(visitor // 2 + number // PEOPLE) % len(templates)]["turns"]
    values = _values(role, visitor, digest)
    exchanges = tuple(_exchange(turn, f"demo-{number:03d}-{place}", values) for place, turn in enumerate(turns))
    return Dialogue(f"demo-{number:03d}", role.language, exchanges, digest), role


def _role(visitor: int, drawn: int) -> Role:
    return Role(
        person=f"demo-visitor-{visitor + 1:03d}",
        channel=CHANNELS[(visitor + 1) % len(CHANNELS)],
        language=("fr", "en")[visitor % 2],
        started_at_us=ENDS_AT_US - DAYS * DAY_US + drawn % ((DAYS - 1) * DAY_US),
    )


@cache
def _templates() -> Mapping[str, Any]:
    return tomllib.loads(files("infra").joinpath("demo.toml").read_text("utf-8"))


def _values(role: Role, visitor: int, digest: bytes) -> dict[str, str]:
    slots: Mapping[str, Sequence[str]] = _templates()["slots"][role.language]
    values = {name: choices[digest[8 + at % 8] % len(choices)] for at, (name, choices) in enumerate(slots.items())}
    values["person"] = f"{'Visiteur' if role.language == 'fr' else 'Visitor'} Demo {visitor + 1:03d}"
    values["email"] = f"{role.person}@example.org"
    # 01 99 00 is kept for fiction by the French numbering plan.
    values["phone"] = f"01 99 00 {visitor // 100:02d} {visitor % 100:02d}"
    return values


def _exchange(turn: Sequence[str], message_id: str, values: Mapping[str, str]) -> Exchange:
    intent, template, *replies = turn
    text, entities = _filled(template, values)
    return Exchange(
        message_id=message_id,
        text=text,
        intent=intent,
        alternatives=(),
        entities=entities,
        replies=tuple(_filled(reply, values)[0] for reply in replies),
    )


def _filled(template: str, values: Mapping[str, str]) -> tuple[str, tuple[Entity, ...]]:
    """The template with its slots filled, and where each of them stands."""
    text, at = "", 0
    entities: list[Entity] = []
    for slot in _SLOT.finditer(template):
        text += template[at : slot.start()]
        value = values[slot[1]]
        entities.append(Entity(len(text), len(text) + len(value), slot[1], value))
        text += value
        at = slot.end()
    return text + template[at:], tuple(entities)


def what_next(settings: Settings, *, demo: bool, chat: GatewayPart | None = None) -> str:
    """Where the chat is, and what to type in another terminal, as it can be typed there."""
    program = Path(sys.prefix, "bin", "parloir")
    command = shlex.quote(str(program)) if program.exists() else "parloir"
    # The other terminal has none of this one's variables.
    if settings.home != default_home(
        {name: value for name, value in os.environ.items() if name in ("HOME", "XDG_DATA_HOME")}
    ):
        command += f" --home {shlex.quote(str(settings.home))}"
    role = _role(0, 0)
    person = f"{role.channel}:{role.person}" if demo else "CHANNEL:EXTERNAL-ID"
    verbs = (
        f"access {person}",
        f'sql "{EXAMPLE_QUERY}"',
        f'erase {person} --reason "asked to be forgotten"',
        "verify",
        "--help",
    )
    return "\n".join(
        [
            f"Parloir serves {settings.home} (logs in {settings.log.split('://')[0]}). Ctrl-C stops it; nothing is lost.",
            *([f"A page with the assistant on it is at {chat.origins[0]}/"] if chat and demo else ()),
            *([f"The assistant is at {chat.address}"] if chat else ()),
            "In another terminal:",
            *(f"  {command} {verb}" for verb in verbs),
        ]
    )
