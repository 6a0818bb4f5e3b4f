"""A Kafka broker for development and tests: one process from Maven artifacts, KRaft, loopback only.

Not for production: one copy of everything, and no authentication. Whoever has an account on this machine can read sealed records
and append strangers' ones; what is sealed stays sealed, and a stranger's record stops its partition.

A running broker holds an exclusive lock on FOLDER/lock, through a descriptor that it inherits. So whether it runs is never guessed
from a process number, which may be another's by now, and a broker that was killed has let go of it.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from infra.broker_files import HOST, Place, write_files
from vault.errors import BadInput, StartRefused, Unavailable

HEAP_MB = 512
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
STEP_S = 0.02
"""Between two looks at something that does not report by itself: a port, a lock."""


class Broker:
    """The broker of one folder, started by this process or by another one. Its ports are kept with its data."""

    def __init__(self, folder: Path, library: Path | None = None) -> None:
        """`library`: the folder that `fetch` gave; not needed to stop, kill or look at a running one."""
        self.folder = folder.absolute()
        self._library = library
        self._process: subprocess.Popen[bytes] | None = None

    # Looking at it

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        lock = self._open_lock(create=False)
        if lock is None:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    @property
    def place(self) -> Place | None:
        """Where it listens, or would; None when it was never started here."""
        try:
            return Place(**json.loads((self.folder / "broker.json").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise StartRefused(f"{self.folder}/broker.json cannot be read", remedy="remove it") from error

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients. Raises `BadInput` when it was never started."""
        place = self.place
        if place is None:
            raise BadInput(f"no broker was ever started in {self.folder}", remedy="run `parloir broker start`")
        return place.bootstrap

    def _open_lock(self, *, create: bool) -> int | None:
        try:
            return os.open(self.folder / "lock", os.O_RDWR | (os.O_CREAT if create else 0) | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return None

    # Starting and ending it

    def start(self, port: int | None = None, *, timeout_s: float = READY_TIMEOUT_S) -> Place:
        """Starts it, unless it runs, and returns when it takes requests.

        Raises `StartRefused` when the port is busy or another than it was made with, `Unavailable` when it does not come up.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartRefused(
                f"{self.folder} cannot be used: {error.strerror}", remedy="choose another --folder"
            ) from error
        deadline = time.monotonic() + timeout_s
        while True:
            if (place := self._launched(port)) is not None:
                if not self._ready(place, deadline):
                    self._reap(0)
                    raise Unavailable(f"the broker ended while it was starting; {self.folder}/broker.log says why")
                return place
            # It runs, or is being started by another process, or somebody just looked whether it does.
            place = self.place
            if place is not None and port is not None and place.port != port:
                raise StartRefused(
                    f"a broker runs in {self.folder} already, on port {place.port}",
                    remedy="stop it, or use another folder",
                )
            if place is not None and place.pid and self._ready(place, deadline):
                return self.place or place
            if time.monotonic() > deadline:
                raise Unavailable(f"another process is starting a broker in {self.folder} and does not finish")
            time.sleep(STEP_S)

    def _launched(self, port: int | None) -> Place | None:
        """Starts the process; None when the lock is somebody's."""
        lock = self._open_lock(create=True)
        assert lock is not None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._launch(self._choose(port), lock)
        except BlockingIOError:
            return None
        finally:
            os.close(lock)  # the broker has its own, if it runs

    def _choose(self, port: int | None) -> Place:
        known = self.place
        if known is not None and port is not None and known.port != port:
            raise StartRefused(
                f"the broker in {self.folder} was made with port {known.port}, asked for is {port}",
                remedy="leave out the port, or use another folder",
            )
        place = known or Place(port or _free_port(), 0)
        _refuse_busy(place.port)
        # Nobody but the broker itself needs the controller's port, so it is a new one whenever the old one is taken.
        controller = place.controller_port if _is_free(place.controller_port) else _free_port()
        return Place(place.port, controller)

    def _launch(self, place: Place, lock: int) -> Place:
        library = self._library
        if library is None:
            raise BadInput("starting a broker needs Kafka's library")
        java = shutil.which("java")
        if java is None:
            raise Unavailable("java is not installed", remedy="install Java 17, then try again")
        properties = write_files(self.folder, place)
        classpath = f"{library}/*"
        if not (self.folder / "data" / "meta.properties").exists():
            self._format([java, "-cp", classpath], properties)
        # The simple compiler only: up in half the time, and no slower for what a development broker is asked.
        options = [
            f"-Xmx{HEAP_MB}m",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties",
        ]
        with open(self.folder / "broker.out", "wb") as out:
            self._process = subprocess.Popen(  # noqa: S603
                [java, *options, "-cp", classpath, "kafka.Kafka", str(properties)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                # Its own session: it outlives the verb that started it, and a Ctrl-C meant for `serve` does not end it first.
                start_new_session=True,
            )
        started = Place(place.port, place.controller_port, self._process.pid)
        self._keep(started)
        return started

    def _keep(self, place: Place) -> None:
        draft = self.folder / "broker.json.new"
        draft.write_text(json.dumps(vars(place)))
        draft.replace(self.folder / "broker.json")

    def _format(self, java: Sequence[str], properties: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "_")
        command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        except subprocess.CalledProcessError as error:
            raise StartRefused(
                f"{self.folder}/data could not be made a Kafka log folder (exit {error.returncode})",
                remedy="see to the disk, or use an empty folder",
            ) from None

    def _ready(self, place: Place, deadline: float) -> bool:
        """Waits for the port, then for the broker to be in its own list of brokers: before that it makes no topic.

        False when it is not running (any more).
        """
        while True:
            with contextlib.suppress(OSError, kafka_errors.KafkaError):
                socket.create_connection((HOST, place.port), timeout=1).close()
                admin = KafkaAdminClient(bootstrap_servers=[place.bootstrap], bootstrap_timeout_ms=2_000)
                try:
                    if admin.describe_cluster()["brokers"]:
                        return True
                finally:
                    admin.close()
            if not self.running:
                return False
            if time.monotonic() > deadline:
                raise Unavailable(f"the broker did not take requests in time; {self.folder}/broker.log may say why")
            time.sleep(STEP_S)

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Ends it cleanly (SIGTERM), and by force when it takes too long. False when it did not run."""
        if not self._signal(signal.SIGTERM):
            return False
        if not self._gone(timeout_s):
            self.kill()
        self._reap(timeout_s)
        return True

    def kill(self) -> bool:
        """Ends it at once (SIGKILL), as a crash would. False when it did not run."""
        if not self._signal(signal.SIGKILL):
            return False
        self._gone(STOP_TIMEOUT_S)
        self._reap(STOP_TIMEOUT_S)
        return True

    def restart(self) -> Place:
        """Stops it, if it runs, and starts it on the same ports and data."""
        self.stop()
        return self.start()

    def _signal(self, number: signal.Signals) -> bool:
        place = self.place
        if place is None or not place.pid or not self.running:
            return False
        with contextlib.suppress(ProcessLookupError):  # it ended between the look and the signal
            os.kill(place.pid, number)
        return True

    def _gone(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(STEP_S)
        return True

    def _reap(self, timeout_s: float) -> None:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
                self._process = None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return port != 0


def _refuse_busy(port: int) -> None:
    if not 0 < port < 65_536:
        raise BadInput(f"{port} is no port", remedy="give one from 1 to 65535")
    if not _is_free(port):
        raise StartRefused(
            f"port {port} on {HOST} is in use", remedy="end what listens there, or give another --port and --folder"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
