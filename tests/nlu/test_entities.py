"""Entities learnt, looked up, matched and read; what stands where they meet; and what happens to hostile text and damaged parts."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.entities import Entities, Lookup, Pattern
from nlu.entities.chain import IMPOSSIBLE, Chain, Recipe, Sentence, _batch, _gradients, train_chain
from nlu.entities.decode import decode
from nlu.entities.lookups import Lookups
from nlu.entities.merge import merge
from nlu.entities.patterns import Patterns
from nlu.entities.tagger import _impossible, tags_of
from nlu.entities.tokens import tokenise
from nlu.example import Example
from nlu.span import Span
from vault.errors import BadInput, StartRefused

AT = datetime(2026, 11, 25, 10, tzinfo=ZoneInfo("Europe/Paris"))
MARK = re.compile(r"\[([^\]]*)\]\((\w+)\)")
FRENCH = [
    "je veux un billet pour [Paris](city) [demain](departure)",
    "un billet pour [Lyon](city) s'il vous plaît",
    "un aller simple pour [Lille](city) [lundi prochain](departure)",
    "je pars à [Nice](city) [vendredi](departure)",
    "bonjour",
    "merci beaucoup",
]
ENGLISH = [
    "a ticket to [Paris](city) leaving [tomorrow](departure)",
    "a ticket to [Lyon](city) please",
    "one way to [Lille](city) leaving [next monday](departure)",
    "i leave for [Nice](city) on [friday](departure)",
    "hello there",
    "thanks a lot",
]
CITIES = Lookup.of("city", ["Paris", "Lyon", "Saint-Étienne"], {"Lutèce": "Paris", "la ville lumière": "Paris"})
BOOKING = Pattern("booking", r"\bBK\d{4}\b")


def marked(text: str, intent: str = "travel") -> Example:
    plain, spans, done = "", [], 0
    for found in MARK.finditer(text):
        plain += text[done : found.start()]
        spans.append(Span(len(plain), len(plain) + len(found[1]), found[2]))
        plain += found[1]
        done = found.end()
    return Example(plain + text[done:], intent, tuple(spans))


def trained(**more: Any) -> Entities:
    examples = [marked(text) for text in FRENCH * 2 + ENGLISH * 2]
    return Entities.train(examples, languages=["fr"] * 12 + ["en"] * 12, **more)


@pytest.fixture(scope="module")
def entities() -> Entities:
    return trained(lookups=[CITIES], regexes=[BOOKING])


def found(entities: Entities, text: str, language: str = "fr") -> list[tuple[str, str, str]]:
    [spans] = entities.find([text], AT, "Europe/Paris", [language], ["travel"])
    return [(text[one.start : one.end], one.kind, one.found_by) for one in spans]


def test_an_unseen_name_is_found_where_names_stand() -> None:
    learnt = trained()
    assert ("Marseille", "city", "tagger") in found(learnt, "un billet pour Marseille")
    assert ("Berlin", "city", "tagger") in found(learnt, "a ticket to Berlin leaving today", "en")


def test_a_learnt_day_keeps_the_authors_kind_and_has_the_grammars_value(entities: Entities) -> None:
    text = "je veux un billet pour Paris vendredi"
    [spans] = entities.find([text], AT, "Europe/Paris", ["fr"], ["travel"])
    departure = spans[-1]
    assert (text[departure.start : departure.end], departure.kind) == ("vendredi", "departure")
    assert departure.value == {"iso": "2026-11-27", "grain": "day"}
    assert departure.found_by == "tagger+grammar"
    assert 0 < departure.score <= 1


def test_a_synonym_has_its_canonical_value_whatever_its_case_and_accents(entities: Entities) -> None:
    for written in ("lutece", "LUTÈCE", "La Ville Lumiere"):
        [spans] = entities.find([f"vers {written} merci"], AT, "Europe/Paris", ["fr"])
        assert [(one.value, one.found_by) for one in spans if one.kind == "city"] == [("Paris", "lookup")]


def test_a_regex_and_amounts_are_found_beside(entities: Entities) -> None:
    assert found(entities, "ref BK1234 pour 12,50 €") == [
        ("BK1234", "booking", "regex"),
        ("12,50 €", "money", "grammar"),
    ]


def test_every_message_has_its_own_time() -> None:
    learnt = trained()
    other = datetime(2027, 1, 1, 9, tzinfo=ZoneInfo("Europe/Paris"))
    both = learnt.find(["demain", "demain"], [AT, other], "Europe/Paris", ["fr", "fr"])
    assert [spans[0].value["iso"] for spans in both] == ["2026-11-26", "2027-01-02"]


def test_messages_have_the_same_entities_alone_and_in_a_batch(entities: Entities) -> None:
    texts = [marked(text).text for text in FRENCH + ENGLISH] * 12
    languages = (["fr"] * 6 + ["en"] * 6) * 12
    together = entities.find(texts, AT, "Europe/Paris", languages)
    alone = [entities.find([text], AT, "Europe/Paris", [one])[0] for text, one in zip(texts, languages, strict=True)]
    assert [[(s.start, s.end, s.kind, s.value) for s in spans] for spans in together] == [
        [(s.start, s.end, s.kind, s.value) for s in spans] for spans in alone
    ]


def test_the_parts_come_back_and_find_the_same(entities: Entities) -> None:
    meta, arrays = entities.parts()
    back = Entities.from_parts(json.loads(json.dumps(meta)), arrays)
    for text in FRENCH:
        assert found(back, marked(text).text) == found(entities, marked(text).text)
    assert all(array.dtype != object for array in arrays.values())


def test_the_same_examples_give_the_same_bytes() -> None:
    def digest() -> str:
        meta, arrays = trained(lookups=[CITIES], regexes=[BOOKING]).parts()
        hashed = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
        for name in sorted(arrays):
            hashed.update(arrays[name].tobytes())
        return hashed.hexdigest()

    assert digest() == digest()


def test_damaged_parts_are_refused_with_what_to_do(entities: Entities) -> None:
    meta, arrays = entities.parts()
    broken: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (meta | {"version": 99}, arrays),
        ({}, arrays),
        ({name: part for name, part in meta.items() if name != "lookups"}, arrays),
        (meta | {"tagger": {"tags": ["O"]}}, arrays),
        (meta | {"tagger": None}, arrays),
        (meta | {"lookups": [{"kind": "city"}]}, arrays),
        (meta | {"lookups": 3}, arrays),
        (meta | {"regexes": [{"kind": "x", "regex": "("}]}, arrays),
        (meta, {}),
        (meta, arrays | {"emission": arrays["emission"][:-1]}),
        (meta, arrays | {"features": arrays["features"][:1]}),
        (meta, arrays | {"features": np.full(9, 255, np.uint8)}),
    ]
    for wrong_meta, wrong_arrays in broken:
        with pytest.raises(StartRefused, match="train the model again"):
            Entities.from_parts(wrong_meta, wrong_arrays)


def test_words_that_people_typed_are_not_remembered() -> None:
    learnt = trained()
    learnt.find(["un billet pour Xyzzyville"], AT, "Europe/Paris", ["fr"])
    assert not any("xyzzy" in str(word).lower() for word in vars(learnt._tagger)["_words"])


HOSTILE = [
    "",
    " \n\t",
    "\x00",
    "\ud800 un billet pour \udfff",
    "🎂" * 500,
    "مرحبا أريد تذكرة إلى Paris غدا",
    "\u202eun billet pour Paris\u202c",
    "a" * 20_000,
    "un billet pour Paris " * 400,
    "Ω≈ç√∫µ≤≥÷ \x7f\x1b[0m",
    "".join(map(chr, range(256))),
    "İstanbul ŉ ß ﬁ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_gets_an_answer_within_itself(entities: Entities, text: str) -> None:
    for language in ("fr", "en", "", "xx"):
        [spans] = entities.find([text], AT, "Europe/Paris", [language])
        end = 0
        for one in spans:
            assert end <= one.start < one.end <= len(text)
            end = one.end


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=40), max_size=6))
def test_any_batch_gets_one_answer_a_message(entities: Entities, texts: list[str]) -> None:
    assert len(entities.find(texts, AT, "Europe/Paris", ["fr"] * len(texts))) == len(texts)


def test_training_on_hostile_examples_works_and_comes_back() -> None:
    examples = [Example(text, "x", (Span(0, len(text), "all"),) if text.strip() else ()) for text in HOSTILE[:5]] * 2
    meta, arrays = Entities.train(examples).parts()
    Entities.from_parts(json.loads(json.dumps(meta)), arrays).find(HOSTILE, AT, "UTC", ["en"] * len(HOSTILE))


def test_without_examples_or_marks_the_rest_still_finds() -> None:
    for examples in ([], [Example("bonjour", "greet")], [Example("", "")]):
        plain = Entities.train(examples, [CITIES])
        assert found(plain, "demain à Lyon") == [("demain", "date", "grammar"), ("Lyon", "city", "lookup")]
        assert found(Entities.from_parts(*plain.parts()), "Lyon") == [("Lyon", "city", "lookup")]


def test_an_entity_out_of_place_is_refused_without_its_text() -> None:
    for spans in ([(3, 99)], [(2, 2)], [(-1, 2)], [(0, 4), (3, 6)]):
        wrong = Example("secret", "x", tuple(Span(start, end, "k") for start, end in spans))
        with pytest.raises(BadInput, match="example 2") as refused:
            Entities.train([Example("fine", "x"), wrong])
        assert "secret" not in str(refused.value)
    with pytest.raises(BadInput, match="languages"):
        Entities.train([Example("a", "x")], languages=["fr", "en"])


# ── look-ups ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def looked_up(lists: list[Lookup], text: str) -> list[tuple[str, str, Any]]:
    return [(text[one.start : one.end], one.kind, one.value) for one in Lookups(lists).find(tokenise(text))]


def test_the_longest_entry_wins_and_whole_words_only() -> None:
    teams = Lookup.of("team", ["Paris", "Paris Saint-Germain"])
    assert looked_up([teams], "vive Paris saint-germain !") == [("Paris saint-germain", "team", "Paris Saint-Germain")]
    assert looked_up([teams], "les Parisiens") == []


def test_case_and_accents_count_where_the_list_says_so() -> None:
    exact = Lookup.of("dish", ["Pâté"], fold_case=False, fold_accents=False)
    assert looked_up([exact], "pâté Pate Pâté") == [("Pâté", "dish", "Pâté")]
    accents = Lookup.of("dish", ["pâté"], fold_accents=False)
    assert looked_up([accents], "PÂTÉ pate") == [("PÂTÉ", "dish", "pâté")]
    case = Lookup.of("dish", ["Pâté"], fold_case=False)
    assert looked_up([case], "Pate pate") == [("Pate", "dish", "Pâté")]


def test_an_entry_without_words_or_with_too_many_is_refused() -> None:
    for entry in ("", "  ", "a " * 33):
        with pytest.raises(BadInput, match="city"):
            Lookups([Lookup.of("city", [entry])])


def test_a_repeated_entry_is_found_in_linear_work() -> None:
    lists = [Lookup.of("x", [" ".join("a" * 31) + " b"])]
    assert looked_up(lists, "a " * 5_000) == []


# ── regexes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_group_named_value_is_the_span() -> None:
    [one] = Patterns([Pattern("order", r"commande n°\s*(?P<value>\d+)")]).find("ma commande n° 451 \U0001f382")
    assert (one.start, one.end, one.value) == (15, 18, "451")


def test_an_explosive_regex_is_harmless() -> None:
    assert Patterns([Pattern("x", r"(a+)+b")]).find("a" * 20_000) == []


@pytest.mark.parametrize("regex", [r"(", r"(?=a)b", r"(a)\1", r"a*", "", "x" * 2_001, "\ud800"])
def test_a_regex_that_cannot_be_used_is_refused(regex: str) -> None:
    with pytest.raises(BadInput, match="'code'"):
        Patterns([Pattern("code", regex)])


def test_many_regexes_all_find() -> None:
    many = Patterns([Pattern(f"kind{number}", rf"\b[a-z]+{number}x\pL+\d{{5}}\b") for number in range(200)])
    assert [one.kind for one in many.find("abc7xéé12345 abc199xz54321")] == ["kind7", "kind199"]


def test_offsets_are_in_code_points_after_emoji_and_unpaired_surrogates() -> None:
    [one] = Patterns([BOOKING]).find("🎂\ud800é BK1234")
    assert (one.start, one.end) == (4, 10)


# ── what stands ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def span(start: int, end: int, kind: str, by: str, score: float = 1.0, value: Any = None) -> Span:
    return Span(start, end, kind, score, value, by)


def test_a_regex_beats_a_lookup_beats_the_tagger_beats_the_grammar() -> None:
    rows = [
        span(0, 5, "r", "regex"),
        span(0, 5, "l", "lookup"),
        span(0, 5, "t", "tagger"),
        span(0, 5, "date", "grammar"),
    ]
    for first in range(3):
        kept = rows[first:]
        learnt, looked, matched = ([one for one in kept if one.found_by == by] for by in ("tagger", "lookup", "regex"))
        assert merge(learnt, looked, matched, rows[3:], ["t"])[0].kind == rows[first].kind


def test_a_lookup_word_inside_a_sure_longer_span_yields_to_it() -> None:
    club = span(0, 19, "club", "tagger", 0.9)
    paris = span(0, 5, "city", "lookup")
    assert merge([club], [paris], [], [], []) == [club]
    unsure = span(0, 19, "club", "tagger", 0.2)
    assert merge([unsure], [paris], [], [], []) == [paris]


def test_a_number_inside_a_name_gives_it_no_value() -> None:
    band = span(0, 9, "band", "tagger", 0.9)
    number = span(6, 9, "number", "grammar", value={"number": "182"})
    assert merge([band], [], [], [number], ["band"]) == [band]


def test_numbers_are_the_taggers_to_find_where_examples_mark_them_and_days_are_not() -> None:
    number, day = span(0, 2, "number", "grammar"), span(3, 9, "date", "grammar")
    assert merge([], [], [], [number, day], ["number", "date"]) == [day]
    assert merge([], [], [], [number, day], ["city"]) == [number, day]


def test_of_equals_the_longer_stands_and_nothing_overlaps() -> None:
    short, long = span(0, 5, "a", "lookup"), span(3, 12, "b", "lookup")
    assert merge([], [short, long], [], [span(11, 14, "date", "grammar")], []) == [long]


# ── the chain ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tokens_that_overlap_an_entity_belong_to_it() -> None:
    tokens = tokenise("au revoir Jean-Luc!")
    assert tags_of(tokens, [Span(10, 16, "name")]) == ["O", "O", "B-name", "I-name", "I-name", "O"]
    assert tags_of(tokens, []) == ["O"] * 6


def test_decoding_gives_the_best_of_all_taggings() -> None:
    random = np.random.default_rng(3)
    tags = ["O", "B-a", "I-a", "B-b", "I-b"]
    forbidden, first = _impossible(tags)
    for _ in range(20):
        lengths = random.integers(1, 5, 6)
        scores = random.normal(size=(int(lengths.sum()), 5)).astype(np.float32)
        transition = random.normal(size=(5, 5)).astype(np.float32) + forbidden
        chain = Chain(np.zeros((0, 5), np.float32), transition, random.normal(size=5).astype(np.float32) + first)
        chosen = decode(scores, lengths, chain)
        begin = 0
        for length in lengths.tolist():
            rows = scores[begin : begin + length]

            def total(way: tuple[int, ...], rows: Any = rows, chain: Chain = chain) -> float:
                moves = sum(chain.transition[a, b] for a, b in itertools.pairwise(way))
                return float(chain.initial[way[0]] + moves + sum(row[tag] for row, tag in zip(rows, way, strict=True)))

            best = max(itertools.product(range(5), repeat=length), key=total)
            assert tuple(chosen[begin : begin + length]) == best
            begin += length


def test_gradients_are_those_of_the_likelihood() -> None:
    random = np.random.default_rng(5)
    sentences = [Sentence([[0], [1, 2]], [0, 1]), Sentence([[2], [0], [1]], [2, 0, 1])]
    worth = np.array([1, 0.5, 1], np.float32)
    chain = Chain(*(random.normal(size=shape) for shape in ((3, 3), (3, 3), (3,))))

    def loss(chain: Chain) -> float:
        total = 0.0
        for sentence in sentences:
            rows = [sum(worth[f] * chain.emission[f] for f in features) for features in sentence.features]
            scores = {}
            for way in itertools.product(range(3), repeat=len(rows)):
                moves = sum(chain.transition[a, b] for a, b in itertools.pairwise(way))
                scores[way] = chain.initial[way[0]] + moves + sum(row[t] for row, t in zip(rows, way, strict=True))
            total -= scores[tuple(sentence.tags)] - np.log(sum(np.exp(score) for score in scores.values()))
        return total / len(sentences)

    given_ = _gradients(_batch(sentences, worth), chain)
    for part in range(3):
        for place in np.ndindex(chain[part].shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = chain[part].copy()
                moved[place] += step
                ends.append(loss(chain._replace(**{chain._fields[part]: moved})))
            assert given_[part][place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-4)


def test_a_chain_learns_what_only_the_neighbour_tells() -> None:
    sentences = [Sentence([[0], [2]], [1, 1]), Sentence([[1], [2]], [0, 0])] * 8
    free = np.zeros((2, 2), np.float32)
    chain = train_chain(sentences, np.ones(3, np.float32), free, free[0], Recipe(rounds=20))
    scores = np.stack([chain.emission[0], chain.emission[2], chain.emission[1], chain.emission[2]])
    assert np.argmax(scores[0]) == 1
    assert chain.transition[1, 1] > chain.transition[1, 0] > IMPOSSIBLE
