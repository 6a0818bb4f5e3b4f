"""Threads that do one origin's calls: bounded in number, with a bounded line of those who wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """At most `threads` at once and `waiting` more, in order of arrival. Thread-safe.

    Not a `ThreadPoolExecutor`: that one's line has no limit, and where no thread can be started it raises and yet may do the work.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._name = name
        self._threads_max = threads
        self._waiting = waiting
        self._changed = threading.Condition()
        self._line: deque[tuple[Callable[[], T], Future[T]]] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._closed = False

    def submit(self, work: Callable[[], T]) -> Future[T] | None:
        """The result to come, or None: closed, full, or the machine has no thread to give; then the work is never done."""
        future: Future[T] = Future()
        with self._changed:
            taken = self._busy + len(self._line)
            if self._closed or taken >= self._threads_max + self._waiting:
                return None
            if taken >= len(self._threads) < self._threads_max and not self._started() and not self._threads:
                return None
            self._line.append((work, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Takes no more, and waits until what was taken is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _started(self) -> bool:
        """Whether one more thread could be started; without, the others go on."""
        thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            work, future = taken
            if not future.set_running_or_notify_cancel():  # whoever waited gave up
                self._free()
                continue
            try:
                result = work()
            except BaseException as error:  # whoever waits for the result gets it
                self._free()
                future.set_exception(error)
            else:
                self._free()
                future.set_result(result)

    def _free(self) -> None:
        """Before the result is told, so that whoever hears it finds the place free."""
        with self._changed:
            self._busy -= 1

    def _next(self) -> tuple[Callable[[], T], Future[T]] | None:
        with self._changed:
            while not self._line:
                if self._closed:
                    return None
                self._changed.wait()
            self._busy += 1
            return self._line.popleft()
