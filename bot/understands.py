"""What the dialogue needs of understanding: one message in, what it means out."""

from __future__ import annotations

from typing import Protocol

from bot.understood import Understood


class Understands(Protocol):
    """`language` is what the conversation has been spoken in so far, or ""."""

    def understand(self, text: str, *, id: str, at_us: int, channel: str, language: str) -> Understood: ...
