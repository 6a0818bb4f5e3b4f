"""What the town knows and keeps, in memory: appointments, requests for certificates, reports, registrations. No network here.

Times are local, without a zone. Nothing is read from a clock: `today` comes with each question.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

from vault.errors import BadInput, LimitExceeded

Json = dict[str, Any]
KEPT_MAX = 100_000
DAYS_AHEAD = 60
FREE_MAX = 20
NOON = "12:00"


class NotThere(BadInput):
    """There is no such street, place or reference."""


class Taken(BadInput):
    """Somebody else has the appointment by now."""


@dataclass(frozen=True, slots=True)
class Appointment:
    reference: str
    slot: str
    start: str
    document: str
    name: str


class Town:
    """One town. Safe to use from several threads; holds at most `KEPT_MAX` of each kind."""

    def __init__(self) -> None:
        self._given: Json = json.loads(files("infra.town").joinpath("town.json").read_text("utf-8"))
        self._lock = threading.Lock()
        self._appointments: dict[str, Appointment] = {}
        self._kept: dict[str, Json] = {}
        self._count = 0

    # Appointments

    def free(self, document: str, first: date, part: str, limit: int) -> list[Json]:
        """Free appointments from a day on, in order, at most one a time of day. `part`: any, morning or afternoon."""
        if document not in self._given["counters"]:
            raise NotThere("no appointments for that")
        with self._lock:
            taken = [(one.document, one.start) for one in self._appointments.values()]
        found = []
        for day in (first + timedelta(ahead) for ahead in range(DAYS_AHEAD)):
            for time in self._given["times"] if day.isoweekday() < 6 else ():
                start = f"{day.isoformat()}T{time}"
                fits = part == "any" or (time < NOON) == (part == "morning")
                if fits and taken.count((document, start)) < self._given["counters"][document]:
                    found.append({"id": f"{document}-{start}", "start": start, "day": day.isoformat(), "time": time})
                    if len(found) == min(limit, FREE_MAX):
                        return found
        return found

    def book(self, slot: str, name: str, today: date) -> Json:
        """Books a free appointment by its id. Raises `Taken` when it is not free any more."""
        found = re.fullmatch(r"([a-z_]+)-([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2})", slot)
        if found is None or found[1] not in self._given["counters"] or found[3] not in self._given["times"]:
            raise NotThere("no such appointment")
        day = _date(found[2])
        if day is None or not today <= day <= today + timedelta(2 * DAYS_AHEAD):
            raise Taken("that day is not open for appointments")
        start = f"{found[2]}T{found[3]}"
        with self._lock:
            beside = [one for one in self._appointments.values() if (one.document, one.start) == (found[1], start)]
            if len(beside) >= self._given["counters"][found[1]]:
                raise Taken("that appointment is taken")
            made = Appointment(self._reference("A"), slot, start, found[1], name)
            self._appointments[made.reference] = made
        return asdict(made)

    def appointment(self, reference: str) -> Json:
        with self._lock:
            if reference.upper() not in self._appointments:
                raise NotThere("no such appointment")
            return asdict(self._appointments[reference.upper()])

    def cancel(self, reference: str) -> Json:
        found = self.appointment(reference)
        with self._lock:
            self._appointments.pop(found["reference"], None)
        return found

    # What is asked for once and answered with a reference

    def keep(self, letter: str, given: Mapping[str, Any]) -> Json:
        """Keeps a request, a report or a registration and gives it a reference."""
        with self._lock:
            kept = {"reference": self._reference(letter), "status": "received", **given}
            self._kept[kept["reference"]] = kept
            return kept

    def kept(self, letter: str, reference: str) -> Json:
        with self._lock:
            found = self._kept.get(reference.upper())
        if found is None or not found["reference"].startswith(letter):
            raise NotThere("no such reference")
        return found

    # What everybody may know

    def waste(self, street: str) -> Json:
        zone = self._zone(street)
        days = [{"kind": kind, "weekdays": zone[kind]} for kind in ("household", "recycling", "garden")]
        return {"street": street, "days": days, **{kind: zone[kind] for kind in ("household", "recycling", "garden")}}

    def school(self, street: str) -> str:
        name: str = self._zone(street)["school"]
        return name

    def hours(self, place: str, day: date) -> Json:
        """When a place is open on a day: `spans` like 08:30-12:00, none when it is closed."""
        if place not in self._given["hours"]:
            raise NotThere("no such place")
        spans = self._given["hours"][place][str(day.isoweekday())]
        return {"place": place, "day": day.isoformat(), "open": bool(spans), "spans": spans}

    def _zone(self, street: str) -> Json:
        name = _normal(street)
        streets: dict[str, str] = self._given["streets"]
        # People write the number and the town with the street.
        known = [each for each in streets if f" {each} " in f" {name} "]
        if not known:
            raise NotThere("no such street")
        zone: Json = self._given["zones"][streets[max(known, key=len)]]
        return zone

    def _reference(self, letter: str) -> str:
        if len(self._appointments) + len(self._kept) >= KEPT_MAX:
            raise LimitExceeded(f"more than {KEPT_MAX} requests are kept")
        self._count += 1
        return f"{letter}-{self._count:05}"


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _normal(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(re.findall(r"[a-z0-9]+", "".join(each for each in decomposed if not unicodedata.combining(each))))
