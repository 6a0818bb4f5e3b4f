"""Going out: the one client for connectors, webhooks, platform APIs, OIDC and key sets, and the only place that opens sockets here."""

from bot.outgoing.answer import Answer, Disclosure, Outcome
from bot.outgoing.client import Client
from bot.outgoing.operation import Field, Operation
from bot.outgoing.origin import Limits, Origin
from bot.outgoing.secret_file import SecretFile, SecretHeader
from bot.outgoing.signature import key_of, signed, verified

__all__ = [
    "Answer",
    "Client",
    "Disclosure",
    "Field",
    "Limits",
    "Operation",
    "Origin",
    "Outcome",
    "SecretFile",
    "SecretHeader",
    "key_of",
    "signed",
    "verified",
]
