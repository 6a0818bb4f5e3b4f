"""Days, hours and amounts against the message's own time and zone, round trips of generated dates, and hostile text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.entities.grammar import expressions
from nlu.entities.grammar.canonical import canonical, fold
from nlu.entities.grammar.values import Day, iso_day
from tests.nlu.conftest import takes, takes_less
from tests.nlu.grammar_reading import AT, reading
from vault.errors import BadInput


def words(written: str) -> list[str]:
    return written.split(" ")


PARIS = ZoneInfo("Europe/Paris")
FRENCH_MONTHS = words("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
FRENCH_DAYS = words("lundi mardi mercredi jeudi vendredi samedi dimanche")
PIECES = words(
    "le 3 mai du au et entre à 14h30 lundi prochain midi demi moins 12,50 € $ vingt cent mille premier dans jours avant depuis between "
    "2 and 4pm half past the second next friday of in two weeks ago 03/04 / - : % \ud800 \x00 م 🎂"
)
ENGLISH_MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
ENGLISH_ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def value(said: str, language: str, at: datetime = AT, zone: str = "Europe/Paris") -> str:
    return reading(said, language, at, zone).partition(" = ")[2]


@settings(max_examples=150, deadline=None)
@given(DAYS)
def test_a_full_date_is_read_back_however_it_is_written(day: date) -> None:
    expected = f"date {day.isoformat()}"
    assert value(f"le {day.day} {FRENCH_MONTHS[day.month - 1]} {day.year}", "fr") == expected
    assert value(f"{day.day:02}/{day.month:02}/{day.year}", "fr") == expected
    assert value(f"{day.day:02}.{day.month:02}.{day.year}", "fr") == expected
    assert value(f"{ENGLISH_MONTHS[day.month - 1]} {day.day}, {day.year}", "en") == expected
    assert (
        value(f"the {day.day}{ENGLISH_ENDINGS.get(day.day, 'th')} of {ENGLISH_MONTHS[day.month - 1]} {day.year}", "en")
        == expected
    )
    assert value(f"{day.day}/{day.month}/{day.year}", "en-GB") == expected
    assert value(day.isoformat(), "en") == value(day.isoformat(), "fr") == expected


@settings(max_examples=100, deadline=None)
@given(DAYS)
def test_an_american_date_says_where_it_could_be_another_day(day: date) -> None:
    read = value(f"{day.month}/{day.day}/{day.year}", "en")
    other = f" or {day.year}-{day.day:02}-{day.month:02}" if day.day <= 12 and day.day != day.month else ""
    assert read == f"date {day.isoformat()}{other}"


@settings(max_examples=100, deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(0, 400))
def test_days_ahead_and_behind_are_counted_from_the_message(now: datetime, days: int) -> None:
    at = now.replace(tzinfo=UTC)
    ahead = (at.date() + timedelta(days=days)).isoformat()
    behind = (at.date() - timedelta(days=days)).isoformat()
    assert value(f"dans {days} jours", "fr", at, "UTC") == value(f"in {days} days", "en", at, "UTC") == f"date {ahead}"
    assert (
        value(f"il y a {days} jours", "fr", at, "UTC") == value(f"{days} days ago", "en", at, "UTC") == f"date {behind}"
    )


@settings(max_examples=100, deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(0, 6))
def test_a_weekday_is_the_first_one_after_the_message(now: datetime, weekday: int) -> None:
    at = now.replace(tzinfo=UTC)
    french = FRENCH_DAYS[weekday]
    day = date.fromisoformat(value(french, "fr", at, "UTC").removeprefix("date "))
    assert day.weekday() == weekday
    assert timedelta(days=1) <= day - at.date() <= timedelta(days=7)
    last = date.fromisoformat(value(f"{french} dernier", "fr", at, "UTC").removeprefix("date "))
    assert last.weekday() == weekday
    assert timedelta(days=1) <= at.date() - last <= timedelta(days=7)


@given(DAYS)
def test_a_week_is_written_as_iso_8601_counts_it(day: date) -> None:
    monday = day - timedelta(days=day.weekday())
    assert date.fromisocalendar(int(iso_day(day, "week")[:4]), int(iso_day(day, "week")[6:]), 1) == monday
    assert Day(monday, "week").last() - monday == timedelta(days=6)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 999_999))
def test_numbers_are_read_back_with_the_marks_of_their_language(number: int) -> None:
    grouped = f"{number:,}"
    assert value(f"{grouped} dollars", "en") == f"money {number} USD"
    assert value(f"{grouped.replace(',', ' ')} euros", "fr") == f"money {number} EUR"
    assert value(f"{number},50 €", "fr") == f"money {number}.50 EUR"


def test_today_is_the_persons_day_and_not_the_servers() -> None:
    late = datetime(2026, 5, 3, 22, 30, tzinfo=UTC)
    assert value("demain", "fr", late, "Europe/Paris") == "date 2026-05-05"
    assert value("tomorrow", "en", late, "America/New_York") == "date 2026-05-04"
    assert value("today", "en", late, "Pacific/Kiritimati") == "date 2026-05-04"


def test_a_time_that_the_clocks_skip_moves_on_by_what_they_skip() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=PARIS)
    assert value("demain à 2h30", "fr", before) == "datetime 2026-03-29T03:30:00+02:00"


def test_a_time_that_the_clocks_show_twice_is_the_first_and_says_so() -> None:
    before = datetime(2026, 10, 24, 12, tzinfo=PARIS)
    assert value("demain à 2h30", "fr", before) == "datetime 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"


def test_hours_ahead_are_hours_of_real_time_across_a_change_of_clocks() -> None:
    before = datetime(2026, 3, 29, 1, 0, tzinfo=PARIS)
    assert value("dans 2 heures", "fr", before) == "datetime 2026-03-29T04:00:00+02:00"
    before = datetime(2026, 10, 25, 1, 0, tzinfo=PARIS)
    assert value("in 3 hours", "en", before) == "datetime 2026-10-25T03:00:00+01:00"


def test_the_order_of_day_and_month_follows_the_language_and_region() -> None:
    assert value("03/04", "fr") == "date 2027-04-03"
    assert value("03/04", "en") == "date 2027-03-04 or 2027-04-03"
    assert value("03/04", "en-US") == "date 2027-03-04 or 2027-04-03"
    assert value("03/04", "en-GB") == "date 2027-04-03"


def test_next_friday_is_next_weeks_in_english_and_the_coming_one_in_french_and_both_say_so() -> None:
    assert value("next friday", "en") == "date 2026-12-04 or 2026-11-27"
    assert value("vendredi prochain", "fr") == "date 2026-11-27 or 2026-12-04"
    assert value("lundi prochain", "fr") == "date 2026-11-30"
    assert value("next monday", "en") == "date 2026-11-30"


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("je suis là", "fr"),
        ("je", "fr"),
        ("un jeu", "fr"),
        ("la mer", "fr"),
        ("may I come in", "en"),
        ("we march on", "en"),
        ("the sun sat on the sea", "en"),
        ("06 12 34 56 78", "fr"),
        ("+33 6 12 34 56 78", "fr"),
        ("(415) 555-2671", "en"),
        ("FR76 3000 6000 0112 3456 7890 189", "fr"),
        ("4970 1000 0000 0154", "fr"),
        ("someone@example.org", "en"),
        ("https://example.org/2026/05/03", "en"),
        ("192.168.1.12", "en"),
        ("A380", "fr"),
        ("01000", "fr"),
        ("3.1.2", "fr"),
        ("30 février", "fr"),
        ("february 30", "en"),
        ("14:75", "en"),
        ("dans 99999999 ans", "fr"),
        ("in 999999999999 days", "en"),
        ("24/7", "en"),
        ("this one", "en"),
        ("j'en veux une", "fr"),
    ],
)
def test_what_is_no_date_time_or_amount_is_left_alone(said: str, language: str) -> None:
    assert reading(said, language) == ""


@pytest.mark.parametrize("said", ["2024", "75001", "94103", "1430"])
def test_years_and_postcodes_are_no_times(said: str) -> None:
    for language in ("fr", "en"):
        assert reading(said, language) == f"{said} = number {said}"


def test_a_second_is_a_length_and_the_second_is_an_ordinal() -> None:
    assert value("one second", "en") == "duration PT1S"
    assert value("the second floor", "en") == "ordinal 2"
    assert value("une seconde", "fr") == "duration PT1S"


def test_an_expression_gives_its_place_in_the_message_as_it_was_written() -> None:
    said = "Rendez-vous  le VINGT-ET-UN   décembre\u00a02026 à 14\u202fh\u202f30 🎂"
    [found] = expressions(said, language="fr", at=AT, zone="Europe/Paris")
    assert said[found.start : found.end] == "VINGT-ET-UN   décembre\u00a02026 à 14\u202fh\u202f30"
    assert found.value == {"iso": "2026-12-21T14:30:00+01:00"}


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_folding_keeps_the_length_and_rewriting_leads_back(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    assert folded.isascii()
    for language in ("fr", "en"):
        read = canonical(folded, language)
        assert len(read.text) == len(read.starts) == len(read.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(read.starts, read.ends, strict=True))
        assert read.starts == sorted(read.starts)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=14,
    ),
    st.sampled_from(["fr", "en"]),
)
def test_any_row_of_words_gets_an_answer_in_order_without_overlaps(words: list[str], language: str) -> None:
    said = " ".join(words)
    end = 0
    for one in expressions(said, language=language, at=AT, zone="Europe/Paris"):
        assert end <= one.start < one.end <= len(said)
        end = one.end


@pytest.mark.parametrize(
    "unit",
    [
        "1 ",
        "le 3 mai ",
        "entre 3 et ",
        "vingt et un ",
        "du 3 au 5 ",
        "between 2 and ",
        "$1,",
        "1/",
        "a@",
        "+33 1 ",
        "🎂",
        "\x00",
        "\ud800",
        "م ",
    ],
)
def test_a_long_message_takes_time_in_proportion(unit: str) -> None:
    def read(length: int) -> None:
        said = (unit * (length // len(unit) + 1))[:length]
        expressions(said, language="fr", at=AT, zone="Europe/Paris")

    # Four times the text: quadratic work would take sixteen times as long.
    short = min(takes(lambda: read(1_500)) for _ in range(3))
    assert takes_less(lambda: read(6_000), 10 * short + 0.02)


def test_what_stands_at_the_end_of_a_long_varied_message_is_read() -> None:
    random = Random(7)
    for language, last in (("fr", "rendez-vous le 3 mai 2027 à 14h30"), ("en", "see you on May 3, 2027 at 2:30 pm")):
        filler = " ".join(
            "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789/:.,-$%", k=random.randint(1, 9)))
            for _ in range(8_000)
        )
        found = expressions(f"{filler} {last}", language=language, at=AT, zone="Europe/Paris")
        assert found[-1].value == {"iso": "2027-05-03T14:30:00+02:00"}


def test_the_first_and_last_message_get_an_answer_and_those_beyond_are_refused() -> None:
    for at in (datetime(2999, 12, 31, 23, 59, tzinfo=UTC), datetime(1000, 1, 1, tzinfo=UTC)):
        for said in (
            "demain",
            "hier à 3h",
            "lundi prochain",
            "29 février",
            "dans 3 ans",
            "dans 7000 ans la nuit",
            "31/12/2999 la nuit",
            "dans 99999999 heures",
            "le mois prochain",
            "14h",
            "le 31",
            "ce week-end",
        ):
            for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles"):
                expressions(said, language="fr", at=at, zone=zone)
    for at in (datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)):
        with pytest.raises(BadInput, match="year"):
            expressions("demain", language="fr", at=at, zone="UTC")


def test_a_time_without_zone_and_an_unknown_zone_are_refused() -> None:
    with pytest.raises(BadInput, match="no zone"):
        expressions("demain", language="fr", at=datetime(2026, 1, 1), zone="Europe/Paris")
    for zone in ("Europe/Nowhere", "", "../etc/passwd", "\x00"):
        with pytest.raises(BadInput, match="time zone"):
            expressions("demain", language="fr", at=AT, zone=zone)


def test_a_language_without_grammar_reads_nothing() -> None:
    assert expressions("morgen um 3", language="de", at=AT, zone="Europe/Paris") == []
    assert expressions("demain", language="", at=AT, zone="Europe/Paris") == []
