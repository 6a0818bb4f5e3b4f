"""A small assistant in two languages, trained once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nlu.training_files import Training, read_folder
from nlu.understanding import Understanding
from tests.vault.conftest import Vault, open_vault

FRENCH = """\
entities: [dish]
synonyms:
  pizza: [piza]
lookups:
  city: [Paris, Lyon]
regexes:
  order: ['\\d{4}-\\d{2}']
intents:
  book:
    - une table pour deux [demain](date)
    - je voudrais réserver une table
    - réserver pour ce soir
    - une réservation pour quatre personnes
    - rdv pour manger à [Paris](city)
    - vous avez de la place samedi ?
  menu:
    - quel est le plat du jour
    - vous avez de la [pizza](dish) ?
    - la carte s'il vous plaît
    - qu'est-ce qu'on mange
    - il y a des plats sans viande
    - montrez-moi les desserts
  cancel:
    - annuler ma réservation
    - je ne viens plus
    - supprimez la table
    - annulation de la commande 2024-11
    - finalement je ne peux pas venir
    - on annule
"""
ENGLISH = """\
intents:
  book:
    - a table for two tomorrow
    - I would like to book a table
    - book for tonight
    - a reservation for four people
    - do you have room on saturday
  menu:
    - what is the dish of the day
    - do you have pizza
    - the menu please
    - what is there to eat
    - any food without meat
  cancel:
    - cancel my reservation
    - I am not coming
    - drop the table
    - please cancel the order
    - call it off
"""
HOSTILE = (
    "",
    " ",
    "\n\t\r",
    "\x00",
    "a\x00b",
    "\ud800",
    "x\udfffy",
    "😀" * 50,
    "👩‍👩‍👧‍👦",
    "مرحبا كيف حالك",
    "\u202eabc\u202c",
    "שלום hello bonjour",
    "привет mixed 混合 text",
    "ﷺ" * 3_000,
    "a" * 100_000,
    "a " * 100_000,
    "\u0301" * 5_000,
    bytes(range(256)).decode("latin-1"),
    "[[[[((((]]]]))))" * 500,
    "İSTANBUL ŸÆŒ ß",
)


def write_assistant(folder: Path, french: str = FRENCH, english: str = ENGLISH) -> Path:
    """An assistant's folder; a language without text gets no file."""
    (folder / "nlu").mkdir(parents=True)
    for language, text in (("fr", french), ("en", english)):
        if text:
            (folder / "nlu" / f"{language}.yaml").write_text(text, "utf-8")
    return folder


def takes(act: Callable[[], object]) -> float:
    """Seconds of the processor in the calling thread: neither another thread nor another program counts."""
    began = time.thread_time()
    act()
    return time.thread_time() - began


def takes_less(act: Callable[[], object], seconds: float) -> bool:
    """Whether it takes less, at least once in three times: a busy machine may slow down any one."""
    return any(takes(act) < seconds for _ in range(3))


@pytest.fixture
def assistant(tmp_path: Path) -> Path:
    return write_assistant(tmp_path / "assistant")


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    read, findings = read_folder(write_assistant(tmp_path_factory.mktemp("trained") / "assistant"))
    assert not findings
    return read


@pytest.fixture(scope="session")
def understanding(training: Training) -> Understanding:
    return Understanding.train(training)[0]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """An embedded vault without a program around it."""
    (tmp_path / "vault").mkdir()
    opened = open_vault(tmp_path / "vault")
    yield opened
    opened.close()
