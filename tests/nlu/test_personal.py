"""Personal data in text as a whole: names and addresses, merging, masking, the model's parts, hostile text, evaluation."""

from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from nlu.example import Example
from nlu.personal import KINDS, LEARNT, PersonalData, mask, normal_form
from nlu.personal.evaluation import evaluate, read
from nlu.personal.field import train
from nlu.personal.synthesis import examples
from nlu.personal.tagger import viterbi
from nlu.personal.training import DATA, learn, packed, synthetic
from nlu.span import Span
from tests.bench.nlu_personal import french
from tests.nlu.conftest import takes, takes_less
from tests.nlu.french_personal import TEMPLATES, sentences
from vault.errors import BadInput, StartRefused

FRENCH = Path(__file__).parent / "data" / "fr_pii_test.jsonl"


@pytest.fixture(scope="module")
def finder() -> PersonalData:
    return PersonalData.default()


def found(finder: PersonalData, text: str, language: str = "") -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in finder.find([text], [language])[0]]


# Names and addresses


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("Bonjour, je m'appelle Zébulon Tarkowicz", "person", "Zébulon Tarkowicz"),
        ("je suis madame Martin, j'ai rendez-vous", "person", "Martin"),
        ("Bien cordialement,\nHélène Moreau", "person", "Hélène Moreau"),
        ("my name is Oliver Thornbury", "person", "Oliver Thornbury"),
        ("Dear Mrs Kovalenko, thank you", "person", "Kovalenko"),
        ("Best regards,\nPriya Nair", "person", "Priya Nair"),
        ("J'habite au 12 bis rue des Lilas, 69003 Lyon", "address", "12 bis rue des Lilas, 69003 Lyon"),
        ("Envoyez le colis au 4 avenue Foch 75016 Paris svp", "address", "4 avenue Foch 75016 Paris"),
        ("I live at 221 Baker Street, London", "address", "221 Baker Street, London"),
    ],
)
def test_a_name_or_address_is_found_by_its_context(finder: PersonalData, text: str, kind: str, written: str) -> None:
    assert (kind, written) in found(finder, text)


@pytest.mark.parametrize(
    "text",
    [
        "Quels sont les horaires de la mairie ?",
        "Je voudrais renouveler mon passeport",
        "What time does the library close on Monday?",
        "My order has not arrived yet, can you help?",
        "ok merci beaucoup",
        "Il pleut à Marseille",
        "I need a flight from Los Angeles to New York",
        "Est-ce que la Poste de Nantes est ouverte ?",
        "Yes please. What time does it start? Thanks",
        "mdr ok merci",
    ],
)
def test_ordinary_messages_hold_nothing_personal(finder: PersonalData, text: str) -> None:
    assert found(finder, text) == []


def test_a_postcode_within_an_address_is_no_span_of_its_own(finder: PersonalData) -> None:
    kinds = [kind for kind, _ in found(finder, "J'habite au 12 rue des Lilas, code postal 69003 Lyon", "fr")]
    assert kinds.count("address") == 1


def test_a_message_with_everything_gives_spans_in_order_that_do_not_overlap(finder: PersonalData) -> None:
    text = "Je m'appelle Anne Durand, née le 03/04/1985, diabétique, 12 rue des Lilas, 69003 Lyon, anne@exemple.fr, 06 12 34 56 78"
    (spans,) = finder.find([text], ["fr"])
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert [span.kind for span in spans if span.kind != "health"] == [
        "person",
        "date_of_birth",
        "address",
        "email",
        "phone",
    ]
    assert all(0 < span.score <= 1 and span.found_by and span.kind in KINDS for span in spans)


def test_a_batch_gives_what_each_message_gives_alone(finder: PersonalData) -> None:
    texts = [row["text"] for row in list(sentences())[:60]]
    assert finder.find(texts, ["fr"] * 60) == [finder.find([text], ["fr"])[0] for text in texts]
    assert finder.find([]) == []
    with pytest.raises(BadInput):
        finder.find(["un", "deux"], ["fr"])


# Masking


def test_masking_hides_what_was_found_and_finds_nothing_in_the_mask_again(finder: PersonalData) -> None:
    text = "Je m'appelle Anne Durand, écrivez à anne@exemple.fr ou appelez le 06 12 34 56 78"
    hidden = mask(text, finder.find([text], ["fr"])[0])
    assert hidden == "Je m'appelle [PERSON], écrivez à [EMAIL] ou appelez le [PHONE]"
    assert finder.find([hidden], ["fr"]) == [[]]


