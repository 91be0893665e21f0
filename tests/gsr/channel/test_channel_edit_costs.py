"""Weighted edits: worked examples and a slow oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.gsr.channel.edit_costs import (
    BAND,
    SIZE,
    WRITERS,
    edit_log_likelihoods,
    encode,
    is_trace,
    tables,
)


def fits(written: str, meant: str) -> np.ndarray:
    def row(codes: list[int]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([codes], np.uint8), np.array([len(codes)])

    return edit_log_likelihoods(*row(encode(written)), *row(list(meant.encode())))[0]


def oracle(written: str, meant: str, writer: int) -> float:
    """Weighted optimal string alignment, cell by cell."""
    t, codes, letters = tables(), encode(written), meant.encode()
    place = -np.log(len(letters))
    best = np.full((len(codes) + 1, len(letters) + 1), -np.inf)
    best[0, 0] = 0
    for i in range(len(codes) + 1):
        for j in range(len(letters) + 1):
            if abs(i - j) > BAND or i == j == 0:
                continue
            options = []
            sign = codes[i - 1] if i else 0
            previous = codes[i - 2] if i > 1 else 0
            letter = letters[j - 1] if j else 0
            before = letters[j - 2] if j > 1 else 0
            if i and j:
                same = sign == letter
                change = 0 if same else t.taken[sign, letter, writer] + place
                options.append(best[i - 1, j - 1] + change)
            if i:
                options.append(best[i - 1, j] + t.put_in[sign, previous, writer] + place)
            if j:
                options.append(best[i, j - 1] + t.left_out[letter, before, writer] + place)
            if i > 1 and j > 1 and sign == before and previous == letter and sign != letter:
                options.append(best[i - 2, j - 2] + t.exchanged[writer] + place)
            best[i, j] = max(options)
    return best[-1, -1]


words = st.text("abcde", min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(words, words)
def test_equals_the_oracle(written: str, meant: str) -> None:
    found = fits(written, meant)
    expected = [oracle(written, meant, writer) for writer in range(len(WRITERS))]
    if abs(len(written) - len(meant)) > BAND:
        assert not np.isfinite(found).any()
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_equal_words_cost_nothing() -> None:
    np.testing.assert_array_equal(fits("horse", "horse"), np.zeros(len(WRITERS)))


@pytest.mark.parametrize(
    ("written", "meant", "writer"),
    [
        ("hprse", "horse", "hand"),
        ("h0rse", "horse", "machine"),
        ("hrose", "horse", "exchanges"),
        ("hose", "horse", "leaves_out"),
        ("ho#rse", "horse", "puts_in"),
        ("ho#se", "horse", "takes"),
    ],
)
def test_each_writer_explains_its_own_error_best(written: str, meant: str, writer: str) -> None:
    assert WRITERS[int(fits(written, meant).argmax())] == writer


def test_people_take_vowels_for_vowels_and_double_letters() -> None:
    person = WRITERS.index("person")
    assert fits("seperate", "separate")[person] > fits("sekarate", "separate")[person] + 1
    assert fits("hoorse", "horse")[person] > fits("hozrse", "horse")[person] + 1


def test_a_capital_inside_of_a_word_is_a_trace() -> None:
    assert [is_trace(code) for code in encode("dOg")] == [False, True, False]
    assert encode("Dog") == encode("dog") == encode("DOG")
    assert [is_trace(code) for code in encode("b1ke")] == [False, True, False, False]
    assert encode("é") == [0]


def test_each_writer_is_a_distribution_over_what_is_written() -> None:
    t = tables()
    for letter in b"aeklz":
        taken = np.exp(t.taken[:, letter].astype(float))
        taken[letter] = 0
        every = taken.sum(0) + np.exp(t.put_in[:, letter]).sum(0)
        every += np.exp(t.left_out[letter, 0]) + np.exp(t.exchanged)
        np.testing.assert_allclose(every, 1, atol=0.05)
    assert t.taken.shape == (SIZE, SIZE, len(WRITERS))
