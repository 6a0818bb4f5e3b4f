"""What an assistant understands of messages: language, intents, entities and personal data, from one model file.

Intents and language are always there. What finds entities (trained with the assistant) and what finds personal data (the same for every
assistant) are plugged in by whoever wires the program: see `Plugs`. Without them nothing of their kind is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from nlu.example import Example
from nlu.features import Speakers
from nlu.intents import Decision, Intents
from nlu.language import Languages
from nlu.model_file import Arrays, Json, Model, Parts, model_bytes, read_model, write_model
from nlu.sealed_model import Seals
from nlu.span import Span
from nlu.text import CHARACTERS_MAX, fold
from nlu.training_files import Training
from vault.errors import StartRefused

EXPECTED = 0.85
"""How probable it is that a message is in the language of the conversation so far."""

Progress = Callable[[str, int, int], None]


class EntityFinder(Protocol):
    """Finds entities; trained with the assistant and kept in its model file."""

    def find(
        self,
        texts: Sequence[str],
        at: datetime | Sequence[datetime],
        zone: str,
        languages: Sequence[str],
        intents: Sequence[str] | None = None,
    ) -> list[list[Span]]: ...

    def parts(self) -> tuple[Json, Arrays]: ...


class PersonalFinder(Protocol):
    """Finds personal data."""

    def find(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Span]]: ...


@dataclass(frozen=True, slots=True)
class Plugs:
    """What is plugged in: how entities are learnt from training files and brought back from a model file, and what finds personal data."""

    train_entities: Callable[[Training], EntityFinder] | None = None
    load_entities: Callable[[Json, Arrays], EntityFinder] | None = None
    personal: PersonalFinder | None = None


BARE = Plugs()


@dataclass(frozen=True, slots=True)
class Understood:
    """`language_score` and confidences are between 0 and 1. `cut`: the message was longer than is read."""

    language: str
    language_score: float
    intents: tuple[tuple[str, float], ...]
    decision: Decision
    entities: tuple[Span, ...] = ()
    personal: tuple[Span, ...] = ()
    cut: bool = False

    @property
    def surest(self) -> str:
        """The first intent; "" where nothing of the message is known, so that the first means nothing."""
        intent, confidence = self.intents[0]
        return intent if confidence else ""

    def as_json(self, text: str) -> Json:
        """For printing: spans with the text they are of."""
        return {
            "language": self.language,
            "language_score": round(self.language_score, 4),
            "decision": self.decision,
            "intents": [{"intent": name, "confidence": round(sure, 4)} for name, sure in self.intents],
            "entities": [_span(text, span) for span in self.entities],
            "personal": [_span(text, span) for span in self.personal],
            "cut": self.cut,
        }


@dataclass(frozen=True, slots=True)
class Said:
    """Examples that people said, masked and confirmed; `people`: a number a person, from 1. What fewer than `persons_min` said, and no
    author wrote, is not kept."""

    examples: Sequence[Example]
    people: Sequence[int]
    persons_min: int


class Understanding:
    """Made by `train` or `load`; `parse` answers. `digest` names the model: 64 hexadecimal digits, or "" before it is saved.
    `sealed`: the id under which it was sealed, where it was trained on people."""

    def __init__(
        self,
        intents: Intents,
        languages: Languages,
        entities: EntityFinder | None = None,
        personal: PersonalFinder | None = None,
        synonyms: Mapping[str, str] | None = None,
        digest: str = "",
    ) -> None:
        self.digest = digest
        self.sealed: UUID | None = None
        self._intents = intents
        self._languages = languages
        self._entities = entities
        self._personal = personal
        self._synonyms = dict(synonyms or {})

    @classmethod
    def train(
        cls,
        training: Training,
        plugs: Plugs = BARE,
        progress: Progress = lambda what, done, total: None,
        *,
        calibrate: bool = True,
        said: Said | None = None,
    ) -> tuple[Understanding, Json]:
        """Learns everything from an assistant's examples; the second is what cross-validation measured, if `calibrate`.

        What people `said` teaches intents only: languages and entities keep the words that they learn.
        """
        examples, speakers = training.examples, None
        if said is not None:
            speakers = Speakers([*[0] * len(examples), *said.people], said.persons_min)
            examples = [*examples, *said.examples]
        intents, metrics = Intents.train(examples, calibrate=calibrate, progress=progress, speakers=speakers)
        languages = Languages.train(training.by_language())
        entities = plugs.train_entities(training) if plugs.train_entities else None
        synonyms = {fold(said): value for said, value in training.synonyms.items()}
        return cls(intents, languages, entities, plugs.personal, synonyms), metrics

    def parse(
        self,
        texts: Sequence[str],
        at: datetime | Sequence[datetime] | None = None,
        zone: str | None = None,
        languages: Sequence[str | None] | None = None,
        before: Sequence[str] | None = None,
    ) -> list[Understood]:
        """One answer a text, whatever it is; a batch is several times faster a text than one by one.

        `at` (now, if None; one for all or one each) and `zone` (IANA; UTC, if None) are when and where the messages were sent, for dates.
        `languages`: of the conversation so far, one a text, where known. `before`: what was meant last in it, "" where not known.
        """
        read = [text[:CHARACTERS_MAX] for text in texts]
        priors = [_prior(one) for one in languages] if languages else [None] * len(read)
        spoken = [self._languages.name(text, prior) for text, prior in zip(read, priors, strict=True)]
        names = [name for name, _ in spoken]
        rankings = self._intents.rank(read, before)
        nothing: list[list[Span]] = [[] for _ in read]
        firsts = [ranking.intents[0][0] for ranking in rankings]
        sent = datetime.now(UTC) if at is None else at
        entities = self._entities.find(read, sent, zone or "UTC", names, firsts) if self._entities else nothing
        personal = self._personal.find(read, names) if self._personal else nothing
        return [
            Understood(
                language=spoken[row][0],
                language_score=spoken[row][1],
                intents=rankings[row].intents,
                decision=rankings[row].decision,
                entities=tuple(self._valued(read[row], span) for span in entities[row]),
                personal=tuple(personal[row]),
                cut=len(texts[row]) > CHARACTERS_MAX,
            )
            for row in range(len(texts))
        ]

    def _valued(self, text: str, span: Span) -> Span:
        """An entity that has no value yet has the one that its words are a synonym of, if they are."""
        value = self._synonyms.get(fold(text[span.start : span.end])) if span.value is None else None
        return span if value is None else replace(span, value=value)

    def save(self, path: Path, *, trained_on: str, made_at: str, metrics: Json) -> str:
        """Writes the model file and returns its digest. `made_at` is the caller's: the same data and date give the same bytes."""
        return write_model(path, self._parts(), trained_on=trained_on, made_at=made_at, metrics=metrics)

    def as_bytes(self, *, trained_on: str, made_at: str, metrics: Json) -> bytes:
        """The same bytes, for whoever seals them first."""
        return model_bytes(self._parts(), trained_on=trained_on, made_at=made_at, metrics=metrics)

    def _parts(self) -> Parts:
        parts: Parts = {
            "intents": self._intents.parts(),
            "languages": self._languages.parts(),
            "synonyms": (self._synonyms, {}),
        }
        if self._entities:
            parts["entities"] = self._entities.parts()
        return parts

    @classmethod
    def load(cls, path: Path, plugs: Plugs = BARE, seals: Seals | None = None) -> tuple[Understanding, Model]:
        """From a model file. Raises `BadInput` where there is none and `StartRefused` for one that is unfit.

        `seals` opens one that was trained on people; without it such a model is refused.
        """
        model = read_model(path, seals)
        try:
            entities = None
            if plugs.load_entities and "entities" in model.parts:
                entities = plugs.load_entities(*model.parts["entities"])
            intents = Intents.from_parts(*model.parts["intents"])
            languages = Languages.from_parts(*model.parts["languages"])
            synonyms, _ = model.parts["synonyms"]
        except (KeyError, ValueError, TypeError, IndexError):
            raise StartRefused(
                f"{path} lacks a part that this program needs", remedy="train it again with `parloir train FOLDER`"
            ) from None
        understanding = cls(intents, languages, entities, plugs.personal, synonyms, model.digest)
        understanding.sealed = model.sealed
        return understanding, model


def _prior(language: str | None) -> float | None:
    return {"fr": EXPECTED, "en": 1 - EXPECTED}.get(language or "")


def _span(text: str, span: Span) -> Json:
    return {
        "start": span.start,
        "end": span.end,
        "type": span.kind,
        "text": text[span.start : span.end],
        "value": span.value,
        "score": round(span.score, 4),
        "found_by": span.found_by,
    }
