"""`reveal` in SQL: the words of who consented, NULL for everybody else, recorded before they are shown, and never on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from projections import query_keys, reveal, sql
from projections.result import Result
from projections.settle import settle
from projections.sql import Reveal
from projections.worker import Projector
from tests.projections.conftest import START_US, change, said, subject_of, turn
from tests.vault.conftest import Vault
from vault import registrar
from vault.access import DataAccess
from vault.errors import BadInput, LogUnavailable, Unavailable
from vault.intake import Message
from vault.keys import IMPROVEMENT

MARK = "marked-utterance"
RECEIVED = "SELECT reveal(e) AS words FROM sealed_event e WHERE event_topic = 'interaction.received.1'"


class Analyst:
    """Somebody who queries a vault's projection with a reason, and what was recorded of it."""

    def __init__(self, vault: Vault, projector: Projector) -> None:
        self.vault = vault
        self.projector = projector
        self.recorded: list[Mapping[UUID, int]] = []

    def consents(self, *senders: str) -> None:
        """These people consent to improvement; they are made known before they say anything."""
        for sender in senders:
            person = self.vault.keys.resolve("web", sender, partitions=2)
            self.vault.registrar.register_new()
            self.vault.registrar.show_notice(person.subject, notice_version="1", language="en")
            self.vault.registrar.give_consent(person.subject, purpose=IMPROVEMENT, notice_version="1")

    def asks(self, text: str, *, persons_max: int = 100, **limits: Any) -> Result:
        self.projector.catch_up()
        return sql.query(
            self.projector.store, text, reveal=Reveal(self.vault.keys, self._record, persons_max), **limits
        )

    def _record(self, opened: Mapping[UUID, int]) -> None:
        self.vault.registrar.record_accesses(opened, actor="analyst, account 0", reason="a test")
        self.recorded.append(opened)


@pytest.fixture
def analyst(vault: Vault, projector: Projector) -> Analyst:
    return Analyst(vault, projector)


def words(found: Result) -> list[Any]:
    return sorted(row[0] for row in found.rows if row[0] is not None)


def test_only_who_consented_is_revealed_and_everybody_else_is_null(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=3, turns=9, text=MARK)
    found = analyst.asks(RECEIVED)
    assert words(found) == [MARK] * 3
    assert len(found) == 9


def test_what_was_said_before_the_consent_stays_closed(analyst: Analyst) -> None:
    said(analyst.vault, people=1, turns=2, text="before")
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=2, first=2, text="after")
    assert words(analyst.asks(RECEIVED)) == ["after", "after"]


def test_each_event_shows_its_words_or_all_of_its_fields(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=1, text="à bientôt 🙂")
    found = dict(analyst.asks("SELECT event_topic, reveal(e) FROM sealed_event e").rows)
    assert found["interaction.received.1"] == "à bientôt 🙂"
    assert found["interaction.answered.1"] == "a reply " * 20 + "\nand another"
    understood = json.loads(found["interaction.understood.2"])
    assert understood["intent"] == "greet"
    assert understood["confidence"] == 0.75


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 128, 999])
def test_words_of_every_length_come_out_as_they_were_said(analyst: Analyst, size: int) -> None:
    text = ("é" + "x" * size)[:size]
    analyst.consents("visitor-0", "v" * 200)
    analyst.vault.intake.receive([turn("visitor-0", 1, text), turn("v" * 200, 2, text)])
    assert words(analyst.asks(RECEIVED)) == [text, text]


@pytest.mark.parametrize("ending", ["withdraws", "restricts", "erases"])
def test_a_withdrawal_is_honoured_by_the_next_query(analyst: Analyst, ending: str) -> None:
    analyst.consents("visitor-0", "visitor-1")
    said(analyst.vault, people=2, turns=4, text=MARK)
    assert len(words(analyst.asks(RECEIVED))) == 4
    subject = subject_of(analyst.vault, "visitor-0")
    rights = analyst.vault.registrar
    endings: dict[str, Callable[[], object]] = {
        "withdraws": lambda: rights.withdraw_consent(subject, purpose=IMPROVEMENT),
        "restricts": lambda: rights.restrict(subject, ground="accuracy contested"),
        "erases": lambda: rights.erase(subject, ground="asked", decided_by="test"),
    }
    endings[ending]()
    assert len(words(analyst.asks(RECEIVED))) == 2


