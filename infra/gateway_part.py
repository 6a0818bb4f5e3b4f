"""The serve part `gateway`: the channels of the home's assistant, its pages, and what they ask of the vault, on one address."""

from __future__ import annotations

import hmac

from starlette.applications import Starlette

from bot.assistant import Assistant
from bot.channels.channel import Channel
from bot.channels.rest import Rest
from bot.channels.rest_accounts import Accounts
from bot.channels.rest_webhook import Webhook, client_of
from bot.channels.web import Web
from bot.gateway import Gateway, GatewayLimits, Tokens
from bot.gateway.guard import Guard, Refusal, refused
from bot.gateway.pages import Pages, origins_of
from bot.gateway.server import Server
from infra.house import House
from infra.settings import Settings
from vault.effects import EffectLimits
from vault.errors import BadInput
from vault.ids import LogId
from vault.outstanding import Outstanding

WEBHOOK_RETRY_MS = 5_000
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class GatewayPart:
    """Answers from `start` to `close`. `demo`: also shows a page that embeds the chat."""

    def __init__(self, house: House, assistant: Assistant, *, demo: bool = False) -> None:
        settings = house.settings
        self._limits = limits_of(settings)
        self.gateway = Gateway(
            house.conversations, house.keys, house.mapper, house.intake, house.registrar, self._limits
        )
        self._outstanding: Outstanding | None = None
        accounts = Accounts(settings.home / "rest")
        # The host and origin that are ours are known with the port, which may be a free one: they are put in below.
        app = Starlette(exception_handlers={Refusal: refused})
        guard = Guard(app, hosts=(), body_bytes_max=self._limits.body_bytes_max, body_ms=self._limits.body_ms)
        self._server = Server(
            guard,
            host=settings.gateway_host,
            port=settings.gateway_port,
            limits=self._limits,
            opened=self._open,
            closing=self._close_channels,
            closed=self.gateway.close,
        )
        self.origins = _origins(settings, self._server.port)
        guard.hosts = frozenset(origin.partition("://")[2].encode() for origin in self.origins)
        tokens = Tokens(_token_secret(house), hours=self._limits.token_hours)
        self._channels: list[Channel] = [
            Web(self.gateway, assistant, tokens, origins=self.origins),
            Rest(self.gateway, accounts, self._webhook(house, assistant)),
        ]
        for channel in self._channels:
            if channel.name in assistant.channels:
                app.routes.extend(channel.routes())
        sites = origins_of(settings.gateway_sites)
        app.routes.extend(Pages(assistant, origins=self.origins, sites=sites, demo=demo).routes())

    def _webhook(self, house: House, assistant: Assistant) -> Webhook | None:
        settings = house.settings
        if not settings.gateway_webhook:
            return None
        self._outstanding = Outstanding(house.folder / "state" / "webhooks.db", LogId(house.identity.log_id))
        return Webhook(
            house.conversations,
            house.keys,
            house.mapper,
            client_of(settings.gateway_webhook, settings.gateway_webhook_networks.split(), settings.home / "webhook"),
            idle_us=assistant.idle_us,
            outstanding=self._outstanding,
            limits=EffectLimits(retry_ms=WEBHOOK_RETRY_MS),
            taken=self.gateway.delivered_elsewhere,
        )

    @property
    def address(self) -> str:
        """Where the chat is, as a browser is told it."""
        return f"{self.origins[0]}/chat"

    def start(self) -> None:
        self._server.start()

    async def _open(self) -> None:
        await self.gateway.open()
        for channel in self._channels:
            await channel.open()

    async def _close_channels(self) -> None:
        for channel in self._channels:
            await channel.close()

    def close(self) -> None:
        self._server.close()
        if self._outstanding is not None:
            self._outstanding.close()


def limits_of(settings: Settings) -> GatewayLimits:
    return GatewayLimits(
        burst_messages=settings.gateway_burst_messages,
        minute_messages=settings.gateway_minute_messages,
        waiting_max=settings.gateway_waiting_messages,
        batch_records=settings.batch_records,
        message_bytes_max=settings.message_bytes_max,
        body_bytes_max=settings.gateway_body_bytes_max,
        body_ms=settings.gateway_body_ms,
        reply_ms=settings.gateway_reply_ms,
        connections_max=settings.gateway_connections,
        replay_max=settings.gateway_replay_messages,
        replay_records=settings.gateway_replay_records,
        token_hours=settings.gateway_token_hours,
    )


def _origins(settings: Settings, port: int) -> tuple[str, ...]:
    """Where browsers may find the pages; the first is the one that is told."""
    if settings.gateway_origin:
        origins = origins_of(settings.gateway_origin)
        if not origins:
            raise BadInput("gateway_origin is blank", remedy="write it like https://chat.example.org")
        return origins
    host = f"[{settings.gateway_host}]" if ":" in settings.gateway_host else settings.gateway_host
    hosts = dict.fromkeys((host, *LOOPBACK) if host in LOOPBACK else (host,))
    return tuple(f"http://{each}:{port}" for each in hosts)


def _token_secret(house: House) -> bytes:
    """A key of its own, made from one of the home's, so that tokens outlive a restart and nothing more has to be kept."""
    return hmac.digest(house.keks.secret("index"), b"parloir gateway: tokens of conversations, version 1", "sha256")
