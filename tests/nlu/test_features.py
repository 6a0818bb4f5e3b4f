"""What training sees of a text, and that answering sees exactly the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from nlu.features import Features, Speakers
from nlu.text import CHARACTERS_MAX, character_grams, fold, word_pairs, words
from tests.nlu.conftest import HOSTILE

TEXTS = ["Réserver une table", "réserver, réserver !", "a", "une   table\npour 2", "l'été à Paris", "", "TABLE table"]


def by_scikit_learn(texts: list[str], asked: list[str], least: int = 1) -> sparse.csr_matrix:
    options = {"sublinear_tf": True, "dtype": np.float64, "min_df": least}
    three = [
        TfidfVectorizer(analyzer=lambda text: words(fold(text)), **options),
        TfidfVectorizer(analyzer=lambda text: list(word_pairs(words(fold(text)))), **options),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), preprocessor=fold, **options),
    ]
    return sparse.hstack([one.fit(texts).transform(asked) for one in three]) / np.sqrt(3)


@pytest.mark.parametrize("least", [1, 2])
def test_rows_are_those_of_scikit_learn(least: int) -> None:
    asked = [*TEXTS, "une table jamais vue", "réserver réserver réserver"]
    ours = Features.fit(TEXTS, longest_gram=5, least_messages=least).rows(asked).toarray()
    np.testing.assert_allclose(ours, by_scikit_learn(TEXTS, asked, least).toarray(), atol=1e-6)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.text(max_size=30))
def test_rows_are_those_of_scikit_learn_for_any_text(texts: list[str], asked: str) -> None:
    texts = [*texts, "so that each has a word"]
    features = Features.fit(texts, longest_gram=5)
    ours = features.rows([asked]).toarray()
    np.testing.assert_allclose(ours, by_scikit_learn(texts, [asked]).toarray(), atol=1e-6)
    np.testing.assert_array_equal(Features.from_parts(*features.parts()).rows([asked]).toarray(), ours)


def test_one_text_and_many_give_the_same_row() -> None:
    features = Features.fit(TEXTS, longest_gram=4)
    for text, row in zip(TEXTS, features.rows(TEXTS).toarray(), strict=True):
        columns, values = features.row(text)
        alone = np.zeros(features.count, np.float32)
        alone[columns] = values
        np.testing.assert_array_equal(alone, row)


def test_features_come_back_from_their_parts() -> None:
    features = Features.fit(TEXTS, longest_gram=4)
    again = Features.from_parts(*features.parts())
    np.testing.assert_array_equal(again.rows(TEXTS).toarray(), features.rows(TEXTS).toarray())


def test_only_words_of_the_training_are_remembered() -> None:
    features = Features.fit(TEXTS, longest_gram=4)
    features.row("une table pour Quelqu'un")
    assert "une" in features._grams_of
    assert not [chunk for chunk in features._grams_of if "quelqu" in chunk]


def test_folding_takes_away_case_accents_and_invisible_marks() -> None:
    assert fold("  L\u2019ÉTÉ\u200b à\tParis\x00 ") == "l'ete a paris"
    assert fold("ﬁn Œuvre ß") == "fin œuvre ss"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_folds_to_something_short(text: str) -> None:
    folded = fold(text)
    folded.encode("utf-8")
    assert len(folded) <= 3 * CHARACTERS_MAX


def test_grams_of_a_short_chunk_are_given_once() -> None:
    assert list(character_grams("a", 2, 5)) == [" a", "a ", " a "]


def names_of(features: Features) -> set[str]:
    return set(features.parts()[1]["names"].tobytes().decode().split("\n"))


def test_what_people_said_is_kept_only_if_enough_of_them_said_it_or_an_author_wrote_it() -> None:
    texts = ["authored words", "shared", "shared", "shared", "lonely", "lonely", "lonely", "authored"]
    speakers = Speakers([0, 1, 2, 3, 4, 4, 4, 1], least=3)
    kept = names_of(Features.fit(texts, longest_gram=4, speakers=speakers))
    assert {"authored", "words", "shared", "^ shared", "shared $", " sha"} <= kept
    assert not kept & {"lonely", "^ lonely", "lonely $", " lo", "lone", "onel"}
    assert "authored $" not in kept, "a pair that one person said, and that no author wrote"


def test_somebody_who_says_a_thing_often_is_one_person() -> None:
    speakers = Speakers([1] * 50, least=2)
    assert names_of(Features.fit(["again and again"] * 50, longest_gram=3, speakers=speakers)) == {""}


def test_without_people_everything_is_kept_as_ever() -> None:
    authored = Features.fit(TEXTS, longest_gram=4)
    with_nobody = Features.fit(TEXTS, longest_gram=4, speakers=Speakers([0] * len(TEXTS), least=5))
    assert names_of(authored) == names_of(with_nobody)
    np.testing.assert_array_equal(authored.idf, with_nobody.idf)
