"""What a compliance officer and an analyst see of recorded dialogues in a real Kafka, with figures:

    python -m tests.journeys.shown FOLDER FILE…

replays the files into a new home below FOLDER, on a broker of its own; rebuilds the projection from the log and says at what pace;
writes three people's reports as JSON, HTML and PDF into FOLDER; asks an analyst's five questions; and erases one of the three, with
the rows of every table before it, after it, and when the file was made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

from infra.artifacts import fetch
from infra.broker import Broker
from infra.house import House
from infra.settings import load
from projections import declaration, tables
from projections.rebuild import rebuild
from projections.settle import settle
from tests import services
from tests.journeys.conftest import Parloir
from tests.journeys.questions import answers

FORMS = ("json", "html", "pdf")
PERSONS = 3
TABLES = (*tables.NAMES, *tables.INSIDE)
SAMPLES = 200
"""Sealed payloads of who is erased that are looked for in the file."""

Rows = dict[str, tuple[int, int]]
"""By table or view: how many rows, and how many of them name a certain person or one of their interactions."""


def replayed(parloir: Parloir, files: Sequence[Path]) -> int:
    """How many messages the files brought."""
    done = parloir("replay", *map(str, files), "--json", timeout_s=3_600)
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["messages"])


def rebuilt(parloir: Parloir) -> tuple[int, float]:
    """Events that a rebuild from the log held, and the seconds it took."""
    with House(load(parloir.env, None)) as house:
        house.projector.catch_up()
        began = time.monotonic()
        return rebuild(house.projector), time.monotonic() - began


def most_talkative(parloir: Parloir) -> list[str]:
    """The pseudonym of who said most, of each of the first channels."""
    found = parloir.json(
        "sql",
        "SELECT subject FROM interaction GROUP BY channel, subject"
        " QUALIFY row_number() OVER (PARTITION BY channel ORDER BY count(*) DESC, subject) = 1"
        f" ORDER BY channel LIMIT {PERSONS}",
    )
    return [row["subject"] for row in found]


def reports(parloir: Parloir, people: Sequence[str], folder: Path) -> Iterator[tuple[Path, float]]:
    """The files of these people's reports, and the seconds that each took, the program's start with it."""
    for number, person in enumerate(people, 1):
        for form in FORMS:
            file = folder / f"report-{number}.{form}"
            file.unlink(missing_ok=True)
            began = time.monotonic()
            done = parloir("access", person, "--format", form, "--lang", ("fr", "en")[number % 2], "-o", str(file))
            assert done.returncode == 0, done.stderr
            yield file, time.monotonic() - began


class Erasing:
    """One person in every table of a home's projection."""

    def __init__(self, parloir: Parloir, person: str) -> None:
        self._parloir = parloir
        self._person = person
        with House(load(parloir.env, None)) as house:
            house.projector.catch_up()
            subject = UUID(person)
            known = house.keys.person(subject)
            assert known is not None
            with house.projector.store.reading() as cursor:
                originators = cursor.execute(
                    "SELECT DISTINCT originator FROM sealed_event WHERE subject = ?", [subject]
                ).fetchall()
                self._sealed = [
                    sealed
                    for (sealed,) in cursor.execute(
                        f"SELECT sealed FROM sealed_event WHERE subject = ? LIMIT {SAMPLES}", [subject]
                    ).fetchall()
                ]
        self.ids = [subject, known.case, *(originator for (originator,) in originators)]

    def rows(self) -> Rows:
        found = {}
        with House(load(self._parloir.env, None)) as house:
            house.projector.catch_up()
            with house.projector.store.reading() as cursor:
                for table in TABLES:
                    cursor.execute(f'DESCRIBE "{table}"')
                    uuids = [name for name, kind, *_ in cursor.fetchall() if kind == "UUID"]
                    named = " OR ".join(f'list_contains($ids, "{name}")' for name in uuids) or "false"
                    query = f'SELECT count(*), count(*) FILTER ({named}) FROM "{table}"'
                    found[table] = cursor.execute(query, {"ids": self.ids} if uuids else None).fetchone()
        return found

    def erase(self) -> None:
        self._parloir.json("erase", self._person, "--reason", "asked for it", "--yes")
        assert self._parloir("access", self._person).returncode == 3

    def settle(self) -> int:
        """Makes the file anew. Returns how many of the person's sealed payloads stand in it."""
        with House(load(self._parloir.env, None)) as house:
            settle(house.projector.store, house.projector.keys)
            path = house.projector.store.path
        content = path.read_bytes()
        return sum(sealed in content for sealed in self._sealed)


def show(folder: Path, files: Sequence[Path], parloir: Parloir) -> None:
    """All of it, in the order of the module's text."""
    began = time.monotonic()
    messages = replayed(parloir, files)
    print(f"replayed {messages:,} messages in {time.monotonic() - began:.0f} s")
    shutil.copy(services.CHECKOUT / "infra" / "demo_declaration.toml", parloir.home / declaration.FILE)
    events, seconds = rebuilt(parloir)
    print(f"rebuilt {events:,} events in {seconds:.1f} s: {events / seconds:,.0f} events/s")
    people = most_talkative(parloir)
    for file, seconds in reports(parloir, people, folder):
        print(f"{file}: {file.stat().st_size:,} bytes in {seconds:.1f} s")
    for question, rows in answers(str(parloir.home)).items():
        print(question)
        for row in rows:
            print("   ", *row)
    erasing = Erasing(parloir, people[-1])
    before = erasing.rows()
    erasing.erase()
    after = erasing.rows()
    left = erasing.settle()
    anew = erasing.rows()
    print(f"{'rows: all, of the person':27}{'before':>18}{'erased':>18}{'made anew':>18}")
    for table in TABLES:
        print(f"{table:27}" + "".join("{:12,}{:6,}".format(*found[table]) for found in (before, after, anew)))
    print(f"of their sealed payloads, {left} stand in the new file")
    assert left == 0


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("folder", type=Path)
    given.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = given.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(exist_ok=True)
    broker = Broker(folder / "broker", fetch(services.CACHE))
    broker.start()
    try:
        # in the environment, since the connection of the five questions starts a `serve` of its own
        os.environ |= {"PARLOIR_HOME": str(folder / "home"), "PARLOIR_LOG": f"kafka://{broker.bootstrap}/shown"}
        show(folder, options.files, Parloir(folder / "home", dict(os.environ)))
    finally:
        broker.stop()


if __name__ == "__main__":
    main()
