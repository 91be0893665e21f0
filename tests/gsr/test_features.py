"""What fusion is told about the texts."""

import numpy as np
import pytest

from reex_jax.gsr.features import features_of, text_features
from reex_jax.gsr.repair import Repair, no_repair

WORDS = {"a", "red", "dog", "cat", "big"}


@pytest.mark.parametrize(
    ("original", "repaired", "expected"),
    [
        ("a rde dog", "a red cat", (1 / 3, 1 / 3, 4 / 9)),  # the docstring's example
        ("a red dog", "a red dog", (0, 0, 0)),
        ("a rde dog", "a red dog", (1 / 3, 0, 1 / 9)),
        ("a rde dog", "a cat dog", (1 / 3, 1 / 3, 3 / 9)),  # "cat" resembles nothing
        ("a red dog", "A red dog.", (0, 0, 2 / 10)),
        ("dog red a", "a red dog", (0, 0, 6 / 9)),  # order is no loss
        ("a red dog", "", (0, 1, 1)),
        ("a red red dog", "a red dog", (0, 1 / 4, 4 / 13)),
        ("", "dog", (0, 0, 1)),
        ("; a dog", "a dog", (1 / 3, 0, 2 / 7)),  # a mark is damage, and no word
    ],
)
def test_text_features(original, repaired, expected):
    assert text_features(original, repaired, WORDS) == pytest.approx(expected)


def test_one_new_word_stands_for_one_unknown_word():
    assert text_features("rad rod", "red", WORDS)[1] == pytest.approx(1 / 2)


def test_arrays():
    features = features_of(
        [
            Repair("a rde dog", "a red dog", 0.8, "repaired"),
            Repair("a rde dog", "a red dog", None, "repaired"),
            no_repair("a rde dog", "refusal"),
        ],
        WORDS,
    )
    assert all(part.dtype == np.float32 and part.shape == (3,) for part in features)
    np.testing.assert_allclose(features.generation, [0.8, 1, 0])
    np.testing.assert_allclose(features.oov, [1 / 3] * 3, rtol=1e-6)
    np.testing.assert_allclose(features.edit, [1 / 9, 1 / 9, 0], rtol=1e-6)
    assert [len(part) for part in features_of([], WORDS)] == [0, 0, 0, 0]
