"""What a reviewer says of a message: an event beside it, in the log.

It names the interaction and never repeats its words. It is sealed like all that the person said, so it is in their report, goes with them
when they are erased, and cannot be read for improvement once they withdraw: there is no other place that would have to be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlu.from_log import ACCEPTED, CORRECTED, REJECTED, Heard, Reading
from nlu.marks import NAME
from vault.commit import Commit
from vault.conversations import Conversations
from vault.errors import AppendRefused, BadInput, SubjectErased
from vault.fold import Verdict
from vault.interaction import Reviewed, companion_id
from vault.mapper import SealingMapper

INTENT_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Review:
    """What is to be said of a message. `intent` is what it means instead, where it was corrected."""

    heard: Heard
    verdict: str
    intent: str = ""

    def meant(self) -> str:
        """What the message means by this review. Raises `BadInput` for one that says nothing."""
        if self.verdict == REJECTED:
            return ""
        if self.verdict == ACCEPTED:
            if not self.heard.intent:
                raise BadInput(
                    f"nothing was understood at {self.heard.reference} that could be accepted",
                    remedy="say what it means: `parloir review correct REF INTENT`",
                )
            return self.heard.intent
        if self.verdict != CORRECTED:
            raise BadInput("a review accepts, corrects or rejects")
        if not NAME.fullmatch(self.intent) or len(self.intent) > INTENT_CHARACTERS_MAX:
            raise BadInput(
                "that is no name of an intent", remedy="begin with a letter, then letters, digits and _ . / -"
            )
        return self.intent


def append(
    conversations: Conversations,
    mapper: SealingMapper,
    reading: Reading,
    reviews: Sequence[Review],
    *,
    decided_by: str,
    at_us: int,
) -> None:
    """Appends reviews of messages that `reading` found, one commit each.

    Raises `BadInput` before anything is appended, `SubjectErased` for a message whose person is gone meanwhile, and `AppendRefused` where
    somebody else reviewed it at the same time; those before stand.
    """
    meant = [review.meant() for review in reviews]
    for review, intent in zip(reviews, meant, strict=True):
        heard = review.heard
        event = Reviewed(
            originator_id=companion_id(heard.interaction, Reviewed.TOPIC, heard.reviews),
            subject=heard.subject,
            at_us=at_us,
            channel=heard.channel,
            interaction_id=heard.interaction,
            verdict=review.verdict,
            intent=intent,
            decided_by=decided_by,
        )
        number = heard.learnt.partition
        commit = Commit.of((mapper.to_stored_event(event),), based_on=reading.ends[number])
        ((_, judged),) = conversations.partition(number).append([commit])
        if judged.verdict is not Verdict.ACCEPTED:
            raise AppendRefused(
                f"the message at {heard.reference} was reviewed by somebody else at the same time",
                remedy="list it again with `parloir review`",
            )
        if judged.void:
            raise SubjectErased(f"subject {heard.subject} was erased: nothing can be said of their messages any more")
