"""Other people's data in a person's messages can be blanked, and what the person provided can be taken elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from projections.report import digest, rendered, taken
from projections.worker import Projector
from tests.projections.conftest import subject_of, turn
from tests.projections.reports import append, companion, make, read_pdf
from tests.vault.conftest import Vault
from vault.interaction import Called, Corrected, Rated, Redacted

TEXT = "My neighbour Zyxwvut is loud"
OTHER = [{"start": 13, "end": 20, "kind": "other:name"}]


def spans(*places: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "kind": "other:name"} for start, end in places]


def test_a_marked_span_is_blanked_wherever_its_words_stand_and_the_report_says_how_many(
    vault: Vault, projector: Projector
) -> None:
    entities = [{"start": 13, "end": 20, "type": "person", "value": "ZYXWVUT"}]
    vault.intake.receive(
        [turn("visitor", 1, TEXT, personal_data=OTHER, entities=entities), turn("visitor", 2, "zyxWVUT!")]
    )
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
    call = {"step": 0, "connector": "c", "recipient": "r", "operation": "o"}
    append(vault, companion(vault, Called, interaction, arguments='{"name": "Zyxwvut"}', **call))
    append(vault, companion(vault, Corrected, interaction, field="text", value="ZYXWVUT"))
    found = make(vault, projector, blank_others=True)
    for format in ("json", "text", "html"):
        made = rendered(found, format, "en").decode()
        assert "zyxwvut" not in made.lower()
        assert "My neighbour ███████ is loud" in made
    assert "zyxwvut" not in read_pdf(rendered(found, "pdf", "fr"))[1].lower()
    assert found.content["others"] == {"asked": True, "marked": 1, "spans": 1, "repeats": 5, "states": 0}
    assert "1 marked places, 5 further places" in rendered(found, "html", "en").decode()
    assert digest(found.content) == found.content["copy"]["digest"], "over what is shown"


def test_they_are_shown_where_nobody_asked_to_blank_them_and_it_says_so(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, TEXT, personal_data=OTHER)])
    found = make(vault, projector)
    assert found.content["interactions"][0]["events"][0]["text"] == TEXT
    assert found.content["others"] == {"asked": False, "marked": 1, "spans": 0, "repeats": 0, "states": 0}
    assert "they are shown" in " ".join(rendered(found, "text", "en").decode().split())


def test_the_person_s_own_data_and_parts_of_words_stay(vault: Vault, projector: Projector) -> None:
    own = [{"start": 0, "end": 2, "kind": "name"}]
    vault.intake.receive([turn("visitor", 1, "Al saw Alice and Al", personal_data=[*own, *spans((17, 19))])])
    content = make(vault, projector, blank_others=True).content
    assert content["interactions"][0]["events"][0]["text"] == "██ saw Alice and ██"
    assert content["others"]["repeats"] == 1


@pytest.mark.parametrize(
    ("places", "text", "count"),
    [
        ([(0, 3), (1, 5)], "█████fgh", 2),
        ([(6, 99)], "abcdef██", 1),
        ([(-5, 2)], "██cdefgh", 1),
        ([(4, 4), (5, 3), (90, 99)], "abcdefgh", 0),
        ([(0, 8)], "████████", 1),
    ],
)
def test_spans_that_overlap_or_stand_outside_the_text_do_no_harm(
    vault: Vault, projector: Projector, places: list[tuple[int, int]], text: str, count: int
) -> None:
    vault.intake.receive([turn("visitor", 1, "abcdefgh", personal_data=spans(*places))])
    content = make(vault, projector, blank_others=True).content
    assert content["interactions"][0]["events"][0]["text"] == text
    assert content["others"]["spans"] == count


def test_the_bot_s_working_memory_is_withheld_when_something_is_blanked(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    message = turn("visitor", 1, TEXT, personal_data=OTHER)
    assert message.and_then is not None
    events = message.and_then

    def remembering(interaction: Any, subject: Any) -> Any:
        understood, answered = events(interaction, subject)
        return [understood, dataclasses.replace(answered, dialogue_state=b'{"neighbour": "Zyxwvut"}')]

    vault.intake.receive([dataclasses.replace(message, and_then=remembering)])
    shown = make(vault, projector)
    assert b"Zyxwvut".hex() in json.dumps(shown.content)
    assert "24 bytes" in rendered(shown, "text", "en").decode()
    found = make(vault, projector, blank_others=True)
    assert b"Zyxwvut".hex() not in json.dumps(found.content)
    assert found.content["others"]["states"] == 1
    assert "withheld: it may hold data of others" in rendered(found, "text", "en").decode()


# To take elsewhere


def test_what_the_person_provided_is_their_words_corrections_ratings_and_consents_and_nothing_else(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", n, f"sentence {n}") for n in range(2)])
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
    append(vault, companion(vault, Corrected, interaction, field="text", value="better words"))
    append(vault, companion(vault, Rated, interaction, score=4, remark="quick"))
    subject = subject_of(vault, "visitor")
    vault.registrar.show_notice(subject, notice_version="v1", language="en")
    vault.registrar.give_consent(subject, purpose="improvement", notice_version="v1")
    vault.registrar.withdraw_consent(subject, purpose="improvement")
    vault.registrar.give_consent(subject, purpose="improvement", notice_version="v1")
    made = json.loads(taken(make(vault, projector)))
    assert [each["text"] for each in made["messages"]] == ["sentence 0", "sentence 1"]
    assert [(each["field"], each["value"]) for each in made["corrections"]] == [("text", "better words")]
    assert [(each["score"], each["remark"]) for each in made["ratings"]] == [(4, "quick")]
    assert [(each["purpose"], each["withdrawn_at"] is None) for each in made["consents"]] == [
        ("improvement", False),
        ("improvement", True),
    ]
    text = json.dumps(made)
    for not_provided in ("greet", "a reply", "recorded", "confidence", str(subject)):
        assert not_provided not in text


def test_what_they_provided_and_cannot_be_opened_is_counted(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", n, f"sentence {n}") for n in range(2)])
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
    append(vault, companion(vault, Redacted, interaction, ground="asked"))
    made = json.loads(taken(make(vault, projector)))
    assert [each["text"] for each in made["messages"]] == ["sentence 1"]
    assert made["withheld"] == 1, "the log has what was redacted still, sealed"


def test_what_is_taken_elsewhere_can_be_blanked_too(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, TEXT, personal_data=OTHER)])
    made = json.loads(taken(make(vault, projector, blank_others=True)))
    assert made["messages"][0]["text"] == "My neighbour ███████ is loud"
    assert made["others"]["spans"] == 1
