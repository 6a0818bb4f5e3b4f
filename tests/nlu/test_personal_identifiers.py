"""Identifiers: what is found by its form, how sure, and what is left alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nlu.personal import identifiers
from nlu.personal.fold import fold
from nlu.span import Span
from tests.nlu.conftest import takes, takes_less


def found(text: str, language: str = "fr") -> list[tuple[str, str]]:
    folded = fold(text)
    places = [(folded.original(s.start, s.end), s.kind) for s in identifiers.find(folded.text, language)]
    return [(kind, text[start:end]) for (start, end), kind in places]


def one(text: str, language: str = "fr") -> Span:
    (span,) = identifiers.find(fold(text).text, language)
    return span


@pytest.mark.parametrize(
    ("text", "language", "kind", "written"),
    [
        ("écris à Anne.Durand+mairie@Exemple.FR.", "fr", "email", "Anne.Durand+mairie@Exemple.FR"),
        ("mon mail : anne (at) exemple.fr", "fr", "email", "anne (at) exemple.fr"),
        ("mail me at zoé@bücher.example please", "en", "email", "zoé@bücher.example"),
        ("appelez le 06 12 34 56 78 svp", "fr", "phone", "06 12 34 56 78"),
        ("+33 (0)6.12.34.56.78", "fr", "phone", "+33 (0)6.12.34.56.78"),
        ("tél : 0470/12.34.56", "fr", "phone", "0470/12.34.56"),
        ("call me on 020 7946 0958", "en", "phone", "020 7946 0958"),
        ("phone (514) 555-0199 x12", "en", "phone", "(514) 555-0199 x12"),
        ("IBAN FR76 3000 6000 0112 3456 7890 189 merci", "fr", "iban", "FR76 3000 6000 0112 3456 7890 189"),
        ("my iban is gb82west12345698765432", "en", "iban", "gb82west12345698765432"),
        ("code BIC : AGRIFRPP882", "fr", "bic", "AGRIFRPP882"),
        ("carte 4111 1111 1111 1111 perdue", "fr", "payment_card", "4111 1111 1111 1111"),
        ("amex 378282246310005", "en", "payment_card", "378282246310005"),
        ("sécu 2 55 08 14 168 025 38", "fr", "nir", "2 55 08 14 168 025 38"),
        ("NIR 2 84 05 2A 168 025 54", "fr", "nir", "2 84 05 2A 168 025 54"),
        ("my SSN is 536-90-4399", "en", "national_number", "536-90-4399"),
        ("registre national 85.07.30-033.28", "fr", "national_number", "85.07.30-033.28"),
        ("national insurance AB 12 34 56 C", "en", "national_number", "AB 12 34 56 C"),
        ("SIREN 732 829 320", "fr", "siren", "732 829 320"),
        ("siret 73282932000074", "fr", "siret", "73282932000074"),
        ("TVA FR40 303 265 045", "fr", "vat", "FR40 303 265 045"),
        ("BE 0428.759.497 est notre TVA", "fr", "vat", "BE 0428.759.497"),
        ("numéro fiscal 30 23 217 600 053", "fr", "tax_number", "30 23 217 600 053"),
        ("passeport 12AB34567", "fr", "passport", "12AB34567"),
        ("passport number 533380006", "en", "passport", "533380006"),
        ("ma carte d'identité 880692310285", "fr", "identity_card", "880692310285"),
        ("CNI X4RTBPFW4", "fr", "identity_card", "X4RTBPFW4"),
        ("my driving licence is MORGA657054SM9IJ", "en", "driving_licence", "MORGA657054SM9IJ"),
        ("voiture AB-123-CD mal garée", "fr", "plate", "AB-123-CD"),
        ("plaque 1234 AB 75", "fr", "plate", "1234 AB 75"),
        ("code postal 01000", "fr", "postcode", "01000"),
        ("postcode SW1A 1AA", "en", "postcode", "SW1A 1AA"),
        ("mon IP 192.168.1.20 est bloquée", "fr", "ip", "192.168.1.20"),
        ("address 2001:db8::8a2e:370:7334 blocked", "en", "ip", "2001:db8::8a2e:370:7334"),
        ("mac 00:1A:2B:3C:4D:5E", "fr", "mac", "00:1A:2B:3C:4D:5E"),
        ("né le 03/04/1985 à Lyon", "fr", "date_of_birth", "03/04/1985"),
        ("date of birth: March 3rd, 1985", "en", "date_of_birth", "March 3rd, 1985"),
        ("née le 1er janvier 1990", "fr", "date_of_birth", "1er janvier 1990"),
        ("voir https://www.facebook.com/anne.durand.12", "fr", "url", "https://www.facebook.com/anne.durand.12"),
        ("http://anne:secret@example.org/x", "en", "url", "http://anne:secret@example.org/x"),
    ],
)
def test_an_identifier_is_found_with_its_bounds(text: str, language: str, kind: str, written: str) -> None:
    assert found(text, language) == [(kind, written)]


@pytest.mark.parametrize(
    "text",
    [
        "Le bus 24 passe à 8h15 et coûte 2,50 €",
        "rendez-vous le 03/04/2026 à 14:30",
        "commande 123456789 du 2026-01-05",
        "version 2.14.3 du formulaire 12100*02",
        "le 25 décembre 2025",
        "https://www.service-public.fr/particuliers/vosdroits/F1341",
        "j'ai 3 enfants de 7, 10 et 12 ans",
        "std::vector et 10:20:30",
        "il faut 1 000 000 d'euros",
        "MONSIEUR, BONJOUR",
        "rappelez-moi le 03/04/2026 ou avant le 12.05.2026",
        "contact pour l'année 2025-2026",
        "appelez-moi entre 10h et 12h30",
        "call me at 10:30 or 14.15",
        "le numéro 123 de la rue",
        "@mairie #2026",
        "",
    ],
)
def test_ordinary_numbers_dates_and_addresses_of_pages_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("carte 4111 1111 1111 1111", "carte 4111 1111 1111 1112"),
        ("IBAN FR7630006000011234567890189", "IBAN FR7630006000011234567890188"),
        ("sécu 255081416802538", "sécu 255081416802539"),
        ("SIREN 732829320", "SIREN 732829321"),
        ("siret 73282932000074", "siret 73282932000075"),
        ("TVA FR40303265045", "TVA FR41303265045"),
        ("numéro fiscal 3023217600053", "numéro fiscal 3023217600054"),
    ],
)
def test_a_failing_check_digit_lowers_the_score_and_hides_nothing(right: str, wrong: str) -> None:
    assert one(wrong).kind == one(right).kind
    assert 0.5 <= one(wrong).score < one(right).score


def test_a_context_word_raises_the_score() -> None:
    assert one("4111111111111111").score < one("ma carte 4111111111111111").score


@pytest.mark.parametrize(
    "text",
    [
        "carte \uff14\uff11\uff11\uff11 1111 1111 1111",  # full-width digits
        "carte 4111\u200b1111\u200b1111\u200b1111",  # zero width between
        "carte 4111\u00a01111\u202f1111\u20091111",  # spaces that do not break
        "carte 4111\u20131111\u20131111\u20131111",  # typographic dashes
        "carte \u0664\u0661\u0661\u0661 1111 1111 1111",  # Arabic-Indic digits
    ],
)
def test_disguised_digits_are_read_and_the_span_is_of_the_original(text: str) -> None:
    assert found(text) == [("payment_card", text[6:])]


def test_letters_that_only_look_latin_do_not_hide_an_iban() -> None:
    text = "IBAN F\u042076 3000 6000 0112 3456 7890 189"
    assert found(text.replace("\u0420", "R")) == [("iban", "FR76 3000 6000 0112 3456 7890 189")]
    assert found("IBAN D\u041589 3704 0044 0532 0130 00") == [("iban", "D\u041589 3704 0044 0532 0130 00")]


def test_values_are_normalised() -> None:
    assert one("Anne@B\u00dcCHER.example").value == "anne@xn--bcher-kva.example"
    assert one("06 12 34 56 78").value == "+33612345678"
    assert one("07911 123456", "en").value == "+447911123456"
    assert one("iban fr76 3000 6000 0112 3456 7890 189").value == "FR7630006000011234567890189"


def test_a_number_is_of_one_kind_and_spans_do_not_overlap() -> None:
    text = "SIRET 732 829 320 00074, SIREN 732 829 320, TVA FR40303265045, tel 01 23 45 67 89, carte 4111111111111111 fin 12/28"
    assert [kind for kind, _ in found(text)] == ["siret", "siren", "vat", "phone", "payment_card"]
    spans = identifiers.find(text, "fr")
    assert all(a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize(
    "text", ["née le 03/04/1985, rdv le 05/06/2026", "rdv le 05/06/2026, je suis née le 03/04/1985"]
)
def test_only_the_date_beside_the_word_of_birth_is_a_date_of_birth(text: str) -> None:
    assert found(text) == [("date_of_birth", "03/04/1985")]


HOSTILE = {
    "digits": "7" * 65_536,
    "digits with spaces": "06 " * 21_845,
    "digits with dots": "1.2." * 16_384,
    "nested separators": "06-.-" * 13_107,
    "brackets": "((0)" * 16_384,
    "at signs": "a@" * 32_768,
    "long local part": "a" * 65_535 + "@",
    "dots": "a." * 32_768 + "@b",
    "colons": "a:" * 32_768,
    "iban-like": "FR76" * 16_384,
    "letters and digits": "AB12" * 16_384,
    "slashes": "http://" * 9_362,
    "phones": "tel 0612345678 " * 4_369,
    "context words": "carte né passeport " * 3_449,
    "zero width": "1\u200b" * 32_768,
    "full width": "\uff11" * 65_536,
    "homoglyphs": "\u0410" * 65_536,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    text = HOSTILE[name]
    found(text[:100])
    quarter = takes(lambda: found(text[: len(text) // 4]))
    assert takes_less(lambda: found(text), min(10, 12 * max(quarter, 0.02)))
