"""The gateway's door for whoever wires it: `Gateway`, its limits, and the server that puts channels and pages on the network."""

from bot.gateway.gateway import Gateway
from bot.gateway.limits import GatewayLimits
from bot.gateway.token import Tokens

__all__ = ["Gateway", "GatewayLimits", "Tokens"]
