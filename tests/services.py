"""What the tests need beside the program, on loopback: where it is found, how it is started, and what to do when it is missing."""

from __future__ import annotations

import functools
import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from infra.artifacts import cache_folder, fetch
from vault.errors import Unavailable

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = cache_folder(os.environ)
"""Read once, before a test gets a home folder of its own."""
DATA = Path(os.environ.get("PARLOIR_DATA") or CHECKOUT.parent / "shared" / "data").absolute()

BROWSER_ARGUMENTS = ["--no-sandbox"] if os.geteuid() == 0 else []
"""Chromium has no sandbox for root. What it opens in tests is ours."""


@functools.cache
def kafka_missing() -> str:
    """Why Kafka cannot be had and what to do, or ""."""
    if shutil.which("java") is None:
        return "java is not installed; install Java 17"
    try:
        fetch(CACHE)
    except Unavailable as error:
        return str(error)
    return ""


@functools.cache
def postgres_missing() -> str:
    """Why PostgreSQL cannot be had and what to do, or ""."""
    if _postgres_programs() is None:
        return "PostgreSQL is not installed; install the package postgresql (infra/test does, as root)"
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        return "PostgreSQL refuses to run as root and runuser is missing; run the tests as another user"
    return ""


def browser() -> str | None:
    """The browser that the system has."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def browser_missing() -> str:
    """Why a browser cannot be had and what to do, or ""."""
    return "" if browser() else "Chromium is not installed; install the package chromium (infra/test does, as root)"


def data_missing() -> str:
    """Why the recorded dialogues cannot be had and what to do, or ""."""
    if (DATA / "sgd" / "train.jsonl.gz").is_file():
        return ""
    return f"{DATA}/sgd/train.jsonl.gz is not there; put the data there, or set PARLOIR_DATA to their folder"


def _postgres_programs() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return installed[-1].parent if installed else None


class Postgres:
    """A PostgreSQL server of its own, in a temporary folder, on a Unix socket only: nothing listens on a network.

    It refuses to run as root; there it runs as the user `postgres`, which its package makes.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="parloir-postgres-", dir="/tmp"))
        self._as_user: list[str] = []
        self.user = getpass.getuser()
        if os.geteuid() == 0:
            self.user = "postgres"
            self._as_user = ["runuser", "-u", self.user, "--"]
            shutil.chown(self._folder, self.user)
        self._run("initdb", "--auth-local=trust", "--auth-host=reject", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._folder}' -c unix_socket_permissions=0700"
        self._run("pg_ctl", "start", "--wait", "-l", str(self._folder / "log"), "-o", options)

    def _run(self, program: str, *arguments: str) -> None:
        programs = _postgres_programs()
        assert programs is not None
        command = [*self._as_user, str(programs / program), "-D", str(self._folder / "data"), *arguments]
        # Not capture_output: the server keeps what it inherits open, and would be waited for.
        with open("/dev/null", "wb") as nowhere:
            subprocess.run(
                command, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=nowhere, stderr=nowhere, timeout=120
            )

    @property
    def environment(self) -> dict[str, str]:
        """For `eventsourcing.postgres`. The password is asked for by the library and by nobody else."""
        return {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": "postgres",
            "POSTGRES_HOST": str(self._folder),
            "POSTGRES_PORT": "5432",
            "POSTGRES_USER": self.user,
            "POSTGRES_PASSWORD": "not-used-on-a-socket",
        }

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "-m", "fast")
        shutil.rmtree(self._folder, ignore_errors=True)
