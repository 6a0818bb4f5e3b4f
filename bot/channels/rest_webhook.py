"""Replies of the REST channel by webhook: one signed POST for what is said at once, until the other system has taken it.

    {"type": "reply", "account": str, "sender": str, "interaction": as in the answer to the message, "number": int,
     "replies": [{"speaker", "text", "buttons", "links"}]}

Numbers grow within a sender's conversation; webhooks may overtake each other, and one may come twice under the same `webhook-id`. How
they are signed is in bot/outgoing/signature.py. Each is an effect beside the fold: what was taken is recorded as `Delivered`, and
after a crash what was not is sent again. What the other system refuses for good (400, 410, 413, 422), and what it has not taken in
`idle_us`, has failed.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from eventsourcing.persistence import StoredEvent

from bot.channels.channel import Spoken
from bot.channels.replies import replies_of
from bot.gateway import spoken as spoken_of
from bot.gateway.delivery import delivered_id
from bot.gateway.evidence import DELIVERED, FAILED
from bot.outgoing import Answer, Client, Field, Operation, Origin, Outcome, SecretFile
from vault.conversations import Accepted, Conversations
from vault.effects import EffectLimits, Effects, Wanted
from vault.errors import BadInput, SubjectErased, Unavailable
from vault.interaction import Answered, Delivered, MessageSent
from vault.keys import KeyStore
from vault.mapper import SealingMapper
from vault.outstanding import Outstanding
from vault.registrar import now_us
from vault.seal import Packed, read_header, stored

NAME = "webhook"
CHANNEL = "rest"
KEY_BYTES = 32
_FINAL = frozenset({400, 410, 413, 422})
"""What the other system says of a reply that it will never take."""
_PATHS = (
    ("type", "$.type", False),
    ("account", "$.account", False),
    ("sender", "$.sender", True),
    ("interaction", "$.interaction", True),
    ("number", "$.number", False),
    ("speaker", "$.replies[*].speaker", False),
    ("text", "$.replies[*].text", True),
    ("button_title", "$.replies[*].buttons[*].title", True),
    ("button_payload", "$.replies[*].buttons[*].payload", True),
    ("link_title", "$.replies[*].links[*].title", True),
    ("link_url", "$.replies[*].links[*].url", True),
)


def client_of(url: str, networks: Sequence[str], keys: Path) -> Client:
    """The client that sends webhooks. `keys`: the folder of signing keys `key` and, while it is changed, `key.next`; made where it
    is not there. Raises `BadInput` where the URL cannot be one."""
    parts = urlsplit(url)
    if not keys.exists():
        keys.mkdir(mode=0o700)
        (keys / "key").touch(0o600)
        (keys / "key").write_text(f"whsec_{b64encode(secrets.token_bytes(KEY_BYTES)).decode()}\n", "ascii")
    if parts.query or parts.fragment:
        raise BadInput("the URL of a webhook has no query", remedy="write it like https://www.example.org/replies")
    operation = Operation(
        NAME,
        NAME,
        "POST",
        parts.path or "/",
        tuple(
            Field(name, path, "service", "the system that talks over REST", personal) for name, path, personal in _PATHS
        ),
        answer="bytes",
        signed_by=tuple(SecretFile(file) for file in (keys / "key.next", keys / "key") if file.exists()),
    )
    return Client([Origin(NAME, f"{parts.scheme}://{parts.netloc}", tuple(networks))], [operation])


class Webhook:
    """Sends the replies of all partitions from `start` to `close`."""

    def __init__(
        self,
        conversations: Conversations,
        keys: KeyStore,
        mapper: SealingMapper,
        client: Client,
        *,
        idle_us: int,
        outstanding: Outstanding,
        limits: EffectLimits,
        taken: Callable[[Spoken], None],
        clock: Callable[[], int] = now_us,
    ) -> None:
        """`taken` is told, in some thread, what the other system has taken."""
        self._keys = keys
        self._taken = taken
        self._mapper = mapper
        self._client = client
        self._idle_us = idle_us
        self._clock = clock
        self._effects = [
            Effects(
                conversations.partition(number),
                self._wanted,
                self._begin,
                name=NAME,
                outstanding=outstanding,
                limits=limits,
                clock=clock,
            )
            for number in range(conversations.partitions)
        ]

    def start(self) -> None:
        for effects in self._effects:
            effects.start()

    def _wanted(self, accepted: Accepted) -> Sequence[Wanted]:
        found = []
        for place, event in enumerate(accepted.commit.packed):
            if event[2] not in (Answered.TOPIC, MessageSent.TOPIC) or place in accepted.void:
                continue
            if read_header(event[3]).channel == CHANNEL:
                spoken = self._spoken(stored(event), spoken_of.number_of(accepted.offset, place))
                if spoken is not None and spoken.replies:
                    found.append(Wanted(delivered_id(spoken), (event, spoken.number)))
        return found

    def _spoken(self, event: StoredEvent, number: int) -> Spoken | None:
        """None for who was erased or restricted."""
        opened = self._mapper.open(event, "service")
        if isinstance(opened, Answered):
            return spoken_of.answered(opened, number)
        return spoken_of.sent(opened, number) if isinstance(opened, MessageSent) else None

    def _begin(self, wanted: Wanted) -> Future[StoredEvent]:
        """Raises `SubjectErased` where nobody may be told any more."""
        event, number = cast(tuple[Packed, int], wanted.about)
        spoken = self._spoken(stored(event), number)
        if spoken is None:
            raise SubjectErased("what was to be sent may not be opened any more")
        made: Future[StoredEvent] = Future()
        if self._clock() - read_header(event[3]).at_us > self._idle_us:
            made.set_result(self._delivered(spoken, FAILED))
            return made
        sent = self._client.submit(NAME, self._body(spoken), key=delivered_id(spoken).hex)
        sent.add_done_callback(lambda ended: self._ended(spoken, ended, made))
        return made

    def _body(self, spoken: Spoken) -> dict[str, Any]:
        names = [name for channel, name in self._keys.identities(spoken.subject) if channel == CHANNEL]
        if not names:
            raise SubjectErased(f"subject {spoken.subject} has no name on the channel any more")
        account, _, sender = names[0].partition(":")
        return {
            "type": "reply",
            "account": account,
            "sender": sender,
            "interaction": str(spoken.interaction),
            "number": spoken.number,
            "replies": replies_of(spoken),
        }

    def _ended(self, spoken: Spoken, ended: Future[Answer], made: Future[StoredEvent]) -> None:
        try:
            answer = ended.result()
            if answer.outcome is not Outcome.OK and answer.status not in _FINAL:
                raise Unavailable("the webhook was not taken")
            made.set_result(self._delivered(spoken, DELIVERED if answer.outcome is Outcome.OK else FAILED))
            if answer.outcome is Outcome.OK:
                self._taken(spoken)
        except BaseException as error:  # whoever waits for the outcome gets it
            made.set_exception(error)

    def _delivered(self, spoken: Spoken, outcome: str) -> StoredEvent:
        return self._mapper.to_stored_event(
            Delivered(
                originator_id=delivered_id(spoken),
                subject=spoken.subject,
                at_us=self._clock(),
                channel=spoken.channel,
                interaction_id=spoken.interaction,
                step=spoken.step,
                outcome=outcome,
            )
        )

    def close(self) -> None:
        """Begins nothing more, and waits for what is under way."""
        for effects in self._effects:
            effects.close()
        self._client.close()