def test_masking_refuses_spans_of_another_text() -> None:
    with pytest.raises(BadInput):
        mask("court", [Span(2, 40, "email")])
    with pytest.raises(BadInput):
        mask("deux noms", [Span(0, 5, "person"), Span(4, 9, "person")])


def test_normal_forms_are_of_addresses_and_numbers_only(finder: PersonalData) -> None:
    text = "Anne.Durand@BÜCHER.example, 0033 6 12 34 56 78, carte 4111111111111111"
    forms = [
        normal_form(span) for span in finder.find([text], ["fr"])[0] if span.kind in {"email", "phone", "payment_card"}
    ]
    assert forms == ["anne.durand@xn--bcher-kva.example", "+33612345678", None]


# Hostile text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n\n",
        "\x00" * 50,
        "\ud800 je suis \udfff Anne",
        "😀👩‍👩‍👧‍👦🏳️‍🌈",
        "اسمي أحمد ورقمي ٠٦١٢٣٤٥٦٧٨",
        "שמי דוד כהן",
        "\u202eje m'appelle Anne\u202c",
        "i\u0307" * 200,
        "a" * 10_000,
        bytes(range(256)).decode("latin-1"),
        "Ковалев Иван, 我叫王伟",
    ],
    ids=lambda text: ascii(text)[:24],
)
def test_any_text_gets_an_answer_within_it(finder: PersonalData, text: str) -> None:
    for language in ("fr", "en", "", "zz"):
        (spans,) = finder.find([text], [language])
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert isinstance(mask(text, spans), str)


@pytest.mark.parametrize("piece", ["Anne Durand ", "06 12 ", "je suis ", "a\u200bb ", "rue ", "\n", "?>", "é'-"])
def test_enormous_text_takes_time_in_proportion(finder: PersonalData, piece: str) -> None:
    def find(size: int) -> None:
        finder.find([(piece * size)[:size]], ["fr"])

    find(100)
    small = takes(lambda: find(4_096))
    assert takes_less(lambda: find(32_768), 20 * max(small, 0.02))


def test_zero_width_characters_do_not_move_a_span(finder: PersonalData) -> None:
    text = "\u200bje m'appelle \u200bAnne Du\u200brand"
    assert ("person", "Anne Du\u200brand") in found(finder, text, "fr")


# The model


def test_the_model_that_comes_with_the_program_is_small_and_runs_no_code() -> None:
    assert (DATA / "model.npz").stat().st_size < 3_000_000
    with np.load(DATA / "model.npz", allow_pickle=False) as stored:
        assert set(stored.files) == {"names", "weights", "transitions"}
    json.loads((DATA / "model.json").read_text("utf-8"))


def test_a_model_comes_back_from_its_parts(finder: PersonalData) -> None:
    again = PersonalData.from_parts(*finder.parts())
    texts = [row["text"] for row in list(sentences())[:40]]
    assert again.find(texts) == finder.find(texts)
    assert packed(again) == packed(finder)


def test_a_damaged_model_file_is_refused() -> None:
    meta, arrays = (DATA / "model.json").read_bytes(), (DATA / "model.npz").read_bytes()
    for wrong, broken in (
        (b"{", arrays),
        (b"[]", arrays),
        (meta, b""),
        (meta, arrays[:1000]),
        (meta, b"PK" + arrays[2:9000]),
    ):
        with pytest.raises(StartRefused):
            PersonalData.from_files(wrong, broken)


def test_damaged_parts_and_those_of_another_version_are_refused(finder: PersonalData) -> None:
    meta, arrays = finder.parts()
    for wrong, broken in (
        ({**meta, "format": 99}, arrays),
        ({}, arrays),
        (meta, {**arrays, "weights": arrays["weights"][:-1]}),
        (meta, {**arrays, "names": np.array([255, 255], np.uint8)}),
        (meta, {"names": arrays["names"]}),
    ):
        with pytest.raises(StartRefused):
            PersonalData.from_parts(wrong, broken)


def test_the_same_examples_give_the_same_bytes() -> None:
    few = synthetic(rounds=1)[::3]
    first, second = (packed(PersonalData(learn(few, steps=5))) for _ in range(2))
    assert first == second


