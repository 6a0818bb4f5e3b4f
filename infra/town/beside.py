"""The town's information system in this process, for the demonstration: there from `start` to `close`, on loopback."""

from __future__ import annotations

from bot.gateway import GatewayLimits
from bot.gateway.server import Server
from infra.town.app import create


async def _nothing() -> None:
    pass


class TownBeside:
    """Raises `StartRefused` when the port is taken."""

    def __init__(self, port: int) -> None:
        self._server = Server(
            create(),
            host="127.0.0.1",
            port=port,
            limits=GatewayLimits(),
            opened=_nothing,
            closing=_nothing,
            closed=_nothing,
        )

    def start(self) -> None:
        self._server.start()

    def close(self) -> None:
        self._server.close()
