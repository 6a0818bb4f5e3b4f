"""What a development broker is told: where it listens, how it keeps its log, and with how little it makes do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"

_LOG4J = """appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={folder}/broker.log
appender.file.filePattern={folder}/broker.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %c{{1}} %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=5MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""


@dataclass(frozen=True)
class Place:
    """Where a broker listens, and the process it was started as."""

    port: int
    controller_port: int
    pid: int = 0

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"


def write_files(folder: Path, place: Place) -> Path:
    """Writes the broker's settings and those of its own log. Returns the file of the first."""
    (folder / "log4j2.properties").write_text(_LOG4J.format(folder=folder))
    properties = folder / "server.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in _properties(folder, place).items()))
    return properties


def _properties(folder: Path, place: Place) -> dict[str, str | int]:
    one_copy = dict.fromkeys(
        (
            "offsets.topic.replication.factor",
            "offsets.topic.num.partitions",
            "transaction.state.log.replication.factor",
            "transaction.state.log.min.isr",
            "share.coordinator.state.topic.replication.factor",
            "share.coordinator.state.topic.min.isr",
        ),
        1,
    )
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{place.controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{place.port},CONTROLLER://{HOST}:{place.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{place.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": f"{folder}/data",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        # A broker that was killed is let back in only when its old session is over.
        "broker.session.timeout.ms": 2_000,
        "broker.heartbeat.interval.ms": 400,
        **one_copy,
    }
