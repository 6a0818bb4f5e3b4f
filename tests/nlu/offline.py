"""Trains, parses and runs the worker while every way out of the machine is refused, and says what tried to get out.

    python -m tests.nlu.offline ASSISTANT HOME LOG [probe]

LOG is the setting `log` of the home that is made. Prints JSON: `understood`, and `attempts`, each an audit event of Python's with where it
would have gone. `probe` makes one attempt on purpose.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
from contextlib import suppress
from pathlib import Path

attempts: list[str] = []
OUTWARD = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto"}
)


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook, which cannot be taken away again: an error for whoever goes anywhere but to this machine."""
    if event not in OUTWARD:
        return
    where = arguments[-1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    host = where[0] if isinstance(where, tuple) else where
    if not is_here(host, is_address=isinstance(where, tuple) or event != "socket.connect"):
        attempts.append(f"{event} {where}")
        raise OSError(f"refused: {event}")


def is_here(host: object, *, is_address: bool) -> bool:
    """Whether a host is this one. What is no address of the network (a Unix socket's path, none at all) is here."""
    if not is_address or host in (None, "", b"", "localhost", b"localhost"):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    with suppress(ValueError):
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    return False


def main(assistant: str, home: str, log: str, probe: str = "") -> None:
    sys.addaudithook(refuse)  # before anything of ours, or of others, is imported
    from infra.house import House
    from infra.nlu_verbs import plugs
    from infra.serve import Serving
    from infra.settings import Settings
    from nlu.understanding import Understanding
    from tests.nlu.conftest import HOSTILE
    from tests.nlu.following import message
    from vault.interaction import Understood

    settings = Settings(home=Path(home), log=log, log_partitions=1, assistant=assistant)
    with House(settings) as house:
        serving = Serving(house, {"nlu"})  # trains at the first start
        understanding, _ = Understanding.load(house.model_path, plugs())
        understanding.parse([*HOSTILE, "write to visitor@example.org, http://example.com, +33 1 99 00 12 34"])
        house.intake.receive([message(f"say book one, at 10 tomorrow, {n}@example.org", n) for n in range(20)])
        partition = house.conversations.partition(0)
        count = 0
        while count < 20:
            end = partition.next_offset
            count = sum(
                event.topic == Understood.TOPIC
                for accepted in (partition.recent(0, 1_000) or ([], 0))[0]
                for event in accepted.standing()
            )
            if count < 20:
                partition.advance(end, 1_000)
        serving.close()
    if probe:
        for attempt in (
            lambda: socket.socket().connect(("192.0.2.1", 80)),
            lambda: socket.getaddrinfo("example.org", 443),
        ):
            with suppress(OSError):
                attempt()
    print(json.dumps({"understood": count, "attempts": attempts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
