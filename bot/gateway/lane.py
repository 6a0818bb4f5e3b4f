"""One thread that works in batches: what arrives while a batch is under way is the next one, so nobody waits for a timer.

The event loop never waits for the log or the key store; it waits here, without blocking.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from vault.errors import LimitExceeded

T = TypeVar("T")
R = TypeVar("R")


class Lane(Generic[T, R]):
    """Belongs to one event loop. `work` is called in the lane's thread with at most `at_once` items, and gives a result for each."""

    def __init__(
        self, name: str, work: Callable[[Sequence[T]], Sequence[R | Exception]], *, at_once: int, waiting_max: int
    ) -> None:
        self._name = name
        self._work = work
        self._at_once = at_once
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def put(self, item: T) -> asyncio.Future[R]:
        """The result, when it is there. Raises `LimitExceeded` when too many wait."""
        if len(self._waiting) >= self._waiting_max:
            raise LimitExceeded(f"{self._waiting_max} wait for {self._name}", remedy="try again in a moment")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._at_once))]
                try:
                    results = await loop.run_in_executor(self._thread, self._work, [item for item, _ in batch])
                except Exception as error:
                    results = [error] * len(batch)
                for (_, future), result in zip(batch, results, strict=True):
                    if future.done():  # whoever waited has gone
                        continue
                    if isinstance(result, Exception):
                        future.set_exception(result)
                    else:
                        future.set_result(result)
        finally:
            self._running = None

    async def close(self) -> None:
        """Waits for what is under way and what waits."""
        while self._running is not None:
            await asyncio.shield(self._running)
        self._thread.shutdown()
