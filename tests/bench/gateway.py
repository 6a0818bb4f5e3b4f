"""Figures of the gateway over a real Kafka: one turn at a time, many people at once, idle sockets, and a kill -9 under load.

`python -m tests.bench.gateway` prints them. The server is a process of its own: `parloir serve` with everything that answers, or with
`--repeats` the gateway before a bot that repeats, which shows what the gateway itself costs. The load comes from this process, so both
share the machine.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from infra.broker import Broker
from infra.settings import Settings, load
from tests import services

PARTITIONS = 4
TEXTS = ("Bonjour", "Je voudrais un rendez-vous", "merci", "What documents do I need for a passport?")
"""None of them needs another system, whose time would be measured too."""
Figures = dict[str, float]


class Server:
    """The program, serving a home on a free port."""

    def __init__(self, settings: dict[str, str], *, repeats: bool) -> None:
        self._env = {**os.environ, **{f"PARLOIR_{name.upper()}": value for name, value in settings.items()}}
        self._command = (
            [sys.executable, "-m", "tests.bench.gateway", "--serve"]
            if repeats
            else [sys.executable, "-m", "infra.cli", "serve", "--only", "registrar,gateway,nlu,bot,caller"]
        )
        self.home = Path(settings["home"])
        self.counted: Figures = {}
        """What stands in the log, once the server has stopped."""

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, env=self._env, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "/chat" in line:
                self.port = int(line.split("/chat")[0].rpartition(":")[2])
                break
        else:
            raise SystemExit("the server did not start")
        self.token = (self.home / "rest" / "default").read_text().strip()

    @property
    def resident_mb(self) -> float:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1_024
        raise AssertionError

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()


class Client:
    """One connection that asks over REST, plainly, so that the load takes as little of the machine as it can."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def say(self, message_id: str, sender: str, text: str) -> tuple[int, dict[str, object]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._server.port)
        reader, writer = self._streams
        body = json.dumps({"id": message_id, "sender": sender, "text": text}).encode()
        writer.write(
            f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{self._server.port}\r\nAuthorization: Bearer {self._server.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head.split(b" ", 2)[1]), json.loads(await reader.readexactly(length))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def quantile(times: list[float], part: float) -> float:
    """In milliseconds."""
    return sorted(times)[min(int(len(times) * part), len(times) - 1)] * 1_000


async def one_at_a_time(server: Server, turns: int = 400) -> Figures:
    """One person after the other, no two at once."""
    client, times, run = Client(server), [], uuid4().hex[:6]
    for number in range(turns + 50):
        begun = time.perf_counter()
        status, answer = await client.say(f"{run}-{number}", f"person-{number % 20}", TEXTS[number % len(TEXTS)])
        assert status == 200, answer
        if number >= 50:
            times.append(time.perf_counter() - begun)
    client.close()
    return {"p50_ms": quantile(times, 0.5), "p99_ms": quantile(times, 0.99)}


async def many(server: Server, people: int = 200, seconds: float = 15.0) -> Figures:
    """Each person writes again as soon as there is an answer."""
    times: list[float] = []
    until = time.perf_counter() + seconds + 3
    warm = time.perf_counter() + 3

    async def person(number: int) -> None:
        client = Client(server)
        turn = 0
        while (begun := time.perf_counter()) < until:
            turn += 1
            status, answer = await client.say(
                f"many-{number}-{turn}", f"crowd-{number}", TEXTS[(number + turn) % len(TEXTS)]
            )
            assert status == 200, (status, answer)
            if begun > warm:
                times.append(time.perf_counter() - begun)
        client.close()

    cpu_s, begun = server.cpu_s, time.perf_counter()
    await asyncio.gather(*(person(number) for number in range(people)))
    spent = time.perf_counter() - begun
    return {
        "turns_per_s": len(times) / seconds,
        "p50_ms": quantile(times, 0.5),
        "p99_ms": quantile(times, 0.99),
        "cpu": (server.cpu_s - cpu_s) / spent,
        "resident_mb": server.resident_mb,
    }


async def idle(server: Server, sockets: int = 2_000) -> Figures:
    """Sockets that have said hello and are silent: memory of each, and how long one still takes to be answered among them."""
    before = server.resident_mb
    address = f"ws://127.0.0.1:{server.port}/chat/socket"
    held: list[ClientConnection] = []
    for _ in range(sockets // 50):
        held += await asyncio.gather(*(_hello(address, server.port) for _ in range(50)))
    await asyncio.sleep(3)
    grown = server.resident_mb - before
    cpu_s = server.cpu_s
    await asyncio.sleep(5)
    cpu = (server.cpu_s - cpu_s) / 5
    answered = await one_at_a_time(server, 100)
    await asyncio.gather(*(each.close() for each in held))
    return {"sockets": sockets, "more_mb": grown, "idle_cpu": cpu, "p50_ms": answered["p50_ms"]}


async def _hello(address: str, port: int) -> ClientConnection:
    socket = await connect(address, origin=f"http://127.0.0.1:{port}", compression=None, ping_interval=None)  # type: ignore[arg-type]
    await socket.send(json.dumps({"type": "hello", "token": None, "last": 0, "language": "fr"}))
    await socket.recv()
    return socket


async def killed(server: Server, people: int = 50, turns: int = 40, kills: int = 3) -> Figures:
    """People write while the server is killed and started again; whoever got no answer sends the same message again."""
    restarting = asyncio.Event()
    restarting.set()
    again = answered = 0

    async def person(number: int) -> None:
        nonlocal again, answered
        client = Client(server)
        for turn in range(turns):
            while True:
                await restarting.wait()
                try:
                    status, _ = await client.say(
                        f"kill-{number}-{turn}", f"stubborn-{number}", f"turn {turn} of {number}"
                    )
                except (OSError, asyncio.IncompleteReadError):
                    status = 0
                    client.close()
                if status in (200, 202):
                    answered += 1
                    break
                again += 1
                await asyncio.sleep(0.05)
        client.close()

    async def killer() -> None:
        for number in range(kills):
            while answered < (number + 1) * people * turns // (kills + 1):
                await asyncio.sleep(0.01)
            restarting.clear()
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            restarting.set()

    await asyncio.gather(killer(), *(person(number) for number in range(people)))
    return {"messages": people * turns, "sent_again": again}


async def strangers(server: Server, turns: int = 5_000, connections: int = 200) -> Figures:
    """What people said to other assistants, each turn by somebody nobody knows, as fast as it goes."""
    texts: list[str] = []
    with gzip.open(services.DATA / "sgd" / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            texts += [turn["utterance"] for turn in json.loads(line)["turns"] if turn["speaker"] == "user"]
            if len(texts) >= turns:
                break
    left, statuses, times = list(enumerate(texts[:turns])), Counter[int](), []

    async def connection() -> None:
        client = Client(server)
        while left:
            number, text = left.pop()
            begun = time.perf_counter()
            status, _ = await client.say(f"stranger-{number}", f"stranger-{number}", text)
            statuses[status] += 1
            times.append(time.perf_counter() - begun)
        client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    spent = time.perf_counter() - begun
    alive = await one_at_a_time(server, 20)
    return {
        "turns_per_s": len(times) / spent,
        **{f"status_{status}": count for status, count in sorted(statuses.items())},
        "p99_ms": quantile(times, 0.99),
        "afterwards_p50_ms": alive["p50_ms"],
        "resident_mb": server.resident_mb,
    }


@contextmanager
def served(broker: Broker, *, repeats: bool) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "home": f"{folder}/home",
            "log": f"kafka://{broker.bootstrap}/bench-{uuid4().hex[:8]}",
            "log_partitions": str(PARTITIONS),
            "assistant": "townhall",
            "gateway_port": "0",
            "gateway_burst_messages": "100000",
            "gateway_minute_messages": "1000000",
        }
        server = Server(settings, repeats=repeats)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            server.counted = counted(load({f"PARLOIR_{name.upper()}": value for name, value in settings.items()}))


def counted(settings: Settings) -> Figures:
    """How often each message stands in the log: received and answered."""
    from tests.answering import Answering
    from vault.interaction import Answered, Received

    with Answering(settings, bot=False) as home:
        events = home.events()
    received = [e.originator_id for e in events if isinstance(e, Received)]
    answered = [e.originator_id for e in events if isinstance(e, Answered)]
    return {
        "received": len(received),
        "received_twice": len(received) - len(set(received)),
        "answered": len(answered),
        "answered_twice": len(answered) - len(set(answered)),
        "not_answered": len(set(received) - set(answered)),
    }


def serve() -> None:
    """The gateway before a bot that repeats, until SIGTERM."""
    from infra import serve as serving
    from tests.answering import Answering

    with Answering(load(os.environ)) as home:
        serving.tune_garbage_collection()
        print(f"{home.origin}/chat", flush=True)
        serving.wait_for_signal()


def show(what: str, figures: Figures) -> None:
    print(f"{what}: " + ", ".join(f"{name} {value:,.1f}" for name, value in figures.items()), flush=True)


def main() -> None:
    if "--serve" in sys.argv:
        serve()
        return
    from infra.artifacts import fetch

    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder), fetch(services.CACHE))
        broker.start()
        try:
            with served(broker, repeats="--repeats" in sys.argv) as server:
                show("started", {"resident_mb": server.resident_mb})
                show("one at a time", asyncio.run(one_at_a_time(server)))
                show("200 people", asyncio.run(many(server)))
                show("idle sockets", asyncio.run(idle(server)))
                show("strangers", asyncio.run(strangers(server)))
                show("kill -9", asyncio.run(killed(server)))
            show("in the log", server.counted)
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
