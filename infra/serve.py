"""`parloir serve`: everything of one home in one process, until it is told to stop.

Each part is imported where it is wanted, so that no process loads a web server or a model's arithmetic that it has no use for.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from infra.control import Server
from infra.house import House
from infra.verbs import VERBS
from projections.upkeep import Upkeep
from vault.errors import BadInput
from vault.registrar import RegistrarWorker

if TYPE_CHECKING:
    from infra.bot_part import BotPart, CallerPart
    from infra.gateway_part import GatewayPart
    from infra.nlu_part import NluPart

log = logging.getLogger(__name__)

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]


class Serving:
    """A house being served: its followers run, its socket answers."""

    def __init__(
        self, house: House, wanted: set[str], progress: Progress = lambda what, done, total: None, *, demo: bool = False
    ) -> None:
        """`progress` hears of what takes long before anything is served: training at the first start. `demo`: the gateway also shows a
        page of a site that embeds the chat."""
        self.house = house
        self.requests = 0
        self._registrar = RegistrarWorker(house.registrar, every_ms=house.settings.registrar_retry_ms)
        if "registrar" in wanted:
            self._registrar.start()
        self._upkeep: Upkeep | None = None
        if "projections" in wanted:
            house.projector.start()
            self._upkeep = Upkeep(house.projector, house.upkeep_limits())
            self._upkeep.start()
        self._nlu: NluPart | None = None
        if "nlu" in wanted:
            from infra.nlu_part import NluPart

            self._nlu = NluPart(house, progress)
            self._nlu.start()
        self.caller: CallerPart | None = None
        self.bot: BotPart | None = None
        if wanted & {"bot", "caller"}:
            from infra.bot_part import BotPart, CallerPart

            self.caller = CallerPart(house, house.assistant) if "caller" in wanted else None
            self.bot = BotPart(house, house.assistant) if "bot" in wanted else None
        for part in (self.caller, self.bot):
            if part is not None:
                part.start()
        self.gateway: GatewayPart | None = None
        if "gateway" in wanted:  # last: whoever writes finds everything else at work
            from infra.gateway_part import GatewayPart

            self.gateway = GatewayPart(house, house.assistant, demo=demo)
            self.gateway.start()
        self._server = Server(house.folder, self._answer)

    def _answer(self, verb: str, arguments: Json, progress: Progress) -> Json:
        if verb == "ping":
            return {"verbs": sorted(VERBS)}
        if verb == "partitions":
            return {"partitions": sorted(self.house.projector.followed)}
        if verb not in VERBS:
            raise BadInput(f"the serving process does not know {verb}", remedy="restart it with this program's version")
        self.requests += 1
        log.info("request", extra={"verb": verb})
        return VERBS[verb](self.house, arguments, progress)

    def close(self) -> None:
        if self.gateway is not None:
            self.gateway.close()
        for part in (self.bot, self.caller):
            if part is not None:
                part.close()
        self._server.close()
        if self._nlu is not None:
            self._nlu.close()
        self._registrar.close()
        if self._upkeep is not None:
            self._upkeep.close()


def tune_garbage_collection() -> None:
    """Collecting garbage walks everything that is alive, again and again as messages come in. What is open now stays, and the rest is
    mostly freed by itself, so it is done much more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """While a home is opened and filled, SIGTERM ends it as Ctrl-C does: what is open is closed again."""

    def on_signal(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def wait_for_signal(*, or_end_of_input: bool = False) -> str:
    """Blocks until SIGTERM or SIGINT, and where asked until standard input ends; returns which. A second signal ends the process at
    once."""
    told = threading.Event()
    name: list[str] = []

    def on_signal(number: int, _: object) -> None:
        if told.is_set():
            raise SystemExit(130)
        name.append(signal.Signals(number).name)
        told.set()

    def on_end_of_input() -> None:
        sys.stdin.buffer.read()
        name.append("end of input")
        told.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    if or_end_of_input:
        threading.Thread(target=on_end_of_input, name="input", daemon=True).start()
    try:
        while not told.wait(3600):
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return name[0]
