"""The index finds what a search through all words finds."""

import numpy as np
import pytest
from rapidfuzz.distance import OSA

from reex_jax.gsr.channel.candidates import build_index, find_pairs

WORDS = ["horse", "house", "hose", "nurse", "skateboarding", "dog", "dig", "bike", "frisbee"]


def found(word: str) -> set[str]:
    prior = np.full(len(WORDS), -8, np.float32)
    _, places = find_pairs(build_index(WORDS, prior), [word], prior)
    return {WORDS[place] for place in places}


@pytest.mark.parametrize("word", ["hors", "hrse", "hoorse", "ohrse", "dg", "bkie", "frisbe"])
def test_finds_every_word_within_two_edits(word: str) -> None:
    near = {other for other in WORDS if OSA.distance(word, other) <= min(2, len(word) - 2)}
    assert near <= found(word)


def test_signs_that_cannot_be_letters_are_looked_through() -> None:
    assert "frisbee" in found("Fri86ee")
    assert "skateboarding" in found("sk4teb0ard1ng")
    assert "horse" in found("ho#r$se")


def test_long_words_are_found_within_three_edits() -> None:
    assert "skateboarding" in found("skatxbxarxing")


def test_each_word_of_a_batch_is_looked_up_by_itself() -> None:
    prior = np.full(len(WORDS), -8, np.float32)
    index = build_index(WORDS, prior)
    at, places = find_pairs(index, ["hors", "dgo"], prior)
    alone = find_pairs(index, ["dgo"], prior)[1]
    np.testing.assert_array_equal(places[at == 1], alone)
