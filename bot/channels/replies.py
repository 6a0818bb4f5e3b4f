"""Replies as our channels give them in JSON: in a frame, in an answer, in a webhook."""

from __future__ import annotations

from typing import Any

from bot.channels.channel import Spoken


def replies_of(spoken: Spoken) -> list[dict[str, Any]]:
    """Each with its speaker, its buttons (to be sent back as `payload`) and its links."""
    return [
        {
            "speaker": "agent" if spoken.by_agent else "assistant",
            "text": reply["text"],
            "buttons": [
                {"title": button["title"], "payload": button["payload"]}
                for button in reply.get("buttons", ())
                if button.get("payload") is not None
            ],
            "links": [
                {"title": button["title"], "url": button["url"]}
                for button in reply.get("buttons", ())
                if button.get("url") is not None
            ],
        }
        for reply in spoken.replies
    ]