def test_synthetic_sentences_are_the_same_each_time_and_their_spans_fit() -> None:
    for language in ("fr", "en"):
        made = list(examples(language, rounds=1, seed=4))
        assert made == list(examples(language, rounds=1, seed=4))
        for example in made:
            assert all(example.text[span.start : span.end].strip() for span in example.entities)


def test_a_field_learns_what_a_word_and_its_neighbour_say() -> None:
    rows = [(["w=le", "n=chat"], ["w=chat", "p=le"]), (["w=un", "n=chat"], ["w=chat", "p=un"])] * 4
    model = train(("animal",), [(row, [0, 1]) for row in rows], penalty=0.01, steps=30, least=1, keep=0)
    assert model.tag([[["w=le", "n=chat"], ["w=chat", "p=le"]]])[0][0] == [0, 1]
    assert model.tag([[]])[0][0] == []


def test_a_path_never_goes_inside_what_has_not_begun() -> None:
    scores = np.array([[0, 0, 9], [0, 0, 9]], np.float32)
    model = train(("a",), [([["x"], ["y"]], [0, 0])], penalty=1, steps=2, least=1, keep=0)
    assert viterbi([scores], model._transitions) == [[1, 2]]


def test_the_best_path_is_the_best_of_all_paths_whatever_else_is_in_the_batch() -> None:
    random = np.random.default_rng(3)
    transitions = random.normal(size=(4, 3)).astype(np.float32)
    texts = [random.normal(size=(length, 3)).astype(np.float32) for length in (2, 0, 5, 1, 5, 3)]

    def worth(scores: np.ndarray, path: tuple[int, ...]) -> float:
        return sum(scores[at, tag] + transitions[path[at - 1] if at else 3, tag] for at, tag in enumerate(path))

    for scores, path in zip(texts, viterbi(texts, transitions), strict=True):
        every = product(range(3), repeat=len(scores))
        assert tuple(path) == max(every, key=lambda each, scores=scores: worth(scores, each))
    assert viterbi([], transitions) == []


# Evaluation


def test_figures_count_exact_overlapping_and_word_by_word() -> None:
    class Fixed(PersonalData):
        def find(self, texts, languages=None):  # type: ignore[no-untyped-def]
            return [[Span(0, 4, "person"), Span(12, 20, "phone")] for _ in texts]

    line = json.dumps(
        {
            "text": "Anne Durand 06123456",
            "spans": [{"start": 0, "end": 11, "entity": "PERSON"}, {"start": 12, "end": 20, "entity": "PHONE_NUMBER"}],
        }
    )
    figures = evaluate([line], Fixed.__new__(Fixed))
    assert figures["exact"]["person"]["f1"] == 0
    assert figures["overlap"]["all"]["f1"] == 1
    assert figures["presidio"] == {"precision": 1.0, "recall": 0.6667, "f2": 0.7143}


def test_parts_of_an_address_are_merged_before_scoring() -> None:
    text = "12 Main Street\n Suite 4\n Lyon\n France 69003"
    parts = [
        (0, 2, "ADDRESS"),
        (3, 14, "ADDRESS"),
        (16, 23, "ADDRESS"),
        (25, 29, "LOCATION"),
        (31, 37, "LOCATION"),
        (38, 43, "ADDRESS"),
    ]
    row = {"text": text, "spans": [{"start": a, "end": b, "entity": kind} for a, b, kind in parts]}
    assert read([json.dumps(row)])[0].example == Example(text, "", (Span(0, 43, "address"),))


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"text": "a"}', '{"text": "a", "spans": [{"start": 0, "end": 9, "entity": "PERSON"}]}']
)
def test_a_line_that_is_no_marked_sentence_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(BadInput, match="line 2"):
        evaluate(['{"text": "ok", "spans": []}', line])


def test_the_french_test_sentences_are_those_of_their_templates() -> None:
    rows = [json.loads(line) for line in FRENCH.read_text("utf-8").splitlines()]
    assert rows == list(sentences())
    assert len(rows) >= 1_000


def test_no_french_test_template_is_a_training_template() -> None:
    training = (DATA / "templates_fr.txt").read_text("utf-8")
    for line in TEMPLATES.read_text("utf-8").splitlines():
        assert line.startswith("#") or len(line) < 24 or line not in training


def test_french_personal_data_is_found_as_well_as_must_be() -> None:
    figures, identifiers, _ = french()
    assert identifiers >= 0.90
    for kind in LEARNT:
        assert figures["exact"][kind]["f1"] >= 0.75