def test_a_lease_does_not_outlive_what_another_process_withdrew(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=1, text=MARK)
    subject = subject_of(analyst.vault, "visitor-0")
    found = analyst.vault.keys.opening
    with analyst.projector.store.reading() as cursor:
        analyst.projector.catch_up()
        (key_id,) = cursor.execute("SELECT key_id FROM sealed_event LIMIT 1").fetchone()
    held = found(key_id, subject, IMPROVEMENT)
    with analyst.vault.keys._database.writing() as c:  # as another process does: this one's leases are not dropped
        c.execute("DELETE FROM key_grant WHERE purpose = ?", (IMPROVEMENT,))
    assert found(key_id, subject, IMPROVEMENT) is held, "the lease goes on for others"
    assert words(analyst.asks(RECEIVED)) == []


def test_what_was_settled_is_revealed_like_what_is_recent(analyst: Analyst) -> None:
    analyst.consents("visitor-0", "visitor-1")
    said(analyst.vault, people=3, turns=9, text=MARK)
    analyst.projector.catch_up()
    settle(analyst.projector.store, analyst.vault.keys)
    said(analyst.vault, people=3, turns=3, first=9, text="newer")
    assert words(analyst.asks(RECEIVED)) == [MARK] * 6 + ["newer"] * 2


# Damage


@pytest.mark.parametrize(
    "damage",
    [
        "sealed = sealed || 'x'::BLOB",
        "sealed = ''::BLOB",
        "sealed = sealed[1:20]",
        "sealed = NULL",
        "key_id = ''::BLOB",
        "key_id = NULL",
        "channel = 'other'",
        "channel = NULL",
        "channel = repeat('x', 300)",
        "version = 2",
        "event_topic = 'interaction.answered.1'",
        "event_topic = 'no such topic'",
        "happened_at = happened_at + INTERVAL 1 MICROSECOND",
        "originator = '00000000-0000-0000-0000-000000000000'",
        "subject = '00000000-0000-0000-0000-000000000000'",
    ],
)
def test_a_changed_row_is_null_and_spoils_no_other(analyst: Analyst, damage: str) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=3, text=MARK)
    analyst.projector.catch_up()
    (first,) = analyst.asks(
        "SELECT min(\"offset\") FROM sealed_event WHERE event_topic = 'interaction.received.1'"
    ).rows
    changed = f'event_topic = \'interaction.received.1\' AND "offset" = {first[0]} AND "index" = 0'
    change(analyst.projector.store, f"UPDATE recent_event SET {damage} WHERE {changed}")
    found = analyst.asks('SELECT reveal(e) FROM sealed_event e WHERE "index" = 0')
    expected = 2 if len(found) == 3 else 0
    assert words(found) == [MARK] * expected


def test_each_row_gets_its_own_words_among_others_of_every_kind(analyst: Analyst) -> None:
    consented, channels = ("visitor-0", "visitor-1"), ("web", "sms", "messenger with a long name")
    analyst.consents(*consented)
    turns = [turn(f"visitor-{n % 3}", n, f"{MARK} {n}" * (n % 5)) for n in range(30)]
    analyst.vault.intake.receive(turns)
    person = analyst.vault.keys.resolve("sms", "visitor-0", partitions=2)
    analyst.vault.registrar.register_new()
    analyst.vault.registrar.show_notice(person.subject, notice_version="1", language="en")
    analyst.vault.registrar.give_consent(person.subject, purpose=IMPROVEMENT, notice_version="1")
    others = [
        Message(channels[n % 3], "site", "visitor-0", f"m{n}", f"{MARK} {n}", START_US + n * 1_000_000)
        for n in range(30, 60)
    ]
    analyst.vault.intake.receive(others)
    analyst.projector.catch_up()
    changed = "event_topic = 'interaction.received.1' AND epoch_us(happened_at) % 7000000 = 0"
    change(analyst.projector.store, f"UPDATE recent_event SET sealed = sealed || 'x'::BLOB WHERE {changed}")
    found = analyst.asks("SELECT event_topic, channel, epoch_us(happened_at), reveal(e) FROM sealed_event e").rows
    said_then = {(message.channel, message.at_us): message for message in (*turns, *others)}
    assert len(found) == 30 * 3 + 30
    for event_topic, channel, at_us, shown in found:
        if event_topic == "interaction.received.1":
            message = said_then.pop((channel, at_us))
            known = channel == "sms" or (channel == "web" and message.sender in consented)
            known = known and at_us % 7_000_000 != 0
            assert shown == (message.text if known else None)
        elif event_topic == "interaction.answered.1" and shown is not None:
            assert shown == "a reply " * 20 + "\nand another"
    assert said_then == {}


