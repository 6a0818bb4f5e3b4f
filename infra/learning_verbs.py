"""The verbs about learning from people, which need a home: `review`, `find`, `train --from-log`, and `parse` with a sealed model."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra import nlu_verbs
from nlu.sealed_model import model_of
from vault.client import DONE
from vault.errors import BadInput

Json = dict[str, Any]
Do = Callable[[str, Json], Json]
"""Has a verb done by the home, given its arguments."""

EXAMPLES = {
    "review": "parloir review show 2@1234",
    "find": 'parloir find someone@example.org --reason "request 2026-17"',
}
VERDICTS = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}
SHOWN = 20


def add_verbs(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Their part of the command line."""
    one = verb("review", "confirm or correct what was understood of people who agree to improvement")
    one.add_argument(
        "action",
        nargs="?",
        choices=("list", "show", *VERDICTS),
        default="list",
        help="list what waits (default), show the words of messages, accept, correct (the last word is the intent) or reject them",
    )
    one.add_argument("messages", nargs="*", metavar="MESSAGE", help="PARTITION@OFFSET, as listed")
    one.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"list at most N (default: {SHOWN})")
    one.add_argument("--all", action="store_true", help="list what was reviewed as well")

    one = verb("find", "who typed an e-mail address or a telephone number: no proof of who they are")
    one.add_argument("value", metavar="VALUE", help="the whole address or number")
    one.add_argument("--reason", required=True, help="why it is looked for; recorded with each person that is found")


def wants(given: argparse.Namespace) -> bool:
    """Whether a verb is one of these."""
    if given.verb == "train":
        return bool(given.from_log)
    if given.verb == "parse":
        return model_of(given.model) is not None
    return given.verb in EXAMPLES


def run(given: argparse.Namespace, do: Do) -> int:
    """Runs one of them and returns its exit code."""
    verbs = {"train": _train, "parse": _parse, "review": _review, "find": _find}
    return verbs[given.verb](given, do)


def _actor() -> str:
    return f"command line, account {os.getuid()}"


def _train(given: argparse.Namespace, do: Do) -> int:
    output: Path | None = given.output
    told = do(
        "train",
        {
            "folder": str(given.folder.absolute()),
            "output": str(output.absolute()) if output else None,
            "made_at": given.made_at,
            "actor": _actor(),
        },
    )
    if given.json:
        print(json.dumps(told))
        return DONE
    sealed = f", sealed as model {told['sealed']}" if told["sealed"] else ", nothing that people said"
    print(
        f"{told['model']}: {told['examples']} examples and {told['messages']} messages of {told['persons']} persons{sealed}"
    )
    for why, count in told["left_out"].items():
        print(f"left out: {count} {why}")
    print(f"by cross-validation: {told['metrics']['in_scope_accuracy']:.1%} right")
    return DONE


def _parse(given: argparse.Namespace, do: Do) -> int:
    arguments = {
        "texts": nlu_verbs.texts_of(given),
        "model": str(given.model.absolute()),
        "language": given.language,
        "zone": given.zone,
    }
    told = do("parse", arguments)
    nlu_verbs.print_understood(told["answers"], told["model"], as_json=given.json)
    return DONE


def _review(given: argparse.Namespace, do: Do) -> int:
    messages: list[str] = list(given.messages)
    if given.action == "list":
        if messages:
            raise BadInput("list takes no messages", remedy="`parloir review show MESSAGE` shows their words")
        return _list(given, do("review-list", {"limit": given.limit, "all": given.all}))
    intent = messages.pop() if given.action == "correct" and messages else None
    if not messages:
        raise BadInput(
            f"{given.action} what?",
            remedy=f"parloir review {given.action} MESSAGE{' INTENT' * (given.action == 'correct')}",
        )
    if given.action == "show":
        return _list(given, do("review-show", {"messages": messages, "actor": _actor()}))
    verdict = VERDICTS[given.action]
    done = do("review-decide", {"messages": messages, "verdict": verdict, "intent": intent, "actor": _actor()})
    if given.json:
        print(json.dumps(done))
        return DONE
    for one in done["reviewed"]:
        print(f"{one['message']} {verdict}{': ' + one['intent'] if one['intent'] else ''}")
    return DONE


def _list(given: argparse.Namespace, found: Json) -> int:
    if given.json:
        print(json.dumps(found, ensure_ascii=False))
        return DONE
    for one in found["messages"]:
        sure = "" if one["confidence"] is None else f"{one['confidence']:.2f} "
        said = f"  {one['verdict']}: {one['meant'] or 'nothing to learn'}" if one["verdict"] else ""
        print(
            f"{one['message']:>12}  {one['at']}  {one['language'] or '-'}  {sure}{one['intent'] or 'nothing understood'}{said}"
        )
        if "text" in one:
            print(f"              {one['text']!r}")
    if "waiting" in found and found["waiting"] > len(found["messages"]):
        print(f"{found['waiting'] - len(found['messages'])} more")
    return DONE


def _find(given: argparse.Namespace, do: Do) -> int:
    found = do("find", {"value": given.value, "reason": given.reason, "actor": _actor()})
    if given.json:
        print(json.dumps(found))
        return DONE
    for one in found["found"]:
        print(f"{one['subject']}  {one['how']}")
    return DONE
