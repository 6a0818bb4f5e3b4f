"""How fast one sender may write: a bucket that fills slowly, so that a few messages at once are fine and a stream is not."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

SENDERS_MAX = 100_000


class Rate:
    """`burst`: messages at once, `minute`: messages a minute after that. Remembers `SENDERS_MAX` senders, the latest.

    Risk: whoever writes as very many senders makes the buckets of others be forgotten, and so full again; the gateway's queue is
    what bounds all of them together.
    """

    def __init__(self, *, burst: int, minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = float(burst)
        self._a_second = minute / 60
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    def wait_s(self, *sender: str) -> float:
        """0 when the sender may write now, and that is counted; else the seconds until the next message may come."""
        now = self._clock()
        held, at = self._buckets.pop(sender, (self._burst, now))
        held = min(self._burst, held + (now - at) * self._a_second)
        wait = 0.0 if held >= 1 else (1 - held) / self._a_second
        self._buckets[sender] = (held if wait else held - 1, now)
        if len(self._buckets) > SENDERS_MAX:
            self._buckets.popitem(last=False)
        return wait
