"""Flags for GDPR Art. 9 and 10: what tells something of a person, and look-alikes that are mere topics."""

from __future__ import annotations

import pytest

from nlu.personal import FLAGS, sensitive


def flags(text: str, language: str = "") -> set[str]:
    return {span.kind for span in sensitive.find(text, language)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Je suis diabétique", "health"),
        ("ma fille est autiste et scolarisée", "health"),
        ("J'ai un cancer du sein", "health"),
        ("mon arrêt maladie est fini", "health"),
        ("ma mère vient d'avoir un AVC", "health"),
        ("je suis malade depuis lundi", "health"),
        ("séropositif", "health"),
        ("je ne suis pas séropositif", "health"),
        ("je suis musulman pratiquant", "religion"),
        ("J'ai voté blanc", "politics"),
        ("il est syndiqué depuis dix ans", "union"),
        ("je suis à la CGT", "union"),
        ("je suis homosexuel", "sexuality"),
        ("mon orientation sexuelle ne regarde personne", "sexuality"),
        ("je suis d'origine kabyle", "ethnicity"),
        ("je suis noire et on me refuse l'entrée", "ethnicity"),
        ("vous avez pris mes empreintes digitales", "biometrics"),
        ("mon frère sort de prison", "offence"),
        ("j'ai un casier judiciaire", "offence"),
        ("I'm diabetic", "health"),
        ("my son is autistic", "health"),
        ("suffering from depression since March", "health"),
        ("My religion does not allow this", "religion"),
        ("we are Muslims", "religion"),
        ("I voted Labour", "politics"),
        ("she is a union member", "union"),
        ("I am gay", "sexuality"),
        ("I am black", "ethnicity"),
        ("my fingerprints were taken", "biometrics"),
        ("he was convicted of theft", "offence"),
    ],
)
def test_what_is_told_of_a_person_is_flagged(text: str, kind: str) -> None:
    assert flags(text) == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "Ma carte Vitale est périmée",
        "Quels sont les horaires du cabinet médical ?",
        "Y a-t-il des repas halal à la cantine ?",
        "Où est la mosquée ?",
        "je cherche le centre de lutte contre le cancer",
        "J'ai une question sur la prison",
        "vous êtes syndiqués ?",
        "le chat est noir",
        "j'ai une voiture noire",
        "quand a lieu le vote du budget ?",
        "J'ai lu un livre sur l'islam",
        "le juge est absent",
        "mon vol est annulé",
        "la grève du bus continue",
        "j'ai un rendez-vous chez le médecin",
        "the doctor's office opening hours",
        "do you serve halal meals?",
        "where is the church?",
        "I have a black dog",
        "my race is on Sunday",
        "is the prison open to visitors?",
        "I am looking for a book about cancer",
        "do you have disabled parking near the door?",
        "the strike is over?",
        "",
        "🏥 ☪ ✝",
    ],
)
def test_a_mere_topic_is_not_flagged(text: str) -> None:
    assert flags(text) == set()


def test_every_kind_of_flag_has_terms_in_both_languages() -> None:
    for language in sensitive.LANGUAGES:
        terms = [term for terms in sensitive.lexicon(language).values() for term in terms]
        assert {term.kind for term in terms if term.strong} == set(FLAGS)


def test_a_strong_term_scores_above_a_weak_one() -> None:
    (strong,) = sensitive.find("je suis diabétique", "fr")
    (weak,) = sensitive.find("je suis malade", "fr")
    assert strong.score > weak.score
