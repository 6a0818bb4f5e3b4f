"""Where a conversation stands: a small JSON document that travels whole in each answer.

Its size is bounded by `STATE_BYTES_MAX` whatever was said and however long: nothing in it grows with the conversation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

from vault.errors import BadInput

FORMAT = 1
STATE_BYTES_MAX = 32_768
FRAMES_MAX = 8
RESULT_BYTES_MAX = 6_000
ITEMS_MAX = 20
TEXT_MAX = 500
DEPTH_MAX = 5


@dataclass(slots=True)
class Frame:
    """A flow under way. `step` is where it stands. `role`: `main` was begun by the person, `sub` runs for the frame below it.

    `data` belongs to the step that waits: which slot is asked, how many attempts, which options were shown, which call is open.
    `held` keeps what the flows below knew (slots and results), for a flow that was begun has a scope of its own.
    """

    flow: str
    step: str
    role: str = "main"
    data: dict[str, Any] = field(default_factory=dict)
    held: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """`frames`: the last is on top. `offer`: what was offered outside any flow. `failures`: messages not understood in a row.

    `calls`: calls since the person last wrote. `noticed`: the notice was given. `handed_over` is the queue that has the
    conversation, or "". `at_us` is when something was last heard.
    """

    assistant: str = ""
    language: str = ""
    language_pinned: bool = False
    noticed: bool = False
    at_us: int = 0
    slots: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    offer: dict[str, Any] = field(default_factory=dict)
    failures: int = 0
    calls: int = 0
    handed_over: str = ""

    @property
    def top(self) -> Frame | None:
        return self.frames[-1] if self.frames else None

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same state is the same bytes."""
        document = {"format": FORMAT, **{name: getattr(self, name) for name in STATE_FIELDS}}
        document["frames"] = [{name: getattr(frame, name) for name in FRAME_FIELDS} for frame in self.frames]
        return json.dumps(document, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, stored: bytes) -> State:
        """Raises `BadInput` when the bytes are no state of this format."""
        try:
            document = json.loads(stored)
            if document.pop("format") != FORMAT:
                raise BadInput("the dialogue's state is of another format", remedy="let the conversation begin anew")
            frames = [Frame(**frame) for frame in document.pop("frames")]
            return cls(**document, frames=frames)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise BadInput("this is not a dialogue's state", remedy="let the conversation begin anew") from None

    def copy(self) -> State:
        return State.from_bytes(self.to_bytes())

    def fit(self) -> None:
        """Brings the state within `STATE_BYTES_MAX`: results go first, then the oldest flows, then slots in their order."""
        while len(self.frames) > FRAMES_MAX:
            self.drop_oldest()
        while len(self.to_bytes()) > STATE_BYTES_MAX:
            if self.results:
                del self.results[next(iter(self.results))]
            elif len(self.frames) > 1:
                self.drop_oldest()
            elif self.slots:
                del self.slots[next(iter(self.slots))]
            else:
                self.frames, self.offer = [], {}

    def drop_oldest(self) -> None:
        """Drops the oldest flow, with the sub-flows that run for it."""
        del self.frames[0]
        while self.frames and self.frames[0].role == "sub":
            del self.frames[0]
        if self.frames:
            self.frames[0].held = {}


FRAME_FIELDS = tuple(each.name for each in fields(Frame))
STATE_FIELDS = tuple(each.name for each in fields(State))


def bounded(value: Any, depth: int = 0) -> Any:
    """A value from outside cut to what a state may hold: JSON, shallow, short lists, short texts. Lone surrogates are replaced."""
    if isinstance(value, str):
        return value[:TEXT_MAX].encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) <= 10**15 else None
    if depth >= DEPTH_MAX:
        return None
    if isinstance(value, list | tuple):
        return [bounded(each, depth + 1) for each in value[:ITEMS_MAX]]
    if isinstance(value, dict):
        return {str(key)[:64]: bounded(each, depth + 1) for key, each in list(value.items())[:ITEMS_MAX]}
    return None


def bounded_result(value: Any) -> Any:
    """What a connector returned, within `RESULT_BYTES_MAX`: lists lose their last items until it fits."""
    result = bounded(value)
    while len(json.dumps(result)) > RESULT_BYTES_MAX:
        lists = (
            [each for each in result.values() if isinstance(each, list) and each] if isinstance(result, dict) else []
        )
        if not lists:
            return None
        max(lists, key=lambda each: len(json.dumps(each))).pop()
    return result
