"""Understanding by a trained model, as the dialogue asks for it: for `parloir test` and `parloir talk`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.understood import Entity, Ranked, Reading, Understood
from infra.nlu_verbs import plugs
from nlu.span import Span, plain_value
from nlu.understanding import Understanding

OUTCOMES = {"understood": Reading.SURE, "unsure": Reading.UNSURE, "unclear": Reading.NONE}
"""What the model decides, in the dialogue's words."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Trained:
    """A model, in one assistant's time zone."""

    def __init__(self, model: Understanding, zone: str) -> None:
        self._model = model
        self._zone = zone

    @classmethod
    def load(cls, path: Path, zone: str) -> Trained:
        """From a model file. Raises `BadInput` where there is none, `StartRefused` for one that is unfit."""
        return cls(Understanding.load(path, plugs())[0], zone)

    def understand(self, text: str, *, id: str, at_us: int, channel: str, language: str) -> Understood:
        at = _EPOCH + timedelta(microseconds=at_us)
        (found,) = self._model.parse([text], at, self._zone, [language or None])
        entities = [_entity(text, span) for span in found.entities]
        kinds = {entity.kind for entity in entities}
        entities += [_entity(text, span) for span in found.personal if span.kind not in kinds]
        return Understood(
            id=id,
            at_us=at_us,
            text=text,
            language=found.language,
            language_confidence=1.0,
            intents=tuple(Ranked(intent, confidence) for intent, confidence in found.intents),
            entities=tuple(entities),
            channel=channel,
            outcome=OUTCOMES[found.decision],
        )


def _entity(text: str, span: Span) -> Entity:
    return Entity(span.kind, plain_value(span, text), text[span.start : span.end])
