"""Frames of the web channel: read strictly from a client, written for it. What they hold is in web.py."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from bot.assistant import Assistant
from bot.channels import notice
from bot.channels.channel import Spoken
from bot.channels.replies import replies_of

Frame = dict[str, Any]
ID_MAX = 64
PAYLOAD_MAX = 2_000
TYPING: Frame = {"type": "typing"}

LINES = {
    "fr": {
        "too_fast": "Vous écrivez plus vite que je ne peux lire. Attendez quelques secondes, puis renvoyez votre message.",
        "busy": "Beaucoup de monde écrit en ce moment. Votre message sera repris dans quelques instants.",
        "too_long": "Ce message est trop long et n'a pas été gardé. Écrivez-le en plus court.",
        "unreadable": "Ce message n'a pas pu être lu et n'a pas été gardé.",
        "conflict": "Un autre message porte déjà ce numéro ; celui-ci n'a pas été gardé.",
        "gone": "Cette conversation a été effacée.",
        "unknown": "Je ne lis que du texte : les pièces jointes et autres contenus ne sont pas gardés.",
        "form": "Ce message n'a pas la forme attendue et n'a pas été gardé.",
    },
    "en": {
        "too_fast": "You write faster than I can read. Please wait a few seconds, then send your message again.",
        "busy": "Many people are writing just now. Your message will be taken in a moment.",
        "too_long": "This message is too long and was not kept. Please write it shorter.",
        "unreadable": "This message could not be read and was not kept.",
        "conflict": "Another message has this number already; this one was not kept.",
        "gone": "This conversation was erased.",
        "unknown": "I read text only: attachments and other contents are not kept.",
        "form": "This message does not have the form that is expected, and was not kept.",
        "origin": "This page may not write here.",
        "token": "This conversation is over or unknown.",
        "content_type": "JSON only: attachments are not kept.",
    },
}
"""What a person is told, by language and code."""


def parse(text: str | bytes) -> Frame | None:
    """The JSON object in a frame; None for whatever else it is."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_message(frame: Frame) -> tuple[str, str, str | None] | None:
    """Id, text and payload of a `say` or `choose`; None when it is not formed like one."""
    message_id, text, payload = frame.get("id"), frame.get("text", ""), frame.get("payload")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= ID_MAX or not isinstance(text, str):
        return None
    if frame["type"] == "say":
        return message_id, text, None
    if not isinstance(payload, str) or not 0 < len(payload) <= PAYLOAD_MAX:
        return None
    return message_id, text, payload


def accepted(message_id: str) -> Frame:
    return {"type": "accepted", "id": message_id}


def error(code: str, language: str, message_id: object = None) -> Frame:
    """`message_id` is given back only where it may be an id."""
    said: Frame = {"type": "error", "code": code, "text": LINES[language].get(code) or LINES["en"][code]}
    if isinstance(message_id, str) and len(message_id) <= ID_MAX:
        said["id"] = message_id
    return said


def welcome(assistant: Assistant, language: str, token: str, conversation: UUID, *, resumed: bool) -> Frame:
    told = notice.told(assistant, language)
    return {
        "type": "welcome",
        "token": token,
        "resumed": resumed,
        "conversation": str(conversation),
        "assistant": {
            "name": assistant.controller,
            "languages": list(assistant.languages),
            "speak": {spoken: f"/{intent}" for intent, spoken in assistant.language_intents.items()},
            "menu": _menu(assistant, language),
        },
        "notice": {"version": told.version, "paragraphs": told.paragraphs, "url": f"/notice?language={language}"},
    }


def _menu(assistant: Assistant, language: str) -> list[Frame]:
    """What the assistant offers when it is asked for help, for who does not know what to write."""
    variants = assistant.replies["system_menu"].variants.get(language, ())
    buttons = variants[0].buttons if variants else ()
    return [{"title": each.title({}, language), "payload": each.payload} for each in buttons if each.payload]


def replies(spoken: Spoken, after: int) -> list[Frame]:
    """A frame for each reply whose number is above `after`."""
    return [
        {"type": "reply", "number": spoken.number + place, **reply}
        for place, reply in enumerate(replies_of(spoken))
        if spoken.number + place > after
    ]


def dumped(frame: Frame) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