def test_two_rows_that_changed_places_open_neither(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=2, text=MARK)
    found = analyst.asks(
        "SELECT reveal(x) FROM (SELECT a.originator, a.version, a.event_topic, a.subject, a.happened_at, a.channel, a.key_id,"
        " b.sealed FROM sealed_event a, sealed_event b WHERE a.originator <> b.originator AND a.version = b.version) x"
    )
    assert len(found) == 6
    assert words(found) == []


def test_rows_that_are_no_events_are_null_or_refused(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=2)
    assert words(analyst.asks("SELECT reveal(e) FROM sealed_event x LEFT JOIN sealed_event e ON x.version = 9")) == []
    for text in (
        "SELECT reveal(i) FROM interaction i",
        "SELECT reveal(1)",
        "SELECT reveal('a', 'b')",
        "SELECT reveal()",
    ):
        with pytest.raises(BadInput):
            analyst.asks(text)
    assert analyst.recorded == []


# Records


def accesses(vault: Vault, sender: str) -> list[tuple[str, str, int]]:
    """(actor, reason, events) of every access to a person's data that the register holds."""
    person = vault.keys.find("web", sender)
    assert person is not None
    found = []
    for number in range(vault.register.partitions):
        for stored in vault.register.all_notifications(number):
            if stored.topic == DataAccess.Opened.TOPIC:
                event = vault.mapper.to_domain_event(stored)
                if event.case == person.case:
                    found.append((event.actor, event.reason, event.events))
    return found


def test_what_was_revealed_is_recorded_by_person_with_counts(analyst: Analyst) -> None:
    analyst.consents("visitor-0", "visitor-1")
    said(analyst.vault, people=3, turns=9, text=MARK)
    analyst.asks(f"SELECT count(*) FROM ({RECEIVED}) WHERE words LIKE 'm%'")
    assert accesses(analyst.vault, "visitor-0") == [("analyst, account 0", "a test", 3)]
    assert accesses(analyst.vault, "visitor-1") == [("analyst, account 0", "a test", 3)]
    assert accesses(analyst.vault, "visitor-2") == []


def test_accesses_to_many_people_are_recorded_a_commit_at_a_time(
    analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "SAVED_AT_ONCE", 2)
    senders = [f"visitor-{number}" for number in range(7)]
    analyst.consents(*senders)
    said(analyst.vault, people=7, turns=14)
    analyst.asks(RECEIVED)
    assert [accesses(analyst.vault, sender) for sender in senders] == [[("analyst, account 0", "a test", 2)]] * 7


def test_a_query_that_reveals_nothing_records_nothing(analyst: Analyst) -> None:
    said(analyst.vault)
    analyst.asks(RECEIVED)
    analyst.asks("SELECT count(*) FROM interaction")
    assert analyst.recorded == []


def test_without_a_reason_nothing_is_revealed(analyst: Analyst) -> None:
    with pytest.raises(BadInput, match="give a reason"):
        sql.query(analyst.projector.store, RECEIVED)


def test_what_cannot_be_recorded_is_not_handed_over(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=1, text=MARK)
    analyst.projector.catch_up()

    def broken(opened: Mapping[UUID, int]) -> None:
        raise LogUnavailable("the log is away")

    with pytest.raises(LogUnavailable):
        sql.query(analyst.projector.store, RECEIVED, reveal=Reveal(analyst.vault.keys, broken, 10))


