"""The projection made anew from the logs, beside the old one, which serves until it is replaced."""

from __future__ import annotations

from collections.abc import Callable

from projections.worker import Projector


def rebuild(projector: Projector, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Builds a new file from the logs' beginnings and puts it in place of the store's. Returns how many events it holds.

    What was deleted is not in the new file. A partition that cannot be read to its end keeps the old file in place and raises its
    `PartitionStopped`. A crash at any point leaves a file that can be used: the old one or the new one.
    """
    store = projector.store
    beside = store.beside(".new")
    try:
        anew = Projector(
            beside, projector.conversations, projector.register, projector.keys, projector.mapper, projector.limits
        )
        try:
            anew.catch_up(progress=progress)
        finally:
            anew.close()
        for stopped in anew.stopped.values():
            raise stopped
        events = anew.projected
        store.replace_by(beside)
    except BaseException:
        beside.discard()
        raise
    return events
