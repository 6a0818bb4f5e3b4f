"""`parloir broker` and `parloir serve --kafka`: the development broker of a home, in HOME/broker."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from infra.artifacts import cache_folder, fetch
from infra.broker import Broker
from infra.settings import FILE, Settings
from vault.client import DONE, FAILED
from vault.errors import LogMismatch, StartRefused

TOPIC_PREFIX = "parloir"


def run(action: str, settings: Settings, folder: Path | None, port: int | None, *, as_json: bool) -> int:
    """Starts, stops or looks at the broker of a folder, prints what is so, and returns the exit code."""
    folder = folder or settings.home / "broker"
    broker = Broker(folder, fetch(cache_folder(os.environ)) if action == "start" else None)
    if action == "start":
        broker.start(port)
    was_running = broker.stop() if action == "stop" else broker.running
    place = broker.place
    said = {
        "running": broker.running,
        "folder": str(broker.folder),
        "pid": place.pid if place and broker.running else None,
        "bootstrap": place.bootstrap if place else None,
        "log": url(broker) if place else None,
    }
    if as_json:
        print(json.dumps(said))
    elif said["running"]:
        print(f"the broker runs on {said['bootstrap']} (process {said['pid']}), its data are in {said['folder']}")
        print(f"to keep a new home's logs in it: PARLOIR_LOG={said['log']}")
    elif action == "stop" and was_running:
        print("the broker was stopped")
    else:
        print(f"no broker runs in {said['folder']}")
    return DONE if said["running"] or action == "stop" else FAILED


def url(broker: Broker) -> str:
    """The value of the setting `log` that means this broker."""
    return f"kafka://{broker.bootstrap}/{TOPIC_PREFIX}"


@contextmanager
def with_kafka(settings: Settings) -> Iterator[Settings]:
    """The settings with the home's development broker as their log. It is started if needed, and then stopped at the end.

    A new home remembers it in its settings file, so that every later verb finds the same log. Raises `LogMismatch` when the home
    keeps its logs elsewhere.
    """
    broker = Broker(settings.home / "broker", fetch(cache_folder(os.environ)))
    known = broker.place
    if settings.log != "sqlite" and (known is None or settings.log != url(broker)):
        raise LogMismatch(
            f"this home keeps its logs in {settings.log}, not in a development broker of its own",
            remedy="leave out --kafka, or use another home",
        )
    if settings.log == "sqlite" and (settings.home / "home.json").exists():
        raise LogMismatch(
            "this home keeps its logs in sqlite",
            remedy="leave out --kafka, or use a new home: parloir --home FOLDER serve --kafka",
        )
    was_running = broker.running
    broker.start()
    try:
        if settings.log == "sqlite":
            _remember(settings.home / FILE, url(broker))
        yield replace(settings, log=url(broker))
    finally:
        if not was_running:
            broker.stop()


def _remember(file: Path, log: str) -> None:
    """Writes the log at the head of the settings file: below a table's name it would belong to that table."""
    try:
        before = file.read_text("utf-8") if file.exists() else ""
        lines = [
            line
            for line in before.splitlines()
            if not line.lstrip().startswith("log ") and not line.lstrip().startswith("log=")
        ]
        draft = file.with_suffix(".new")
        draft.write_text("\n".join([f'log = "{log}"  # the development broker in this home', *lines, ""]), "utf-8")
        draft.replace(file)
    except OSError as error:
        raise StartRefused(
            f"{file} cannot be written: {error.strerror}", remedy="see to the disk and its owner"
        ) from error