def test_who_is_erased_while_the_query_runs_ends_it(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=1, text=MARK)
    analyst.projector.catch_up()

    def late(opened: Mapping[UUID, int]) -> None:
        for subject in opened:
            analyst.vault.registrar.erase(subject, ground="asked", decided_by="test")
        analyst.vault.registrar.record_accesses(opened, actor="analyst", reason="a test")

    with pytest.raises(Unavailable, match="erased meanwhile"):
        sql.query(analyst.projector.store, RECEIVED, reveal=Reveal(analyst.vault.keys, late, 10))


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT words::INTEGER FROM ({RECEIVED})",
        f"SELECT * FROM ({RECEIVED}) WHERE words::DATE = today()",
        f"SELECT regexp_matches('x', words) FROM (SELECT '[' || words AS words FROM ({RECEIVED}))",
        f"SELECT strptime(words, '%Y') FROM ({RECEIVED})",
    ],
)
def test_an_error_quotes_nothing_that_was_revealed_and_is_recorded_all_the_same(analyst: Analyst, text: str) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=1, text=MARK)
    with pytest.raises(BadInput) as refused:
        analyst.asks(text)
    assert MARK not in str(refused.value)
    assert MARK not in str(refused.value.__cause__)
    assert [sum(opened.values()) for opened in analyst.recorded] == [1]


def test_nobody_else_can_call_what_a_query_reveals_with(analyst: Analyst) -> None:
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=1, text=MARK)
    analyst.asks(RECEIVED)
    with analyst.projector.store.reading() as cursor:
        left = cursor.execute(
            "SELECT function_name FROM duckdb_functions() WHERE function_name LIKE 'reveal%'"
        ).fetchall()
    assert left == []


# Limits


def test_more_persons_than_a_query_may_reveal_are_refused(analyst: Analyst) -> None:
    analyst.consents("visitor-0", "visitor-1", "visitor-2")
    said(analyst.vault, people=3, turns=3)
    with pytest.raises(BadInput, match=r"more than reveal_persons_max \(2\) persons"):
        analyst.asks(RECEIVED, persons_max=2)


def test_payloads_too_heavy_to_be_opened_together_are_refused(
    analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reveal, "VECTOR_BYTES_MAX", 1_000)
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=40, text=MARK)
    with pytest.raises(BadInput, match="weigh more than"):
        analyst.asks(RECEIVED)


def test_keys_that_may_not_be_had_are_forgotten_in_time(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_keys, "KEYS_MAX", 2)
    analyst.consents("visitor-0")
    said(analyst.vault, people=8, turns=24, text=MARK)
    assert words(analyst.asks(RECEIVED)) == [MARK] * 3


def test_more_keys_than_there_was_room_for_open_each_its_own(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_keys, "KEYS_AT_FIRST", 2)
    senders = [f"visitor-{number}" for number in range(9)]
    analyst.consents(*senders)
    analyst.vault.intake.receive([turn(f"visitor-{n % 12}", n, f"{MARK} {n}") for n in range(36)])
    expected = sorted(f"{MARK} {n}" for n in range(36) if n % 12 < 9)
    assert words(analyst.asks(f"{RECEIVED} ORDER BY happened_at")) == expected
    assert [sum(opened.values()) for opened in analyst.recorded] == [27]
    assert len(analyst.recorded[0]) == 9


MILLIONS = (
    "(SELECT reveal(e) || r.range AS words FROM sealed_event e, range(30000) r"
    " WHERE event_topic = 'interaction.received.1')"
)


def on_disk(folder: Path, mark: str) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and mark.encode() in file.read_bytes()]


def test_a_million_and_a_half_of_revealed_words_sorted_leave_none_on_the_disk(
    analyst: Analyst, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    analyst.consents("visitor-0")
    said(analyst.vault, people=1, turns=50, text=MARK * 12)
    with pytest.raises(BadInput, match="more memory than duckdb_memory_mb"):
        analyst.asks(
            f"SELECT count(*) FROM (SELECT words, lag(words) OVER (ORDER BY words DESC) AS before FROM {MILLIONS})"
            " WHERE words <= before",
            timeout_ms=120_000,
        )
    assert on_disk(tmp_path, MARK) == []
    grouped = analyst.asks(f"SELECT left(words, 16), count(*) FROM {MILLIONS} GROUP BY ALL", timeout_ms=120_000)
    assert grouped.rows == [(MARK, 1_500_000)]
    assert on_disk(tmp_path, MARK) == []
