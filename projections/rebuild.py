"""The projection made anew from the logs, as the next file beside the one in service, which serves until it is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from projections import removal
from projections.file import insert
from projections.store import Removed, Store
from projections.worker import Projector


def rebuild(projector: Projector, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Builds a new file from the logs' beginnings and puts it in place of the store's. Returns how many events it holds.

    What was deleted is not in the new file; what it counted is, since that cannot be read from the logs again. A partition that
    cannot be read to its end keeps the old file in place and raises its `PartitionStopped`. A crash at any point leaves the old
    file or the new one. One at a time: waits while another file is being made.
    """
    store = projector.store
    with store.making_another:
        beside = store.beside()
        try:
            anew = Projector(
                beside,
                projector.conversations,
                projector.register,
                projector.keys,
                projector.mapper,
                projector.limits,
                partitions=projector.followed,
            )
            try:
                _catch_up(anew, progress)
                with (
                    store.writing() as old
                ):  # from here to the swap nothing is stored, so nobody sees the projection go back
                    _catch_up(anew, lambda done, total: None)
                    _carry_counts(old, beside)
                    store.replace_by(beside)
            finally:
                anew.close()
        except BaseException:
            beside.discard()
            raise
    store.wait_for_ended()
    return anew.projected


def _catch_up(anew: Projector, progress: Callable[[int, int], None]) -> None:
    anew.catch_up(progress=progress)
    for stopped in anew.stopped.values():
        raise stopped


def _carry_counts(old: Any, beside: Store) -> None:
    """The counts without persons, as they are once the old file has removed everything that the new one has."""
    removed = beside.removed or Removed()
    old.execute("BEGIN")
    removal.remove_interactions(old, removed.interactions, counting=True)
    removal.remove_persons(old, removed.persons, counting=True)
    gone = old.sql(f"SELECT {removal.GONE} FROM gone_daily ORDER BY ALL").to_arrow_table()  # noqa: S608 (our names)
    old.execute("ROLLBACK")
    with beside.writing() as new:
        new.execute("BEGIN")
        insert(new, "gone_daily", gone)
        new.execute("COMMIT")
