"""The one place of wiring: opens everything a home holds, in the order in which it is safe, and closes it again.

Order: lock, identity, keys, logs; then what the register decided after the key store's position is applied to the keys, and what a
crash left half done is finished; only then is anything served.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.utils import Environment

from infra import workers
from infra.assistants import folder_of
from infra.home import Home, Identity
from infra.settings import Settings
from infra.workers import Workers
from projections.generations import remove
from projections.store import Store
from projections.upkeep import UpkeepLimits
from projections.worker import ProjectionLimits, Projector
from vault import kafka, sqlite
from vault.commit import Envelope
from vault.conversations import Conversations
from vault.errors import BadInput, PersonUnknown, StartRefused
from vault.follow import Follower
from vault.ids import LogId
from vault.intake import Intake
from vault.keys import PURPOSES, KekDirectory, KeyStore, Person
from vault.log import Log, check_log_id
from vault.logs.group import ConsumerGroup
from vault.logs.kafka import KafkaCluster, KafkaLog
from vault.logs.sqlite import SqliteLog
from vault.mapper import SealingMapper
from vault.register import Register, RegisterPartition
from vault.registrar import Registrar

if TYPE_CHECKING:
    from bot.assistant import Assistant
    from nlu.in_service import InService

DAY_MS = 86_400_000

log = logging.getLogger(__name__)


class House:
    """Everything of one home, open. Use as a context manager."""

    def __init__(
        self,
        settings: Settings,
        progress: Callable[[str], None] = lambda _: None,
        *,
        new_claims: bool = False,
        worker: str | None = None,
    ) -> None:
        """`new_claims`: an operator's decision to go on although the claims of message ids are lost.

        `worker`: open it beside the home's main process, with state and projection in a folder of that name, to project the
        partitions that the workers of a home share out among them.
        """
        self.settings = settings
        self.worker = worker
        self.folder = settings.home if worker is None else workers.folder(settings.home, worker)
        self._new_claims = new_claims
        self._closing = ExitStack()
        self._projector: Projector | None = None
        self.followers: dict[str, Follower] = {}
        """The followers that this process runs, by name, for whoever asks how they are."""
        self._lock = threading.Lock()
        try:
            self._open(progress)
        except BaseException:
            self.close()
            raise

    def _open(self, progress: Callable[[str], None]) -> None:
        settings = self.settings
        if self.worker is not None and settings.log == "sqlite":
            raise BadInput(
                "embedded logs have one process", remedy="keep the logs in Kafka to share out the projection"
            )
        self.home = self._closing.enter_context(Home(self.folder, settings.home))
        self.identity, new = self.home.identity(settings.log, settings.log_partitions, settings.log_horizon_records)
        self.keks, self.keys = self._open_keys(self.identity, new)
        log_id = LogId(self.identity.log_id)
        log_key = self.keks.secret("log")
        self.conversations = Conversations(
            self._conversations_log(log_id, new=new),
            log_id,
            log_key,
            state=self.folder.joinpath("state", "conversations.db"),
            horizon=settings.log_horizon_records,
            append_timeout_ms=settings.append_timeout_ms,
            passed_over=lambda partition: self.passed_over("conversations", partition),
            on_erased=self.keys.drop,
        )
        self._closing.callback(self.conversations.close)
        self.register = self._open_register(log_id, log_key)
        self._closing.callback(self.register.close)
        self.mapper = SealingMapper()
        self.mapper.use(self.keys)
        self.registrar = Registrar(
            self.keys,
            self.register,
            self.conversations,
            self.mapper,
            stale_model_days=settings.stale_model_days,
        )
        self.intake = Intake(
            self.conversations,
            self.keys,
            self.mapper,
            register_new=self.registrar.register_new,
            message_bytes_max=settings.message_bytes_max,
        )
        progress("applying what the register decided")
        for stopped in self.registrar.open_up().values():
            log.error("register stopped", extra={"reason": str(stopped)})
        if new:
            self.home.keep(self.identity, made=True)

    def _path(self, *parts: str) -> Path:
        return self.settings.home.joinpath(*parts)

    def _open_keys(self, identity: Identity, new: bool) -> tuple[KekDirectory, KeyStore]:
        settings = self.settings
        folder, path = self._path("keks"), self._path("keys", "keys.db")
        if settings.keys != "sqlite":
            raise StartRefused(f"keys={settings.keys.split(':')[0]} is not supported yet", remedy="use keys=sqlite")
        options: dict[str, Any] = {
            "cache_entries": settings.dek_cache_entries,
            "lease_seconds": settings.dek_lease_seconds,
            "busy_timeout_ms": settings.key_store_timeout_ms,
            "claim_retention_days": settings.claim_retention_days,
        }
        if new:
            keks = KekDirectory.create(folder, identity.vault_id)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            keys = KeyStore.create(path, keks, **options)
        else:
            keks = KekDirectory.open(folder, identity.vault_id, PURPOSES)
            keys = KeyStore.open(path, keks, new_claims=self._new_claims, **options)
        self._closing.callback(keys.close)
        return keks, keys

    # The two logs

    def _conversations_log(self, log_id: LogId, *, new: bool) -> Log:
        settings = self.settings
        if settings.log == "sqlite":
            return SqliteLog(self._path("log", "conversations.db"), "conversations", settings.log_partitions)
        cluster, prefix = kafka_cluster(settings)
        log = KafkaLog(
            cluster,
            f"{prefix}.conversations",
            settings.log_partitions,
            retention_ms=settings.conversations_retention_days * DAY_MS,
        )
        self._closing.callback(log.close)
        if new:  # afterwards its log setting is fixed, and every record says by its MAC whose it is
            check_log_id(log, log_id)
        return log

    def _open_register(self, log_id: LogId, log_key: bytes) -> Register:
        settings = self.settings
        make: Callable[[Environment, int], InfrastructureFactory[Any]]
        if settings.log == "sqlite":

            def make(env: Environment, partition: int) -> InfrastructureFactory[Any]:
                env["SQLITE_DBNAME"] = str(self._path("log", f"register-{partition}.db"))
                return sqlite.Factory(env)

        else:
            cluster, prefix = kafka_cluster(settings)
            log = KafkaLog(cluster, f"{prefix}.register", settings.log_partitions)
            self._closing.callback(log.close)

            def make(env: Environment, partition: int) -> InfrastructureFactory[Any]:
                return kafka.factory(
                    env,
                    log=log,
                    envelope=Envelope(log_id, log_key, log.topic, partition),
                    partition=partition,
                    state=self.folder / "state",
                    passed_over=self.passed_over("register", partition),
                )

        return Register([RegisterPartition({}, self.keys, make, number) for number in range(settings.log_partitions)])

    def passed_over(self, log: str, partition: int) -> frozenset[int]:
        """Offsets of records that an operator decided to pass over."""
        return frozenset(int(offset) for offset in (self.keys.meta(f"passed_over/{log}/{partition}") or "").split())

    def pass_over(self, log: str, partition: int, offset: int) -> None:
        """Records an operator's decision to go on without one record; holds from the next start."""
        offsets = self.passed_over(log, partition) | {offset}
        self.keys.set_meta(f"passed_over/{log}/{partition}", " ".join(map(str, sorted(offsets))))

    @cached_property
    def assistant(self) -> Assistant:
        """The assistant that is set. Raises `FilesRefused` with what is wrong in its files."""
        from bot.check import checked

        return checked(folder_of(self.settings.assistant))[0]

    # Understanding

    @property
    def model_path(self) -> Path:
        """Where the model of understanding is, or will be."""
        given = self.settings.model
        return Path(given).expanduser().absolute() if given else self._path("model.parloir")

    @cached_property
    def model(self) -> InService:
        """The model of understanding. Raises `BadInput` where there is none and `StartRefused` for one that is unfit."""
        from infra.nlu_part import open_model

        return open_model(self)

    # Projections

    @property
    def projector(self) -> Projector:
        """The projection, opened on first use."""
        with self._lock:
            if self._projector is None:
                settings = self.settings
                # The file of a version that kept only one: nothing would be erased from it any more.
                remove(self._path("projection.duckdb"))
                store = Store.open(
                    self.folder / "projection",
                    log_id=self.identity.log_id,
                    memory_mb=settings.duckdb_memory_mb,
                    threads=settings.duckdb_threads,
                    persons_min=settings.statistics_persons_min,
                )
                self._closing.callback(store.close)
                limits = ProjectionLimits(
                    batch_events=settings.projection_batch_events,
                    queue_batches=settings.projection_queue_batches,
                    stuck_ms=settings.append_timeout_ms,
                )
                self._projector = Projector(
                    store, self.conversations, self.register, self.keys, self.mapper, limits, self._share()
                )
                self._closing.callback(self._projector.close)
            return self._projector

    def upkeep_limits(self) -> UpkeepLimits:
        """When the projection's file is written anew by itself."""
        settings = self.settings
        return UpkeepLimits(
            recent_rows=settings.settle_recent_rows,
            removed_rows=settings.settle_removed_rows,
            removed_days=settings.settle_removed_days,
            max_days=settings.settle_max_days,
            pause_seconds=settings.settle_pause_seconds,
        )

    def _share(self) -> ConsumerGroup | None:
        if self.worker is None:
            return None
        cluster, prefix = kafka_cluster(self.settings)
        return ConsumerGroup(
            cluster,
            f"{prefix}.conversations",
            f"{prefix}.projections",
            session_timeout_ms=self.settings.worker_timeout_ms,
        )

    @property
    def workers(self) -> Workers | None:
        """Who has the projection, where it is shared out; None where this process has all of it, or is one of them."""
        found = Workers(self.settings.home)
        return found if self.worker is None and found.names() else None

    # People

    def person(self, name: str) -> Person:
        """Whom `channel:external-id`, a linked e-mail address or a pseudonym means. Raises `PersonUnknown`."""
        try:
            found = self.keys.person(UUID(name))
        except ValueError:
            channel, colon, external_id = name.partition(":")
            if not colon and "@" in name:
                channel, external_id = "email", name
            elif not colon:
                raise BadInput(
                    "PERSON is channel:external-id, a linked e-mail address or a pseudonym", remedy="give one of these"
                ) from None
            found = self.keys.find(channel, external_id)
        if found is None:
            raise PersonUnknown("nothing is held under that name")
        return found

    def close(self) -> None:
        self._closing.close()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def kafka_cluster(settings: Settings) -> tuple[KafkaCluster, str]:
    """How to reach the brokers that the settings name, and the prefix of the topics there."""
    url = urlsplit(settings.log)
    security: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "sasl_mechanism"):
        if value := getattr(settings, f"kafka_{name}"):
            security[name] = str(value)
    if settings.kafka_sasl_username:
        security["sasl_plain_username"] = settings.kafka_sasl_username
    if settings.kafka_sasl_password_file:
        try:
            security["sasl_plain_password"] = Path(settings.kafka_sasl_password_file).read_text().strip()
        except OSError as error:
            raise StartRefused(f"kafka_sasl_password_file cannot be read: {error.strerror}") from error
    cluster = KafkaCluster(
        bootstrap=url.netloc,
        security=security,
        replication_factor=settings.kafka_replication_factor,
        min_insync_replicas=settings.kafka_min_insync_replicas,
        append_timeout_ms=settings.append_timeout_ms,
    )
    return cluster, url.path.strip("/") or "parloir"
