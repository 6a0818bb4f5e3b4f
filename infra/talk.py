"""A chat with an assistant on the terminal: what is typed is understood, decided, and what is wanted is shown or carried out.

A line that begins with `/` is a button's payload, a number presses the button of that number. Nothing is kept.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import IO, Any, NamedTuple, Protocol

from bot.assistant import Assistant
from bot.decide import Decision, decide
from bot.state import State
from bot.turn import Button, Effect
from bot.understands import Understands
from bot.understood import Entity, Heard, Ranked, Returned, Understood, pressed

CHANNEL = "terminal"
HANDED_BACK = "/handed_back"


class Answered(NamedTuple):
    """What a connector answered. `outcome`: done, failed or timed_out."""

    outcome: str
    status: int
    result: Mapping[str, Any]


class Calls(Protocol):
    """What carries calls out. `key` is the same when a call is repeated."""

    def call(self, connector: str, operation: str, arguments: Mapping[str, Any], key: str) -> Answered: ...
