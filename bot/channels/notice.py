"""What is told before anything is kept (GDPR Art. 13; AI Act Art. 50): made from what the assistant declares, so that it cannot say less.

Shown on the web before one can write, and in full on a page of its own. Its version is the assistant's `notice.version`, which has to
change with what is declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from bot.assistant import Assistant, Purpose

_BASES = {
    "fr": {
        "consent": "votre consentement",
        "contract": "l'exécution d'un contrat",
        "legal_obligation": "une obligation légale",
        "vital_interest": "la sauvegarde d'intérêts vitaux",
        "public_task": "une mission d'intérêt public",
        "legitimate_interest": "l'intérêt légitime",
    },
    "en": {
        "consent": "your consent",
        "contract": "a contract with you",
        "legal_obligation": "a legal obligation",
        "vital_interest": "vital interests",
        "public_task": "a task in the public interest",
        "legitimate_interest": "a legitimate interest",
    },
}

_WORDS = {
    "fr": {
        "title": "Ce que nous gardons de cette conversation",
        "machine": "Vous parlez à un assistant automatique, pas à une personne. Il peut se tromper.",
        "kept": "{controller} garde vos messages et les réponses, chiffrés, pendant {days} jours au plus pour {purpose}.",
        "sensitive": "N'écrivez pas d'informations de santé ni d'autres données sensibles.",
        "rights": "Vous pouvez à tout moment demander ce que nous gardons sur vous, le faire corriger ou le faire effacer : {contact}.",
        "purposes": "Pourquoi, et combien de temps",
        "purpose": "{what} ({basis}) : {days} jours",
        "who": "Qui est responsable",
        "passes": "Par où passent vos messages",
        "channel": "{name} : {operator}, {country}",
        "receives": "Qui reçoit des données pour traiter une demande",
        "complain": "Vous pouvez aussi vous plaindre auprès de l'autorité de protection des données.",
        "cookies": (
            "Cette page ne pose aucun cookie. Elle garde une clé de la conversation dans votre navigateur, "
            "jusqu'à la fermeture de l'onglet."
        ),
        "version": "Version de cette information : {version}",
    },
    "en": {
        "title": "What we keep of this conversation",
        "machine": "You are talking to an automatic assistant, not to a person. It can be wrong.",
        "kept": "{controller} keeps your messages and the answers, encrypted, for at most {days} days to {purpose}.",
        "sensitive": "Please do not write health information or other sensitive data.",
        "rights": "You can ask at any time what we keep about you, and have it corrected or erased: {contact}.",
        "purposes": "What for, and how long",
        "purpose": "{what} ({basis}): {days} days",
        "who": "Who is responsible",
        "passes": "What your messages pass through",
        "channel": "{name}: {operator}, {country}",
        "receives": "Who receives data to deal with a request",
        "complain": "You can also complain to the data protection authority.",
        "cookies": "This page sets no cookie. It keeps a key of the conversation in your browser until the tab is closed.",
        "version": "Version of this information: {version}",
    },
}

LANGUAGES = tuple(_WORDS)
SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Told:
    """The notice in one language: its version, and what is shown before writing."""

    version: str
    paragraphs: tuple[str, ...]


def spoken(assistant: Assistant, asked: object) -> str:
    """The language to show the notice in: the one asked for, if there is a notice in it, else the assistant's first that has one."""
    known = [language for language in assistant.languages if language in _WORDS] or list(LANGUAGES)
    return asked if isinstance(asked, str) and asked in known else known[0]


def told(assistant: Assistant, language: str) -> Told:
    words, purpose = _WORDS[language], _service(assistant)
    kept = words["kept"].format(
        controller=assistant.controller, days=purpose.retention_days, purpose=_what(purpose, language)
    )
    rights = words["rights"].format(contact=assistant.protection_contact)
    return Told(assistant.notice.version, (words["machine"], kept, words["sensitive"], rights))


def page(assistant: Assistant, language: str) -> str:
    """The whole notice as one HTML page that loads nothing but the chat's style sheet."""
    words = _WORDS[language]
    purposes = [
        words["purpose"].format(
            what=_what(each, language), basis=_BASES[language].get(each.basis, each.basis), days=each.retention_days
        )
        for each in assistant.purposes.values()
    ]
    channels = [
        words["channel"].format(name=each.name, operator=each.operator, country=each.country)
        for each in assistant.channels.values()
    ]
    recipients = list(dict.fromkeys(each.recipient for each in assistant.connectors.values()))
    notice = told(assistant, language)
    body = [
        _tag("h1", words["title"]),
        *(_tag("p", each) for each in notice.paragraphs),
        _tag("h2", words["purposes"]),
        _items(purposes),
        _tag("h2", words["who"]),
        _items([f"{assistant.controller}, {assistant.contact}", assistant.protection_contact]),
        _tag("h2", words["passes"]),
        _items(channels),
        *((_tag("h2", words["receives"]), _items(recipients)) if recipients else ()),
        _tag("p", words["complain"]),
        _tag("p", words["cookies"]),
        _tag("p", words["version"].format(version=notice.version)),
    ]
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'{_tag("title", words["title"])}<link rel="stylesheet" href="/notice.css"></head>\n<body><main>\n'
        + "\n".join(body)
        + "\n</main></body>\n</html>\n"
    )


STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1.5rem;background:Canvas;color:CanvasText}"
    "main{max-width:40rem;margin:0 auto;overflow-wrap:anywhere}h1{font-size:1.4rem;line-height:1.3}h2{font-size:1.1rem}"
)


def _service(assistant: Assistant) -> Purpose:
    return assistant.purposes.get(SERVICE) or next(iter(assistant.purposes.values()))


def _what(purpose: Purpose, language: str) -> str:
    return purpose.description.get(language) or next(iter(purpose.description.values()), purpose.name)


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def _items(texts: list[str]) -> str:
    return "<ul>" + "".join(_tag("li", text) for text in texts) + "</ul>"
