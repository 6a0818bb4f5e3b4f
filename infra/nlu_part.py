"""The part `nlu` of a serving process: the model of understanding, trained where there is none yet, and the worker that asks it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from threadpoolctl import threadpool_limits

from bot.read import read_assistant
from infra.assistants import folder_of
from infra.house import House
from infra.learning import is_over, seals
from infra.nlu_verbs import plugs
from nlu.checking import usable
from nlu.in_service import InService
from nlu.mentions import Mentions
from nlu.sealed_model import model_of
from nlu.understanding import Understanding
from nlu.worker import UnderstandingWorker
from vault.errors import StartRefused, Unavailable, VaultError
from vault.follow import Follower, FollowLimits

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


def open_model(house: House) -> InService:
    """The model of a home. Raises `BadInput` where there is none and `StartRefused` for one that is unfit.

    When the time of a model of people is over while it is in service, messages wait until one of the assistant's examples alone is trained.
    """
    plugged, opening = plugs(), seals(house)

    def load(path: Path) -> Understanding:
        return Understanding.load(path, plugged, opening)[0]

    beginning = threading.Lock()

    def check(model: Understanding) -> None:
        if model.sealed is None:
            return
        try:
            opening.check(model.sealed)
        except StartRefused as error:
            if house.settings.assistant and beginning.acquire(blocking=False):
                threading.Thread(target=begin_again, name="training", daemon=True).start()
            raise Unavailable(str(error)) from error

    def begin_again() -> None:
        try:
            train_where_missing(house, lambda what, done, total: None)
        except VaultError as error:  # it is not tried again: whoever reads this has to do something
            log.error("no model", extra={"reason": str(error)})
        else:
            beginning.release()

    return InService(house.model_path, load, check)


def train_where_missing(house: House, progress: Progress) -> bool:
    """Trains the assistant's model where the home has none that may answer; whether it did. A later one is trained by `parloir train`.

    So a model of people whose time is over is replaced by one of the assistant's examples alone.
    """
    if not house.settings.assistant or (house.model_path.exists() and not is_over(house, house.model_path)):
        return False
    training = usable(folder_of(house.settings.assistant))
    understanding, metrics = Understanding.train(training, plugs(), progress)
    made_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    over = model_of(house.model_path)
    digest = understanding.save(house.model_path, trained_on=training.digest(), made_at=made_at, metrics=metrics)
    if over is not None:
        house.keys.end_model(over)
    log.info("model trained", extra={"model": digest[:12], "records": len(training.places)})
    return True


class NluPart:
    """Understands every message of the home, from `start` until `close`."""

    def __init__(self, house: House, progress: Progress) -> None:
        train_where_missing(house, progress)
        # Batches are small: more threads in linear algebra only wait for each other, and for the partitions' own threads.
        threadpool_limits(1)
        settings = house.settings
        assistant = settings.assistant
        zone = read_assistant(folder_of(assistant)).zone if assistant else "UTC"
        worker = UnderstandingWorker(
            house.model,
            house.keys,
            house.mapper,
            house.conversations,
            zone=zone,
            people_max=settings.nlu_people_max,
            read_back_records=settings.nlu_read_back_records,
            on_understood=Mentions(house.keys),
            on_redacted=house.keys.redact,
        )
        self._follower = Follower(
            house.conversations, worker, limits=FollowLimits(batch_records=settings.nlu_batch_records)
        )
        self._house = house

    def start(self) -> None:
        self._house.followers[UnderstandingWorker.name] = self._follower
        self._follower.start()

    def close(self) -> None:
        self._follower.close()
