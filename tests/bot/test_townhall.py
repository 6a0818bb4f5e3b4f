"""The shipped town hall keeps its promises: complete, bilingual, tested, and really talking to the town's system over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import date

import pytest
import uvicorn

from bot.by_example import ByExample
from bot.check import checked, problems_of
from bot.connectors import client_of
from bot.conversation import Conversation, read_conversations, run
from bot.outgoing import Client
from bot.training import read_training
from infra.assistants import SHIPPED
from infra.talk import Talk
from infra.town.app import create

FOLDER = SHIPPED / "townhall"
ASSISTANT, WARNINGS = checked(FOLDER)
TRAINING = read_training(FOLDER)
CONVERSATIONS = read_conversations(FOLDER)
MONDAY = 1_772_442_000.0


def test_nothing_is_wrong_in_its_files() -> None:
    assert problems_of(FOLDER) == []


def test_it_has_at_least_40_intents_with_at_least_12_examples_in_french_and_in_english() -> None:
    intents = TRAINING.intents - {"oos"}
    assert len(intents) >= 40
    assert {language for language, _ in TRAINING.examples} == {"fr", "en"}
    assert not [(language, intent) for (language, intent), texts in TRAINING.examples.items() if len(set(texts)) < 12]
    assert all((language, intent) in TRAINING.examples for language in ("fr", "en") for intent in intents)


def test_no_example_stands_for_two_intents() -> None:
    seen: dict[tuple[str, str], str] = {}
    for (language, intent), texts in TRAINING.examples.items():
        for text in texts:
            assert seen.setdefault((language, text.casefold()), intent) == intent, text


def test_it_has_at_least_60_conversation_tests_and_every_flow_and_answer_is_in_one() -> None:
    assert len(CONVERSATIONS) >= 60
    said = {turn.given.get("intent") for each in CONVERSATIONS for turn in each.turns}
    said |= {str(turn.given.get("user", ""))[1:] for each in CONVERSATIONS for turn in each.turns}
    assert set(ASSISTANT.handled) - said == set()


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each.name)
def test_a_conversation_goes_as_expected(conversation: Conversation) -> None:
    assert run(conversation, ASSISTANT).differences == ()


@pytest.fixture(scope="module")
def town() -> Iterator[str]:
    """The town's information system, served on loopback; its today is Monday 2 March 2026."""
    config = uvicorn.Config(create(lambda: date(2026, 3, 2)), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def client(town: str) -> Iterator[Client]:
    with client_of(ASSISTANT, {"town": town}) as made:
        yield made


def talked(client: Client, *lines: str) -> list[str]:
    """What is said in a chat, understood by the nearest example."""
    said: list[str] = []
    Talk(ASSISTANT, ByExample(TRAINING), client, said.append, clock=lambda: MONDAY).run(lines)
    return said


def test_an_appointment_is_booked_found_and_cancelled_over_http(client: Client) -> None:
    said = talked(client, "un rendez-vous pour mon passeport", "2026-03-10", "matin", "1", "Dominique Petit", "oui")
    (booked,) = [line for line in said if line.startswith("Votre rendez-vous est pris")]
    assert "mardi 10 mars 2026 à 9 h." in booked
    reference = booked.split("dossier est ")[1].split(",")[0]
    said = talked(
        client, "annuler mon rendez-vous", f"{reference}", "oui", "c'est quand mon rendez-vous", f"{reference}"
    )
    assert f"Le rendez-vous {reference} est annulé." in said
    assert said[-1].startswith("Je ne trouve aucun dossier")


def test_two_people_cannot_have_the_last_place(client: Client) -> None:
    lines = ("I need to renew my passport", "2026-03-11", "morning", "1", "Robin Smith", "yes")
    for _ in range(2):
        assert any(
            "Your appointment is booked: Wednesday 11 March 2026 at 9:00" in line for line in talked(client, *lines)
        )
    assert any("Your appointment is booked: Wednesday 11 March 2026 at 9:30" in line for line in talked(client, *lines))


def test_an_appointment_is_moved_over_http(client: Client) -> None:
    said = talked(client, "I need to renew my passport", "2026-03-12", "morning", "1", "Robin Smith", "yes")
    (booked,) = [line for line in said if line.startswith("Your appointment is booked")]
    reference = booked.split("number is ")[1].split(",")[0]
    said = talked(client, "reschedule my appointment", reference, "2026-03-13", "afternoon", "2", "yes")
    assert any("moved to Friday 13 March 2026 at 14:30" in line for line in said)


def test_waste_hours_reports_schools_and_certificates_work_over_http(client: Client) -> None:
    said = talked(
        client, "quand passent les poubelles rue des Lilas", "rue du Marché", "la piscine est ouverte 2026-03-08 ?"
    )
    assert (
        "Rue des Lilas : ordures ménagères lundi et jeudi, emballages mercredi. Sortez les bacs la veille au soir."
        in said
    )
    assert said[-1] == "La piscine, dimanche 8 mars 2026 : 09:00-12:30."
    said = talked(client, "signaler un lampadaire en panne", "rue du Stade", "il est éteint depuis lundi", "oui")
    assert any(line.startswith("Merci, votre signalement R-") for line in said)
    said = talked(
        client,
        "inscrire mon enfant à l'école",
        "Noa Petit",
        "2022-06-14",
        "maternelle",
        "rue de Nulle Part",
        "oui",
        "rue du Stade",
    )
    assert any(line.startswith("Je ne trouve pas cette rue") for line in said)
    assert any("L'école du secteur est Les Tilleuls" in line for line in said)
    said = talked(
        client,
        "je voudrais un acte de mariage",
        "Sacha Bernard",
        "2010-06-12",
        "par courrier",
        "oui",
        "4 rue du Moulin, 73000 Valmont",
    )
    assert any("L'acte part par courrier" in line for line in said)


def test_a_system_that_is_down_gets_a_stated_reply(client: Client) -> None:
    with client_of(ASSISTANT, {"town": "http://127.0.0.1:9"}) as nobody:
        said = talked(nobody, "quand passent les poubelles rue des Lilas")
    assert said[-1].startswith("Ce service ne répond pas")


def test_what_leaves_is_disclosed_by_field(client: Client) -> None:
    (disclosed,) = client.disclosures("town-book", {"slot": "x", "name": "y"})
    assert (disclosed.recipient, disclosed.purpose, disclosed.fields) == (
        "the town's information system",
        "service",
        ("name",),
    )
    assert client.disclosures("town-hours", {"place": "pool", "day": "2026-03-08"}) == ()
