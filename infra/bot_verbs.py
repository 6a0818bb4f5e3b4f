"""`parloir check`, `parloir test` and `parloir talk`: an assistant's files, its conversation tests, and a chat with it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO

from bot.assistant import Assistant
from bot.by_example import ByExample
from bot.check import checked, problems_of
from bot.connectors import client_of, origins_of
from bot.conversation import read_conversations, run
from bot.problem import Problem
from bot.training import read_training
from bot.understands import Understands
from infra.assistants import EXAMPLES, TRAINED, folder_of
from infra.nlu_verbs import MODEL
from infra.talk import Talk
from vault.client import DONE, FAILED
from vault.errors import BadInput


def check(assistant: str, *, as_json: bool) -> int:
    """Prints every problem of the files; fails when one of them is an error. A folder may hold training files alone."""
    if (Path(assistant) / "nlu").is_dir() and not (Path(assistant) / "assistant.yaml").exists():
        problems = _training_problems(Path(assistant))
    else:
        folder = folder_of(assistant)
        problems = sorted({*problems_of(folder), *_training_problems(folder)})
    errors = [problem for problem in problems if not problem.warning]
    if as_json:
        print(json.dumps([asdict(problem) for problem in problems], ensure_ascii=False))
    else:
        for problem in problems:
            print(problem)
        print(f"{len(errors)} errors, {len(problems) - len(errors)} warnings")
    return FAILED if errors else DONE


def _training_problems(folder: Path) -> list[Problem]:
    """What is wrong with the training files, as understanding reads them."""
    from nlu.checking import check_folder

    return [
        Problem(str(found.file.relative_to(folder)), found.line, found.what, found.remedy, found.level == "warning")
        for found in check_folder(folder)[1]
    ]


def test(assistant: str, understanding: str, only: str | None, *, model: Path | None, as_json: bool) -> int:
    """Holds the conversation tests and prints what is not as expected; fails when anything is not.

    Tests that say how sure understanding is are of the dialogue alone: they are left out where something else understands.
    """
    folder = folder_of(assistant)
    described, _ = checked(folder)
    understands: Understands | None = None
    if understanding == EXAMPLES:
        understands = ByExample(read_training(folder))
    elif understanding == TRAINED:
        understands = _trained(folder, model, described)
    conversations = [each for each in read_conversations(folder) if only is None or only in each.name]
    if understands is not None:
        conversations = [each for each in conversations if not each.says_how_sure]
    if not conversations:
        raise BadInput("there is no such conversation test", remedy="see the names in tests/*.yaml")
    begun = time.monotonic()
    outcomes = [run(conversation, described, understands) for conversation in conversations]
    failed = [outcome for outcome in outcomes if outcome.differences]
    turns = sum(len(conversation.turns) for conversation in conversations)
    if as_json:
        different = [{"name": each.conversation.name, "differences": each.differences} for each in failed]
        print(json.dumps({"held": len(outcomes), "turns": turns, "different": different}, ensure_ascii=False))
    else:
        for outcome in failed:
            print(f"{outcome.conversation.name}")
            print("\n".join(outcome.differences))
        spent_ms = (time.monotonic() - begun) * 1_000
        print(f"{len(outcomes)} conversations, {turns} turns, {len(failed)} not as expected ({spent_ms:.0f} ms)")
    return FAILED if failed else DONE


def talk(assistant: str, *, by_intent: bool, model: Path | None, origins: list[str], as_json: bool) -> int:
    """Chats on the terminal until the input ends. `origins`: `CONNECTOR=ORIGIN`, instead of those in the assistant's file."""
    folder = folder_of(assistant)
    described, _ = checked(folder)
    places = origins_of(" ".join(origins), described)
    with client_of(described, places) as client:
        understands = None if by_intent else _understands(folder, model, described)
        talking = Talk(described, understands, client, _print, as_json=as_json)
        with open(sys.stdin.fileno(), encoding="utf-8", errors="replace", closefd=False) as given:
            talking.run(_typed(given))
    return DONE


def _typed(given: IO[str]) -> Iterator[str]:
    """Lines, with a prompt where somebody types them."""
    while True:
        if given.isatty():
            print("> ", end="", file=sys.stderr, flush=True)
        line = given.readline()
        if not line:
            return
        yield line


def _print(text: str) -> None:
    print(text, flush=True)


def _understands(folder: Path, model: Path | None, described: Assistant) -> Understands:
    """The model that is given or lies beside the assistant's files; without one, the nearest example."""
    if model is None and not (folder / MODEL).exists():
        return ByExample(read_training(folder))
    return _trained(folder, model, described)


def _trained(folder: Path, model: Path | None, described: Assistant) -> Understands:
    from infra.understands import Trained

    return Trained.load(model or folder / MODEL, described.zone)
