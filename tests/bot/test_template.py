"""Words with places in them, written as the language writes them."""

from __future__ import annotations

from typing import Any

import pytest

from bot.template import RENDERED_MAX, parse
from vault.errors import BadInput

SCOPE: dict[str, Any] = {
    "name": "Robin", "start": "2026-03-01T14:30", "spans": ["a", "b", "c"], "day": 2, "days": [1, 4], "none": None,
    "deep": {"list": [{"x": 5}]}, "yes": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fr", "en"),
    [
        ("{name}!", "Robin!", "Robin!"),
        ("{start|date}", "dimanche 1er mars 2026", "Sunday 1 March 2026"),
        ("{start|time}", "14 h 30", "14:30"),
        ("{start|datetime}", "dimanche 1er mars 2026 à 14 h 30", "Sunday 1 March 2026 at 14:30"),
        ("{spans|list}", "a, b et c", "a, b and c"),
        ("{day|weekday} {days|weekday}", "mardi lundi et jeudi", "Tuesday Monday and Thursday"),
        ("{deep.list.0.x}", "5", "5"),
        ("{none}{unknown.deeper}", "", ""),
        ("{{name}}", "{name}", "{name}"),
        ("{yes}", "oui", "yes"),
        ("{name|date}", "Robin", "Robin"),
        ("{spans|capital}", "A, b et c", "A, b and c"),
    ],
)
def test_a_place_is_written_as_the_language_writes_it(text: str, fr: str, en: str) -> None:
    assert (parse(text)(SCOPE, "fr"), parse(text)(SCOPE, "en")) == (fr, en)


@pytest.mark.parametrize(
    "text", ["{", "}", "{name", "{na me}", "{name|shout}", "{name.}", "{}", "{name!r}", "{0}", "{{name}"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text)


def test_what_a_person_said_is_never_read_as_a_place() -> None:
    assert parse("{name}")({"name": "{start|date} {{"}, "en") == "{start|date} {{"


def test_words_have_an_end() -> None:
    assert len(parse("{name}")({"name": "x" * 10_000}, "en")) == RENDERED_MAX
