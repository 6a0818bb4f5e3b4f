"""The serve parts `bot` and `caller`: the dialogue as a follower of the log, and what it wants done beside it."""

from __future__ import annotations

from bot.assistant import Assistant
from bot.caller import Caller
from bot.connectors import client_of, origins_of
from bot.memory import MemoryLimits
from bot.worker import BotWorker
from infra.house import House
from vault.effects import EffectLimits
from vault.follow import Follower
from vault.ids import LogId
from vault.outstanding import Outstanding


class BotPart:
    """Decides from `start` to `close`."""

    def __init__(self, house: House, assistant: Assistant) -> None:
        settings = house.settings
        limits = MemoryLimits(
            people_max=settings.bot_people_max,
            states_bytes_max=settings.bot_states_mb * 1_000_000 // settings.log_partitions,
            read_back_max=settings.bot_read_back_records,
            read_timeout_ms=settings.append_timeout_ms,
        )
        self._worker = BotWorker(assistant, house.mapper, house.keys, limits=limits)
        self.follower = Follower(house.conversations, self._worker, on_begin=self._worker.begin)
        house.followers[self._worker.name] = self.follower

    def start(self) -> None:
        self.follower.start()

    def close(self) -> None:
        self.follower.close()
        self._worker.close()


class CallerPart:
    """Calls connectors and keeps the time from `start` to `close`."""

    def __init__(self, house: House, assistant: Assistant) -> None:
        settings = house.settings
        self._client = client_of(assistant, origins_of(settings.caller_origins, assistant))
        self._outstanding = Outstanding(house.folder / "state" / "effects.db", LogId(house.identity.log_id))
        self.caller = Caller(
            house.conversations,
            house.mapper,
            self._client,
            idle_us=assistant.idle_us,
            outstanding=self._outstanding,
            limits=EffectLimits(
                begun_max=settings.caller_calls_max,
                open_max=settings.caller_open_max,
                retry_ms=settings.caller_retry_ms,
            ),
        )

    def start(self) -> None:
        self.caller.start()

    def close(self) -> None:
        self.caller.close()
        self._client.close()
        self._outstanding.close()
