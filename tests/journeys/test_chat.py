"""A person chats with the town hall on a web site: real browser, real `parloir serve`, the town's information system over real REST.

One conversation: an appointment, a problem in the street, another language, a connection that breaks. Then what is held on the person
is looked up, and holds all of it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, expect

from infra.assistants import folder_of
from infra.nlu_verbs import plugs
from nlu.checking import usable
from nlu.understanding import Understanding
from tests.browsing import Site, Visitor, Wire, chromium, free_port, visiting
from tests.journeys.conftest import Parloir

APPOINTMENT = "Je voudrais un rendez-vous pour une carte d'identité"
PROBLEM = "il est éteint devant le numéro 12"
CUT = "merci beaucoup"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def town() -> Iterator[str]:
    """The address of the town's information system."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "infra.town", "--port", str(port)])
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    one = Wire()
    yield one
    one.close()


@pytest.fixture(scope="module")
def site(wire: Wire) -> Iterator[Site]:
    one = Site(wire.port)
    yield one
    one.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped assistant's model, without the cross-validation that calibrates it and takes most of a training's time."""
    path = tmp_path_factory.mktemp("model") / "model.parloir"
    understanding, _ = Understanding.train(usable(folder_of("townhall")), plugs(), calibrate=False)
    understanding.save(path, trained_on="", made_at="2026-01-01T00:00:00Z", metrics={})
    return path


@pytest.fixture(scope="module")
def parloir(
    town: str, wire: Wire, site: Site, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parloir]:
    home = tmp_path_factory.mktemp("townhall") / "home"
    settings = {
        "HOME": str(home),
        "LOG_PARTITIONS": "2",
        "ASSISTANT": "townhall",
        "MODEL": str(model),
        "CALLER_ORIGINS": f"town={town}",
        "GATEWAY_PORT": str(wire.gateway_port),
        "GATEWAY_ORIGIN": f"http://127.0.0.1:{wire.port}",
        "GATEWAY_SITES": site.near,
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("PARLOIR_")}
    program = Parloir(home, {**others, **{f"PARLOIR_{name}": value for name, value in settings.items()}})
    serving = program.serve()
    yield program
    serving.send_signal(signal.SIGTERM)
    serving.communicate()


def known(town: str, path: str) -> dict[str, Any]:
    """What the town has under a path."""
    with urlopen(f"{town}{path}") as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def reference(visitor: Visitor, text: str) -> str:
    """The reference in what the assistant said that holds the text."""
    shown = visitor.messages("assistant").filter(has_text=text)
    expect(shown).to_be_visible()
    (found,) = re.findall(r"[A-Z]-[0-9]{5}", shown.inner_text())
    return str(found)


def book(visitor: Visitor, town: str) -> None:
    visitor.say(APPOINTMENT)
    expect(visitor.messages("assistant")).to_have_count(1)
    visitor.say("mardi prochain")
    visitor.button("le matin").click()
    visitor.sees("Voici les prochains créneaux")
    slot = visitor.chat.locator("#list .choice").first
    chosen = slot.inner_text()
    slot.click()
    visitor.sees("À quel nom")
    visitor.say("Visiteur")
    visitor.sees(f"carte d'identité, {chosen}. Est-ce bien cela ?")
    visitor.button("Oui").click()
    kept = known(town, f"/v1/appointments/{reference(visitor, 'Votre rendez-vous est pris')}")
    assert (kept["document"], kept["name"]) == ("identity_card", "Visiteur")


def report(visitor: Visitor, town: str) -> None:
    visitor.say("Je veux signaler un problème rue du Stade")
    visitor.button("éclairage public").click()
    visitor.sees("Décrivez le problème")
    visitor.say(PROBLEM)
    visitor.sees(f"éclairage public, rue du Stade, « {PROBLEM} ». Est-ce correct ?")
    visitor.button("Oui").click()
    kept = known(town, f"/v1/reports/{reference(visitor, 'votre signalement')}")
    assert (kept["category"], kept["street"]) == ("street_light", "rue du Stade")


def test_a_person_gets_what_they_came_for_and_all_of_it_stands_in_their_report(
    parloir: Parloir, browser: Browser, site: Site, wire: Wire, town: str
) -> None:
    with visiting(browser, site.near) as visitor:
        visitor.open()
        expect(visitor.chat.get_by_role("heading", name="Avant de commencer")).to_be_visible()
        expect(visitor.field).to_be_hidden()
        visitor.button("Commencer la discussion").click()
        book(visitor, town)
        report(visitor, town)
        before = visitor.messages("assistant").count()
        wire.cut()
        expect(visitor.chat.get_by_text("Connexion perdue")).to_be_visible()
        visitor.say(CUT)
        wire.mend()
        expect(visitor.messages("assistant")).to_have_count(before + 1)
        visitor.button("English").click()
        visitor.sees("Of course, I will go on in English.")
        visitor.say("is the library open on Saturday")
        visitor.sees("The library, Saturday")
        shown = {speaker: visitor.messages(speaker).all_inner_texts() for speaker in ("you", "assistant")}
        visitor.button("Your data").click()
        conversation = visitor.chat.locator("#reference").inner_text()
    found = json.loads(parloir("access", f"web:{conversation}", "--format", "json").stdout)
    events = [event for interaction in found["interactions"] for event in interaction["events"]]

    def of(topic: str) -> list[dict[str, Any]]:
        return [event for event in events if event["event"].startswith(topic)]

    assert [event["text"] for event in of("interaction.received")] == shown["you"]
    said = [reply["text"] for event in events for reply in event.get("replies", ())]
    assert said == shown["assistant"]
    assert [event["operation"] for event in of("call.made")] == ["free_slots", "book", "report", "hours"]
    assert {event["outcome"] for event in of("call.returned")} == {"done"}
    spoke = [event for event in events if event.get("replies")]
    assert len(of("reply.delivered")) == len(spoke)
    assert {event["outcome"] for event in of("reply.delivered")} == {"delivered"}
    assert [event["notice_version"] for event in found["notices_and_consents"] if "notice_version" in event] == ["1"]
