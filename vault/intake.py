"""The door: a message from a channel becomes an accepted, sealed `Received`, once, under the right person.

On the data's way this is what a gateway calls. A message id is claimed before the message is appended; one that was claimed before
is looked for in the log first. So the same webhook twice, at once, after a crash or a week later is stored once. A message that
arrives while its person is being erased is appended under the new person that the same sender is from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from vault.commit import Commit
from vault.conversations import Accepted, Conversations
from vault.errors import AppendRefused, BadInput, SubjectErased
from vault.fold import Verdict
from vault.ids import InteractionId, SubjectId, partition_of
from vault.interaction import ConversationEvent, Received
from vault.keys import Claim, ClaimState, KeyStore
from vault.mapper import SealingMapper
from vault.seal import Packed, packed

ATTEMPTS_MAX = 8
"""How often one message is tried when the log refuses it; each time means that somebody else moved on meanwhile."""

SEALED_AT_ONCE = 500
"""Messages that are sealed before they are sent, so that they travel while the next are sealed."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a person said on a channel. `sender` and `message_id` are the channel's own; `at_us` is microseconds UTC.

    `payload`: what a pressed button sends back; None when somebody wrote.
    `and_then` makes the events that stand in the same commit, versions 2 and up, when a whole recorded turn is taken in at once.
    """

    channel: str
    account: str
    sender: str
    message_id: str
    text: str
    at_us: int
    locale: str | None = None
    and_then: Callable[[InteractionId, SubjectId], Sequence[ConversationEvent]] | None = None
    payload: str | None = None


class Receipt(NamedTuple):
    """Where a message stands in the log; `offset` is None when that was not looked up. `repeated`: it stood there before.

    It stands at or after `since`, and what follows from it after that.
    """

    interaction_id: UUID
    subject: UUID
    partition: int
    offset: int | None
    repeated: bool
    since: int


@dataclass(slots=True)
class _Draft:
    """A message on its way in, under who its sender is now."""

    claim_id: bytes
    message: Message
    subject: UUID
    originator: UUID
    based_on: int = 0
    receipt: Receipt | None = None

    @property
    def partition(self) -> int:
        return partition_of(self.subject)


class Intake:
    """Takes messages in. Thread-safe; batches are much faster than single messages."""

    def __init__(
        self,
        conversations: Conversations,
        keys: KeyStore,
        mapper: SealingMapper,
        *,
        register_new: Callable[[], None],
        message_bytes_max: int = 65_536,
    ) -> None:
        self._conversations = conversations
        self._keys = keys
        self._mapper = mapper
        self._register_new = register_new
        self._message_bytes_max = message_bytes_max

    def receive(self, messages: Sequence[Message]) -> list[Receipt]:
        """Takes messages in and waits until each is accepted, or was before. One person's messages are appended in their order.

        Raises `BadInput` before anything is stored when a message is too long; `LogUnavailable` or `KeysUnavailable` when not
        all could be stored in time: giving the same messages again stores what is missing and doubles nothing.
        """
        self._check(messages)
        claim_id = self._keys.claim_id
        drafts: dict[bytes, _Draft] = {}
        order: list[tuple[_Draft, bool]] = []
        for message in messages:
            named = claim_id(message.channel, message.account, message.sender, message.message_id)
            known = drafts.get(named)
            if known is None:
                drafts[named] = draft = _Draft(named, message, _NOT_YET, _NOT_YET)
                order.append((draft, False))
            else:
                order.append((known, True))
        waiting: list[_Draft] = list(drafts.values())
        for _ in range(ATTEMPTS_MAX):
            self._send(self._ready(waiting))
            waiting = [draft for draft in waiting if draft.receipt is None]
            if not waiting:
                break
        self._keys.complete_claims([draft.claim_id for draft in drafts.values() if draft.receipt is not None])
        if waiting:
            raise AppendRefused(
                f"interaction {waiting[0].originator} and {len(waiting) - 1} more were refused {ATTEMPTS_MAX} times",
                remedy="give the messages again; these are not stored",
            )
        return [_receipt(draft, again=again) for draft, again in order]

    def _check(self, messages: Sequence[Message]) -> None:
        limit = self._message_bytes_max
        for number, message in enumerate(messages):
            try:
                size = len(message.text.encode()) + len((message.payload or "").encode())
                f"{message.channel}{message.account}{message.sender}{message.message_id}{message.locale}".encode()
            except UnicodeEncodeError:
                raise BadInput(
                    f"message {number} of {len(messages)} holds half a surrogate pair, which is no character",
                    remedy="see to the channel's adapter; nothing of the batch was stored",
                ) from None
            if size > limit:
                raise BadInput(
                    f"message {number} of {len(messages)} on channel {message.channel} is longer than "
                    f"message_bytes_max ({limit})",
                    remedy="shorten it or raise the limit; nothing of the batch was stored",
                )

    def _ready(self, drafts: Sequence[_Draft]) -> list[_Draft]:
        """Resolves the people and claims the message ids. Leaves out what stands already, and what is to be tried again."""
        keys, conversations = self._keys, self._conversations
        people = keys.resolve_many(
            [(draft.message.channel, draft.message.sender) for draft in drafts], partitions=conversations.partitions
        )
        if any(person.created for person in people):
            self._register_new()
        ends: dict[int, int] = {}
        claims: list[Claim] = []
        for draft, person in zip(drafts, people, strict=True):
            draft.subject = person.subject
            draft.originator = keys.interaction_id(draft.claim_id, draft.subject)
            number = draft.partition
            draft.based_on = end = ends.get(number, -1)
            if end < 0:
                draft.based_on = end = ends[number] = conversations.partition(number).next_offset
            claims.append(Claim(draft.claim_id, draft.originator, number, end))
        ready: list[_Draft] = []
        pending: list[tuple[_Draft, ClaimState]] = []
        for draft, state in zip(drafts, keys.claim(claims), strict=True):
            if state.is_new:
                ready.append(draft)
            elif state.is_done:
                draft.receipt = Receipt(state.originator, draft.subject, state.partition, None, True, state.end)
            else:
                pending.append((draft, state))
        if pending:
            ready += self._searched(pending)
        return ready

    def _searched(self, pending: Sequence[tuple[_Draft, ClaimState]]) -> list[_Draft]:
        """Looks in the log for messages that were claimed before. Those not there are ours to append."""
        found, ends = self._found(state for _, state in pending)
        ready = []
        for draft, state in pending:
            stands = found.get(state.originator)
            if stands is not None and not stands.void:
                offset = stands.offset
                draft.receipt = Receipt(state.originator, draft.subject, state.partition, offset, True, offset)
                continue
            number = draft.partition
            if number not in ends:
                ends[number] = self._conversations.partition(number).catch_up()
            draft.based_on = ends[number]
            same = state.originator == draft.originator
            # The sender is somebody new since the claim: it may only be moved while it is still what was read.
            if same or self._keys.move_claim(state, Claim(draft.claim_id, draft.originator, number, draft.based_on)):
                ready.append(draft)
        return ready

    def _found(self, states: Iterable[ClaimState]) -> tuple[dict[UUID, Accepted], dict[int, int]]:
        """What stands in the log of claimed originators, and by partition to where it was searched."""
        by_partition: dict[int, list[ClaimState]] = {}
        for state in states:
            by_partition.setdefault(state.partition, []).append(state)
        found: dict[UUID, Accepted] = {}
        ends: dict[int, int] = {}
        for number, of in by_partition.items():
            partition = self._conversations.partition(number)
            ends[number] = end = partition.catch_up()
            found |= partition.find_all({s.originator for s in of}, min(s.end for s in of), end)
        return found, ends

    def _send(self, drafts: Sequence[_Draft]) -> None:
        """Seals and appends. A draft that is accepted gets its receipt; the others are looked at again."""
        self._keys.prepare([(draft.subject, draft.message.at_us) for draft in drafts])
        appending = self._conversations.appending()
        sent: list[tuple[int, list[_Draft]]] = []
        try:
            for at in range(0, len(drafts), SEALED_AT_ONCE):
                for number, sealed in self._sealed(drafts[at : at + SEALED_AT_ONCE]).items():
                    appending.start(number, [commit for _, commit in sealed])
                    sent.append((number, [draft for draft, _ in sealed]))
        finally:
            outcomes = appending.finish()
        for (number, of), judgements in zip(sent, outcomes, strict=True):
            for draft, (offset, judged) in zip(of, judgements, strict=True):
                if judged.verdict is Verdict.ACCEPTED and not judged.void:
                    draft.receipt = Receipt(draft.originator, draft.subject, number, offset, False, offset)
                elif judged.void:
                    self._keys.drop(draft.subject)

    def _sealed(self, drafts: Sequence[_Draft]) -> dict[int, list[tuple[_Draft, Commit]]]:
        """Commits by partition; without those of people who were erased meanwhile."""
        commits: dict[int, list[tuple[_Draft, Commit]]] = {}
        for draft in drafts:
            try:
                commit = Commit(self._seal(draft), based_on=draft.based_on)
            except SubjectErased:
                self._keys.drop(draft.subject)
                continue
            commits.setdefault(draft.partition, []).append((draft, commit))
        return commits

    def _seal(self, draft: _Draft) -> tuple[Packed, ...]:
        message, subject = draft.message, draft.subject
        received = self._mapper.seal_fields(  # without an event object, since every message comes this way
            Received.TOPIC,
            draft.originator,
            1,
            subject,
            message.at_us,
            message.channel,
            {
                "account": message.account,
                "sender": message.sender,
                "message_id": message.message_id,
                "text": message.text,
                "locale": message.locale,
                "payload": message.payload,
            },
        )
        if message.and_then is None:
            return (received,)
        to_stored = self._mapper.to_stored_event
        more = message.and_then(InteractionId(draft.originator), SubjectId(subject))
        return (received, *(packed(to_stored(event)) for event in more))


_NOT_YET = UUID(int=0)


def _receipt(draft: _Draft, *, again: bool) -> Receipt:
    receipt = draft.receipt
    assert receipt is not None
    if not again or receipt.repeated:
        return receipt
    return receipt._replace(repeated=True)
